/* A limit that mail has to pass: so many sessions, so many messages at once,
 * so many in a time; of a destination, a site, a line group or one of its
 * addresses. What cannot pass is parked here (schedule_gate.c) until it may.
 * Pure. */
#ifndef RUNNER_GATE_H
#define RUNNER_GATE_H

#include "runner/bucket.h"
#include "runner/heap.h"

#include <stdbool.h>
#include <sys/queue.h>

struct flow;
TAILQ_HEAD(flow_list, flow);

/* What a delivery may wait for. */
enum limit_kind {
	LIMIT_NONE = 0,
	LIMIT_OFF,	   /* outbound, by the operator */
	LIMIT_WINDOW,	   /* the line group sends at other times */
	LIMIT_SUSPENDED,   /* its destination or site is down */
	LIMIT_HOSTS,	   /* DNS has not answered yet */
	LIMIT_RATE,	   /* of the configuration */
	LIMIT_PACE,	   /* the rate at which the site pushed back */
	LIMIT_IN_FLIGHT,   /* messages at once */
	LIMIT_CONNECTIONS, /* of the configuration */
	LIMIT_CONCURRENCY, /* as many as the site was found to take */
	LIMIT_LINES,	   /* all lines of the group are busy */
	LIMIT_COUNT
};
const char *limit_name(enum limit_kind kind); /* "rate"... */

enum limit_scope {
	SCOPE_NONE = 0,
	SCOPE_DESTINATION,
	SCOPE_SITE,
	SCOPE_LINE,
	SCOPE_ADDRESS,
};
const char *scope_name(enum limit_scope scope); /* "destination"... */

/* As configured; 0: no limit. */
struct limits {
	unsigned connections, in_flight;
	unsigned messages; /* a connection */
	struct rate rate;
	const char *from; /* "file:line" of what says so; NULL: nothing */
};

enum gate_need {
	NEED_GIVE = 0, /* to give one message to a line */
	NEED_SESSION,  /* to open one session */
	NEEDS
};

struct gate {
	struct heap_node timer;
	TAILQ_ENTRY(gate) entry; /* to be looked at */
	struct flow_list parked[NEEDS];
	struct limits limits; /* from: owned */
	struct bucket rate, pace;
	uint64_t told_ns;	/* of rate: remembered elsewhere */
	uint64_t way_at;	/* when sessions were last asked to make way */
	uint64_t hold_until;	/* nothing before that */
	unsigned nsessions;	/* now */
	unsigned in_flight;	/* messages given, not answered */
	unsigned sessions_max;	/* 0: any number */
	bool is_sessions_found; /* that was found out, not configured */
	bool is_one_by_one;	/* found out: one message at a time */
	bool is_marked;		/* is to be looked at */
	uint8_t scope;
};

void gate_init(struct gate *g, enum limit_scope scope);
/* Nothing may be parked. */
void gate_clear(struct gate *g);
/* limits->from is copied. -1 without memory: it is unknown then. */
int gate_set(struct gate *g, uint64_t now, const struct limits *limits);

/* How many messages may be given, sessions opened, now. */
unsigned gate_room(const struct gate *g, enum gate_need need, uint64_t now);
/* What stands in the way, LIMIT_NONE: nothing; and until when, UINT64_MAX:
 * until something happens. */
enum limit_kind gate_blocks(
    const struct gate *g, enum gate_need need, uint64_t now, uint64_t *until);
bool gate_has_parked(const struct gate *g);

void gate_gave(struct gate *g, uint64_t now);
/* It was answered; or it was not begun and does not count. */
void gate_took_back(struct gate *g, bool was_begun);

#endif
