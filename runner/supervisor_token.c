/* token-command: run without a shell and without rights, for at most 30
 * seconds; the first line that it prints is the token.
 */
#include "runner/supervisor_parts.h"

#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
	RUN_MS = 30000,
	RUNS_MAX = 16,	      /* at a time */
	COMPLAINT_MAX = 1024, /* bytes of standard error that are kept */
	COMPLAINT_SHOWN = 120,
	ARGUMENTS_MAX = 16,
	STATUS_NO_EXEC = 127,
};

struct pipe_end {
	struct token_run *run;
	int fd; /* -1: closed */
	struct buf text;
	bool is_over; /* too much was printed */
};

struct token_run {
	struct token_run *next;
	struct supervisor *supervisor;
	char *relay;
	pid_t pid;
	struct pipe_end out, err;
	struct timer timer;
	bool was_slow;
};

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_clear(b);
}

/* --- the answer ----------------------------------------------------------- */

static void send_token(struct supervisor *s, const char *relay,
    struct span token, const struct outcome *outcome)
{
	struct relay_secret secret = {
		.relay = span_of(relay), .secret = token, .outcome = *outcome
	};
	struct wire *runner = s->programs[ROLE_RUNNER].wire;
	struct buf payload;

	if (outcome->verdict != VERDICT_OK)
		log_warn("token-command-failed", "relay", relay, "why",
		    outcome->detail, NULL);
	if (!runner)
		return;
	buf_init(&payload, RELAY_SECRET_MAX);
	buf_reserve(&payload, RELAY_SECRET_MAX);
	relay_secret_put(&payload, &secret);
	wire_send(runner, MSG_TOKEN, 0, buf_span(&payload));
	wipe(&payload);
}

static void send_failure(
    struct supervisor *s, const char *relay, const char *what)
{
	struct outcome why;

	outcome_temp(&why, "4.7.0",
	    "token-command %s; correct it, then: outpost reload", what);
	send_token(s, relay, (struct span){ NULL, 0 }, &why);
}

static struct span first_line(const struct buf *text)
{
	struct span rest = buf_span(text), line = span_cut(&rest, '\n');

	while (line.n > 0 && (unsigned char)line.p[line.n - 1] <= ' ')
		line.n--;
	return line;
}

