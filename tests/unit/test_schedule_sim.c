/* Seeded simulations of the schedule, its intake and the retry rules: weeks
 * of trouble, and a million messages to few and to many destinations. After
 * every step the promises are checked.
 *
 * SEED=n runs one seed of the weeks only; SCHEDULE_SIM=n does n times as
 * much. */
#include "tests/unit/schedule_world.h"

#include "tests/unit/schedule_index.c"

#include "tests/unit/schedule_keeper.c"

#include "tests/unit/schedule_hosts.c"

#include "tests/unit/schedule_settle.c"

#include "tests/unit/schedule_runner.c"

#include "tests/unit/schedule_check.c"

#include "tests/unit/schedule_chaos.c"

#include "tests/unit/schedule_world.c"

#include <time.h>

enum { SEEDS = 4 };

static unsigned times(void)
{
	const char *given = getenv("SCHEDULE_SIM");
	int n = given ? atoi(given) : 1;

	return n > 0 && n <= 1000 ? (unsigned)n : 1;
}

static void run(const struct shape *shape, const char *name)
{
	struct world *w = world_new(shape);
	clock_t began = clock();

	world_run(w);
	world_say(w, name);
	print_message(
	    "  %.2f s of CPU\n", (double)(clock() - began) / CLOCKS_PER_SEC);
	world_free(w);
}

/* --- weeks of trouble --- */

static enum nature trouble(unsigned domain)
{
	static const uint8_t natures[20] = { GOOD, GREY, GOOD, OUTAGE, FLAP,
		HOLE, FLAKY, KILLER, SLOW, CROWDED, GOOD, GREY, MUTE, FULL,
		OUTAGE, FLAP, FLAKY, GOOD, DEAD, HOLE };

	return natures[domain % 20];
}

static void test_weeks(void **state)
{
	const char *given = getenv("SEED");
	struct shape shape = {
		.mail = 12000,
		.per_message = 2,
		.recipients = 3,
		.domains = 200,
		.ndomains_hog = 20,
		.nature = trouble,
		.groups = 2,
		.lines = 8,
		.limit = 4,
		.window = 300,
		.per_connection = 30,
		.batch = 3,
		.hop_ms = 15,
		.work_ms = 60,
		.burst = 200,
		.burst_a_ms = 1,
		.burst_gap_ms = 20 * DAY / 30,
		.chaos_ms = 90 * MINUTE,
		.calm_at = START_MS + 21 * DAY,
		.late_ms = 15000,
		.check_every = 500,
		.retry = { .wait_s = 300,
		    .factor = 2,
		    .max_wait_s = 14400,
		    .lifetime_s = 3 * 86400,
		    .warn_after_s = 14400,
		    .jitter_percent = 10 },
	};
	unsigned seeds = given ? 1 : SEEDS * times();

	(void)state;
	for (unsigned n = 1; n <= seeds; n++) {
		shape.seed = given ? strtoull(given, NULL, 10) : n;
		run(&shape, "weeks");
	}
}

/* --- a million messages --- */

static struct shape many_messages(unsigned mail)
{
	return (struct shape){
		.seed = 1,
		.mail = mail,
		.per_message = 1,
		.recipients = 1,
		.groups = 1,
		.lines = 40,
		.limit = 20,
		.window = 20000,
		.per_connection = 100,
		.batch = 16,
		.hop_ms = 3,
		.work_ms = 30,
		.burst = mail,
		.late_ms = NEVER / 2,
		.check_every = 5000,
		.retry = { .wait_s = 300,
		    .factor = 2,
		    .max_wait_s = 14400,
		    .lifetime_s = 86400,
		    .warn_after_s = 14400,
		    .jitter_percent = 10 },
	};
}

/* To forty places, one in ten of them in trouble, as fast as it comes in. */
static enum nature mostly_good(unsigned domain)
{
	return domain % 10 == 3 ? trouble(domain / 10 + 3) : GOOD;
}

static void test_few_destinations(void **state)
{
	struct shape shape = many_messages(500000 * times());

	(void)state;
	shape.domains = 40;
	shape.ndomains_hog = 4;
	shape.nature = mostly_good;
	shape.burst_a_ms = 10;
	shape.late_ms = 10000;
	run(&shape, "few destinations");
}

/* Each gets one message, all at once. */
static unsigned one_each(unsigned mail, uint64_t random)
{
	(void)random;
	return mail - 1;
}

