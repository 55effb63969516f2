/* The schedule and relays with logins: one attempt, long waits, a look at once
 * when there is another login. */
#include "tests/unit/schedule_rig.c"

static struct decision expect(uint8_t kind)
{
	struct decision x;

	assert_true(next(&x));
	assert_int_equal(x.kind, kind);
	return x;
}

static struct outcome refusal(void)
{
	struct outcome why;

	outcome_temp(&why, "4.7.8", "relay isp: AUTH PLAIN: no");
	return why;
}

/* Ten messages, one session; what a line says when the relay refuses. */
static struct destination *refuse(unsigned *recorded)
{
	struct outcome why = refusal();
	struct destination *d = to("relay:isp");
	struct decision x, give;

	schedule_set_careful(s, d, true);
	for (int i = 0; i < 10; i++)
		add("relay:isp");
	x = expect(DECIDE_SESSION);
	give = expect(DECIDE_GIVE);
	expect(DECIDE_END);
	expect_nothing();
	schedule_result(s, now, give.delivery, RESULT_UNREACHED);
	schedule_forget(s, now, give.delivery);
	schedule_login_refused(s, now, x.line, &why);
	for (*recorded = 1; next(&x); ++*recorded) {
		assert_int_equal(x.kind, DECIDE_REFUSE);
		schedule_refused(s, x.delivery);
		schedule_forget(s, now, x.delivery);
	}
	return d;
}

static void test_one_attempt(void **state)
{
	struct destination *d;
	unsigned recorded;

	(void)state;
	begin(20, 100);
	d = refuse(&recorded);
	/* all of it says why, and nothing else is tried */
	assert_int_equal(recorded, 10);
	assert_int_equal(d->health, HEALTH_DOWN);
	assert_true(d->is_login_refused);
	assert_string_equal(d->why.detail, "relay isp: AUTH PLAIN: no");
	assert_in_range(
	    d->probe_at - now, LOGIN_FIRST_MS, LOGIN_FIRST_MS * 11 / 10);
	assert_int_equal(schedule_in_memory(s), 0);
	schedule_free(s);
}

static struct decision probe(struct destination *d)
{
	struct decision x;

	now = d->probe_at;
	expect_nothing();
	add("relay:isp");
	add("relay:isp");
	x = expect(DECIDE_SESSION);
	x.delivery = expect(DECIDE_GIVE).delivery;
	expect(DECIDE_END);
	expect_nothing();
	return x;
}

static void drain(void)
{
	struct decision x;

	while (next(&x))
		if (x.kind == DECIDE_REFUSE) {
			schedule_refused(s, x.delivery);
			schedule_forget(s, now, x.delivery);
		}
}

static void test_waits_grow(void **state)
{
	struct outcome why = refusal();
	struct destination *d;
	uint64_t wait = LOGIN_FIRST_MS;
	unsigned recorded;
	struct decision x;

	(void)state;
	begin(20, 100);
	d = refuse(&recorded);
	for (int i = 0; i < 6; i++) {
		x = probe(d);
		schedule_result(s, now, x.delivery, RESULT_UNREACHED);
		schedule_forget(s, now, x.delivery);
		schedule_login_refused(s, now, x.line, &why);
		drain();
		wait = wait * 2 < LOGIN_MAX_MS ? wait * 2 : LOGIN_MAX_MS;
		assert_int_equal(d->probe_wait_ms, wait);
	}
	assert_int_equal(d->probe_wait_ms, LOGIN_MAX_MS);
	/* it is taken at last: all else is woken */
	x = probe(d);
	schedule_result(s, now, x.delivery, RESULT_DELIVERED);
	schedule_forget(s, now, x.delivery);
	assert_false(d->is_login_refused);
	assert_int_equal(d->health, HEALTH_UP);
	expect(DECIDE_WAKE);
	schedule_free(s);
}

static void test_changed(void **state)
{
	struct destination *d;
	unsigned recorded;
	struct decision x;

	(void)state;
	begin(20, 100);
	d = refuse(&recorded);
	now += 100;
	schedule_login_changed(s, d);
	expect(DECIDE_WAKE);
	assert_false(d->is_login_refused);
	/* hosts, and with them the login, are asked for anew */
	add("relay:isp");
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_RESOLVE);
	schedule_free(s);
}

