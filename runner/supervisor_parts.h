/* What the files of the supervisor share. */
#ifndef RUNNER_SUPERVISOR_PARTS_H
#define RUNNER_SUPERVISOR_PARTS_H

#include "common/conf.h"
#include "common/log_sink.h"
#include "common/loop.h"
#include "common/messages.h"
#include "common/wire.h"

#include <sys/types.h>

enum {
	PROGRAMS = ROLE_COUNT, /* by role; ROLE_SUPERVISOR is unused */
	LISTENERS_MAX = 256,
	CLIENTS_MAX = 64,  /* on the control socket */
	SCOPES_MAX = 1000, /* of "outbound off" */
	LINKS = 5,	   /* pairs of programs that talk */
	START_TRIES = 5,   /* of a program, before all were ready */
	NOTE_MAX = 512,	   /* bytes that a program says of itself */
	GUARD_LINES_MAX = 1000,
};

enum program_state {
	PROGRAM_DOWN = 0,
	PROGRAM_STARTING = 1, /* runs, has not said READY */
	PROGRAM_READY = 2,
	PROGRAM_STOPPING = 3, /* was told to stop */
	PROGRAM_WAITING = 4,  /* died; starts again after a while */
};

struct supervisor;

struct program {
	struct supervisor *supervisor;
	const char *name; /* NULL: not in use */
	enum role role;
	enum program_state state;
	pid_t pid;
	struct wire *wire;  /* NULL when it closed */
	struct timer timer; /* restart, or kill */
	uint64_t started_ms, backoff_ms;
	unsigned restarts, failures; /* of these before all were ready */
	bool is_renewing; /* has a new configuration: may end for it */
	char note[NOTE_MAX];
};

struct listener {
	enum listener_kind kind;
	uint32_t index; /* of the listen block */
	char *address;	/* as in the configuration, or the socket's path */
	int fd;
};

struct listeners {
	struct listener items[LISTENERS_MAX];
	size_t count;
};

struct client {
	struct supervisor *supervisor;
	struct wire *wire; /* NULL: free place */
	uint64_t id;	   /* of the request that waits for the stop */
	uint64_t came_ms;
	bool waits_for_stop, is_admin;
};

struct link {
	struct supervisor *supervisor;
	uint64_t number;    /* of its latest stream */
	struct timer timer; /* set: one side has lost that */
};

/* outpost-dnscheck --fast, run now and then. */
struct guard {
	pid_t pid; /* 0: none runs */
	int fd;	   /* its output, -1: closed */
	struct buf text;
	struct timer timer; /* its end, or the next run */
	bool is_wanted;	    /* once more when this one has ended */
	int64_t checked_at; /* UTC seconds; 0: never */
	unsigned nfailed, nwarned;
	char *held[GUARD_LINES_MAX]; /* line groups that may not send */
	size_t nheld;
};

struct supervisor {
	struct loop *loop;
	struct conf *conf;
	const char *file; /* as asked for; NULL: the usual places */
	char *folder;	  /* of the programs */
	struct program programs[PROGRAMS];
	struct link links[LINKS];
	struct listeners listeners;
	struct client clients[CLIENTS_MAX];
	struct timer accept_timer;
	int control_fd, runtime_lock, spool_lock, ready_fd;
	uint64_t started_ms;
	bool is_background, was_ready, is_stopping;
	unsigned phase; /* of the stop */
	struct timer phase_timer;
	int status;    /* exit */
	int outbound;  /* 0 or 1 when an operator said so, -1: the conf's */
	int log_level; /* an operator's; -1: the conf's */
	struct timer log_timer;	      /* that ends it */
	char failure[NOTE_MAX + 200]; /* why it was given up at the start */
	struct token_run *token_runs;
	char *smtpd_has; /* smtpd_needs() when it was started */
	struct guard guard;
	char *scopes[SCOPES_MAX]; /* stopped by an operator */
	size_t nscopes;
};

/* supervisor.c */
void supervisor_stop(struct supervisor *s); /* again: without grace */
/* A program cannot be started: all end, with that exit status. */
void supervisor_give_up(
    struct supervisor *s, const struct program *p, int status, const char *how);
