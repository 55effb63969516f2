/* The schedule at a reload: what is in hand is finished, all else begins anew.
 */
#include "runner/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct schedule *s;
static uint64_t now;
static uint64_t next_message;

static void begin(unsigned lines)
{
	struct schedule_options options = { .seed = 1,
		.window = 1000,
		.probe_first_ms = 60000,
		.probe_max_ms = 1800000 };

	s = schedule_new(&options);
	assert_non_null(s);
	now = 1000;
	next_message = 1;
	assert_int_equal(schedule_add_group(s, "default", lines, 100), 0);
}

static struct destination *to(const char *name)
{
	bool is_new;

	return schedule_destination(s, name, 20, &is_new);
}

static struct delivery *add(const char *name, int group)
{
	struct waiting w = { .message = next_message++,
		.size_bytes = 1000,
		.sender = SPAN_LITERAL("a@b.c") };

	assert_int_equal(schedule_add(s, now, &w, to(name), group), ADDED);
	return schedule_find(s, w.message, 0);
}

/* Resolves, starts and closes by itself; the next other decision. */
static bool next(struct decision *x)
{
	struct outcome ok;

	outcome_ok(&ok);
	while (schedule_next(s, now, x)) {
		if (x->kind == DECIDE_START_LINE)
			schedule_line_started(s, now, x->line);
		else if (x->kind == DECIDE_RESOLVE)
			schedule_hosts(s, now, x->destination, &ok, 3600000);
		else if (x->kind == DECIDE_CLOSE)
			schedule_line_closed(s, x->line);
		else
			return true;
	}
	return false;
}

static struct decision expect(uint8_t kind)
{
	struct decision x;

	assert_true(next(&x));
	assert_int_equal(x.kind, kind);
	return x;
}

static void expect_nothing(void)
{
	struct decision x;

	assert_false(next(&x));
}

static size_t lines(void)
{
	struct schedule_counts counts;

	schedule_count(s, &counts);
	return counts.lines;
}

static size_t in_memory(void)
{
	return schedule_in_memory(s);
}

/* The job goes on and is answered; then the line is closed, and the next mail
 * gets a new one. */
static void test_busy_line(void **state)
{
	struct decision x, y;

	(void)state;
	begin(1);
	add("a", 0);
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	add("b", 0); /* waits for the line */
	expect_nothing();
	schedule_renew(s);
	assert_int_equal(schedule_add_group(s, "default", 1, 100), 0);
	assert_int_equal(in_memory(), 1); /* only what is claimed */
	y = expect(DECIDE_END);
	assert_ptr_equal(y.line, x.line);
	add("b", 0);
	expect_nothing();
	assert_true(schedule_next(s, now, &y) == false);
	schedule_result(s, now, x.delivery, RESULT_DELIVERED);
	schedule_forget(s, now, x.delivery);
	expect_nothing();
	schedule_session_done(s, now, x.line, NULL, false);
	assert_true(schedule_next(s, now, &y));
	assert_int_equal(y.kind, DECIDE_CLOSE);
	assert_ptr_equal(y.line, x.line);
	assert_false(schedule_next(s, now, &y)); /* before it is closed */
	schedule_line_closed(s, x.line);
	assert_true(schedule_next(s, now, &y));
	assert_int_equal(y.kind, DECIDE_START_LINE);
	schedule_line_started(s, now, y.line);
	expect(DECIDE_SESSION);
	expect(DECIDE_GIVE);
	schedule_free(s);
}

/* Free lines are closed at once; one that is starting as soon as it has. */
static void test_free_and_starting_lines(void **state)
{
	struct decision x, starting;
	struct outcome ok;

	(void)state;
	begin(2);
	outcome_ok(&ok);
	add("a", 0);
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	schedule_result(s, now, x.delivery, RESULT_DELIVERED);
	schedule_forget(s, now, x.delivery);
	now += IDLE_MS;
	x = expect(DECIDE_END);
	schedule_session_done(s, now, x.line, NULL, false);
	expect_nothing();
	add("b", 0);
	add("c", 0);
	expect(DECIDE_SESSION);
	expect(DECIDE_GIVE);
	while (schedule_next(s, now, &starting) &&
	       starting.kind != DECIDE_START_LINE)
		if (starting.kind == DECIDE_RESOLVE)
			schedule_hosts(
			    s, now, starting.destination, &ok, 3600000);
	assert_int_equal(starting.kind, DECIDE_START_LINE);
	schedule_renew(s);
	schedule_renew(s); /* twice is as good as once */
	assert_int_equal(schedule_add_group(s, "default", 2, 100), 0);
	expect(DECIDE_END);
	schedule_line_started(s, now, starting.line);
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_CLOSE);
	assert_ptr_equal(x.line, starting.line);
	/* it dies before that is done */
	schedule_line_lost(s, now, x.line);
	schedule_line_closed(s, x.line);
	expect_nothing();
	now = schedule_wake(s);
	add("c", 0);
	expect(DECIDE_SESSION);
	schedule_free(s);
}

