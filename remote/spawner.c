/* The spawner. */
#include "remote/spawner.h"

#include "common/child.h"
#include "remote/castore.h"
#include "remote/line.h"
#include "remote/tls_client.h"
#include "remote/tls_warm.h"

#include <endian.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES_MAX = 2000, GROUP_MAX = 255 };

struct offspring {
	uint64_t number; /* the runner's */
	pid_t pid;
	unsigned runner; /* which runner asked: none hears of another's */
};

struct spawner {
	struct child *child;
	struct castore *store;
	SSL_CTX *tls;
	struct replyrules *rules;
	struct wire *runner;
	unsigned nrunners; /* so far */
	struct offspring *lines;
	size_t nlines, lines_cap;
	struct timer end;
	bool is_stopping;
};

/* --- lines ---------------------------------------------------------------- */

/* In the forked process: nothing of the spawner is left but the TLS context.
 * Descriptors are closed, not removed from the epoll they share. */
static void become_line(
    struct spawner *s, uint64_t number, struct span group, int fd)
{
	struct sandbox sandbox = { .program = "outpost-remote line",
		.allows = SANDBOX_CONNECT };
	char name[GROUP_MAX + 24];
	struct line_options options = {
		.name = name, .tls = s->tls, .rules = s->rules
	};
	sigset_t none;

	log_tell_fatal(NULL, NULL); /* its socket is closed here */
	snprintf(name, sizeof(name), "%.*s/%llu", (int)group.n, group.p,
	    (unsigned long long)number);
	close(wire_fd(s->runner));
	if (s->child->supervisor)
		close(wire_fd(s->child->supervisor));
	loop_free(s->child->loop);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sandbox_enter(&sandbox);
	malloc_trim(0); /* what the filter was made of */
	_exit(line_run(fd, &options));
}

static int make_room(struct spawner *s)
{
	size_t cap = s->lines_cap ? s->lines_cap * 2 : 32;
	struct offspring *grown;

	if (s->nlines < s->lines_cap)
		return 0;
	if (s->nlines >= LINES_MAX) {
		errno = EAGAIN;
		return -1;
	}
	grown = realloc(s->lines, cap * sizeof(*grown));
	if (!grown)
		return -1;
	s->lines = grown;
	s->lines_cap = cap;
	return 0;
}

/* The pid with the runner's end in *fd, or -1 with errno. */
static pid_t fork_line(
    struct spawner *s, uint64_t number, struct span group, int *fd)
{
	int fds[2], saved;
	pid_t pid;

	/* What is on its way to the runner, the line would inherit. */
	wire_push(s->runner);
	if (wire_queued(s->runner) > 0) {
		errno = EAGAIN;
		return -1;
	}
	if (make_room(s) < 0 || wire_pair(fds) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		become_line(s, number, group, fds[1]);
	}
	saved = errno;
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		errno = saved;
		return -1;
	}
	*fd = fds[0];
	s->lines[s->nlines++] = (struct offspring){ number, pid, s->nrunners };
	return pid;
}

static void tell_failed(struct spawner *s, uint64_t number, int error)
{
	struct outcome why;
	struct buf payload;

	outcome_temp(&why, "4.3.0", "starting a line: %s", strerror(error));
	log_warn("line-not-started", "line",
	    log_text("%llu", (unsigned long long)number), "why", why.detail,
	    NULL);
	buf_init(&payload, 1024);
	outcome_put(&payload, &why);
	wire_send(s->runner, MSG_LINE_FAILED, number, buf_span(&payload));
	buf_clear(&payload);
}

static void on_line_start(struct wire *wire, struct message *message, void *arg)
{
	struct spawner *s = arg;
	struct reader r = reader_of(message->payload);
	struct span group = get_span(&r);
	struct span payload;
	uint32_t told;
	pid_t pid;
	int fd;

	if (!reader_is_done(&r) || group.n == 0 || group.n > GROUP_MAX ||
	    span_has_line_breaks(group)) {
		tell_failed(s, message->id, EINVAL);
		return;
	}
	pid = fork_line(s, message->id, group, &fd);
	if (pid < 0) {
		tell_failed(s, message->id, errno);
		return;
	}
	told = htobe32((uint32_t)pid);
	payload = (struct span){ (const char *)&told, sizeof(told) };
	wire_send_fds(wire, MSG_LINE_STARTED, message->id, payload, &fd, 1);
}

static void tell_ended(
    struct spawner *s, const struct offspring *line, int status)
{
	struct buf payload;

	if (WIFSIGNALED(status))
		log_warn("line-died", "line",
		    log_text("%llu", (unsigned long long)line->number), "pid",
		    log_text("%d", (int)line->pid), "signal",
		    log_text("%d", WTERMSIG(status)), NULL);
	if (!s->runner || line->runner != s->nrunners)
		return;
	buf_init(&payload, 16);
	put_u32(&payload, (uint32_t)status);
	wire_send(s->runner, MSG_LINE_ENDED, line->number, buf_span(&payload));
	buf_clear(&payload);
}

