/* What the files of the schedule share. */
#ifndef RUNNER_SCHEDULE_PARTS_H
#define RUNNER_SCHEDULE_PARTS_H

#include "runner/schedule.h"

TAILQ_HEAD(delivery_list, delivery);
TAILQ_HEAD(destination_list, destination);
TAILQ_HEAD(line_list, line);
TAILQ_HEAD(flow_list, flow);

enum flow_list_kind {
	FLOW_NOWHERE = 0,
	FLOW_GIVING,  /* has mail and a line with room */
	FLOW_STARVED, /* has mail and no line at all */
	FLOW_READY,   /* has mail, its lines are full */
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
	unsigned window; /* where the next session starts */
	uint8_t listed;	 /* enum flow_list_kind */
};

struct group {
	char *name;
	struct line **lines; /* all that were ever needed at once */
	unsigned nlines, nwanted, messages;
	bool is_off;
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
	struct heap destination_timers, line_timers, awaiting;
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

/* schedule_site.c: destinations, their hosts and health */
uint64_t schedule_random(struct schedule *s);
struct flow *destination_flow(
    struct schedule *s, struct destination *d, struct group *group);
void destination_update(struct schedule *s, struct destination *d);
unsigned destination_limit(const struct destination *d);
void destination_good(struct schedule *s, struct destination *d);
void destination_slow(struct schedule *s, struct destination *d);
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
void line_end(struct schedule *s, struct line *line);
void line_open_session(
    struct schedule *s, uint64_t now, struct line *line, struct flow *flow);
void line_gave(
    struct schedule *s, uint64_t now, struct line *line, struct delivery *d);
void line_took_back(struct schedule *s, uint64_t now, struct line *line,
    const struct delivery *d, bool is_result);
void line_timers_run(struct schedule *s, uint64_t now);
void lines_make_way(struct schedule *s, uint64_t now, struct group *group);
/* Lines that are too many are closed as soon as they have no session. */
int group_set_count(struct schedule *s, struct group *group, unsigned count);
void group_free(struct group *group);

#endif
