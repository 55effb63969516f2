/* What the checks found: one finding a check and subject, collected from all
 * threads, printed as lines, JSON or a page.
 */
#ifndef DNSCHECK_FINDING_H
#define DNSCHECK_FINDING_H

#include "common/buf.h"

#include <pthread.h>

enum finding_status {
	FINDING_OK = 0,
	FINDING_SKIP, /* could not be found out: found says why */
	FINDING_WARN,
	FINDING_FAIL,
};
const char *finding_status_name(uint8_t status); /* "ok"... */

/* All texts may hold foreign bytes: whoever prints escapes them. NULL counts
 * as "". */
struct finding {
	const char *code;	 /* stable, "reverse-missing"; a literal */
	uint8_t status;		 /* enum finding_status */
	const char *node, *line; /* "" where it is about neither */
	const char *address;	 /* what it is grouped below: the place's
				  * address as place_address says; or "" */
	const char *subject;	 /* the address, name, server... */
	const char *found;	 /* what is */
	const char *expected;	 /* what should be; "" when ok */
	const char *remedy;	 /* who changes what where; "" when ok */
	const char *record;	 /* the exact record to publish, or "" */
};

enum { FINDINGS_MAX = 20000 };

struct findings {
	pthread_mutex_t lock;
	struct finding *items; /* copies, owned */
	size_t count, room;
	size_t dropped;
	struct finding_texts *texts;
};

void findings_init(struct findings *f);
void findings_clear(struct findings *f);
/* Copied. Beyond FINDINGS_MAX: counted in dropped. */
void findings_add(struct findings *f, const struct finding *finding);
/* What was not looked at, because there was too much: counted in dropped. */
void findings_drop(struct findings *f);
/* By node, line, address, the order of the families, subject, then severity;
 * the same for the same findings. */
void findings_sort(struct findings *f);
bool findings_has_failure(const struct findings *f);

/* Printf into text that lives until findings_clear: for found, remedy... At
 * most FINDING_TEXT_MAX bytes of it. */
enum { FINDING_TEXT_MAX = 2000 };
const char *finding_text(struct findings *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
