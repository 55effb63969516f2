/* The schedule: which line does what, and when. A pure state machine: no
 * clock, descriptor or system call. Events come in by the functions below,
 * decisions are fetched with schedule_next until there is none; then nothing
 * happens before the next event or schedule_wake.
 *
 * Times (now, *_at) are milliseconds of one clock that never goes back.
 *
 * A delivery in memory:
 *   WAITING   -> GIVEN      DECIDE_GIVE: claimed for a line
 *             -> REFUSED    DECIDE_REFUSE: its destination is down or dead
 *   GIVEN     -> RECORDING  schedule_result: its outcome goes to the keeper
 *             -> WAITING    schedule_put_back: not begun
 *   REFUSED   -> RECORDING  schedule_refused
 *   RECORDING -> forgotten  schedule_forget: recorded
 *             -> AWAITING   schedule_await_report: recorded, a DSN is due
 *   AWAITING  -> REPORTING  DECIDE_REPORT -> forgotten
 */
#ifndef RUNNER_SCHEDULE_H
#define RUNNER_SCHEDULE_H

#include "common/messages.h"
#include "runner/gate.h"
#include "runner/heap.h"
#include "runner/knee.h"
#include "runner/learn.h"
#include "runner/table.h"
#include "runner/turns.h"

enum {
	WINDOW_START = 4, /* jobs a line is given at first */
	WINDOW_MAX = 64,
	BYTES_IN_FLIGHT_MAX = 1 << 20, /* a line; a larger job goes alone */
	IDLE_MS = 2000,	     /* an open session waits that long for mail */
	TURN_MS = 1000,	     /* a session may last that long while others */
	TURN_MESSAGES = 100, /* need its line, or that many messages */
	REFUSALS_AT_ONCE = 256,
	REPORTS_AT_ONCE = 32, /* one a message, which covers all of it */
	REPORT_GATHER_MS = 1000,
	PUT_BACKS_MAX = 3, /* then it is deferred a while */
	LINE_BACKOFF_MS = 1000,
	LINE_BACKOFF_MAX_MS = 60000,
	NUDGE_MS = 5000, /* an operator's retry probes no sooner than that */
	LOGIN_FIRST_MS = 900000, /* first wait of a relay that refused us */
	LOGIN_MAX_MS = 14400000,
	CAREFUL_MS = 600000,  /* without a session: the next one goes alone */
	HOSTS_MIN_MS = 10000, /* hosts are kept at least that long */
	HOSTS_STALE_MS = 3600000, /* and serve on when DNS falls silent */
	SHARE_MIN = 16, /* deliveries in memory any destination may have */
	PACE_MS = 500,	/* a line is given about that much work ahead */
	DESTINATIONS_IDLE_MAX = 2000, /* remembered without mail */
	SITES_IDLE_MAX = 2000,
	LOOK_MS = 200, /* a limit with room for what does not come */
	BINDS_MAX = 4, /* addresses of a line group */
};

struct schedule;
struct destination;
struct bind;
struct flow;
struct line;
struct site;

enum phase {
	PHASE_WAITING = 0,
	PHASE_GIVEN,
	PHASE_REFUSED,
	PHASE_RECORDING,
	PHASE_AWAITING,
	PHASE_REPORTING,
};

/* Read-only outside the schedule. */
struct delivery {
	struct turn_item item;
	struct table_link link;
	struct table_link awaited;     /* AWAITING, by message */
	struct heap_node report_timer; /* AWAITING */
	TAILQ_ENTRY(delivery) entry;   /* suspects */
	struct flow *flow;	       /* NULL: only a report is due */
	struct line *line;	       /* GIVEN */
	struct site *site;	       /* GIVEN: where it is counted */
	struct bind *binds[2];
	uint64_t message;
	uint64_t sender_key;
	uint64_t session; /* GIVEN */
	uint64_t due_ms, accepted_at, expires_at, size_bytes;
	uint16_t number; /* in its message */
	uint16_t attempts, line_deaths;
	uint32_t epoch; /* configurations before the one that routed it */
	uint8_t phase, flags, origin, put_backs;
	bool is_listed;	 /* in awaited */
	bool is_counted; /* by the gates */
	int8_t priority;
};

