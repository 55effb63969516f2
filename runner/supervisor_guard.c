/* The guard: outpost-dnscheck --fast at the start, after a reload and every
 * day, without rights. What it finds wrong is logged and shown by status; a
 * line group with require-check = on that fails sends nothing until it does
 * not.
 */
#include "runner/supervisor_parts.h"

#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
	RUN_MS = 20000, /* outpost-dnscheck ends by itself before */
	DAY_MS = 24 * 3600 * 1000,
	AGAIN_MS = 600 * 1000, /* after a run that failed */
	OUTPUT_MAX = 1 << 20,
	LOGGED_MAX = 20, /* findings of one run */
	CONF_FD = 3,	 /* of outpost-dnscheck */
	STATUS_NO_EXEC = 127,
};

/* --- what it says --------------------------------------------------------- */

static bool holds(const struct guard *g, const char *line)
{
	for (size_t i = 0; i < g->nheld; i++)
		if (strcmp(g->held[i], line) == 0)
			return true;
	return false;
}

bool guard_holds(const struct supervisor *s, struct span scope)
{
	struct span name = scope, kind = span_cut(&name, ':');

	if (!span_is_equal(kind, SPAN_LITERAL("line")))
		return false;
	for (size_t i = 0; i < s->guard.nheld; i++)
		if (span_is_equal(span_of(s->guard.held[i]), name))
			return true;
	return false;
}

static void hold(struct guard *g, const char *line)
{
	char *copy;

	if (holds(g, line) || g->nheld == GUARD_LINES_MAX)
		return;
	copy = strdup(line);
	if (copy)
		g->held[g->nheld++] = copy;
}

static void forget_held(struct guard *g)
{
	while (g->nheld > 0)
		free(g->held[--g->nheld]);
}

static const char *text_of(const json_t *finding, const char *name)
{
	const char *text = json_string_value(json_object_get(finding, name));

	return text ? text : "";
}

static void note_finding(struct supervisor *s, const json_t *finding)
{
	const char *status = text_of(finding, "status");
	const char *line = text_of(finding, "line");
	const struct conf_line *block = conf_line(s->conf, line);
	struct guard *g = &s->guard;
	bool is_failure = strcmp(status, "fail") == 0;

	if (!is_failure && strcmp(status, "warn") != 0)
		return;
	if (is_failure)
		g->nfailed++;
	else
		g->nwarned++;
	if (is_failure && block && block->require_check)
		hold(g, line);
	if (g->nfailed + g->nwarned > LOGGED_MAX)
		return;
	log_warn(is_failure ? "check-failed" : "check-warns", "code",
	    log_escape(span_of(text_of(finding, "code"))), "line",
	    log_escape(span_of(line)), "subject",
	    log_escape(span_of(text_of(finding, "subject"))), "found",
	    log_escape(span_of(text_of(finding, "found"))), NULL);
}

static void read_findings(struct supervisor *s)
{
	struct span rest = buf_span(&s->guard.text);

	while (rest.n > 0) {
		struct span line = span_cut(&rest, '\n');
		json_t *finding = json_loadb(line.p, line.n, 0, NULL);

		if (json_is_object(finding))
			note_finding(s, finding);
		json_decref(finding);
	}
}

/* --- what it stops -------------------------------------------------------- */

static bool is_stopped_by_operator(const struct supervisor *s, const char *line)
{
	for (size_t i = 0; i < s->nscopes; i++)
		if (strncmp(s->scopes[i], "line:", 5) == 0 &&
		    strcmp(s->scopes[i] + 5, line) == 0)
			return true;
	return false;
}

static void tell(struct supervisor *s, const char *line, bool on)
{
	struct wire *runner = s->programs[ROLE_RUNNER].wire;

	if (runner && !(on && is_stopped_by_operator(s, line)))
		control_send_scope(runner, on, log_text("line:%s", line));
}

