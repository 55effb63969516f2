/* The children: starting them with what they need, watching them, starting
 * them again after a while when they die. */
#include "runner/supervisor_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
	CONTROL_FD = 3, /* of every child */
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 10000,
	ALIVE_LONG_MS = 60000, /* then the back-off begins anew */
	LINGER_MS = 5000,      /* from the end of the wire to the kill */
};

static const char *const names[PROGRAMS] = {
	[ROLE_QUEUED] = "outpost-queued",
	[ROLE_RUNNER] = "outpost-runner",
	[ROLE_RESOLVE] = "outpost-resolve",
	[ROLE_REMOTE] = "outpost-remote",
	[ROLE_SMTPD] = "outpost-smtpd",
	[ROLE_FETCH] = "outpost-fetch",
};

/* Which listeners go to whom. */
static const struct {
	enum role role;
	enum listener_kind kind;
} takes[] = {
	{ ROLE_SMTPD, LISTENER_SMTP },
	{ ROLE_QUEUED, LISTENER_SUBMIT },
	{ ROLE_QUEUED, LISTENER_QUEUE },
	{ ROLE_RUNNER, LISTENER_RUNNER },
};

void programs_set_up(struct supervisor *s)
{
	for (int role = 0; role < PROGRAMS; role++) {
		s->programs[role].supervisor = s;
		s->programs[role].role = (enum role)role;
		s->programs[role].name = names[role];
	}
}

bool program_is_wanted(const struct supervisor *s, enum role role)
{
	if (role == ROLE_SMTPD)
		return s->conf->nlistens > 0;
	if (role == ROLE_FETCH)
		return s->conf->tls.mta_sts != SWITCH_OFF ||
		       s->conf->tls.tlsrpt;
	return names[role];
}

bool program_is_alive(const struct program *p)
{
	return p->pid > 0;
}

const char *program_state_name(enum program_state state)
{
	static const char *const words[] = { "down", "starting", "ready",
		"stopping", "waiting" };

	return words[state];
}

/* --- messages from a child ---------------------------------------------- */

static void on_ready(struct wire *wire, struct message *message, void *arg)
{
	struct program *p = arg;

	(void)wire;
	(void)message;
	if (p->state == PROGRAM_STARTING)
		p->state = PROGRAM_READY;
	supervisor_program_ready(p->supervisor);
}

static void on_note(struct wire *wire, struct message *message, void *arg)
{
	struct program *p = arg;
	struct reader r = reader_of(message->payload);
	struct span note = get_span(&r);

	(void)wire;
	snprintf(p->note, sizeof(p->note), "%s", log_escape(note));
}

static void on_peer_lost(struct wire *wire, struct message *message, void *arg)
{
	(void)wire;
	links_mend(arg, message->id);
}

static void on_want_token(struct wire *wire, struct message *message, void *arg)
{
	struct program *p = arg;
	struct reader r = reader_of(message->payload);
	struct span relay = get_span(&r);

	(void)wire;
	if (p->role == ROLE_RUNNER && reader_is_done(&r) &&
	    !span_has_line_breaks(relay))
		tokens_ask(p->supervisor, relay);
}

static const struct wire_rule rules[] = {
	{ MSG_WANT_TOKEN, NOTE_MAX, on_want_token },
	{ MSG_READY, 0, on_ready },
	{ MSG_NOTE, NOTE_MAX, on_note },
	{ MSG_PEER_LOST, 0, on_peer_lost },
	{ 0 },
};

static void on_linger(void *arg)
{
	program_kill(arg);
}

/* A child ends its wire when it exits; the death itself is seen in reap. */
static void on_closed(struct wire *wire, const char *why, void *arg)
{
	struct program *p = arg;

	/* one that ends for a new file may leave a still newer one unread */
	if (p->state != PROGRAM_STOPPING && !p->is_renewing &&
	    strcmp(why, "closed") != 0) {
		log_warn("child-cut-off", "program", p->name, "why", why, NULL);
		program_kill(p);
	} else if (p->state != PROGRAM_STOPPING) {
		loop_timer_set(p->supervisor->loop, &p->timer,
		    now_monotonic_ms() + LINGER_MS, on_linger, p);
	}
	p->wire = NULL;
	wire_free(wire);
}

/* --- what a child gets -------------------------------------------------- */

/* A sealed memory file of its own for each child: they would share the
 * position in one. */
