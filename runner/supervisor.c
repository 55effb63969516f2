/* The supervisor's life: start, ready, and an orderly stop in phases. */
#include "runner/supervisor.h"

#include "common/date.h"
#include "runner/supervisor_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_CONF = 78, KILL_AFTER_MS = 3000 };

/* Who stops when, and how long it may take: what brings mail in, what carries
 * it out, and the keeper last, so that every outcome is recorded. */
static const struct {
	enum role roles[3]; /* 0 ends */
	uint32_t grace_ms;
} phases[] = {
	{ { ROLE_SMTPD }, 5000 },
	{ { ROLE_RUNNER }, 30000 },
	{ { ROLE_REMOTE, ROLE_RESOLVE, ROLE_FETCH }, 5000 },
	{ { ROLE_QUEUED }, 60000 },
};
enum { PHASES = sizeof(phases) / sizeof(*phases) };

/* --- stop ----------------------------------------------------------------- */

static bool phase_is_over(const struct supervisor *s)
{
	for (int i = 0; i < 3 && phases[s->phase].roles[i]; i++)
		if (program_is_alive(&s->programs[phases[s->phase].roles[i]]))
			return false;
	return true;
}

static void kill_phase(struct supervisor *s)
{
	for (int i = 0; i < 3 && phases[s->phase].roles[i]; i++)
		program_kill(&s->programs[phases[s->phase].roles[i]]);
}

static void on_phase_overtime(void *arg)
{
	struct supervisor *s = arg;

	log_warn("stop-forced", "phase", log_text("%u", s->phase), NULL);
	kill_phase(s);
}

static void begin_phase(struct supervisor *s)
{
	uint32_t grace_ms = phases[s->phase].grace_ms;

	for (int i = 0; i < 3 && phases[s->phase].roles[i]; i++)
		program_stop(&s->programs[phases[s->phase].roles[i]], grace_ms);
	loop_timer_set(s->loop, &s->phase_timer,
	    now_monotonic_ms() + grace_ms + KILL_AFTER_MS, on_phase_overtime,
	    s);
}

static void go_on_stopping(struct supervisor *s)
{
	while (s->phase < PHASES && phase_is_over(s)) {
		if (++s->phase < PHASES)
			begin_phase(s);
	}
	if (s->phase < PHASES)
		return;
	loop_timer_cancel(s->loop, &s->phase_timer);
	loop_stop(s->loop);
}

void supervisor_stop(struct supervisor *s)
{
	if (s->is_stopping) {
		if (s->phase < PHASES)
			kill_phase(s);
		return;
	}
	log_event("stopping", NULL);
	notify_systemd("STOPPING=1");
	s->is_stopping = true;
	/* What waits for its restart will not come back. */
	for (int role = 0; role < PROGRAMS; role++)
		if (!program_is_alive(&s->programs[role]))
			program_stop(&s->programs[role], 0);
	begin_phase(s);
	go_on_stopping(s);
}

void supervisor_program_down(struct supervisor *s)
{
	if (s->is_stopping)
		go_on_stopping(s);
}

/* --- the start that fails ------------------------------------------------- */

void supervisor_give_up(
    struct supervisor *s, const struct program *p, int status, const char *how)
{
	s->status = status;
	snprintf(s->failure, sizeof(s->failure), "%s does not start: %s%s%s",
	    p->name, how, p->note[0] ? ": " : "", p->note);
	log_warn("start-given-up", "program", p->name, "why", s->failure,
	    "tries", log_text("%u", p->failures), NULL);
	supervisor_stop(s);
}

/* To whoever waits for the start; in the background standard error is gone. */
static void say_failure(const struct supervisor *s)
{
	if (s->was_ready)
		return;
	if (s->ready_fd >= 0)
		dprintf(s->ready_fd, "?%s", s->failure);
	else if (s->failure[0])
		fprintf(stderr, "outpost: %s\n", s->failure);
}

/* --- ready ---------------------------------------------------------------- */

static bool is_all_ready(const struct supervisor *s)
{
	for (int role = 0; role < PROGRAMS; role++)
		if (program_is_wanted(s, (enum role)role) &&
		    s->programs[role].state != PROGRAM_READY)
			return false;
	return true;
}

void supervisor_program_ready(struct supervisor *s)
{
	if (s->was_ready || s->is_stopping || !is_all_ready(s))
		return;
	s->was_ready = true;
	if (s->ready_fd >= 0) {
		(void)!write(s->ready_fd, "!", 1);
		close(s->ready_fd);
		s->ready_fd = -1;
	} else {
		puts("outpost: ready");
		fflush(stdout);
	}
	notify_systemd("READY=1\nSTATUS=All programs are ready.");
	log_event("all-ready", "after_ms",
	    log_text("%llu",
		(unsigned long long)(now_monotonic_ms() - s->started_ms)),
	    NULL);
	guard_run(s);
}

