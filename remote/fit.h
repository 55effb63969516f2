/* The content of a message as the present server takes it: as it is, or
 * converted. Read piece by piece, from memory or a file.
 */
#ifndef REMOTE_FIT_H
#define REMOTE_FIT_H

#include "common/outcome.h"

struct convert;
struct ehlo;
struct transaction;

struct fit {
	bool is_on;	/* converted for the present server */
	unsigned goals; /* what convert was made for */
	struct convert *convert;
	uint64_t bytes;	 /* of the converted content */
	struct buf text; /* converted and not yet taken */
};

/* Choose for a server. can_bdat: BDAT will be used with it. 0, or -1 with *why
 * (5.6.3 cannot be converted, 4.3.0 cannot be read). */
int fit_choose(struct transaction *t, const struct ehlo *ehlo, bool can_bdat,
    struct outcome *why);
void fit_clear(struct fit *f);

/* Octets of what will be sent, and how it is declared (enum body_kind). */
uint64_t fit_bytes(const struct transaction *t);
uint8_t fit_body(const struct transaction *t);

/* Begin to read; then append pieces of at most STREAM_PIECE bytes. *at counts
 * the octets read of the content. 1 = there is more, 0 = that was the last,
 * -1 = cannot be read, *why (4.3.0). */
void fit_begin(struct transaction *t);
int fit_read(
    struct transaction *t, uint64_t *at, struct buf *out, struct outcome *why);
/* The same without a copy, where the content is in memory and goes as it is;
 * false: use fit_read. */
bool fit_peek(const struct transaction *t, uint64_t at, struct span *piece);

#endif
