/* What became of something the network or a user can cause: the verdict, its
 * RFC 3463 status and one printable line, travelling together. */
#ifndef COMMON_OUTCOME_H
#define COMMON_OUTCOME_H

#include "common/buf.h"

enum verdict {
	VERDICT_OK = 0,
	VERDICT_TEMP = 1, /* may succeed later: 4.x.x */
	VERDICT_PERM = 2, /* will not: 5.x.x */
};

struct outcome {
	enum verdict verdict;
	char status[12];  /* RFC 3463, "4.4.1" */
	char detail[400]; /* one printable line */
};

/* Set *why (which may be NULL) and return -1. Control bytes in the text are
 * made printable. */
int outcome_temp(struct outcome *why, const char *status, const char *format,
    ...) __attribute__((format(printf, 3, 4)));
int outcome_perm(struct outcome *why, const char *status, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* Set VERDICT_OK and return 0. */
int outcome_ok(struct outcome *why);

void outcome_put(struct buf *b, const struct outcome *o);
void outcome_get(struct reader *r, struct outcome *o); /* made printable */

#endif