/* From those held before to those held now. */
static void apply(struct supervisor *s, char **before, size_t nbefore)
{
	struct guard *g = &s->guard;

	for (size_t i = 0; i < g->nheld; i++) {
		bool was_held = false;

		for (size_t j = 0; j < nbefore; j++)
			was_held |= strcmp(before[j], g->held[i]) == 0;
		if (!was_held)
			tell(s, g->held[i], false);
	}
	for (size_t i = 0; i < nbefore; i++) {
		if (!holds(g, before[i]) && conf_line(s->conf, before[i])) {
			log_event("line-resumed", "line", before[i], NULL);
			tell(s, before[i], true);
		}
		free(before[i]);
	}
}

void guard_send(const struct supervisor *s, struct wire *runner)
{
	for (size_t i = 0; i < s->guard.nheld; i++)
		control_send_scope(
		    runner, false, log_text("line:%s", s->guard.held[i]));
}

/* --- one run -------------------------------------------------------------- */

static void on_time(void *arg)
{
	guard_run(arg);
}

static void again_in(struct supervisor *s, uint64_t ms)
{
	if (!s->is_stopping)
		loop_timer_set(s->loop, &s->guard.timer,
		    now_monotonic_ms() + ms, on_time, s);
}

static void close_output(struct supervisor *s)
{
	struct guard *g = &s->guard;

	if (g->fd < 0)
		return;
	loop_remove(s->loop, g->fd);
	close(g->fd);
	g->fd = -1;
}

static void on_output(int fd, uint32_t events, void *arg)
{
	struct supervisor *s = arg;
	char piece[4096];
	ssize_t n;

	(void)events;
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_put(&s->guard.text, piece, (size_t)n);
	if (n == 0)
		close_output(s);
}

static void on_overtime(void *arg)
{
	struct supervisor *s = arg;

	if (s->guard.pid > 0)
		kill(s->guard.pid, SIGKILL);
}

static void finish(struct supervisor *s, int status)
{
	struct guard *g = &s->guard;
	bool is_whole =
	    WIFEXITED(status) && WEXITSTATUS(status) <= 1 && !g->text.overflow;
	char *before[GUARD_LINES_MAX];
	size_t nbefore = g->nheld;

	if (!is_whole) {
		/* nothing was learned: what was held stays so */
		log_warn("check-not-done", "why",
		    WIFSIGNALED(status)
			? log_text("signal %d", WTERMSIG(status))
			: log_text("status %d", WEXITSTATUS(status)),
		    NULL);
		again_in(s, AGAIN_MS);
		return;
	}
	memcpy(before, g->held, nbefore * sizeof(*before));
	g->nheld = 0;
	g->nfailed = g->nwarned = 0;
	read_findings(s);
	g->checked_at = now_utc();
	log_event("checked", "failures", log_text("%u", g->nfailed), "warnings",
	    log_text("%u", g->nwarned), NULL);
	apply(s, before, nbefore);
	for (size_t i = 0; i < g->nheld; i++)
		log_warn("line-stopped", "line", g->held[i], "why",
		    "require-check = on, and dnscheck finds it failing", NULL);
	again_in(s, DAY_MS);
}

static void run_child(const struct supervisor *s, int conf, int out)
{
	char path[PATH_MAX];
	char *argv[] = { (char *)"outpost-dnscheck", (char *)"--fast",
		(char *)"--json", (char *)"--conf-fd", (char *)"-c",
		s->conf->file[0] ? s->conf->file : (char *)"/", NULL };
	int null = open("/dev/null", O_RDWR);
	sigset_t none;
	uid_t uid;
	gid_t gid;

	snprintf(path, sizeof(path), "%s/outpost-dnscheck", s->folder);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    (conf == CONF_FD ? fcntl(conf, F_SETFD, 0) : dup2(conf, CONF_FD)) <
		0)
		_exit(STATUS_NO_EXEC);
	closefrom(CONF_FD + 1);
	if (geteuid() == 0 &&
	    (!sandbox_user_ids("outpost-net", &uid, &gid) ||
		setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
		setresuid(uid, uid, uid) < 0 || setuid(0) == 0))
		_exit(STATUS_NO_EXEC);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(path, argv, environ);
	_exit(STATUS_NO_EXEC);
}

