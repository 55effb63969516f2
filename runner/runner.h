/* The runner daemon: what its files share. The schedule decides; here its
 * events come from the peers and its decisions go to them. */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H

#include "common/child.h"
#include "runner/host_memory.h"
#include "runner/detail.h"
#include "runner/intake.h"
#include "runner/schedule.h"
#include "runner/secrets.h"
#include "runner/task.h"
#include "runner/way.h"

enum {
	RUNNER_WINDOW = 20000, /* deliveries in memory */
	RESOLVES_MAX = 512,    /* questions that wait for their answer */
	CONTROLS_MAX = 32,     /* clients of the control socket */
	CHANGED_MAX = 32,
};

struct asked {				 /* one question to the resolver */
	struct destination *destination; /* NULL: free */
	uint64_t id;
	size_t query;
};

struct control {
	struct runner *runner;
	struct wire *wire; /* NULL: free */
	uint64_t came_ms;
	bool is_admin;
};

struct runner {
	struct child *child;
	struct loop *loop;
	const struct conf *conf;
	struct schedule *schedule;
	struct host_memory *hosts;
	struct tlsrpt *tlsrpt;
	size_t *groups;	    /* of the schedule, by place in conf->lines */
	uint64_t last_line; /* number given so far */
	unsigned nreloads;
	struct secrets *secrets;
	TAILQ_HEAD(, token_wait) token_waits;
	struct intake intake;
	struct details details;
	struct tasks tasks;
	struct wire *keeper, *resolver, *spawner;
	struct asked asked[RESOLVES_MAX];
	size_t nasked;
	uint64_t last_asked, last_due;
	TAILQ_HEAD(, want) wants; /* destinations not asked for yet */
	struct timer wake, grace, farewell, windows, memory;
	struct control controls[CONTROLS_MAX];
	struct timer accept_timer;
	int listener;
	uint64_t changed[CHANGED_MAX]; /* messages changed just now */
	unsigned nchanged;
	uint64_t changed_ms;
	TAILQ_HEAD(, wake) wakes; /* the first is being asked for */
	size_t nwakes;
	struct cursor waking;
	bool is_running, is_stopping, is_waking;
	struct buf scratch;
	uint64_t random;
};

int runner_main(int argc, char **argv);
uint64_t runner_utc_ms(void);
uint64_t runner_random(struct runner *runner);
/* False: unknown scope. */
bool runner_outbound(struct runner *runner, struct span scope, bool on);
/* When stopping: nothing is left to wait for? */
void runner_check_stopped(struct runner *runner);

/* runner_keeper.c */
void keeper_connect(struct runner *runner, int fd);
void keeper_read(struct runner *runner);
/* Claim for a decision: GIVE, REFUSE, REPORT. */
void keeper_claim(struct runner *runner, const struct decision *decision,
    enum task_kind kind);
void keeper_unclaim(struct runner *runner, const struct delivery *d);
/* GIVEN or REFUSED, not begun after all; ends_session: by its line. */
void keeper_give_back(
    struct runner *runner, struct delivery *d, bool ends_session);
void keeper_wake(struct runner *runner, const struct destination *d);
void keeper_clear(struct runner *runner);

/* runner_attempt.c: from results to records */
void attempt_result(
    struct runner *runner, struct task *task, const struct result *result);
/* The line died with it. */
void attempt_line_died(
    struct runner *runner, struct task *task, const char *line);
/* Its destination is down or dead. */
void attempt_refused(struct runner *runner, struct task *task);
/* Whether the result fits the task: else the line is cut off. */
bool attempt_fits(const struct task *task, const struct result *result);

/* runner_report.c */
void report_job(
    struct runner *runner, struct task *task, const struct job *job);

/* runner_resolve.c */
void resolver_connect(struct runner *runner, int fd);
void resolver_ask(struct runner *runner, struct destination *d);
/* It has another way: what was asked for the old one is void. */
void resolver_ask_anew(struct runner *runner, struct destination *d);
void resolver_clear(struct runner *runner);

