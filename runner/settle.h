/* What an attempt means for each recipient: done, failed, tried again when;
 * and who is told. Pure. */
#ifndef RUNNER_SETTLE_H
#define RUNNER_SETTLE_H

#include "common/messages.h"
#include "runner/retry.h"
#include "runner/ruling.h"

/* What is known of the delivery besides the result. */
struct settle_case {
	const struct conf_retry *retry;
	const char *postmaster; /* "": nobody gets double bounces */
	struct span sender;
	uint8_t origin, flags; /* WAITING_* */
	uint64_t now_ms, accepted_at, expires_at;
	unsigned attempts; /* counted ones before this one */
	uint64_t random;
	bool line_died;
	enum cause cause; /* CAUSE_NONE: found from the result */
	/* Reply rules; NULL: none, all is taken as it is. */
	const struct conf *conf;
	struct settle_words *words;
	struct span relay;     /* by which a rule has sent it already */
	uint64_t suspended_ms; /* its destination is suspended by a rule for
				* this long: no attempt is used up */
};

/* Room for texts that the attempt points into. */
struct settle_words {
	struct buf texts;
	char cause[CAUSE_MAX + 1];
	struct ruling ruling; /* out: what the rules said */
};

struct settle_recipient {
	uint16_t index;
	uint8_t notify; /* NOTIFY_* */
	struct span address;
};

/* Fill *attempt (but message, delivery and line) from what was asked for and
 * what the line said. Recipients of which it said nothing are uncertain.
 * outcomes and reports: room for n each; the attempt points into them, and to
 * texts of *result. Returns 0, or -1 when the result names recipients that
 * were not asked for, or one twice. */
int settle(const struct settle_case *c, const struct settle_recipient *asked,
    size_t n, const struct result *result, struct rcpt_outcome *outcomes,
    uint8_t *reports, struct attempt *attempt);

/* The same outcome for all: without a line, or after its death. */
void settle_all(const struct settle_case *c,
    const struct settle_recipient *asked, size_t n,
    const struct rcpt_outcome *like, struct rcpt_outcome *outcomes,
    uint8_t *reports, struct attempt *attempt);

/* Whether the result means that a host was reached with this mail. */
bool settle_is_reached(const struct result *result);
/* No recipient was tried at all. */
bool settle_is_untouched(const struct result *result);

#endif