/* A place in the index's order of due times. */
struct due_key {
	uint64_t due_ms, message;
	uint16_t delivery;
};

enum health {
	HEALTH_UP = 0,
	HEALTH_DOWN,  /* no host reached or DNS silent: waits for probe_at */
	HEALTH_PROBE, /* one session with one message finds out */
	HEALTH_DEAD,  /* its mail fails for good, until hosts_until */
};
enum hosts_state { HOSTS_UNKNOWN = 0, HOSTS_ASKED, HOSTS_KNOWN };

struct destination {
	struct table_link link;
	struct heap_node timer; /* probe_at or end of DEAD */
	TAILQ_ENTRY(destination) wants_hosts, refusing, idle, refill;
	bool is_wanting_hosts, is_refusing, is_idle, is_refilling;
	char *name;
	void *owned; /* the caller's; freed by options.drop */
	LIST_HEAD(, flow) flows;
	LIST_ENTRY(destination) of_site;
	struct site *site; /* NULL: its hosts were never known */
	struct gate gate;
	size_t nwaiting; /* deliveries in PHASE_WAITING */
	size_t nheld;	 /* deliveries in memory, any phase */
	unsigned nsessions, limit_max;
	uint8_t health, hosts;
	bool has_retried;	/* mail came that had been tried before */
	bool is_awake;		/* and such mail has been woken */
	bool is_off;		/* by the operator */
	bool is_marked_wake;	/* DECIDE_WAKE is to come */
	bool has_no_stock;	/* DOWN: what waits now has had its look-up */
	bool is_suspended;	/* DOWN: by schedule_suspend, until probe_at */
	bool is_shed;		/* some mail was left in the index */
	bool is_careful;	/* sessions log in: the first goes alone */
	bool is_login_refused;	/* DOWN, PROBE: for that, or a missing one */
	bool is_following;	/* DOWN as its site: another one probes */
	bool has_refused;	/* since it is down: some mail was put off */
	struct due_key shed_at; /* just before the first of it */
	uint64_t hosts_until;	/* KNOWN until then */
	uint64_t stale_until;	/* and usable when DNS falls silent */
	uint64_t probe_at, probe_wait_ms, down_at;
	uint64_t left_at;   /* the end of the last session */
	struct outcome why; /* DOWN, DEAD: the reason */
};

enum line_phase {
	LINE_OFF = 0, /* may be started */
	LINE_STARTING,
	LINE_FREE,
	LINE_BUSY,    /* has a session */
	LINE_ENDING,  /* told to end its session */
	LINE_BROKEN,  /* died; started again at timer */
	LINE_LEAVING, /* has no session any more, is being closed */
	LINE_RETIRED, /* its group has fewer lines now */
};

struct line {
	struct heap_node timer;
	TAILQ_ENTRY(line) entry; /* free list, or by age of session */
	TAILQ_ENTRY(line) room;	 /* the flow's lines with room */
	TAILQ_ENTRY(line) idle;
	TAILQ_ENTRY(line) end; /* to be told to end its session */
	struct group *group;
	struct flow *flow;     /* BUSY, ENDING */
	struct site *site;     /* BUSY, ENDING: where it is counted */
	struct bind *binds[2]; /* its sources: of IPv4, of IPv6 */
	uint32_t number;       /* in its group, from 1 */
	uint64_t session;      /* id */
	uint8_t phase;
	bool has_room, is_probe, is_proven, is_idle, is_to_end, is_solo;
	bool is_unreached;
	bool is_old;	  /* to be closed when its session is over */
	bool is_to_close; /* DECIDE_CLOSE is to come */
	unsigned in_flight, given, window;
	unsigned answered;    /* jobs of this session */
	unsigned connections; /* of this session; set by the caller */
	uint64_t bytes_in_flight;
	uint64_t session_at, idle_at, started_at, backoff_ms;
	uint64_t busy_since, busy_ms, results; /* for the pace */
	void *peer;			       /* the caller's */
};