/* What was claimed before and comes back is read again, not sent by routes that
 * no longer hold. */
static void test_put_back_is_forgotten(void **state)
{
	struct decision x, y;

	(void)state;
	begin(1);
	add("a", 0);
	add("a", 0);
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	y = expect(DECIDE_GIVE);
	assert_true(schedule_put_back(s, now, y.delivery, false));
	y = expect(DECIDE_GIVE);
	schedule_renew(s);
	assert_int_equal(schedule_add_group(s, "default", 1, 100), 0);
	assert_false(schedule_put_back(s, now, x.delivery, true));
	assert_false(schedule_put_back(s, now, y.delivery, true));
	assert_int_equal(in_memory(), 0);
	x = expect(DECIDE_END);
	schedule_session_done(s, now, x.line, NULL, false);
	expect_nothing();
	add("a", 0);
	expect(DECIDE_SESSION);
	expect(DECIDE_GIVE);
	schedule_free(s);
}

static void test_groups_come_and_go(void **state)
{
	struct decision x;

	(void)state;
	begin(2);
	assert_int_equal(schedule_add_group(s, "bulk", 3, 100), 1);
	assert_int_equal(lines(), 5);
	add("a", 1);
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	schedule_renew(s);
	assert_int_equal(schedule_add_group(s, "default", 4, 100), 0);
	assert_int_equal(lines(), 4);
	for (int i = 0; i < 5; i++) {
		char name[] = { (char)('p' + i), '\0' };

		add(name, 0);
	}
	expect(DECIDE_END);
	for (int i = 0; i < 4; i++) {
		expect(DECIDE_SESSION);
		expect(DECIDE_GIVE);
	}
	expect_nothing(); /* the fifth waits */
	schedule_result(s, now, x.delivery, RESULT_DELIVERED);
	schedule_forget(s, now, x.delivery);
	schedule_session_done(s, now, x.line, NULL, false);
	expect_nothing(); /* the line that went is not started again */
	assert_int_equal(schedule_add_group(s, "bulk", 1, 100), 1);
	assert_int_equal(lines(), 5);
	add("z", 1);
	x = expect(DECIDE_SESSION);
	assert_string_equal(x.destination->name, "z");
	assert_ptr_not_equal(x.line, NULL);
	schedule_free(s);
}

/* A count that is lowered alone: those that are too many end in order. */
static void test_fewer_lines(void **state)
{
	struct decision x[3];

	(void)state;
	begin(3);
	for (int i = 0; i < 3; i++) {
		char name[] = { (char)('p' + i), '\0' };

		add(name, 0);
		expect(DECIDE_SESSION);
		x[i] = expect(DECIDE_GIVE);
	}
	assert_int_equal(schedule_add_group(s, "default", 1, 100), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(expect(DECIDE_END).kind, DECIDE_END);
	for (int i = 0; i < 3; i++) {
		schedule_result(s, now, x[i].delivery, RESULT_DELIVERED);
		schedule_forget(s, now, x[i].delivery);
		if (x[i].line->number > 1)
			schedule_session_done(s, now, x[i].line, NULL, false);
	}
	expect_nothing();
	add("y", 0);
	expect(DECIDE_END); /* the only one makes way */
	schedule_free(s);
}

/* What was found of its hosts is void, what is known of its health too. */
static void test_destination_moved(void **state)
{
	struct outcome why;
	struct decision x;

	(void)state;
	begin(1);
	outcome_temp(&why, "4.4.1", "refused");
	add("a", 0);
	x = expect(DECIDE_SESSION);
	expect(DECIDE_GIVE);
	schedule_session_done(s, now, x.line, &why, false);
	assert_int_equal(to("a")->health, HEALTH_DOWN);
	schedule_destination_moved(s, to("a"));
	assert_int_equal(to("a")->health, HEALTH_UP);
	assert_int_equal(to("a")->hosts, HOSTS_UNKNOWN);
	add("a", 0);
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_RESOLVE);
	schedule_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy_line),
		cmocka_unit_test(test_free_and_starting_lines),
		cmocka_unit_test(test_put_back_is_forgotten),
		cmocka_unit_test(test_groups_come_and_go),
		cmocka_unit_test(test_fewer_lines),
		cmocka_unit_test(test_destination_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
