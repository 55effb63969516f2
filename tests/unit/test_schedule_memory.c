/* What the schedule keeps in memory, what it leaves in the index, and how that
 * is found again. */
#include "tests/unit/schedule_rig.c"

static void test_clock_set_back(void **state)
{
	enum { HOUR_MS = 3600000 };
	struct due_query query;
	struct intake in;

	(void)state;
	begin(1, 100);
	now = 100 * HOUR_MS;
	intake_init(&in, 1000);
	intake_start(&in, now);
	assert_true(intake_read(&in, now, 0, s, &query));
	intake_end(&in, 0, false);
	now -= HOUR_MS;
	intake_due_at(&in, now + 60000);
	assert_false(intake_read(&in, now, 0, s, &query));
	assert_int_equal(intake_wake(&in, 0), now + 60000);
	assert_true(intake_read(&in, now + 60000, 0, s, &query));
	intake_end(&in, 0, false);
	assert_in_range(intake_wake(&in, 0), now, now + SWEEP_MS);
	schedule_free(s);
}

/* What comes due after that lies behind where reading had come to. */
static void test_clock_set_back_reads_again(void **state)
{
	enum { HOUR_MS = 3600000 };
	const struct waiting w = { .message = 1, .due_ms = 100 * HOUR_MS };
	struct due_query query;
	struct intake in;

	(void)state;
	begin(1, 100);
	intake_init(&in, 1000);
	intake_start(&in, w.due_ms);
	for (unsigned in_flight = 0; in_flight < 2; in_flight++) {
		now = w.due_ms + in_flight * HOUR_MS;
		assert_true(intake_read(&in, now, 0, s, &query));
		intake_waiting(&in, &w, false);
		if (!in_flight)
			intake_end(&in, 0, false);
		now = w.due_ms - HOUR_MS; /* set back */
		assert_false(intake_read(&in, now, 0, s, &query));
		if (in_flight)
			intake_end(&in, 0, false);
		intake_due_at(&in, now + 60000);
		now = w.due_ms + 60000; /* much later */
		assert_true(intake_read(&in, now, 0, s, &query));
		assert_true(query.after_due_ms <= w.due_ms - HOUR_MS);
		intake_end(&in, 0, false);
	}
	schedule_free(s);
}

/* Memory belongs to what may go. */
static void test_stopped_mail_stays_in_the_index(void **state)
{
	struct waiting w = { .message = 1, .sender = SPAN_LITERAL("a@b.c") };

	(void)state;
	begin(1, 100);
	add("a");
	add("b");
	schedule_outbound(s, SPAN_LITERAL("destination:a"), false);
	assert_int_equal(schedule_in_memory(s), 1);
	assert_int_equal(schedule_add(s, now, &w, to("a"), 0), ADDED_SHED);
	assert_false(schedule_reread(s));
	schedule_outbound(s, SPAN_LITERAL("line:default"), false);
	assert_int_equal(schedule_in_memory(s), 0);
	expect_nothing();
	schedule_outbound(s, SPAN_LITERAL("line:default"), true);
	assert_true(schedule_reread(s)); /* for b */
	assert_false(schedule_reread(s));
	schedule_outbound(s, SPAN_LITERAL("destination:a"), true);
	assert_true(schedule_reread(s));
	assert_int_equal(schedule_add(s, now, &w, to("a"), 0), ADDED);
	schedule_free(s);
}

/* However many are down: they do not take the memory of the others. */
static void test_many_down(void **state)
{
	struct outcome why;
	struct decision x;
	char name[16];

	(void)state;
	begin(1, 100);
	outcome_temp(&why, "4.4.3", "DNS does not answer");
	for (unsigned i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		add(name);
		assert_true(schedule_next(s, now, &x));
		assert_int_equal(x.kind, DECIDE_RESOLVE);
		schedule_hosts(s, now, x.destination, &why, 60000);
		while (schedule_next(s, now, &x))
			if (x.kind == DECIDE_REFUSE)
				schedule_forget(s, now, x.delivery);
		add(name); /* would be kept for the probe */
		while (schedule_next(s, now, &x))
			if (x.kind == DECIDE_REFUSE)
				schedule_forget(s, now, x.delivery);
	}
	assert_in_range(schedule_in_memory(s), 400, 510);
	schedule_free(s);
}

/* A sender's only message does not wait in the index behind a bulk job. */
static void test_lone_message_passes_bulk(void **state)
{
	struct waiting w = { .sender = SPAN_LITERAL("bulk@b.c") };
	enum added added = ADDED;

	(void)state;
	begin(1, 100);
	while (added == ADDED) {
		w.message = w.due_ms = next_message++;
		added = schedule_add(s, now, &w, to("hog"), 0);
	}
	assert_int_equal(added, ADDED_SHED);
	add_mail("hog", "single@b.c", 0, 0);
	w.message = next_message++;
	w.sender = SPAN_LITERAL("single@b.c");
	assert_int_equal(schedule_add(s, now, &w, to("hog"), 0), ADDED_SHED);
	for (added = ADDED; added == ADDED;) {
		char sender[24];

		snprintf(
		    sender, sizeof(sender), "s%u@b.c", (unsigned)next_message);
		w.sender = span_of(sender);
		w.message = next_message++;
		added = schedule_add(s, now, &w, to("hog"), 0);
	}
	assert_in_range(schedule_in_memory(s), 600, 650);
	schedule_free(s);
}

static void test_share_of_memory(void **state)
{
	enum added added = ADDED;
	struct due_key from;
	unsigned n = 0;

	(void)state;
	begin(1, 100);
	schedule_outbound(s, SPAN_LITERAL(""), false);
	while (added == ADDED) {
		struct waiting w = { .message = ++n, .due_ms = n };

		added = schedule_add(s, now, &w, to("hog"), 0);
	}
	assert_int_equal(added, ADDED_SHED);
	assert_in_range(n, 490, 510); /* half of it */
	next_message = 100000;
	add("other"); /* has its place */
	assert_false(schedule_refill(s, &from));
	for (unsigned i = 1; i < n; i++)
		schedule_remove(s, i, 0);
	assert_true(schedule_refill(s, &from));
	assert_int_equal(from.due_ms, n);
	assert_int_equal(from.message, n - 1); /* just before it */
	schedule_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_set_back),
		cmocka_unit_test(test_clock_set_back_reads_again),
		cmocka_unit_test(test_stopped_mail_stays_in_the_index),
		cmocka_unit_test(test_many_down),
		cmocka_unit_test(test_lone_message_passes_bulk),
		cmocka_unit_test(test_share_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