static void test_operator(void **state)
{
	struct destination *d;
	unsigned recorded;
	struct decision x;

	(void)state;
	begin(20, 100);
	d = refuse(&recorded);
	now += NUDGE_MS;
	schedule_nudge(s, now, d);
	add("relay:isp");
	add("relay:isp");
	assert_true(schedule_next(s, now, &x));
	assert_int_equal(x.kind, DECIDE_RESOLVE);
	schedule_hosts(
	    s, now, d, &(struct outcome){ .verdict = VERDICT_OK }, 3600000);
	expect(DECIDE_SESSION);
	expect(DECIDE_GIVE);
	expect(DECIDE_END);
	expect_nothing(); /* one, not two */
	schedule_free(s);
}

/* A word of another session that worked before does not undo it. */
static void test_others_do_not_help(void **state)
{
	struct outcome why = refusal();
	struct destination *d;
	struct decision x, y;

	(void)state;
	begin(20, 1);
	add("relay:isp");
	add("relay:isp");
	x = expect(DECIDE_SESSION);
	x.delivery = expect(DECIDE_GIVE).delivery;
	expect(DECIDE_END);
	y = expect(DECIDE_SESSION);
	y.delivery = expect(DECIDE_GIVE).delivery;
	expect(DECIDE_END);
	schedule_result(s, now, x.delivery, RESULT_DELIVERED);
	schedule_forget(s, now, x.delivery);
	schedule_result(s, now, y.delivery, RESULT_UNREACHED);
	schedule_forget(s, now, y.delivery);
	d = to("relay:isp");
	schedule_login_refused(s, now, y.line, &why);
	assert_int_equal(d->health, HEALTH_DOWN);
	schedule_session_done(s, now, x.line, NULL, false);
	assert_int_equal(d->health, HEALTH_DOWN);
	/* nor does a host that is down make the wait shorter */
	outcome_temp(&why, "4.4.1", "connection refused");
	schedule_login_missing(s, now, d, &why);
	assert_true(d->is_login_refused);
	assert_in_range(
	    d->probe_at - now, LOGIN_FIRST_MS, LOGIN_FIRST_MS * 11 / 10);
	schedule_free(s);
}

static void deliver_one(unsigned sessions)
{
	struct decision x[3], y;

	for (unsigned i = 0; i < 3; i++)
		add("relay:isp");
	for (unsigned i = 0; i < sessions; i++) {
		x[i] = expect(DECIDE_SESSION);
		x[i].delivery = expect(DECIDE_GIVE).delivery;
		expect(DECIDE_END);
	}
	expect_nothing();
	for (unsigned i = 0; i < sessions; i++) {
		schedule_result(s, now, x[i].delivery, RESULT_DELIVERED);
		schedule_forget(s, now, x[i].delivery);
		schedule_session_done(s, now, x[i].line, NULL, false);
	}
	while (next(&y)) {
		if (y.kind != DECIDE_GIVE)
			continue;
		schedule_result(s, now, y.delivery, RESULT_DELIVERED);
		schedule_forget(s, now, y.delivery);
		schedule_session_done(s, now, y.line, NULL, false);
	}
	assert_int_equal(schedule_in_memory(s), 0);
}

static void test_careful(void **state)
{
	struct destination *d;

	(void)state;
	begin(20, 1);
	d = to("relay:isp");
	schedule_set_careful(s, d, true);
	deliver_one(1);
	deliver_one(3); /* it has just worked */
	now += CAREFUL_MS - 1;
	deliver_one(3);
	now += CAREFUL_MS;
	deliver_one(1);
	schedule_set_careful(s, d, false);
	now += CAREFUL_MS;
	deliver_one(3);
	schedule_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_attempt),
		cmocka_unit_test(test_waits_grow),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_operator),
		cmocka_unit_test(test_others_do_not_help),
		cmocka_unit_test(test_careful),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
