/* Limits kept and limits found: what is configured is sent within 5 %, what a
 * provider allows is found. */
#include "tests/unit/schedule_provider.c"

#include <time.h>

#define MINUTE ((uint64_t)60000)

static struct provider *one(void)
{
	struct provider *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->name = "site";
	p->domains = 1;
	p->latency_ms = 50;
	return p;
}

static void expect_rate(
    const struct provider *p, uint64_t before, double a_minute, double minutes)
{
	double sent = (double)(p->taken - before) / minutes;

	print_message(
	    "  %-14s %8.1f a minute of %.1f\n", p->name, sent, a_minute);
	assert_true(sent > a_minute * 0.95);
	assert_true(sent < a_minute * 1.05);
}

/* Wakes of the schedule are in proportion to what is sent: no busy loop. */
static void expect_no_spin(const struct play *p)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < p->n; i++)
		taken += p->providers[i].taken;
	assert_true(p->wakes < 8 * taken + 5000);
}

static void run_rate(struct provider *at, struct play *p, double a_minute)
{
	uint64_t before;

	play_run(p, 10000);
	before = at->taken;
	play_run(p, 10 * MINUTE);
	expect_rate(at, before, a_minute, 10);
	assert_int_equal(at->deferred, 0);
	expect_no_spin(p);
	play_free(p);
	free(at);
}

static void test_destination_rate(void **state)
{
	static const struct rate rates[] = { { 20, 60 }, { 1000, 60 },
		{ 1000, 3600 }, { 100, 1 } };
	const unsigned lines[] = { 20 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct provider *at = one();
		struct play *p = play_new(at, 1, lines, 1);

		at->name = "destination";
		at->limits.rate = rates[i];
		run_rate(at, p, 60.0 * rates[i].events / rates[i].per_seconds);
	}
}

static void test_site_rate(void **state)
{
	const unsigned lines[] = { 20 };
	struct provider *at = one();
	struct play *p = play_new(at, 1, lines, 1);

	(void)state;
	at->domains = 50;
	at->site_limits.rate = (struct rate){ 300, 60 };
	run_rate(at, p, 300);
}

static void test_line_rate(void **state)
{
	const struct limits limits = { .rate = { 600, 3600 } };
	const unsigned lines[] = { 20 };
	struct provider *at = one();
	struct play *p = play_new(at, 1, lines, 1);

	(void)state;
	at->name = "line";
	at->domains = 30;
	assert_int_equal(schedule_group_limits(p->s, p->now, 0, &limits), 0);
	run_rate(at, p, 10);
}

static void test_address_rate(void **state)
{
	static const char *const addresses[] = { "192.0.2.1", "192.0.2.2",
		"2001:db8::1" };
	const struct limits limits = { .rate = { 60, 60 } };
	const unsigned lines[] = { 20 };
	struct provider *at = one();
	struct play *p = play_new(at, 1, lines, 1);

	(void)state;
	at->name = "address";
	at->domains = 30;
	assert_int_equal(
	    schedule_group_binds(p->s, p->now, 0, addresses, 2, &limits), 0);
	run_rate(at, p, 120);
	(void)addresses;
}

static void test_in_flight(void **state)
{
	const unsigned lines[] = { 20 };
	struct provider *at = one();
	struct play *p = play_new(at, 1, lines, 1);

	(void)state;
	at->limits.in_flight = 3;
	play_run(p, MINUTE);
	assert_int_equal(at->most_in_flight, 3);
	assert_true(at->taken > 1100); /* by one session at least */
	expect_no_spin(p);
	play_free(p);
	free(at);
}

static void test_site_connections(void **state)
{
	const unsigned lines[] = { 50 };
	struct provider *at = one();
	struct play *p = play_new(at, 1, lines, 1);

	(void)state;
	at->domains = 40;
	at->site_limits.connections = 7;
	play_run(p, MINUTE);
	assert_int_equal(at->most_sessions, 7);
	assert_int_equal(at->deferred, 0);
	expect_no_spin(p);
	play_free(p);
	free(at);
}

