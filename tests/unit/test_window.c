/* Times of the week: forms, midnight, summer time, what never opens. */
#include "common/window.h"

#include "common/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct window parsed(const char *text)
{
	struct window w;
	struct outcome why;

	if (window_parse(span_of(text), &w, &why) < 0) {
		print_error("%s: %s\n", text, why.detail);
		fail();
	}
	return w;
}

static int64_t at(const char *text)
{
	int64_t utc;

	assert_int_equal(date_parse_rfc3339(span_of(text), &utc), 0);
	return utc;
}

static void expect(
    const char *window, const char *when, bool is_open, const char *change)
{
	struct window w = parsed(window);
	int64_t found = window_change(&w, at(when));

	assert_int_equal(window_is_open(&w, at(when)), is_open);
	if (!change)
		assert_true(found == INT64_MAX);
	else if (found != at(change)) {
		char text[DATE_RFC3339_BYTES];

		date_print_rfc3339(found, text);
		print_error("%s at %s: %s\n", window, when, text);
		fail();
	}
}

static void test_open_and_closed(void **state)
{
	static const char work[] = "Mon-Fri 08:00-18:00";

	(void)state;
	date_set_zone("UTC");
	/* 2026-11-20 is a Friday */
	expect(work, "2026-11-20T07:59:59Z", false, "2026-11-20T08:00:00Z");
	expect(work, "2026-11-20T08:00:00Z", true, "2026-11-20T18:00:00Z");
	expect(work, "2026-11-20T17:59:59Z", true, "2026-11-20T18:00:00Z");
	expect(work, "2026-11-20T18:00:00Z", false, "2026-11-23T08:00:00Z");
	expect("sat 09:00-12:00", "2026-11-20T18:00:00Z", false,
	    "2026-11-21T09:00:00Z");
	expect("Sat-Mon 00:00-24:00", "2026-11-21T00:00:00Z", true,
	    "2026-11-24T00:00:00Z");
	expect("00:00-24:00", "2026-11-21T13:00:00Z", true, NULL);
	expect("Mon-Fri 08:00-18:00, Sat 09:00-12:00; Sun 20:00-21:30",
	    "2026-11-22T20:59:00Z", true, "2026-11-22T21:30:00Z");
}

static void test_over_midnight(void **state)
{
	(void)state;
	date_set_zone("UTC");
	expect("22:00-06:00", "2026-11-20T23:00:00Z", true,
	    "2026-11-21T06:00:00Z");
	expect("Fri 22:00-06:00", "2026-11-21T05:59:00Z", true,
	    "2026-11-21T06:00:00Z");
	expect("Fri 22:00-06:00", "2026-11-21T22:30:00Z", false,
	    "2026-11-27T22:00:00Z");
	/* from the last day of the week into the first */
	expect("Sat 22:00-06:00", "2026-11-22T01:00:00Z", true,
	    "2026-11-22T06:00:00Z");
}

/* The clock is set: on 2026-03-29 at 02:00 to 03:00, on 2026-10-25 back. */
static void test_summer_time(void **state)
{
	(void)state;
	date_set_zone("Europe/Paris");
	expect("08:00-18:00", "2026-03-28T17:30:00Z", false,
	    "2026-03-29T06:00:00Z");
	expect("08:00-18:00", "2026-10-24T17:30:00Z", false,
	    "2026-10-25T07:00:00Z");
	expect("02:00-03:00", "2026-03-28T23:00:00Z", false,
	    "2026-03-30T00:00:00Z");
	date_set_zone("UTC");
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "", "always", "Mon", "Mon-Fri",
		"08:00", "8-18", "08:00-25:00", "24:01-24:02",
		"Foo 08:00-09:00", "Mon- 08:00-09:00", "08:00-08:00",
		"08:60-09:00", "Mon-Fri 08:00-18:00,,", "-",
		"Mon,Wed 08:00-09:00", "08:00-09:00 Mon",
		"Mon-Tue-Wed 08:00-09:00" };
	struct window w;
	struct outcome why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (window_parse(span_of(bad[i]), &w, &why) == 0) {
			print_error("taken: %s\n", bad[i]);
			fail();
		}
		assert_true(why.detail[0] != '\0');
	}
	window_parse(SPAN_LITERAL("08:00-08:00"), &w, &why);
	assert_non_null(strstr(why.detail, "never opens"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_closed),
		cmocka_unit_test(test_over_midnight),
		cmocka_unit_test(test_summer_time),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