void supervisor_program_ready(struct supervisor *s);
void supervisor_program_down(struct supervisor *s);

/* supervisor_reload.c */
/* 0, or -1 with *why (the old configuration stays). */
int supervisor_reload(struct supervisor *s, struct outcome *why);

/* supervisor_needs.c */
/* What the listener can only be given when it starts: sockets, certificates.
 * Allocated; NULL without memory. */
char *smtpd_needs(const struct conf *conf);
/* The id of its MSG_CONFIG: the state of the CA bundle, for those who read it
 * before their sandbox, and of settings that the sandbox is made from. */
uint64_t program_stamp(const struct conf *conf, enum role role);

/* supervisor_log.c */
void logs_choose(const struct supervisor *s, struct conf *conf);
enum log_level logs_level(const struct supervisor *s);
/* An operator's word holds until he says otherwise, over reloads too. */
void logs_override(struct supervisor *s, enum log_level level);
void logs_send(struct program *p);
/* By the configuration of now; takes over the sink. */
void logs_renew(struct supervisor *s, const struct log_sink *sink);

/* supervisor_program.c */
void programs_set_up(struct supervisor *s);
bool program_is_wanted(const struct supervisor *s, enum role role);
/* All at once, so that each has its peers before it runs; and one again. */
void programs_start(struct supervisor *s);
void program_start(struct program *p);
void program_stop(struct program *p, uint32_t grace_ms);
void program_kill(struct program *p);
bool program_is_alive(const struct program *p);
void program_send_conf(struct program *p);
int program_conf_fd(const struct conf *conf); /* -1 with errno */
void programs_reap(void *supervisor);
const char *program_state_name(enum program_state state);

/* supervisor_link.c: the streams between programs */
void links_connect_all(struct supervisor *s);
void links_connect(struct program *p); /* to all it talks to */
/* p says that it has lost that stream. id: as in MSG_PEER_LOST */
void links_mend(struct program *p, uint64_t id);

/* supervisor_place.c: errors go to standard error; 0 or -1 */
int places_make(struct supervisor *s); /* folders, locks */
void places_leave(struct supervisor *s);

/* supervisor_listen.c */
int listeners_open(struct listeners *all, const struct conf *conf,
    const struct listeners *old, struct outcome *why);
/* Closes what is not in kept (which may be NULL). */
void listeners_close(struct listeners *all, const struct listeners *kept);
void listeners_send(const struct listeners *all, const struct conf *conf,
    enum listener_kind kind, struct wire *to);

/* supervisor_secrets.c: a MSG_SECRET for each relay with a login */
void secrets_send(const struct supervisor *s, struct wire *runner);

/* supervisor_token.c */
struct token_run;
/* Run the relay's token-command; MSG_TOKEN goes to the runner when it ends. */
void tokens_ask(struct supervisor *s, struct span relay);
void tokens_reap(struct supervisor *s, pid_t pid, int status);
void tokens_clear(struct supervisor *s);

/* supervisor_control.c */
int control_open(struct supervisor *s);
void control_answer_stop(struct supervisor *s);
bool control_is_outbound_on(const struct supervisor *s);
void control_send_outbound(struct supervisor *s, struct wire *runner);
void control_send_scope(struct wire *runner, bool on, const char *scope);

/* supervisor_guard.c: dnscheck at the start, after a reload, every day */
/* Lines that must pass are held; guard_run begins the first check. */
void guard_begin(struct supervisor *s);
void guard_run(struct supervisor *s);
void guard_renew(struct supervisor *s); /* by the configuration of now */
void guard_reap(struct supervisor *s, pid_t pid, int status);
void guard_clear(struct supervisor *s);
/* What is held, to a runner that starts. */
void guard_send(const struct supervisor *s, struct wire *runner);
bool guard_holds(const struct supervisor *s, struct span scope);
struct json_t *guard_status(const struct supervisor *s);

/* supervisor_notify.c: systemd's readiness protocol, if it asked for it */
void notify_systemd(const char *text);

#endif
