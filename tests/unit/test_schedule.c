/* The schedule, decision by decision. The long run is test_schedule_sim. */
#include "runner/site.h"
#include "tests/unit/schedule_rig.c"

static struct decision expect(uint8_t kind)
{
	struct decision x;

	assert_true(next(&x));
	assert_int_equal(x.kind, kind);
	return x;
}

static void delivered(struct delivery *d)
{
	schedule_result(s, now, d, RESULT_DELIVERED);
	schedule_forget(s, now, d);
}

static void test_one_message(void **state)
{
	struct decision x;

	(void)state;
	begin(2, 100);
	expect_nothing();
	assert_int_equal(schedule_wake(s), UINT64_MAX);
	add("a");
	x = expect(DECIDE_SESSION);
	assert_string_equal(x.destination->name, "a");
	x = expect(DECIDE_GIVE);
	expect_nothing();
	delivered(x.delivery);
	expect_nothing();
	/* the session waits for more mail, then ends */
	assert_int_equal(schedule_wake(s), now + IDLE_MS);
	add("a");
	x = expect(DECIDE_GIVE);
	delivered(x.delivery);
	now = schedule_wake(s);
	x = expect(DECIDE_END);
	schedule_session_done(s, now, x.line, NULL, false);
	expect_nothing();
	assert_int_equal(schedule_wake(s), UINT64_MAX);
	schedule_free(s);
}

static void test_twice_is_once(void **state)
{
	struct waiting w = { .message = 5 };

	(void)state;
	begin(1, 100);
	assert_int_equal(schedule_add(s, now, &w, to("a"), 0), ADDED);
	assert_int_equal(schedule_add(s, now, &w, to("a"), 0), ADDED_BEFORE);
	schedule_remove(s, 5, 0);
	expect_nothing();
	assert_int_equal(schedule_in_memory(s), 0);
	schedule_free(s);
}

static void test_priority_then_turns(void **state)
{
	static const uint64_t order[] = { 4, 1, 5, 6, 2, 7, 3 };
	struct decision x;

	(void)state;
	begin(1, 100);
	for (int i = 0; i < 3; i++)
		add_mail("a", "bulk", 0, 0); /* 1 2 3 */
	add_mail("a", "bulk", 5, 0);	     /* 4 */
	add_mail("a", "lone", 0, 0);	     /* 5 */
	add_mail("a", "third", 0, 0);	     /* 6 */
	add_mail("a", "third", 0, 0);	     /* 7 */
	expect(DECIDE_SESSION);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		x = expect(DECIDE_GIVE);
		assert_int_equal(x.delivery->message, order[i]);
		delivered(x.delivery);
	}
	schedule_free(s);
}

static void test_window_then_lines_then_limit(void **state)
{
	unsigned sessions = 0, given = 0;
	struct decision x;

	(void)state;
	begin(20, 100);
	for (int i = 0; i < 100; i++)
		add("a");
	while (next(&x)) {
		sessions += x.kind == DECIDE_SESSION;
		given += x.kind == DECIDE_GIVE;
	}
	assert_int_equal(sessions, LIMIT_START);
	assert_int_equal(given, LIMIT_START * WINDOW_START);
	schedule_free(s);
}

static void test_window_follows_the_pace(void **state)
{
	struct delivery *given[200];
	unsigned n = 0, at = 0;
	struct decision x;

	(void)state;
	begin(1, 1000);
	for (int i = 0; i < 200; i++)
		add("a");
	/* quick: answers come all 2 ms */
	while (at < 150) {
		while (next(&x))
			if (x.kind == DECIDE_GIVE)
				given[n++] = x.delivery;
		now += 2;
		delivered(given[at++]);
	}
	assert_true(n - at > WINDOW_START * 4);
	assert_true(n - at <= WINDOW_MAX);
	schedule_free(s);
	/* slow: all 400 ms */
	begin(1, 1000);
	for (int i = 0; i < 50; i++)
		add("a");
	for (n = at = 0; at < 40;) {
		while (next(&x))
			if (x.kind == DECIDE_GIVE)
				given[n++] = x.delivery;
		now += 400;
		delivered(given[at++]);
		assert_true(n - at <= WINDOW_START);
	}
	schedule_free(s);
}