/* --- signals -------------------------------------------------------------- */

static void on_terminate(void *arg)
{
	supervisor_stop(arg);
}

static void on_hangup(void *arg)
{
	struct outcome why;

	notify_systemd(log_text("RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)now_monotonic_us()));
	if (supervisor_reload(arg, &why) < 0)
		log_warn("reload-refused", "why", why.detail, NULL);
	notify_systemd("READY=1");
}

static int watch_signals(struct supervisor *s)
{
	signal(SIGPIPE, SIG_IGN);
	if (loop_signal(s->loop, SIGTERM, on_terminate, s) < 0 ||
	    loop_signal(s->loop, SIGINT, on_terminate, s) < 0 ||
	    loop_signal(s->loop, SIGHUP, on_hangup, s) < 0 ||
	    loop_signal(s->loop, SIGCHLD, programs_reap, s) < 0)
		return -1;
	return 0;
}

/* --- stages --------------------------------------------------------------- */

static int read_conf(struct supervisor *s)
{
	struct buf errors;

	buf_init(&errors, 1 << 20);
	s->conf = conf_load(s->file, &errors);
	if (s->conf)
		logs_choose(s, s->conf);
	else
		fputs(buf_text(&errors), stderr);
	buf_clear(&errors);
	return s->conf ? 0 : -1;
}

static int open_log(struct supervisor *s)
{
	if (log_open("outpost", s->conf->log_to) < 0) {
		fprintf(stderr, "outpost: log %s: %s\n", s->conf->log_to,
		    strerror(errno));
		return -1;
	}
	log_set_level(logs_level(s));
	date_set_zone(s->conf->timezone);
	return 0;
}

char *program_folder(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return strdup(dirname(path));
}

/* What would have the listener fail again and again. */
static int check_certificates(struct supervisor *s)
{
	struct outcome why;

	if (certificates_check(s->conf, &why) == 0)
		return 0;
	fprintf(stderr, "outpost: %s\n", why.detail);
	return -1;
}

static int open_sockets(struct supervisor *s)
{
	struct outcome why;

	if (listeners_open(&s->listeners, s->conf, NULL, &why) < 0) {
		fprintf(stderr, "outpost: %s\n", why.detail);
		return -1;
	}
	if (control_open(s) < 0) {
		fprintf(stderr, "outpost: %s/outpost.sock: %s\n",
		    s->conf->runtime, strerror(errno));
		return -1;
	}
	return 0;
}

/* Lines and clients need one each: what is allowed is used, by the children
 * too. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int set_up(struct supervisor *s)
{
	raise_descriptors();
	s->loop = loop_new();
	s->folder = program_folder();
	if (!s->loop || !s->folder || watch_signals(s) < 0) {
		fprintf(stderr, "outpost: %s\n", strerror(errno));
		return -1;
	}
	/* No program of ours needs to gain anything by exec. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	programs_set_up(s);
	return 0;
}

static void clean_up(struct supervisor *s)
{
	if (s->runtime_lock >= 0 && s->loop) {
		listeners_close(&s->listeners, NULL);
		places_leave(s);
		control_answer_stop(s);
	}
	tokens_clear(s);
	guard_clear(s);
	loop_free(s->loop);
	conf_free(s->conf);
	free(s->folder);
	free(s->smtpd_has);
	for (size_t i = 0; i < s->nscopes; i++)
		free(s->scopes[i]);
	if (s->ready_fd >= 0)
		close(s->ready_fd);
}

/* A caller that reads what "start" prints must see its end. */
static void let_go_of_stderr(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static void serve(struct supervisor *s)
{
	if (s->is_background)
		let_go_of_stderr();
	log_event("started", "file", s->conf->file, "spool", s->conf->spool,
	    "runtime", s->conf->runtime, NULL);
	guard_begin(s);
	programs_start(s);
	if (loop_run(s->loop) < 0)
		fatal(EXIT_TRY_LATER, "loop: %s", strerror(errno));
	log_event("stopped", NULL);
}

int supervisor_run(const struct supervisor_options *options)
{
	static struct supervisor s;

	s = (struct supervisor){ .file = options->file,
		.ready_fd = options->ready_fd,
		.is_background = options->is_background,
		.control_fd = -1,
		.runtime_lock = -1,
		.spool_lock = -1,
		.outbound = -1,
		.log_level = -1,
		.guard = { .fd = -1 },
		.started_ms = now_monotonic_ms() };
	umask(022);
	if (read_conf(&s) < 0 || check_certificates(&s) < 0) {
		s.status = EXIT_CONF;
	} else if (places_make(&s) < 0 || open_log(&s) < 0 || set_up(&s) < 0 ||
		   open_sockets(&s) < 0) {
		s.status = 1;
	} else {
		serve(&s);
		say_failure(&s);
	}
	clean_up(&s);
	return s.status;
}
