/* What the files of the schedule share. */
#ifndef RUNNER_SCHEDULE_PARTS_H
#define RUNNER_SCHEDULE_PARTS_H

#include "runner/schedule.h"
#include "runner/site.h"

TAILQ_HEAD(delivery_list, delivery);
TAILQ_HEAD(destination_list, destination);
TAILQ_HEAD(line_list, line);

enum flow_list_kind {
	FLOW_NOWHERE = 0,
	FLOW_GIVING,  /* has mail and a line with room */
	FLOW_STARVED, /* has mail and no line at all */
	FLOW_READY,   /* has mail, its lines are full */
	FLOW_PARKED,  /* has mail, and waits at a gate */
};

/* The mail of one destination by one line group. */
struct flow {
	LIST_ENTRY(flow) of_destination;
	TAILQ_ENTRY(flow) entry; /* in the list of its kind */
	struct destination *destination;
	struct group *group;
	struct turns turns;
	struct delivery_list suspects; /* a line died with them: go alone */
	size_t nsuspects;
	struct line_list room;
	unsigned nsessions;
	unsigned window;   /* where the next session starts */
	uint8_t listed;	   /* enum flow_list_kind */
	struct gate *gate; /* PARKED there; or let go by it */
	uint8_t need;	   /* enum gate_need: for what */
	bool is_let_go;	   /* by gate: goes before others */
	uint8_t waited;	   /* enum limit_kind, since the last message */
	uint32_t choice;   /* of addresses */
};

enum { BINDS_KNOWN_MAX = 16 }; /* those of former configurations too */

/* An address of a line group. */
struct bind {
	char *address;
	struct gate gate;
	bool is_v6, is_used;
};

struct group {
	char *name;
	struct line **lines; /* all that were ever needed at once */
	unsigned nlines, nwanted, messages;
	bool is_off, is_closed;
	bool is_auto; /* the number of lines is found out: */
	struct knee knee;
	uint64_t closed_until;
	struct gate gate; /* nothing is parked there: see group_blocks */
	struct bind *binds[BINDS_KNOWN_MAX];
	size_t nbinds;
	uint8_t waited; /* enum limit_kind */
	struct flow_list giving, starved, ready;
	size_t nstarved, nready;
	struct line_list off, free, sessions, idle;
	unsigned nstarting, nending;
	uint64_t looked_at; /* last time lines were asked to make way */
};

struct schedule {
	struct schedule_options options;
	struct group **groups;
	size_t ngroups, turn; /* the group to look at first */
	struct table deliveries, destinations, awaited;
	struct destination_list wants_hosts, refusing, idle, refill;
	struct destination *refilling; /* may be NULL */
	size_t nidle;
	struct line_list to_end, to_close;
	uint32_t epoch;
	struct destination **wakes; /* to tell */
	size_t nwakes, wakes_room;
	struct heap destination_timers, line_timers, awaiting, gate_timers;
	TAILQ_HEAD(gate_list, gate) marked; /* gates to be looked at */
	struct table sites;
	TAILQ_HEAD(, site) idle_sites;
	size_t nidle_sites, nparked;
	uint64_t limited[LIMIT_COUNT];
	uint64_t now; /* of the last schedule_next */
	uint64_t random, last_session;
	size_t nwaiting, ngiven, nrecording, nawaiting, nrefusing, nreporting;
	size_t noff;			     /* destinations that are off */
	uint64_t reporting[REPORTS_AT_ONCE]; /* messages; 0: free */
	bool is_off, is_stopping, is_usable;
	bool has_left;	   /* mail left in the index because it is stopped */
	bool wants_reread; /* some of that may go again */
};

/* schedule.c */
void delivery_set_phase(struct schedule *s, struct delivery *d, uint8_t phase);
/* One report a message at a time: false when one is being made. */
bool delivery_begin_report(struct schedule *s, struct delivery *d);
/* Its report is to be made then. Without memory it is forgotten instead. */
void delivery_await(struct schedule *s, struct delivery *d, uint64_t at);
void delivery_unawait(struct schedule *s, struct delivery *d);
void delivery_left_flow(struct schedule *s, struct delivery *d);
/* What waits for a group or destination that is off: out of memory. */
void deliveries_leave_stopped(struct schedule *s);