static void test_messages_per_connection(void **state)
{
	struct decision x;

	(void)state;
	begin(1, 3);
	for (int i = 0; i < 4; i++)
		add("a");
	expect(DECIDE_SESSION);
	for (int i = 0; i < 3; i++) {
		x = expect(DECIDE_GIVE);
		delivered(x.delivery);
	}
	x = expect(DECIDE_END);
	expect_nothing();
	schedule_session_done(s, now, x.line, NULL, false);
	expect(DECIDE_SESSION);
	expect(DECIDE_GIVE);
	schedule_free(s);
}

static void test_limit_grows_and_halves(void **state)
{
	struct destination *d;
	struct decision x;

	(void)state;
	begin(1, 1000);
	d = to("a");
	for (int i = 0; i < 5 + 6; i++)
		add("a");
	while (next(&x))
		if (x.kind == DECIDE_GIVE)
			delivered(x.delivery);
	assert_int_equal(d->site->learned.limit, LIMIT_START + 2);
	now += IDLE_MS;
	x = expect(DECIDE_END);
	schedule_session_done(s, now, x.line, NULL, true);
	assert_int_equal(d->site->learned.limit, (LIMIT_START + 2) / 2);
	schedule_free(s);
}

static struct decision fail_session(void)
{
	struct outcome why;
	struct decision x;

	outcome_temp(&why, "4.4.1", "refused");
	x = expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	schedule_result(s, now, x.delivery, RESULT_UNREACHED);
	schedule_forget(s, now, x.delivery);
	return x;
}

static void test_down_probe_up(void **state)
{
	struct destination *d;
	struct outcome why;
	struct decision x;
	uint64_t wait;

	(void)state;
	outcome_temp(&why, "4.4.1", "refused");
	begin(4, 100);
	d = to("a");
	add("a");
	x = fail_session();
	add("a");
	add("a");
	x = expect(DECIDE_END);
	schedule_session_done(s, now, x.line, &why, true);
	assert_int_equal(d->health, HEALTH_DOWN);
	/* all but one are put off; that one is for the probe */
	x = expect(DECIDE_REFUSE);
	schedule_refused(s, x.delivery);
	schedule_forget(s, now, x.delivery);
	expect_nothing();
	for (unsigned i = 0; i < 3; i++) {
		wait = schedule_wake(s) - now;
		assert_in_range(wait, 60000u << i, (60000u << i) * 1.1);
		now = schedule_wake(s);
		x = expect(DECIDE_SESSION);
		x = expect(DECIDE_GIVE);
		assert_int_equal(x.line->window, 1);
		x.delivery->put_backs = 0;
		schedule_put_back(s, now, x.delivery, true);
		x = expect(DECIDE_END);
		schedule_session_done(s, now, x.line, &why, true);
		expect_nothing();
	}
	now = schedule_wake(s);
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	delivered(x.delivery);
	assert_int_equal(d->health, HEALTH_UP);
	expect(DECIDE_END);
	x = expect(DECIDE_WAKE);
	assert_ptr_equal(x.destination, d);
	schedule_free(s);
}

/* Each connection was lost under its mail, the session ended in order: there
 * is a reason all the same for what is put off. */
static void test_down_has_a_reason(void **state)
{
	struct outcome ok;
	struct decision x;

	(void)state;
	outcome_ok(&ok);
	begin(1, 100);
	add("a");
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	schedule_result(s, now, x.delivery, RESULT_UNREACHED);
	x = expect(DECIDE_END);
	schedule_session_done(s, now, x.line, &ok, false);
	assert_int_equal(to("a")->health, HEALTH_DOWN);
	assert_int_equal(to("a")->why.verdict, VERDICT_TEMP);
	assert_string_equal(to("a")->why.status, "4.4.2");
	schedule_free(s);
}

static void test_dead_domain(void **state)
{
	struct outcome why;
	struct decision x;

	(void)state;
	begin(1, 100);
	add("a");
	add("a");
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_RESOLVE);
	outcome_perm(&why, "5.1.2", "no such domain");
	schedule_hosts(s, now, x.destination, &why, 20000);
	expect(DECIDE_REFUSE);
	expect(DECIDE_REFUSE);
	expect_nothing();
	/* asked again when the answer is too old */
	now += 20000;
	add("a");
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_RESOLVE);
	schedule_free(s);
}

static void expect_refusals(const char *name, unsigned count)
{
	while (count-- > 0) {
		struct decision x = expect(DECIDE_REFUSE);

		assert_string_equal(x.destination->why.status, "4.4.3");
		schedule_refused(s, x.delivery);
		schedule_forget(s, now, x.delivery);
	}
	expect_nothing();
	assert_int_equal(to(name)->nheld, 0);
}