enum decision_kind {
	DECIDE_START_LINE, /* line */
	DECIDE_RESOLVE,	   /* destination: answer with schedule_hosts */
	DECIDE_SESSION,	   /* line, destination */
	DECIDE_GIVE,	   /* line, delivery */
	DECIDE_END,	   /* line: no more jobs in this session */
	DECIDE_REFUSE,	   /* delivery, destination: record without a line */
	DECIDE_REPORT,	   /* delivery: make the message's DSN */
	DECIDE_WAKE,	   /* destination is up: its deferred mail may go */
	DECIDE_CLOSE,	   /* line: then schedule_line_closed */
};

struct decision {
	uint8_t kind;
	struct line *line;
	struct destination *destination;
	struct delivery *delivery;
};

struct schedule_options {
	uint64_t seed;
	size_t window;		 /* deliveries in memory */
	uint32_t probe_first_ms; /* first wait of a destination that is down */
	uint32_t probe_max_ms;
	/* A destination is forgotten: free what is owned. May be NULL. */
	void (*drop)(struct destination *d, void *owned);
};

struct schedule *schedule_new(const struct schedule_options *options);
void schedule_free(struct schedule *s); /* NULL is fine */

/* A line group, new or as it is from now on: lines that are too many end their
 * session in order. Returns its index, or -1 without memory. */
int schedule_add_group(struct schedule *s, const char *name, unsigned count,
    unsigned messages_per_connection);
const char *schedule_group_name(const struct line *line);
/* Its limits from now on, and the addresses it may send from with the limits of
 * each; those that are not named any more are not used again. -1 without
 * memory. */
int schedule_group_limits(
    struct schedule *s, uint64_t now, int group, const struct limits *limits);
int schedule_group_binds(struct schedule *s, uint64_t now, int group,
    const char *const *addresses, size_t n, const struct limits *limits);
/* The number of its lines is found out, up to KNEE_MAX; or not any more. To be
 * said after schedule_add_group with that many. */
void schedule_group_auto(
    struct schedule *s, uint64_t now, int group, bool is_auto);
/* Outside its window: its mail waits in the index. until: when it opens again,
 * to be told. */
void schedule_group_closed(
    struct schedule *s, int group, bool is_closed, uint64_t until);
/* The addresses that sessions to d use, one a family: the choice depends on
 * the destination alone (greylisting). Returns how many. */
size_t schedule_sources(
    const struct line *line, const char *addresses[BINDS_MAX]);
/* Where its session goes; NULL: it has none. */
struct destination *schedule_line_destination(const struct line *line);
/* Each line of each group, in order. */
void schedule_each_line(
    struct schedule *s, void (*visit)(struct line *line, void *arg), void *arg);

/* Another configuration: every group is empty until it is added again, lines
 * that run are closed when their session is over, so that those started then
 * know the new one, and what waits is forgotten, to be routed anew. What is
 * claimed goes on. */
void schedule_renew(struct schedule *s);
void schedule_set_probe(struct schedule *s, uint32_t first_ms, uint32_t max_ms);
/* It may lead to other hosts now: nothing that was found holds. When it is
 * HOSTS_ASKED, the caller asks once more. */
void schedule_destination_moved(struct schedule *s, struct destination *d);
/* DECIDE_CLOSE has been carried out. */
void schedule_line_closed(struct schedule *s, struct line *line);

/* The destination of that name, made when it is new (*is_new: set owned). NULL
 * without memory. limit_max is taken over each time. */
struct destination *schedule_destination(
    struct schedule *s, const char *name, unsigned limit_max, bool *is_new);

