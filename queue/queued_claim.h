/* The claims that the runner holds: what has to be recorded should it die, and
 * what the log line of an outcome needs. */
#ifndef QUEUE_QUEUED_CLAIM_H
#define QUEUE_QUEUED_CLAIM_H

#include "common/messages.h"

struct claim {
	struct claim *next;
	uint64_t message, accepted_at;
	uint16_t delivery, attempts;
	uint8_t claim_for; /* enum claim_for */
	uint16_t nrecipients;
	const char **addresses; /* inside the same block, with NUL */
	uint16_t indexes[];	/* of the recipients in their delivery */
};

enum { CLAIM_BUCKETS = 4096 };

struct claims {
	struct claim *buckets[CLAIM_BUCKETS];
	size_t count;
};

/* Remember the claim behind a job. 0, or -1 without memory. */
int claims_add(
    struct claims *claims, const struct job *job, enum claim_for claim_for);
/* Out of the table, to be freed by the caller with free(); NULL: none. */
struct claim *claims_take(
    struct claims *claims, uint64_t message, uint16_t delivery);
/* One that was made for the message's report. */
struct claim *claims_take_report(struct claims *claims, uint64_t message);
/* Any one, out of the table; NULL when none is left. */
struct claim *claims_take_any(struct claims *claims);
/* The claim's recipient of this index: its address, or NULL. */
const char *claim_address(const struct claim *claim, uint16_t index);

#endif