int program_conf_fd(const struct conf *conf)
{
	int fd = memfd_create("outpost.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct conf plain = *conf;
	struct buf text;
	bool is_bad;

	if (fd < 0)
		return -1;
	/* The zone comes with the log: a confined program cannot look whether
	 * its file is there. */
	plain.timezone = (char *)"";
	buf_init(&text, 16 << 20);
	conf_print(&plain, &text);
	is_bad =
	    text.overflow ||
	    write(fd, text.data, text.len) != (ssize_t)text.len ||
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0;
	buf_clear(&text);
	if (is_bad) {
		close(fd);
		return -1;
	}
	return fd;
}

void program_send_conf(struct program *p)
{
	const struct conf *conf = p->supervisor->conf;
	int fd = program_conf_fd(conf);
	struct buf payload;

	if (fd < 0) {
		log_warn("configuration-not-sent", "program", p->name, "why",
		    strerror(errno), NULL);
		program_kill(p);
		return;
	}
	buf_init(&payload, PATH_MAX + 16);
	put_span(&payload, span_of(conf->file));
	wire_send_fds(p->wire, MSG_CONFIG, program_stamp(conf, p->role),
	    buf_span(&payload), &fd, 1);
	buf_clear(&payload);
	if (p->role == ROLE_RUNNER)
		secrets_send(p->supervisor, p->wire);
}

/* What a program gets before its peers, and what ends it all. */
static void provide_first(struct program *p)
{
	struct supervisor *s = p->supervisor;

	logs_send(p);
	program_send_conf(p);
	if (p->role == ROLE_SMTPD) {
		free(s->smtpd_has);
		s->smtpd_has = smtpd_needs(s->conf);
	}
	for (size_t i = 0; i < sizeof(takes) / sizeof(*takes); i++)
		if (takes[i].role == p->role && p->wire)
			listeners_send(
			    &s->listeners, s->conf, takes[i].kind, p->wire);
}

static void provide_last(struct program *p)
{
	struct supervisor *s = p->supervisor;

	if (p->role == ROLE_RUNNER)
		control_send_outbound(s, p->wire);
	wire_send(p->wire, MSG_RUN, 0, (struct span){ 0 });
}

/* --- start and death ---------------------------------------------------- */

static int spawn(struct program *p, int control)
{
	const struct supervisor *s = p->supervisor;
	char path[PATH_MAX];
	char *argv[] = { (char *)p->name, (char *)"-c", s->conf->file, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t blocked;
	int error;

	if (!s->conf->file[0])
		argv[1] = NULL;
	snprintf(path, sizeof(path), "%s/%s", s->folder, p->name);
	/* A Ctrl-C must not end the child before it ignores that. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGHUP);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &blocked);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(
	    &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
	posix_spawn_file_actions_addclosefrom_np(&actions, CONTROL_FD + 1);
	error =
	    posix_spawn(&p->pid, path, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (error == 0)
		return 0;
	p->pid = 0;
	errno = error;
	return -1;
}

static void on_restart(void *arg)
{
	struct program *p = arg;

	/* A reload may have taken away what it was for. */
	if (program_is_wanted(p->supervisor, p->role))
		program_start(p);
	else
		p->state = PROGRAM_DOWN;
}

static void restart_later(struct program *p)
{
	uint64_t alive_ms = now_monotonic_ms() - p->started_ms;

	if (p->backoff_ms == 0 || alive_ms >= ALIVE_LONG_MS)
		p->backoff_ms = BACKOFF_FIRST_MS;
	else if (p->backoff_ms < BACKOFF_MAX_MS)
		p->backoff_ms *= 2;
	if (p->backoff_ms > BACKOFF_MAX_MS)
		p->backoff_ms = BACKOFF_MAX_MS;
	p->state = PROGRAM_WAITING;
	p->restarts++;
	loop_timer_set(p->supervisor->loop, &p->timer,
	    now_monotonic_ms() + p->backoff_ms, on_restart, p);
}

/* Who waits for the start is not kept waiting for ever: true when that was the
 * last try. */
static bool was_last_try(struct program *p, int status, const char *how)
{
	struct supervisor *s = p->supervisor;
	bool is_conf = status == EXIT_CONFIGURATION;

	if (s->was_ready || (++p->failures < START_TRIES && !is_conf))
		return false;
	p->state = PROGRAM_DOWN;
	supervisor_give_up(s, p, is_conf ? 78 : 1, how);
	return true;
}

static void start_failed(struct program *p, const char *what)
{
	const char *why = strerror(errno);

	log_warn(
	    "start-failed", "program", p->name, "step", what, "why", why, NULL);
	if (!was_last_try(p, -1, log_text("%s: %s", what, why)))
		restart_later(p);
}

/* Whether it runs and can be provided for. */
static bool exec_program(struct program *p)
{
	int fds[2];

	p->started_ms = now_monotonic_ms();
	p->note[0] = '\0';
	p->is_renewing = false;
	if (wire_pair(fds) < 0) {
		start_failed(p, "socketpair");
		return false;
	}
	if (spawn(p, fds[1]) < 0) {
		start_failed(p, "exec");
		close(fds[0]);
		close(fds[1]);
		return false;
	}
	close(fds[1]);
	p->state = PROGRAM_STARTING;
	p->wire =
	    wire_new(p->supervisor->loop, fds[0], p->name, rules, on_closed, p);
	log_event("child-started", "program", p->name, "pid",
	    log_text("%d", (int)p->pid), NULL);
	if (!p->wire)
		program_kill(p);
	return p->wire;
}

void program_start(struct program *p)
{
	loop_timer_cancel(p->supervisor->loop, &p->timer);
	if (!exec_program(p))
		return;
	provide_first(p);
	links_connect(p);
	provide_last(p);
}

void programs_start(struct supervisor *s)
{
	struct program *all = s->programs;

	for (int role = 0; role < PROGRAMS; role++)
		if (program_is_wanted(s, (enum role)role) &&
		    exec_program(&all[role]))
			provide_first(&all[role]);
	links_connect_all(s);
	for (int role = 0; role < PROGRAMS; role++)
		if (all[role].wire)
			provide_last(&all[role]);
}

void program_stop(struct program *p, uint32_t grace_ms)
{
	struct buf payload;

	loop_timer_cancel(p->supervisor->loop, &p->timer);
	if (!program_is_alive(p)) {
		p->state = PROGRAM_DOWN;
		return;
	}
	p->state = PROGRAM_STOPPING;
	if (!p->wire) { /* it is ending already */
		loop_timer_set(p->supervisor->loop, &p->timer,
		    now_monotonic_ms() + LINGER_MS, on_linger, p);
		return;
	}
	buf_init(&payload, 16);
	put_u32(&payload, grace_ms);
	wire_send(p->wire, MSG_STOP, 0, buf_span(&payload));
	buf_clear(&payload);
	loop_timer_set(p->supervisor->loop, &p->timer,
	    now_monotonic_ms() + grace_ms + LINGER_MS, on_linger, p);
}

void program_kill(struct program *p)
{
	if (program_is_alive(p) && kill(p->pid, SIGKILL) < 0)
		log_warn("kill-failed", "program", p->name, "why",
		    strerror(errno), NULL);
}

static const char *death_text(int status)
{
	return WIFSIGNALED(status)
		   ? log_text("signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)))
		   : log_text("exit status %d", WEXITSTATUS(status));
}

static void log_death(const struct program *p, int status)
{
	bool is_expected = status == 0; /* told to, or to take a new file */
	const char *how = death_text(status);

	if (is_expected)
		log_event("child-stopped", "program", p->name, "pid",
		    log_text("%d", (int)p->pid), NULL);
	else
		log_warn("child-died", "program", p->name, "pid",
		    log_text("%d", (int)p->pid), "how", how, "why",
		    WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
			? "did what its sandbox denies"
			: NULL,
		    NULL);
}

static void bury(struct program *p, int status)
{
	struct supervisor *s = p->supervisor;
	enum program_state was = p->state;

	log_death(p, status);
	p->pid = 0;
	wire_free(p->wire);
	p->wire = NULL;
	loop_timer_cancel(s->loop, &p->timer);
	if (s->is_stopping || !program_is_wanted(s, p->role)) {
		p->state = PROGRAM_DOWN;
		supervisor_program_down(s);
		return;
	}
	if (was_last_try(p, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		death_text(status)))
		return;
	if (status == 0 && (was == PROGRAM_STOPPING || p->is_renewing))
		program_start(p);
	else
		restart_later(p);
}

void programs_reap(void *supervisor)
{
	struct supervisor *s = supervisor;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		tokens_reap(s, pid, status);
		guard_reap(s, pid, status);
		for (int role = 0; role < PROGRAMS; role++)
			if (s->programs[role].pid == pid)
				bury(&s->programs[role], status);
	}
}
