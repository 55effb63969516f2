/* What outlives the program: rates under way, what sites were found to take. */
#include "runner/site.h"
#include "tests/unit/schedule_rig.c"

#include <stdlib.h>

#define UTC ((uint64_t)1700000000000)

static struct buf records; /* spans, one after the other */
static unsigned nrecords;

static void keep(struct span key, struct span value, void *arg)
{
	(void)arg;
	assert_true(key.n > 0 && key.n < 64);
	assert_true(value.n <= SCHEDULE_MEMORY_MAX);
	put_span(&records, value);
	nrecords++;
}

static void tell(void)
{
	buf_clear(&records);
	buf_init(&records, 1 << 16);
	nrecords = 0;
	schedule_memories(s, now, UTC, keep, NULL);
}

/* Another run: its clock begins anew, so much later. */
static void restart(uint64_t later_ms)
{
	struct reader r = reader_of(buf_span(&records));

	schedule_free(s);
	begin(2, 100);
	now = 500;
	while (r.rest.n > 0)
		assert_int_equal(
		    schedule_recall(s, now, UTC + later_ms, get_span(&r)), 0);
	assert_false(r.bad);
}

static const struct limits slow = { .rate = { 24, 86400 } };

static void give_one(const char *name)
{
	struct decision x;

	add(name);
	assert_true(next(&x));
	assert_int_equal(x.kind, DECIDE_SESSION);
	assert_true(next(&x));
	assert_int_equal(x.kind, DECIDE_GIVE);
}

static void test_rates(void **state)
{
	struct decision x;

	(void)state;
	begin(2, 100);
	schedule_group_limits(s, now, 0, &slow);
	schedule_destination_limits(s, now, to("a.example"), &slow);
	give_one("a.example");
	tell();
	assert_int_equal(nrecords, 2);
	tell();
	assert_int_equal(nrecords, 0); /* only what is new */
	/* ... which is what the next run gets in truth: */
	schedule_memories(s, now, UTC, keep, NULL);

	schedule_free(s);
	begin(2, 100);
	schedule_group_limits(s, now, 0, &slow);
	schedule_destination_limits(s, now, to("a.example"), &slow);
	give_one("a.example");
	tell();
	restart(600000);
	schedule_group_limits(s, now, 0, &slow);
	schedule_destination_limits(s, now, to("a.example"), &slow);
	add("a.example");
	expect_nothing();
	assert_true(schedule_wake(s) >= now + 2990000);
	now += 2990000;
	expect_nothing();
	now += 11000;
	assert_true(next(&x));
	assert_int_equal(x.kind, DECIDE_SESSION);
	schedule_free(s);
	buf_clear(&records);
}

static struct site *site_of(const char *name)
{
	struct site *site = site_find(s, span_of(name), false);

	assert_non_null(site);
	return site;
}

static void test_learned(void **state)
{
	struct learned *l;

	(void)state;
	begin(2, 100);
	give_one("b.example");
	l = &site_of("b.example")->learned;
	for (int i = 0; i < 20; i++)
		learned_accepted(l, now + (uint64_t)i * 100, 20);
	learned_refused(l, now + 2000, 6, true);
	learned_rate(l, now + 2100);
	learned_say(l, now + 2100, SPAN_LITERAL("450 slow down"));
	learned_accepted(l, now + 9000, 20);
	assert_true(l->pace > 0);
	site_of("b.example")->is_changed = true;
	now += 9000;
	tell();
	assert_int_equal(nrecords, 1);
	restart(60000);
	l = &site_of("b.example")->learned;
	assert_int_equal(l->ceiling, 6);
	assert_true(l->pace > 0);
	assert_string_equal(l->reply, "450 slow down");
	/* it is looked beyond at the same time as before, by the wall clock */
	assert_true(l->ceiling_raise_at < now + RAISE_FIRST_MS);
	assert_true(l->ceiling_raise_at > now + RAISE_FIRST_MS - 70000);
	schedule_free(s);
	buf_clear(&records);
}

/* One of a site is down: all are, one probes, and all are up again. */
static void test_site_down(void **state)
{
	static const char *const names[] = { "x.example", "y.example",
		"z.example" };
	const struct limits none = { 0 };
	struct outcome why, ok;
	struct decision x;

	(void)state;
	begin(2, 100);
	outcome_ok(&ok);
	outcome_temp(&why, "4.4.1", "no host could be reached");
	for (int i = 0; i < 3; i++) {
		to(names[i])->hosts = HOSTS_ASKED;
		schedule_set_site(
		    s, now, to(names[i]), SPAN_LITERAL("mx.net"), &none);
		schedule_hosts(s, now, to(names[i]), &ok, 3600000);
	}
	give_one("x.example");
	x.line = schedule_find(s, 1, 0)->line;
	schedule_result(s, now, schedule_find(s, 1, 0), RESULT_UNREACHED);
	schedule_forget(s, now, schedule_find(s, 1, 0));
	schedule_session_done(s, now, x.line, &why, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(to(names[i])->health, HEALTH_DOWN);
	assert_true(to("y.example")->is_following);
	add("y.example");
	while (next(&x))
		assert_int_equal(x.kind, DECIDE_END);
	/* x has no mail: y probes for all */
	now += 70000;
	assert_true(next(&x));
	assert_int_equal(x.kind, DECIDE_SESSION);
	assert_ptr_equal(x.destination, to("y.example"));
	add("z.example");
	assert_int_equal(to("z.example")->health, HEALTH_DOWN);
	assert_true(next(&x));
	assert_int_equal(x.kind, DECIDE_GIVE);
	schedule_result(s, now, x.delivery, RESULT_DELIVERED);
	for (int i = 0; i < 3; i++)
		assert_int_equal(to(names[i])->health, HEALTH_UP);
	schedule_free(s);
}

static void test_garbage(void **state)
{
	unsigned char bytes[300];
	unsigned seed = 7;

	(void)state;
	begin(2, 100);
	give_one("c.example");
	site_of("c.example")->is_changed = true;
	tell();
	for (int i = 0; i < 20000; i++) {
		struct reader r = reader_of(buf_span(&records));
		struct span value = get_span(&r);
		size_t n = value.n < sizeof(bytes) ? value.n : sizeof(bytes);

		memcpy(bytes, value.p, n);
		for (int k = 0; k < 3; k++) {
			seed = seed * 1103515245 + 12345;
			bytes[(seed >> 8) % n] = (unsigned char)(seed >> 16);
		}
		schedule_recall(s, now, UTC,
		    (struct span){ (char *)bytes, n - (seed >> 24) % 3 });
	}
	assert_int_equal(
	    schedule_recall(s, now, UTC, (struct span){ NULL, 0 }), -1);
	schedule_free(s);
	buf_clear(&records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_learned),
		cmocka_unit_test(test_site_down),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