/* runner_limits.c: what the configuration allows, told to the schedule */
void limits_group(struct runner *runner, size_t line, int group);
void limits_destination(
    struct runner *runner, struct destination *d, const struct route *route);
/* Its hosts are found: whose limits it shares. */
void limits_site(struct runner *runner, struct destination *d);
/* Line groups that send at certain times only: now, and when it changes. */
void limits_windows(struct runner *runner);
/* Whether the host wants less; said to the schedule. */
bool limits_pushback(
    struct runner *runner, struct delivery *d, const struct result *result);

/* runner_memory.c: what is learned, kept by the keeper */
void memory_begin(struct runner *runner);
void memory_tell(struct runner *runner);

/* runner_lines.c. False: no such group, or no memory. */
bool runner_set_lines(struct runner *runner, struct span group, uint32_t count);

/* runner_login.c: relays that are logged in to */
/* The hosts are found: the schedule is told when the login is there too. */
void login_hosts(struct runner *runner, struct destination *d,
    const struct outcome *outcome, uint64_t ttl_ms);
/* The session's login, borrowed until the next message from the supervisor. 0,
 * or -1 with *why. */
int login_session(struct runner *runner, const struct destination *d,
    struct session *session, struct outcome *why);
/* Whether its sessions log in: by the way it has now. */
void login_destination(struct runner *runner, struct destination *d);
/* Its hosts are asked for anew: no token is waited for. */
void login_wait_no_more(struct runner *runner, const struct destination *d);
/* A session is over. */
void login_session_done(struct runner *runner, struct line *line,
    const struct session_report *report);
void login_on_secret(struct child *child, const struct message *message);
struct json_t;
/* An array of the relays that refused us. */
struct json_t *login_status(struct runner *runner);
void login_clear(struct runner *runner);

/* runner_tlsrpt.c: how TLS ended is counted (RFC 8460) */
struct tlsrpt *tlsrpt_new(struct runner *runner); /* NULL: no memory */
void tlsrpt_clear(struct runner *runner);
/* A line tried a host of its session's destination. */
void tlsrpt_tried(struct runner *runner, const struct destination *d,
    const struct host_tried *tried);
/* No host of it can be used: those that a policy forbids are counted. */
void tlsrpt_resolved(struct runner *runner, const struct destination *d,
    const struct resolve_answer *a);

/* runner_tlsrpt_send.c: and reported, one domain after the other */
void tlsrpt_begin(struct runner *runner); /* at the start, and at a reload */
/* The keeper or the resolver is gone: what was begun is begun anew later. */
void tlsrpt_lost(struct runner *runner);
/* Answers to what was asked with TLSRPT_ID in its id. */
void tlsrpt_on_resolved(
    struct runner *runner, uint64_t id, const struct resolve_answer *a);
void tlsrpt_on_posted(struct wire *wire, struct message *message, void *arg);
void tlsrpt_on_domain(struct wire *wire, struct message *message, void *arg);
void tlsrpt_on_row(struct wire *wire, struct message *message, void *arg);
void tlsrpt_on_end(struct wire *wire, struct message *message, void *arg);
/* The keeper did not answer, or took the message, or (why) did not. */
void tlsrpt_on_failed(struct runner *runner, uint64_t id);
void tlsrpt_on_submitted(
    struct runner *runner, uint64_t id, const struct outcome *why);
/* An operator wants them sent now, or shown. 0, or -1 with *why. */
int tlsrpt_send(struct control *client, uint64_t id, const struct tls_send *s,
    struct outcome *why);
void tlsrpt_client_gone(struct control *client);

/* runner_report.c: a message of our own to the keeper, sender and all */
void report_submit(
    struct runner *runner, uint64_t id, struct envelope *e, struct span text);

/* runner_control.c */
void control_listen(struct runner *runner, int fd);
void control_clear(struct runner *runner);

#endif