/* Two groups share what a site allows, and neither starves. */
static void test_two_groups(void **state)
{
	static struct provider at[2];
	const unsigned lines[] = { 10, 10 };
	const struct limits slow = { .rate = { 2, 60 } };
	struct play *p;

	(void)state;
	for (int i = 0; i < 2; i++)
		at[i] = (struct provider){ .name = "shared",
			.domains = 20,
			.latency_ms = 50,
			.site_limits.rate = { 120, 60 },
			.group = i };
	p = play_new(at, 2, lines, 2);
	assert_int_equal(schedule_group_limits(p->s, p->now, 1, &slow), 0);
	play_run(p, 10000);
	at[0].taken = at[1].taken = 0;
	play_run(p, 10 * MINUTE);
	print_message("  shared: %llu by the first, %llu by the slow one\n",
	    (unsigned long long)at[0].taken, (unsigned long long)at[1].taken);
	assert_true(at[0].taken + at[1].taken > 1140);
	assert_true(at[0].taken + at[1].taken < 1260);
	assert_true(at[1].taken >= 16 && at[1].taken <= 21);
	play_free(p);
}

/* --- found -----------------------------------------------------------------*/

static double allowed(const struct provider *p, unsigned lines)
{
	double by_rate = p->rate ? 60000.0 * p->rate / p->per_ms : 1e9;
	unsigned sessions = p->sessions_max && p->sessions_max < lines
				? p->sessions_max
				: lines;
	/* a session's own beginning takes as long as a message */
	double each = p->session_messages ? (double)p->session_messages /
						(p->session_messages + 1)
					  : 1.0;
	double by_sessions = 60000.0 * sessions * each / p->latency_ms;

	return by_rate < by_sessions ? by_rate : by_sessions;
}

static void test_providers(void **state)
{
	static struct provider all[] = {
		{ "5 sessions", 3, .sessions_max = 5, .latency_ms = 100 },
		{ "10 sessions", 1, .sessions_max = 10, .latency_ms = 200 },
		{ "20 a session", 1, .session_messages = 20, .sessions_max = 10,
		    .latency_ms = 100 },
		{ "1 session of 5", 1, .session_messages = 5, .sessions_max = 1,
		    .latency_ms = 100 },
		{ "600/m window", 10, .rate = 600, .per_ms = 60000,
		    .counting = BY_WINDOW, .latency_ms = 50 },
		{ "120/m sliding", 1, .rate = 120, .per_ms = 60000,
		    .counting = SLIDING, .latency_ms = 80 },
		{ "30/m bucket", 1, .rate = 30, .per_ms = 60000,
		    .counting = LEAKING, .latency_ms = 80 },
		{ "1200/m bucket", 5, .rate = 1200, .per_ms = 60000,
		    .counting = LEAKING, .latency_ms = 40 },
		{ "300/m by 421", 1, .rate = 300, .per_ms = 60000,
		    .counting = SLIDING, .says_421 = true, .latency_ms = 50 },
		{ "both", 4, .sessions_max = 4, .rate = 900, .per_ms = 60000,
		    .counting = SLIDING, .latency_ms = 100 },
	};
	enum { N = sizeof(all) / sizeof(*all), LINES = 20, MINUTES = 5 };
	const unsigned lines[] = { LINES };
	bool is_bad = false;

	(void)state;
	print_message("  provider          allowed   reached      %%  "
		      "deferred      %%  (first 2 min, then 5)\n");
	for (unsigned i = 0; i < N; i++) {
		struct provider *at = &all[i];
		struct play *p = play_new(at, 1, lines, 1);
		double could = allowed(at, LINES) * MINUTES, reached, put_off;
		uint64_t first;
		clock_t began = clock();

		play_run(p, 2 * MINUTE);
		first = at->deferred;
		at->taken = at->counting == SLIDING ? at->rate : 0;
		reached = -(double)at->taken;
		at->deferred = 0;
		play_run(p, MINUTES * MINUTE);
		reached += (double)at->taken;
		put_off = (double)at->deferred;
		print_message("  %-16s %8.0f  %8.0f  %5.1f  %8.0f  %5.2f  "
			      "(%llu before, %.1f s)\n",
		    at->name, could, reached, reached / could * 100, put_off,
		    put_off / (reached + put_off) * 100,
		    (unsigned long long)first,
		    (double)(clock() - began) / CLOCKS_PER_SEC);
		is_bad |= reached < could * 0.9 ||
			  put_off > (reached + put_off) * 0.02;
		expect_no_spin(p);
		play_free(p);
	}
	assert_false(is_bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_destination_rate),
		cmocka_unit_test(test_site_rate),
		cmocka_unit_test(test_line_rate),
		cmocka_unit_test(test_address_rate),
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_site_connections),
		cmocka_unit_test(test_two_groups),
		cmocka_unit_test(test_providers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