/* What the configuration says of it alone. */
void schedule_destination_limits(struct schedule *s, uint64_t now,
    struct destination *d, const struct limits *limits);
/* Its hosts are those of that site, whose limits it shares from now on;
 * limits: what the configuration says of the site. Before schedule_hosts. */
void schedule_set_site(struct schedule *s, uint64_t now, struct destination *d,
    struct span name, const struct limits *limits);

enum added {
	ADDED = 0,
	ADDED_BEFORE = 1, /* is in memory already */
	ADDED_SHED = 2,	  /* left in the index: schedule_refill finds it again,
			   * or schedule_reread what was stopped */
	ADDED_FAILED = -1,
};
/* A delivery that is due. group: index. With WAITING_REPORT destination may be
 * NULL. */
enum added schedule_add(struct schedule *s, uint64_t now,
    const struct waiting *w, struct destination *d, int group);
struct destination *schedule_delivery_destination(const struct delivery *d);
struct delivery *schedule_find(
    const struct schedule *s, uint64_t message, uint16_t number);
/* Changed or gone in the index: forget it unless it is claimed. */
void schedule_remove(struct schedule *s, uint64_t message, uint16_t number);

/* What became of what was decided. */
void schedule_hosts(struct schedule *s, uint64_t now, struct destination *d,
    const struct outcome *outcome, uint64_t ttl_ms);
void schedule_line_started(struct schedule *s, uint64_t now, struct line *line);
/* It died or could not be started. What it had is ended with schedule_result or
 * schedule_put_back, before or later. */
void schedule_line_lost(struct schedule *s, uint64_t now, struct line *line);
/* The line may be started no sooner than this from now on (spawner gone: no
 * line can be; is_usable false). */
void schedule_set_usable(struct schedule *s, bool is_usable);

enum result_kind {
	RESULT_DELIVERED, /* at least one recipient */
	RESULT_ANSWERED,  /* the host refused or deferred this mail */
	RESULT_UNREACHED, /* connection or line trouble */
	RESULT_PUSHED,	  /* the host wants less: 421, or a rate */
};
void schedule_result(struct schedule *s, uint64_t now, struct delivery *d,
    enum result_kind kind);
/* Before schedule_result: the answer speaks of a rate. */
void schedule_pushback(
    struct schedule *s, uint64_t now, struct delivery *d, struct span reply);
/* A refusal has been handed to the keeper. */
void schedule_refused(struct schedule *s, struct delivery *d);
/* GIVEN or REFUSED but not begun: back in front of its sender's mail.
 * ends_session: the line gave it back, its session takes no more. False: it is
 * from before schedule_renew and forgotten, to be read again. */
bool schedule_put_back(
    struct schedule *s, uint64_t now, struct delivery *d, bool ends_session);
/* Recorded, or the claim could not be had: out of memory. From any phase. */
void schedule_forget(struct schedule *s, uint64_t now, struct delivery *d);
void schedule_await_report(
    struct schedule *s, uint64_t now, struct delivery *d);
/* A report could not be made now: again in a while. */
void schedule_report_later(struct schedule *s, uint64_t at, struct delivery *d);

/* The session is over on the line's side (all its jobs answered). why NULL or
 * OK: a host was reached and left orderly. */
void schedule_session_done(struct schedule *s, uint64_t now, struct line *line,
    const struct outcome *why, bool is_overloaded);

/* The same when the relay refused the login, or cannot be given one: it is left
 * alone for LOGIN_FIRST_MS, twice as long each time, whatever other sessions
 * do. */
void schedule_login_refused(struct schedule *s, uint64_t now, struct line *line,
    const struct outcome *why);
/* Without a session: the login is missing; probed like a host that is down. */
void schedule_login_missing(struct schedule *s, uint64_t now,
    struct destination *d, const struct outcome *why);