static const char *find_fault(const struct token_run *run, int status)
{
	if (run->was_slow)
		return "took longer than 30 seconds";
	if (run->out.is_over)
		return "printed more than 16 KiB";
	if (WIFSIGNALED(status))
		return log_text("was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == STATUS_NO_EXEC)
		return "cannot be run by the user outpost-net (or nobody)";
	if (WEXITSTATUS(status) != 0)
		return log_text("ended with status %d", WEXITSTATUS(status));
	if (first_line(&run->out.text).n == 0)
		return "printed nothing";
	return NULL;
}

static void answer(struct token_run *run, int status)
{
	const char *fault = find_fault(run, status);
	struct span complaint = first_line(&run->err.text);
	struct outcome ok;

	outcome_ok(&ok);
	if (!fault) {
		send_token(run->supervisor, run->relay,
		    first_line(&run->out.text), &ok);
		return;
	}
	if (complaint.n > COMPLAINT_SHOWN)
		complaint.n = COMPLAINT_SHOWN;
	send_failure(run->supervisor, run->relay,
	    complaint.n > 0 ? log_text("%s: %s", fault, log_escape(complaint))
			    : fault);
}

/* --- its output ----------------------------------------------------------- */

static void close_end(struct pipe_end *end)
{
	if (end->fd < 0)
		return;
	loop_remove(end->run->supervisor->loop, end->fd);
	close(end->fd);
	end->fd = -1;
}

static void kill_run(const struct token_run *run)
{
	kill(-run->pid, SIGKILL); /* the whole session that it began */
	kill(run->pid, SIGKILL);
}

/* What does not fit is read and dropped. */
static void read_end(struct pipe_end *end)
{
	char piece[4096];
	ssize_t n;

	while (end->fd >= 0 && (n = read(end->fd, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		buf_put(&end->text, piece, (size_t)n);
		end->is_over |= end->text.overflow;
		if (end->is_over && end == &end->run->out)
			break;
	}
	if (end->fd >= 0 && n == 0)
		close_end(end);
	explicit_bzero(piece, sizeof(piece));
}

static void on_output(int fd, uint32_t events, void *arg)
{
	struct pipe_end *end = arg;

	(void)fd;
	(void)events;
	read_end(end);
	if (end->is_over && end == &end->run->out) {
		close_end(end);
		kill_run(end->run);
	}
}

static void on_overtime(void *arg)
{
	struct token_run *run = arg;

	run->was_slow = true;
	kill_run(run);
}

/* --- start and end -------------------------------------------------------- */

static void free_run(struct token_run *run)
{
	close_end(&run->out);
	close_end(&run->err);
	loop_timer_cancel(run->supervisor->loop, &run->timer);
	wipe(&run->out.text);
	wipe(&run->err.text);
	free(run->relay);
	free(run);
}

static int open_end(
    struct token_run *run, struct pipe_end *end, size_t limit, int *write_end)
{
	int fds[2];

	end->run = run;
	end->fd = -1;
	buf_init(&end->text, limit);
	*write_end = -1;
	if (!buf_reserve(&end->text, limit) || pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	end->fd = fds[0];
	*write_end = fds[1];
	fcntl(end->fd, F_SETFL, O_NONBLOCK);
	return loop_add(
	    run->supervisor->loop, end->fd, EPOLLIN, on_output, end);
}

/* For root's child: the rights of outpost-net, and a small environment. */
static char **give_up_rights(void)
{
	static char home[PATH_MAX + 8] = "HOME=/";
	static char *small[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
			"/usr/bin:/sbin:/bin",
		(char *)"LANG=C.UTF-8", home, NULL
	};
	const struct passwd *user;
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return environ;
	if (!sandbox_user_ids("outpost-net", &uid, &gid))
		_exit(STATUS_NO_EXEC);
	user = getpwuid(uid);
	if (user && user->pw_dir)
		snprintf(home, sizeof(home), "HOME=%s", user->pw_dir);
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0 || setuid(0) == 0)
		_exit(STATUS_NO_EXEC);
	return small;
}

static void run_child(const struct conf_relay *relay, int out, int err)
{
	char *argv[ARGUMENTS_MAX + 1] = { NULL };
	int null = open("/dev/null", O_RDONLY);
	char **environment;
	sigset_t none;

	for (size_t i = 0; i < relay->token_command.count && i < ARGUMENTS_MAX;
	     i++)
		argv[i] = relay->token_command.items[i];
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		_exit(STATUS_NO_EXEC);
	closefrom(STDERR_FILENO + 1);
	setsid();
	environment = give_up_rights();
	if (chdir("/") < 0)
		_exit(STATUS_NO_EXEC);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(argv[0], argv, environment);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(STATUS_NO_EXEC);
}

static int start(struct token_run *run, const struct conf_relay *relay)
{
	int out, err = -1, status = -1;

	if (open_end(run, &run->out, CREDENTIAL_MAX, &out) == 0 &&
	    open_end(run, &run->err, COMPLAINT_MAX, &err) == 0) {
		run->pid = fork();
		if (run->pid == 0)
			run_child(relay, out, err);
		status = run->pid < 0 ? -1 : 0;
	}
	if (out >= 0)
		close(out);
	if (err >= 0)
		close(err);
	return status;
}

static size_t count_runs(const struct supervisor *s)
{
	size_t n = 0;

	for (const struct token_run *run = s->token_runs; run; run = run->next)
		n++;
	return n;
}

static struct token_run *make_run(struct supervisor *s, const char *relay)
{
	struct token_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->supervisor = s;
	run->out.fd = run->err.fd = -1;
	run->out.run = run->err.run = run;
	run->relay = strdup(relay);
	if (run->relay)
		return run;
	free(run);
	return NULL;
}

void tokens_ask(struct supervisor *s, struct span name)
{
	char *text = span_dup(name);
	const struct conf_relay *relay =
	    text ? conf_relay(s->conf, text) : NULL;
	struct token_run *run;

	if (!relay || relay->token_command.count == 0 || s->is_stopping) {
		if (text)
			send_failure(s, text, "is not configured");
		free(text);
		return;
	}
	free(text);
	run = count_runs(s) < RUNS_MAX ? make_run(s, relay->name) : NULL;
	if (!run) {
		send_failure(s, relay->name, "waits: too many of them run");
		return;
	}
	if (start(run, relay) < 0) {
		send_failure(s, relay->name,
		    log_text("cannot be started: %s", strerror(errno)));
		free_run(run);
		return;
	}
	run->next = s->token_runs;
	s->token_runs = run;
	loop_timer_set(s->loop, &run->timer, now_monotonic_ms() + RUN_MS,
	    on_overtime, run);
}

void tokens_reap(struct supervisor *s, pid_t pid, int status)
{
	struct token_run **at = &s->token_runs, *run;

	while (*at && (*at)->pid != pid)
		at = &(*at)->next;
	run = *at;
	if (!run)
		return;
	*at = run->next;
	read_end(&run->out);
	read_end(&run->err);
	answer(run, status);
	free_run(run);
}

void tokens_clear(struct supervisor *s)
{
	struct token_run *run;

	while ((run = s->token_runs)) {
		s->token_runs = run->next;
		kill_run(run);
		free_run(run);
	}
}
