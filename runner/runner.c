/* The runner: its life, and the carrying out of the schedule's decisions. */
#include "runner/runner.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include <jansson.h>

#include "runner/lines.h"

enum { DECISIONS_A_ROUND = 20000, FAREWELL_MS = 2000 };

static struct runner the_runner;

uint64_t runner_utc_ms(void)
{
	return now_utc_us() / 1000;
}

uint64_t runner_random(struct runner *runner)
{
	runner->random += 0x9e3779b97f4a7c15u;
	return table_mix(runner->random, 3);
}

static void drop_way(struct destination *d, void *owned)
{
	(void)d;
	way_free(owned);
}

/* --- decisions ------------------------------------------------------------ */

static void decide(struct runner *runner, const struct decision *decision)
{
	switch (decision->kind) {
	case DECIDE_START_LINE:
		line_start(runner, decision->line);
		break;
	case DECIDE_RESOLVE:
		resolver_ask(runner, decision->destination);
		break;
	case DECIDE_SESSION:
		line_session(runner, decision->line, decision->destination);
		break;
	case DECIDE_GIVE:
		keeper_claim(runner, decision, TASK_DELIVER);
		break;
	case DECIDE_END:
		line_session_end(decision->line);
		break;
	case DECIDE_REFUSE:
		keeper_claim(runner, decision, TASK_REFUSE);
		break;
	case DECIDE_REPORT:
		keeper_claim(runner, decision, TASK_REPORT);
		break;
	case DECIDE_WAKE:
		keeper_wake(runner, decision->destination);
		break;
	case DECIDE_CLOSE:
		line_close(decision->line);
		break;
	}
}

static void on_wake(void *arg)
{
	(void)arg; /* the round that follows does the work */
}

static void set_wake(struct runner *runner, bool has_more)
{
	size_t in_memory = schedule_in_memory(runner->schedule);
	uint64_t now = now_monotonic_ms(), utc = runner_utc_ms();
	uint64_t at = has_more ? now : schedule_wake(runner->schedule);
	uint64_t intake = UINT64_MAX;

	if (!runner->keeper) {
		loop_timer_cancel(runner->loop, &runner->wake);
		return;
	}
	if (!runner->is_stopping)
		intake = intake_wake(&runner->intake, in_memory);
	if (intake != UINT64_MAX) {
		intake = intake > utc ? now + (intake - utc) : now;
		at = at < intake ? at : intake;
	}
	if (at == UINT64_MAX)
		loop_timer_cancel(runner->loop, &runner->wake);
	else
		loop_timer_set(
		    runner->loop, &runner->wake, at, on_wake, runner);
}

/* After every round: what has come in is thought over once. */
static void think(struct child *child)
{
	struct runner *runner = child->state;
	struct decision decision;
	unsigned n = 0;

	if (!runner->is_running)
		return;
	if (runner->keeper) {
		keeper_read(runner);
		while (n++ < DECISIONS_A_ROUND &&
		       schedule_next(
			   runner->schedule, now_monotonic_ms(), &decision))
			decide(runner, &decision);
	}
	runner_check_stopped(runner);
	set_wake(runner, n > DECISIONS_A_ROUND);
}

/* --- life ----------------------------------------------------------------- */

static int add_groups(struct runner *runner)
{
	const struct conf *conf = runner->conf;
	size_t *grown =
	    reallocarray(runner->groups, conf->nlines, sizeof(size_t));

	if (!grown)
		return -1;
	runner->groups = grown;
	for (size_t i = 0; i < conf->nlines; i++) {
		const struct conf_line *line = &conf->lines[i];
		unsigned count =
		    line->count > 0 ? (unsigned)line->count : KNEE_MAX;

		int group = schedule_add_group(runner->schedule, line->name,
		    count, (unsigned)line->messages_per_connection);

		if (group < 0)
			return -1;
		grown[i] = (size_t)group;
		schedule_group_auto(runner->schedule, now_monotonic_ms(), group,
		    line->count == 0);
		limits_group(runner, i, group);
	}
	return lines_new(runner);
}

static void open_all(struct child *child, struct sandbox *sandbox)
{
	struct runner *runner = &the_runner;
	struct schedule_options options = { .window = RUNNER_WINDOW,
		.drop = drop_way };

	(void)sandbox;
	child->state = runner;
	runner->child = child;
	runner->loop = child->loop;
	runner->conf = child->conf;
	runner->listener = -1;
	TAILQ_INIT(&runner->wants);
	TAILQ_INIT(&runner->wakes);
	TAILQ_INIT(&runner->token_waits);
	/* All of it at once (pages that are not used cost nothing): a message
	 * is never cut short for want of memory. */
	buf_init(&runner->scratch, WIRE_FRAME_MAX);
	if (!buf_reserve(&runner->scratch, WIRE_FRAME_MAX))
		fatal(EXIT_TRY_LATER, "no memory for messages");
	options.probe_first_ms = retry_probe_first_ms(&runner->conf->retry);
	options.probe_max_ms = retry_probe_max_ms(&runner->conf->retry);
	if (getrandom(&options.seed, sizeof(options.seed), 0) < 0)
		fatal(EXIT_TRY_LATER, "getrandom: %s", strerror(errno));
	runner->random = options.seed;
	/* else jansson opens /dev/urandom later, in the sandbox */
	json_object_seed((size_t)options.seed);
	runner->schedule = schedule_new(&options);
	runner->hosts = host_memory_new(options.seed);
	runner->secrets = secrets_new();
	runner->tlsrpt = tlsrpt_new(runner);
	if (!runner->schedule || !runner->hosts || !runner->secrets ||
	    !runner->tlsrpt || add_groups(runner) < 0)
		fatal(EXIT_TRY_LATER, "no memory for the lines");
	schedule_set_usable(runner->schedule, false);
	intake_init(&runner->intake, RUNNER_WINDOW);
	if (!runner->conf->outbound)
		schedule_outbound(
		    runner->schedule, (struct span){ NULL, 0 }, false);
}

