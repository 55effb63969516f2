/* When to try again, and when to give up. Pure. */
#ifndef RUNNER_RETRY_H
#define RUNNER_RETRY_H

#include "common/conf.h"

/* Why a delivery waits: the stable word that the record keeps. */
enum cause {
	CAUSE_NONE = 0,
	CAUSE_RETRY,	 /* the host said 4xx */
	CAUSE_CONNECT,	 /* no host was reached */
	CAUSE_DNS,	 /* the hosts could not be found out */
	CAUSE_SUSPENDED, /* not tried: its destination is down */
	CAUSE_UNCERTAIN, /* the end was sent, no answer came */
	CAUSE_LINE_DIED,
	CAUSE_UNTOUCHED, /* its turn did not come */
	CAUSE_COUNT
};
const char *cause_name(enum cause cause);
/* It counts towards retry { attempts }. A suspended destination is probed at
 * least as often as mail is tried, so that waiting for it counts too. */
bool cause_counts(enum cause cause);

struct retry_case {
	enum cause cause;
	uint64_t now_ms;      /* UTC */
	uint64_t accepted_at; /* UTC seconds */
	uint64_t expires_at;  /* UTC seconds; 0: by the settings */
	unsigned attempts;    /* counted ones, this one included */
	bool is_warned;	      /* the delay notice has been made */
	uint64_t random;
};

struct retry_plan {
	bool gives_up;
	bool warns;	      /* a delay notice is due now */
	uint64_t next_try_ms; /* UTC; when it does not give up */
	uint64_t ends_at;     /* UTC seconds: end of its lifetime */
};

/* Nothing that is only temporary is given up before its lifetime has passed
 * or its attempts are used up (RFC 5321 4.5.4.1). */
struct retry_plan retry_plan(
    const struct conf_retry *conf, const struct retry_case *c);

/* Longest wait for a destination that is down before it is probed again. */
uint32_t retry_probe_max_ms(const struct conf_retry *conf);
uint32_t retry_probe_first_ms(const struct conf_retry *conf);

#endif