static void test_many_destinations(void **state)
{
	struct shape shape = many_messages(100000 * times());

	(void)state;
	shape.domains = shape.mail;
	shape.domain = one_each;
	shape.nature = mostly_good;
	shape.burst_a_ms = 50;
	/* there are only so many lines */
	shape.late_ms = 4 * MINUTE * times();
	run(&shape, "many destinations");
}

/* More destinations are down than fit into memory: what goes elsewhere is not
 * kept waiting by their mail. */
static enum nature half_down(unsigned domain)
{
	return domain % 2 ? HOLE : domain % 4 ? GREY : GOOD;
}

static void test_many_down(void **state)
{
	struct shape shape = many_messages(10000 * times());

	(void)state;
	shape.domains = 4000;
	shape.ndomains_hog = 4000;
	shape.nature = half_down;
	shape.window = 500;
	shape.burst = 100;
	shape.burst_a_ms = 1;
	shape.burst_gap_ms = 6 * HOUR / 100;
	shape.lines = 100;
	shape.late_ms = MINUTE;
	run(&shape, "many down");
}

/* One destination has nearly all; who sends a single message there, or
 * elsewhere, does not wait for that. */
static unsigned one_for_all(unsigned mail, uint64_t random)
{
	(void)random;
	return mail % 1000 ? 0 : mail / 1000 % 5;
}

static enum nature all_good(unsigned domain)
{
	(void)domain;
	return GOOD;
}

static void test_backlog(void **state)
{
	struct shape shape = many_messages(400000 * times());

	(void)state;
	shape.domains = 5;
	shape.domain = one_for_all;
	shape.nature = all_good;
	shape.lone_every = 1000;
	shape.late_ms = 500;
	shape.burst_a_ms = 40;
	run(&shape, "backlog");
}

/* --- what a decision costs --- */

static void add_to_each(struct schedule *s, unsigned destinations)
{
	struct waiting x = { .size_bytes = 4000,
		.sender = SPAN_LITERAL("s@b.c") };
	struct destination *d;
	char name[24];
	bool is_new;

	for (unsigned i = 0; i < destinations; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		d = schedule_destination(s, name, 20, &is_new);
		x.message = i + 1;
		assert_int_equal(schedule_add(s, START_MS, &x, d, 0), ADDED);
	}
}

/* At once what takes time elsewhere. One host in four is not reached. */
static void answer_at_once(
    struct schedule *s, uint64_t now, const struct decision *x)
{
	bool is_good = !x->delivery || x->delivery->message % 4;
	struct outcome ok;

	outcome_ok(&ok);
	switch (x->kind) {
	case DECIDE_START_LINE:
		schedule_line_started(s, now, x->line);
		break;
	case DECIDE_RESOLVE:
		schedule_hosts(s, now, x->destination, &ok, HOUR);
		break;
	case DECIDE_GIVE:
		schedule_result(s, now, x->delivery,
		    is_good ? RESULT_DELIVERED : RESULT_UNREACHED);
		schedule_forget(s, now, x->delivery);
		break;
	case DECIDE_END:
		schedule_session_done(s, now, x->line, &ok, false);
		break;
	default:
		break;
	}
}

static void measure(unsigned destinations, unsigned lines)
{
	const struct schedule_options options = { .seed = 1,
		.window = 2 * destinations,
		.probe_first_ms = 1000,
		.probe_max_ms = 1800000 };
	struct schedule *s = schedule_new(&options);
	uint64_t now = START_MS, decisions = 0;
	struct decision x;
	clock_t began;

	assert_non_null(s);
	schedule_add_group(s, "first", lines, 100);
	add_to_each(s, destinations);
	began = clock();
	while (schedule_in_memory(s) > 0) {
		while (schedule_next(s, now, &x)) {
			answer_at_once(s, now, &x);
			decisions++;
		}
		assert_true(++now < START_MS + HOUR);
	}
	print_message("%u destinations, %u lines: %.2f us of CPU a decision\n",
	    destinations, lines,
	    (double)(clock() - began) / CLOCKS_PER_SEC * 1e6 /
		(double)decisions);
	assert_true(decisions < 6 * (uint64_t)destinations);
	schedule_free(s);
}

static void test_cost(void **state)
{
	(void)state;
	measure(1000, 20);
	measure(100000, 20);
	measure(100000, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weeks),
		cmocka_unit_test(test_few_destinations),
		cmocka_unit_test(test_many_destinations),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_many_down),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