static void dns_fails(void)
{
	struct decision x;
	struct outcome why;

	outcome_temp(&why, "4.4.3", "SERVFAIL");
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_RESOLVE);
	schedule_hosts(s, now, x.destination, &why, 30000);
}

/* A look-up that failed was the attempt of all that waited for it, the last
 * one too; what comes later waits for the next look-up. */
/* A session that fails when the domain is known to be gone does not change why
 * its mail fails. */
static void test_dead_keeps_its_reason(void **state)
{
	struct outcome why, gone;
	struct decision x;

	(void)state;
	outcome_temp(&why, "4.4.1", "refused");
	outcome_perm(&gone, "5.1.2", "no such domain");
	begin(1, 100);
	add("a");
	x = fail_session();
	to("a")->hosts = HOSTS_ASKED;
	schedule_hosts(s, now, to("a"), &gone, 60000);
	x = expect(DECIDE_END);
	schedule_session_done(s, now, x.line, &why, true);
	assert_int_equal(to("a")->health, HEALTH_DEAD);
	assert_string_equal(to("a")->why.status, "5.1.2");
	schedule_free(s);
}

static void test_silent_dns(void **state)
{
	struct destination *d;

	(void)state;
	begin(2, 100);
	d = to("silent");
	add("silent");
	add("silent");
	dns_fails();
	assert_int_equal(d->health, HEALTH_DOWN);
	expect_refusals("silent", 2);
	add("silent");
	expect_nothing();
	now = schedule_wake(s);
	dns_fails();
	expect_refusals("silent", 1);
	schedule_free(s);
}

static void test_suspects_go_alone(void **state)
{
	struct delivery *suspect;
	struct decision x;

	(void)state;
	begin(1, 100);
	for (int i = 0; i < 6; i++)
		add("a");
	suspect = add_mail("a", "a@b.c", 0, 1);
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	assert_ptr_equal(x.delivery, suspect);
	expect_nothing(); /* nobody with it */
	delivered(suspect);
	expect(DECIDE_GIVE);
	expect(DECIDE_GIVE);
	schedule_free(s);
}

static void test_small_ones_get_a_line(void **state)
{
	struct delivery *big[300];
	struct decision x;
	unsigned n = 0;

	(void)state;
	begin(2, 1000);
	for (int i = 0; i < 300; i++)
		add("big");
	while (next(&x))
		if (x.kind == DECIDE_GIVE)
			big[n++] = x.delivery;
	assert_int_equal(n, 2 * WINDOW_START);
	add("small");
	expect_nothing();
	assert_int_equal(schedule_wake(s), 1000 + TURN_MS);
	now = schedule_wake(s);
	x = expect(DECIDE_END); /* one line makes way, not both */
	expect_nothing();
	for (unsigned i = 0; i < n; i++)
		if (big[i]->line == x.line)
			delivered(big[i]);
	schedule_session_done(s, now, x.line, NULL, false);
	x = expect(DECIDE_SESSION);
	assert_string_equal(x.destination->name, "small");
	schedule_free(s);
}

static void test_line_dies(void **state)
{
	struct decision x, again;

	(void)state;
	begin(1, 100);
	add("a");
	add("a");
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	again = expect(DECIDE_GIVE);
	schedule_line_lost(s, now, x.line);
	schedule_result(s, now, x.delivery, RESULT_UNREACHED);
	schedule_forget(s, now, x.delivery);
	schedule_put_back(s, now, again.delivery, false);
	expect_nothing();
	assert_int_equal(schedule_wake(s), now + LINE_BACKOFF_MS);
	now = schedule_wake(s);
	expect(DECIDE_SESSION);
	expect(DECIDE_GIVE);
	schedule_free(s);
}

static void test_outbound(void **state)
{
	struct decision x;

	(void)state;
	begin(2, 100);
	assert_true(schedule_outbound(s, SPAN_LITERAL("destination:a"), false));
	assert_false(schedule_outbound(s, SPAN_LITERAL("line:none"), false));
	assert_false(schedule_outbound(s, SPAN_LITERAL("nonsense"), false));
	add("b");
	x = expect(DECIDE_SESSION);
	assert_string_equal(x.destination->name, "b");
	x = expect(DECIDE_GIVE);
	expect_nothing();
	schedule_outbound(s, SPAN_LITERAL("line:default"), false);
	x = expect(DECIDE_END); /* after what is in flight */
	schedule_outbound(s, SPAN_LITERAL("destination:a"), true);
	expect_nothing();
	schedule_outbound(s, SPAN_LITERAL("line:default"), true);
	add("a");
	x = expect(DECIDE_SESSION);
	assert_string_equal(x.destination->name, "a");
	schedule_free(s);
}