/* schedule_next.c */
void flow_update(struct schedule *s, struct flow *flow);

/* schedule_gate.c: what mail has to pass */
/* Where it would have to wait now; NULL: nowhere. */
struct gate *flow_blocked(const struct flow *flow, enum gate_need need,
    uint64_t now, enum limit_kind *kind, uint64_t *until);
void flow_park(struct schedule *s, uint64_t now, struct flow *flow,
    struct gate *gate, enum gate_need need, enum limit_kind kind,
    uint64_t until);
void flow_unpark(struct schedule *s, struct flow *flow);
/* It has more room now, perhaps. */
void gate_look(struct schedule *s, struct gate *gate);
void gates_run(struct schedule *s, uint64_t now);
/* Nothing is parked at it any more, and it goes. */
void gate_leave(struct schedule *s, struct gate *gate);
void gates_gave(struct schedule *s, uint64_t now, struct delivery *d);
void gates_took_back(struct schedule *s, struct delivery *d, bool was_begun);
void gates_session(struct schedule *s, struct line *line, int change);
enum limit_kind group_blocks(
    const struct group *group, uint64_t now, uint64_t *until);
/* The group's address that the flow uses; NULL: none of that family. */
struct bind *flow_bind(const struct flow *flow, bool is_v6);
unsigned flow_messages(const struct flow *flow, uint64_t now);
void group_clear_gates(struct schedule *s, struct group *group);

/* schedule_site.c: destinations, their hosts and health */
uint64_t schedule_random(struct schedule *s);
struct flow *destination_flow(
    struct schedule *s, struct destination *d, struct group *group);
void destination_update(struct schedule *s, struct destination *d);
unsigned destination_limit(const struct destination *d);
/* All of its site, or it alone. */
void destination_set_up(struct schedule *s, struct destination *d);
void destination_timer_passed(struct schedule *s, struct destination *d);
void destination_end_sessions(struct schedule *s, struct destination *d);
void destination_mark_wake(struct schedule *s, struct destination *d);
void destination_good(struct schedule *s, struct destination *d);
/* It took a message. */
void destination_accepted(
    struct schedule *s, uint64_t now, struct destination *d);
bool destination_is_down_alone(const struct destination *d);
void destination_down(struct schedule *s, uint64_t now, struct destination *d,
    const struct outcome *why);
void destination_check_careful(
    struct schedule *s, uint64_t now, struct destination *d);
void destination_login_refused(struct schedule *s, uint64_t now,
    struct destination *d, const struct outcome *why);
void destination_want_hosts(struct schedule *s, struct destination *d);
void destination_timers_run(struct schedule *s, uint64_t now);
void destination_check_idle(struct schedule *s, struct destination *d);
void destination_check_refill(struct schedule *s, struct destination *d);
void destination_free(struct schedule *s, struct destination *d);

/* schedule_line.c: lines and their sessions */
void line_update_room(struct line *line);
/* Its host answered; counts: as one of those it takes in a session. */
void line_proven(struct line *line, bool counts);
void line_end(struct schedule *s, struct line *line);
void line_open_session(
    struct schedule *s, uint64_t now, struct line *line, struct flow *flow);
void line_gave(
    struct schedule *s, uint64_t now, struct line *line, struct delivery *d);
void line_took_back(struct schedule *s, uint64_t now, struct line *line,
    const struct delivery *d, bool is_result);
void line_timers_run(struct schedule *s, uint64_t now);
/* Some sessions that count at the gate end: idle ones, or that have had their
 * turn. */
void lines_make_way_at(struct schedule *s, uint64_t now, struct gate *gate);
void lines_make_way(struct schedule *s, uint64_t now, struct group *group);
/* Lines that are too many are closed as soon as they have no session. */
int group_set_count(struct schedule *s, struct group *group, unsigned count);
void group_free(struct schedule *s, struct group *group);

#endif