/* There is another login: look now whether it does, with all its mail. */
void schedule_login_changed(struct schedule *s, struct destination *d);
/* Its sessions log in: whenever there has been none for CAREFUL_MS, one goes
 * alone and finds out, so that a wrong password is shown once. */
void schedule_set_careful(struct schedule *s, struct destination *d, bool on);
/* Each destination, in no order. */
void schedule_each_destination(struct schedule *s,
    void (*visit)(struct destination *d, void *arg), void *arg);

/* A server asked for it: nothing for this destination for so long, then one
 * message looks whether it takes mail again. What is still in flight does not
 * end the suspension. */
void schedule_suspend(struct schedule *s, uint64_t now, struct destination *d,
    const struct outcome *why, uint64_t for_ms);
/* An operator asked for its mail to be tried: look now whether it is up. */
void schedule_nudge(struct schedule *s, uint64_t now, struct destination *d);

/* Operator: "" all, "line:NAME", "destination:NAME". False: unknown scope.
 * What waits for a line group or destination that is off does so in the index,
 * not in memory, which belongs to mail that may go. */
bool schedule_outbound(struct schedule *s, struct span scope, bool on);
bool schedule_is_destination_off(const struct schedule *s, struct span name);
/* What waits for a line is forgotten, to be read and routed anew. */
void schedule_forget_waiting(struct schedule *s);
/* Nothing new is started; sessions end after what is in flight. */
void schedule_stop(struct schedule *s);
/* The keeper is gone: forget all deliveries. Lines must be lost before. */
void schedule_drop_all(struct schedule *s, uint64_t now);

/* The next thing to do now. False: nothing. */
bool schedule_next(struct schedule *s, uint64_t now, struct decision *out);
/* When to call schedule_next again though nothing happens; UINT64_MAX: never.*/
uint64_t schedule_wake(const struct schedule *s);
/* A destination has room again for mail that was left in the index: read on
 * after *from. False: none. */
bool schedule_refill(struct schedule *s, struct due_key *from);
/* Mail that was left in the index because its group or destination was off may
 * go again: read all once more. True once. */
bool schedule_reread(struct schedule *s);
/* While reading so: it has room for still more. */
bool schedule_refill_more(const struct schedule *s);

/* Some line has a session that is not over. */
bool schedule_has_session(const struct schedule *s);
bool schedule_is_on(const struct schedule *s);
size_t schedule_in_memory(const struct schedule *s);

struct schedule_counts {
	size_t in_memory, waiting, given, recording, awaiting;
	size_t destinations, down, lines, lines_busy;
	size_t sites, parked;	       /* flows of mail that wait for a limit */
	uint64_t limited[LIMIT_COUNT]; /* deliveries that had to wait, ever */
};
void schedule_count(struct schedule *s, struct schedule_counts *counts);

/* What is to outlive this program, told since the last time: as records with
 * a key each. recall takes such a record: -1 when it is malformed. */
void schedule_memories(struct schedule *s, uint64_t now, uint64_t utc_ms,
    void (*tell)(struct span key, struct span value, void *arg), void *arg);
int schedule_recall(
    struct schedule *s, uint64_t now, uint64_t utc_ms, struct span value);
/* Each site, in no order (runner/site.h). */
void schedule_each_site(struct schedule *s,
    void (*visit)(const struct site *site, void *arg), void *arg);

/* What a delivery waits for, when it is next to go. */
struct waits_for {
	enum limit_kind kind; /* LIMIT_NONE: it is under way, or goes now */
	enum limit_scope scope;
	const char *name;  /* of the destination, site, line or address */
	const char *from;  /* "file:line"; NULL: found out, or the default */
	uint64_t until;	   /* schedule's clock; UINT64_MAX: not known */
	uint64_t now, max; /* in use, allowed; rates: max a period */
	uint32_t per_seconds;
	const struct outcome *why; /* LIMIT_SUSPENDED */
};
void schedule_why(struct schedule *s, uint64_t now, const struct delivery *d,
    struct waits_for *out);

#endif