static void on_listener(struct child *child, enum listener_kind kind,
    uint32_t index, int fds[], int nfds)
{
	(void)index;
	for (int i = 1; i < nfds; i++)
		close(fds[i]);
	if (kind == LISTENER_RUNNER)
		control_listen(child->state, fds[0]);
	else
		close(fds[0]);
}

static void on_peer(struct child *child, enum role role, int fd)
{
	struct runner *runner = child->state;

	switch (role) {
	case ROLE_QUEUED:
		keeper_connect(runner, fd);
		break;
	case ROLE_RESOLVE:
		resolver_connect(runner, fd);
		break;
	case ROLE_REMOTE:
		spawner_connect(runner, fd);
		break;
	default:
		close(fd);
	}
}

static void on_run(struct child *child)
{
	struct runner *runner = child->state;

	runner->is_running = true;
	memory_begin(runner);
	limits_windows(runner);
	tlsrpt_begin(runner);
	loop_timer_set(
	    runner->loop, &runner->wake, now_monotonic_ms(), on_wake, runner);
}

/* Relayed mail of one domain stands among that of others: what waits is read
 * again, before it could go the way of a destination that had been stopped. */
bool runner_outbound(struct runner *runner, struct span scope, bool on)
{
	if (span_has_prefix_nocase(scope, "destination:")) {
		schedule_forget_waiting(runner->schedule);
		intake_sweep_now(&runner->intake);
	}
	return schedule_outbound(runner->schedule, scope, on);
}

static void on_outbound(struct child *child, bool on, struct span scope)
{
	struct runner *runner = child->state;

	if (!runner_outbound(runner, scope, on))
		log_warn("outbound-unknown", "scope", log_escape(scope), NULL);
	else
		log_event("outbound", "scope",
		    scope.n ? log_escape(scope) : "all", "now",
		    on ? "on" : "off", NULL);
}

/* Nothing is dropped: what lines have in hand is finished by the old settings,
 * all else is read and routed anew. The outbound setting comes from the
 * supervisor, who knows what an operator said. */
static void on_reload(struct child *child, struct conf *fresh)
{
	struct runner *runner = child->state;

	runner->conf = fresh;
	runner->nreloads++;
	schedule_renew(runner->schedule);
	schedule_set_probe(runner->schedule,
	    retry_probe_first_ms(&fresh->retry),
	    retry_probe_max_ms(&fresh->retry));
	if (add_groups(runner) < 0)
		fatal(EXIT_TRY_LATER, "no memory for the lines");
	limits_windows(runner);
	intake_sweep_now(&runner->intake);
	secrets_keep(runner->secrets, fresh);
	tlsrpt_begin(runner);
}

static void on_farewell_over(void *arg)
{
	struct runner *runner = arg;

	loop_stop(runner->loop);
}

/* All is recorded; the servers are given a moment for their QUIT. */
void runner_check_stopped(struct runner *runner)
{
	if (!runner->is_stopping || runner->tasks.count > 0)
		return;
	if (!schedule_has_session(runner->schedule))
		loop_stop(runner->loop);
	else if (runner->farewell.place == 0)
		loop_timer_set(runner->loop, &runner->farewell,
		    now_monotonic_ms() + FAREWELL_MS, on_farewell_over, runner);
}

static void on_grace_over(void *arg)
{
	struct runner *runner = arg;

	log_warn("stopped-early", "unfinished",
	    log_text("%zu", runner->tasks.count), NULL);
	loop_stop(runner->loop);
}

/* Jobs at the lines are finished and recorded; claims that come in are given
 * back. */
static void on_stop(struct child *child, uint32_t grace_ms)
{
	struct runner *runner = child->state;

	runner->is_stopping = true;
	memory_tell(runner);
	schedule_stop(runner->schedule);
	loop_timer_set(runner->loop, &runner->grace,
	    now_monotonic_ms() + grace_ms, on_grace_over, runner);
	runner_check_stopped(runner);
}

static const struct child_program program = {
	.name = "outpost-runner",
	.user = "outpost-run",
	.sandbox = SANDBOX_ACCEPT,
	.open = open_all,
	.on_listener = on_listener,
	.on_peer = on_peer,
	.on_run = on_run,
	.on_outbound = on_outbound,
	.on_secret = login_on_secret,
	.on_reload = on_reload,
	.on_stop = on_stop,
	.after_round = think,
};

static void clear(struct runner *runner)
{
	if (!runner->child)
		return;
	control_clear(runner);
	keeper_clear(runner);
	resolver_clear(runner);
	wire_free(runner->spawner);
	lines_free(runner);
	tasks_clear(&runner->tasks);
	schedule_free(runner->schedule);
	host_memory_free(runner->hosts);
	details_clear(&runner->details);
	login_clear(runner);
	tlsrpt_clear(runner);
	free(runner->groups);
	buf_clear(&runner->scratch);
}

int runner_main(int argc, char **argv)
{
	int status = child_main(argc, argv, &program);

	clear(&the_runner);
	return status;
}