static void forget(struct spawner *s, pid_t pid, int status)
{
	for (size_t i = 0; i < s->nlines; i++) {
		struct offspring line = s->lines[i];

		if (line.pid != pid)
			continue;
		s->lines[i] = s->lines[--s->nlines];
		tell_ended(s, &line, status);
		return;
	}
}

static void on_child_signal(void *arg)
{
	struct spawner *s = arg;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		forget(s, pid, status);
	if (s->is_stopping && s->nlines == 0)
		loop_stop(s->child->loop);
}

/* --- the runner ------------------------------------------------------------*/

static const struct wire_rule rules[] = {
	{ MSG_LINE_START, GROUP_MAX + 4, on_line_start },
	{ 0 },
};

/* Its lines see their own sockets close. */
static void on_runner_closed(struct wire *wire, const char *why, void *arg)
{
	struct spawner *s = arg;

	if (s->runner == wire)
		s->runner = NULL;
	wire_free(wire);
	if (!s->is_stopping)
		log_warn("runner-gone", "why", why, NULL);
}

static void on_peer(struct child *child, enum role role, int fd)
{
	struct spawner *s = child->state;

	if (role != ROLE_RUNNER) {
		close(fd);
		return;
	}
	wire_free(s->runner);
	s->nrunners++;
	s->runner =
	    wire_new(child->loop, fd, "runner", rules, on_runner_closed, s);
	if (!s->runner)
		log_warn("runner-not-connected", "why", strerror(errno), NULL);
}

/* --- life ------------------------------------------------------------------*/

static struct spawner spawner;

/* Before the sandbox; the pages are shared with all lines. */
static void load_store(struct spawner *s, const struct conf *conf)
{
	s->store = castore_load(conf->tls.ca_file);
	if (!s->store)
		fatal(EXIT_TRY_LATER, "no memory for CA certificates");
	if (castore_count(s->store) == 0)
		log_warn("no-ca-certificates", "why", castore_problem(s->store),
		    "then",
		    "tls = \"verify\" and MTA-STS will defer: install "
		    "ca-certificates, or name a bundle in tls { ca-file }",
		    NULL);
	else
		log_event("ca-certificates", "file", castore_file(s->store),
		    "count", log_text("%zu", castore_count(s->store)), NULL);
	malloc_trim(0);
}

/* Once for all lines, which share it. */
static void load_rules(struct spawner *s, const struct conf *conf)
{
	struct outcome why;
	struct replyrules *fresh = replyrules_new(conf, &why);

	if (!fresh)
		fatal(EXIT_TRY_LATER, "reply rules: %s", why.detail);
	replyrules_free(s->rules);
	s->rules = fresh;
}

static void open_all(struct child *child, struct sandbox *sandbox)
{
	(void)sandbox;
	child->state = &spawner;
	spawner.child = child;
	load_store(&spawner, child->conf);
	load_rules(&spawner, child->conf);
	spawner.tls = tls_client_new(spawner.store);
	if (!spawner.tls)
		fatal(EXIT_TRY_LATER, "OpenSSL cannot be set up");
	tls_warm(spawner.tls);
	malloc_trim(0);
	if (loop_signal(child->loop, SIGCHLD, on_child_signal, &spawner) < 0)
		fatal(EXIT_TRY_LATER, "SIGCHLD: %s", strerror(errno));
}

/* Lines are told by the runner. */
static void on_reload(struct child *child, struct conf *fresh)
{
	load_rules(child->state, fresh);
}

/* Other CA certificates cannot be read from in here: the supervisor starts
 * another spawner, and the lines that this one has live on with the runner. */
static void on_outdated(struct child *child)
{
	log_event("ca-certificates-changed", "then", "starting anew", NULL);
	loop_stop(child->loop);
}

static void on_overtime(void *arg)
{
	struct spawner *s = arg;

	for (size_t i = 0; i < s->nlines; i++)
		kill(s->lines[i].pid, SIGTERM);
	loop_stop(s->child->loop);
}

/* The runner ends its lines when their mail is delivered. */
static void on_stop(struct child *child, uint32_t grace_ms)
{
	struct spawner *s = child->state;

	s->is_stopping = true;
	if (s->nlines == 0) {
		loop_stop(child->loop);
		return;
	}
	loop_timer_set(child->loop, &s->end, now_monotonic_ms() + grace_ms,
	    on_overtime, s);
}

static const struct child_program program = {
	.name = "outpost-remote",
	.user = "outpost-net",
	.sandbox = SANDBOX_CONNECT | SANDBOX_FORK | SANDBOX_UNIX,
	.open = open_all,
	.on_peer = on_peer,
	.on_reload = on_reload,
	.on_outdated = on_outdated,
	.on_stop = on_stop,
};

int spawner_main(int argc, char **argv)
{
	int status = child_main(argc, argv, &program);

	wire_free(spawner.runner);
	SSL_CTX_free(spawner.tls);
	castore_free(spawner.store);
	replyrules_free(spawner.rules);
	free(spawner.lines);
	return status;
}