/* What is stopped does not fail either. */
static void test_off_refuses_nothing(void **state)
{
	struct outcome why;
	struct decision x;

	(void)state;
	outcome_perm(&why, "5.1.2", "no such domain");
	begin(1, 100);
	add("a");
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_RESOLVE);
	schedule_outbound(s, SPAN_LITERAL("destination:a"), false);
	schedule_hosts(s, now, x.destination, &why, 60000);
	expect_nothing();
	schedule_outbound(s, SPAN_LITERAL("destination:a"), true);
	schedule_outbound(s, SPAN_LITERAL(""), false);
	add("a");
	expect_nothing();
	schedule_outbound(s, SPAN_LITERAL(""), true);
	expect(DECIDE_REFUSE);
	schedule_free(s);
}

/* Hosts that are too old are asked for again in the same round: nothing else
 * may come for a long time. */
static void test_old_hosts_are_asked_for(void **state)
{
	struct decision x;

	(void)state;
	begin(1, 1);
	add("a");
	x = expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	delivered(x.delivery);
	expect(DECIDE_END);
	schedule_session_done(s, now, x.line, NULL, false);
	expect_nothing();
	now += 3600000; /* they are kept no longer */
	add("a");
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_RESOLVE);
	schedule_free(s);
}

static void test_report_waits_a_little(void **state)
{
	struct decision x;

	(void)state;
	begin(1, 100);
	add("a");
	expect(DECIDE_SESSION);
	x = expect(DECIDE_GIVE);
	schedule_result(s, now, x.delivery, RESULT_ANSWERED);
	schedule_await_report(s, now, x.delivery);
	expect_nothing();
	now += REPORT_GATHER_MS;
	x = expect(DECIDE_REPORT);
	schedule_forget(s, now, x.delivery);
	assert_int_equal(schedule_in_memory(s), 0);
	schedule_free(s);
}

static void test_one_report_a_message(void **state)
{
	struct waiting w = { .message = 7, .flags = WAITING_REPORT };
	struct decision x;

	(void)state;
	begin(1, 100);
	assert_int_equal(schedule_add(s, now, &w, NULL, 0), ADDED);
	w.delivery = 1; /* the same report tells of it */
	assert_int_equal(schedule_add(s, now, &w, NULL, 0), ADDED_SHED);
	x = expect(DECIDE_REPORT);
	/* too late for that one, and not at the same time */
	assert_int_equal(schedule_add(s, now, &w, NULL, 0), ADDED);
	expect_nothing();
	schedule_forget(s, now, x.delivery);
	now = schedule_wake(s);
	expect(DECIDE_REPORT);
	expect_nothing();
	schedule_free(s);
}

static void test_keeper_gone(void **state)
{
	struct schedule_counts counts;
	struct decision x;

	(void)state;
	begin(3, 100);
	for (int i = 0; i < 50; i++)
		add(i % 2 ? "a" : "b");
	while (next(&x))
		;
	schedule_drop_all(s, now);
	schedule_count(s, &counts);
	assert_int_equal(counts.in_memory, 0);
	assert_int_equal(counts.waiting + counts.given, 0);
	assert_int_equal(counts.lines_busy, 3);
	schedule_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_message),
		cmocka_unit_test(test_twice_is_once),
		cmocka_unit_test(test_priority_then_turns),
		cmocka_unit_test(test_window_then_lines_then_limit),
		cmocka_unit_test(test_window_follows_the_pace),
		cmocka_unit_test(test_messages_per_connection),
		cmocka_unit_test(test_limit_grows_and_halves),
		cmocka_unit_test(test_down_probe_up),
		cmocka_unit_test(test_down_has_a_reason),
		cmocka_unit_test(test_dead_domain),
		cmocka_unit_test(test_dead_keeps_its_reason),
		cmocka_unit_test(test_silent_dns),
		cmocka_unit_test(test_suspects_go_alone),
		cmocka_unit_test(test_small_ones_get_a_line),
		cmocka_unit_test(test_line_dies),
		cmocka_unit_test(test_outbound),
		cmocka_unit_test(test_off_refuses_nothing),
		cmocka_unit_test(test_old_hosts_are_asked_for),
		cmocka_unit_test(test_report_waits_a_little),
		cmocka_unit_test(test_one_report_a_message),
		cmocka_unit_test(test_keeper_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
