/* What a site takes, found out from how it answers: connections, messages a
 * connection, a rate. Grows on success; halves when it pushes back (421, a
 * refused connection, a reply that speaks of a rate), and remembers where that
 * was, with the evidence. Pure; times are milliseconds of the schedule's clock.
 *
 * Connections: one more for as many successes as there are; where more was
 * refused is the ceiling, reached again quickly and tried beyond after
 * RAISE_FIRST_MS, later twice as long.
 *
 * Rate: after a reply that speaks of one, nothing goes for a while, then one
 * message looks, at growing intervals. From one such reply to the next the site
 * has taken as much as it allows: that is its pace, from which it is raised by
 * steps.
 */
#ifndef RUNNER_LEARN_H
#define RUNNER_LEARN_H

#include "common/buf.h"

#include <stdbool.h>

enum {
	LIMIT_START = 5, /* sessions to one site at first */
	HALVE_PAUSE_MS = 1000,
	RAISE_FIRST_MS = 300000,
	RAISE_MAX_MS = 14400000,
	HOLD_FIRST_MS = 1000,
	HOLD_MAX_MS = 15000,
	PACE_STEP_MS = 10000, /* between two steps up of the pace */
	PACE_IDLE_MS = 10000, /* without mail: it is measured anew */
	PACE_COUNT_MIN = 3,   /* messages that a measure needs */
	MESSAGES_KEPT_MS = 86400000,
	EVIDENCE_MAX = 120, /* bytes of the reply */
};

struct learned {
	unsigned limit, successes;
	unsigned ceiling; /* 0: unknown */
	unsigned unsure;  /* would be the ceiling if the site is up */
	uint64_t halved_at, ceiling_raise_at, ceiling_wait_ms;
	unsigned messages;  /* a connection; 0: unknown */
	unsigned candidate; /* it has closed after so many once */
	unsigned nalike;    /* times in a row */
	unsigned ncuts;	    /* times lately */
	uint64_t cut_at;
	uint64_t messages_until;
	uint64_t pace;	       /* messages an hour; 0: unknown */
	uint64_t pace_ceiling; /* at which it pushed back; 0: unknown */
	uint64_t pace_step_at, pace_raise_at, pace_wait_ms;
	uint64_t measured_at; /* since then it took so many: */
	unsigned accepted;
	uint64_t last_at; /* the last message that it took or refused */
	uint64_t hold_until, hold_ms;
	bool is_looking; /* one message looks whether it takes mail again */
	/* evidence */
	unsigned nrefused, ncut, nrate; /* times it pushed back */
	uint64_t pushed_at;		/* last; 0: never */
	char reply[EVIDENCE_MAX + 1];
};

void learned_init(struct learned *l);
/* It took a message; max: sessions that are allowed anyway. */
void learned_accepted(struct learned *l, uint64_t now, unsigned max);
/* It refused a session while it had so many others; is_up: of which one is
 * known to work. */
void learned_refused(
    struct learned *l, uint64_t now, unsigned others, bool is_up);
/* A session beyond the ceiling works. */
void learned_beyond(struct learned *l);
/* It closed a session (421) after it had answered so many messages in it; 0:
 * not known. */
void learned_cut(struct learned *l, uint64_t now, unsigned answered);
/* It answered with a reply that speaks of a rate. */
void learned_rate(struct learned *l, uint64_t now);
void learned_say(struct learned *l, uint64_t now, struct span reply);
/* It is down: what was unsure is not known. */
void learned_down(struct learned *l);
/* Sessions now, at most max. */
unsigned learned_sessions(const struct learned *l, uint64_t now, unsigned max);
unsigned learned_messages(const struct learned *l, uint64_t now); /* 0: any */
/* It has ever pushed back. */
bool learned_has_evidence(const struct learned *l);

/* For a record that outlives us. get: -1 when it is malformed. */
void learned_put(
    struct buf *b, const struct learned *l, uint64_t now, uint64_t utc_ms);
int learned_get(
    struct reader *r, struct learned *l, uint64_t now, uint64_t utc_ms);

#endif