static int start(struct supervisor *s)
{
	struct guard *g = &s->guard;
	int conf = program_conf_fd(s->conf), out[2];

	if (conf < 0)
		return -1;
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(conf);
		return -1;
	}
	g->pid = fork();
	if (g->pid == 0)
		run_child(s, conf, out[1]);
	close(conf);
	close(out[1]);
	g->fd = out[0];
	fcntl(g->fd, F_SETFL, O_NONBLOCK);
	if (g->pid > 0 && loop_add(s->loop, g->fd, EPOLLIN, on_output, s) == 0)
		return 0;
	close(g->fd);
	g->fd = -1;
	return -1;
}

void guard_run(struct supervisor *s)
{
	struct guard *g = &s->guard;

	if (!s->conf->dnscheck.guard || s->is_stopping)
		return;
	if (g->pid > 0) { /* what it reads is old: once more afterwards */
		g->is_wanted = true;
		return;
	}
	g->is_wanted = false;
	buf_init(&g->text, OUTPUT_MAX);
	if (start(s) < 0) {
		log_warn("check-not-done", "why", strerror(errno), NULL);
		if (g->pid < 0)
			g->pid = 0;
		again_in(s, AGAIN_MS);
		return;
	}
	loop_timer_set(
	    s->loop, &g->timer, now_monotonic_ms() + RUN_MS, on_overtime, s);
}

void guard_reap(struct supervisor *s, pid_t pid, int status)
{
	struct guard *g = &s->guard;

	if (pid <= 0 || pid != g->pid)
		return;
	g->pid = 0;
	loop_timer_cancel(s->loop, &g->timer);
	if (g->fd >= 0)
		on_output(g->fd, 0, s);
	close_output(s);
	if (!s->is_stopping && !g->is_wanted)
		finish(s, status);
	buf_clear(&g->text);
	if (g->is_wanted)
		guard_run(s);
}

void guard_renew(struct supervisor *s)
{
	struct guard *g = &s->guard;
	char *before[GUARD_LINES_MAX];
	size_t nbefore = g->nheld;

	/* a line group that is not asked about any more sends at once */
	memcpy(before, g->held, nbefore * sizeof(*before));
	g->nheld = 0;
	for (size_t i = 0; i < nbefore; i++) {
		const struct conf_line *line = conf_line(s->conf, before[i]);

		if (line && line->require_check && s->conf->dnscheck.guard)
			hold(g, before[i]);
	}
	apply(s, before, nbefore);
	guard_run(s);
}

/* Until the first run has ended, a line group that must pass does not send. */
void guard_begin(struct supervisor *s)
{
	if (!s->conf->dnscheck.guard)
		return;
	for (size_t i = 0; i < s->conf->nlines; i++)
		if (s->conf->lines[i].require_check)
			hold(&s->guard, s->conf->lines[i].name);
}

json_t *guard_status(const struct supervisor *s)
{
	const struct guard *g = &s->guard;
	json_t *held = json_array();

	for (size_t i = 0; i < g->nheld; i++)
		json_array_append_new(held, json_string(g->held[i]));
	return json_pack("{s:I, s:i, s:i, s:o}", "at",
	    (json_int_t)g->checked_at, "failures", (int)g->nfailed, "warnings",
	    (int)g->nwarned, "lines_stopped", held);
}

void guard_clear(struct supervisor *s)
{
	struct guard *g = &s->guard;

	if (g->pid > 0) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
		g->pid = 0;
	}
	if (s->loop) {
		loop_timer_cancel(s->loop, &g->timer);
		close_output(s);
	}
	forget_held(g);
	buf_clear(&g->text);
}
