/* Dates: printing in a zone, reading what others write. */
#include "common/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_print(void **state)
{
	char text[DATE_TEXT_BYTES], record[DATE_RFC3339_BYTES];

	(void)state;
	setenv("TZ", ":/etc/shadow", 1); /* never asked */
	date_set_zone("UTC");
	date_print(1717408800, text);
	assert_string_equal(text, "Mon, 03 Jun 2024 10:00:00 +0000");
	date_print_rfc3339(1717408800, record);
	assert_string_equal(record, "2024-06-03T10:00:00Z");
	date_print(INT64_MIN, text);
	assert_string_equal(text, "Tue, 02 Jan 0001 00:00:00 +0000");
	date_print_rfc3339(INT64_MAX, record);
	assert_string_equal(record, "9999-12-30T23:59:59Z");
}

static void test_zones(void **state)
{
	char text[DATE_TEXT_BYTES];

	(void)state;
	date_set_zone("Europe/Paris");
	date_print(1717408800, text);
	assert_string_equal(text, "Mon, 03 Jun 2024 12:00:00 +0200");
	date_print(1704067199, text);
	assert_string_equal(text, "Mon, 01 Jan 2024 00:59:59 +0100");
	date_set_zone("America/St_Johns");
	date_print(1717408800, text);
	assert_string_equal(text, "Mon, 03 Jun 2024 07:30:00 -0230");
	date_set_zone("No/Such");
	date_print(0, text);
	assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 +0000");
	date_set_zone("");
	assert_null(getenv("TZ"));
}

struct dated {
	const char *text;
	int status;
	int64_t utc;
};

static const struct dated mails[] = {
	{ "Mon, 3 Jun 2024 12:00:00 +0200 (CEST)", 0, 1717408800 },
	{ "03 Jun 2024 10:00 GMT", 0, 1717408800 },
	{ "Mon , 3 (the (third)) Jun\r\n 2024 10 : 00:00 Z", 0, 1717408800 },
	{ "3 jun 24 05:00:00 EST", 0, 1717408800 },
	{ "31 Dec 99 23:59:59 -0000", 0, 946684799 },
	{ "Thu, 1 Jan 1970 00:00:60 +0000", 0, 60 },
	{ "29 Feb 2024 00:00 +0000", 0, 1709164800 },
	{ "29 Feb 2023 00:00 +0000", -1, 0 },
	{ "32 Jan 2024 00:00 +0000", -1, 0 },
	{ "3 Jun 2024 24:00 +0000", -1, 0 },
	{ "3 Jun 2024 10:00 +02", -1, 0 },
	{ "3 Jun 2024 10:00", -1, 0 },
	{ "3 Jun 2024 10:00 +0000 x", -1, 0 },
	{ "3 Jun 2024 10:00 +0000 (", -1, 0 },
	{ "3 Foo 2024 10:00 +0000", -1, 0 },
	{ "Foo, 3 Jun 2024 10:00 +0000", -1, 0 },
	{ "(\\", -1, 0 },
	{ "", -1, 0 },
};

static const struct dated records[] = {
	{ "2024-06-03T10:00:00Z", 0, 1717408800 },
	{ "2024-06-03T12:00:00.123456789+02:00", 0, 1717408800 },
	{ "2024-06-03 10:00:00z", 0, 1717408800 },
	{ "0001-01-01T00:00:00Z", 0, -62135596800 },
	{ "2024-06-03T10:00:00", -1, 0 },
	{ "2024-06-03T10:00:00.Z", -1, 0 },
	{ "2024-13-03T10:00:00Z", -1, 0 },
	{ "2024-06-03T10:00:00+0200", -1, 0 },
	{ "24-06-03T10:00:00Z", -1, 0 },
	{ "0000-01-01T00:00:00Z", -1, 0 },
	{ "", -1, 0 },
};

static void check(const struct dated *table, size_t n,
    int (*parse)(struct span text, int64_t *utc))
{
	for (size_t i = 0; i < n; i++) {
		int64_t utc = 0;

		if (parse(span_of(table[i].text), &utc) != table[i].status ||
		    utc != table[i].utc)
			fail_msg("%s: %lld", table[i].text, (long long)utc);
	}
}

static void test_parse(void **state)
{
	(void)state;
	check(mails, sizeof(mails) / sizeof(mails[0]), date_parse);
	check(
	    records, sizeof(records) / sizeof(records[0]), date_parse_rfc3339);
}

/* What is printed is read back, over four hundred years of days. */
static void test_both_ways(void **state)
{
	char text[DATE_TEXT_BYTES], record[DATE_RFC3339_BYTES];
	int64_t read;

	(void)state;
	date_set_zone("Europe/Paris");
	for (int64_t utc = -6000000000; utc < 8000000000; utc += 5 * 86401) {
		date_print_rfc3339(utc, record);
		assert_int_equal(date_parse_rfc3339(span_of(record), &read), 0);
		assert_int_equal(read, utc);
		if (utc < 0) /* offsets had seconds in those days */
			continue;
		date_print(utc, text);
		assert_int_equal(date_parse(span_of(text), &read), 0);
		assert_int_equal(read, utc);
	}
	date_set_zone("");
}

/* In a sandbox the zone is a table: it says what the library says. */
static void check_table(const char *zone)
{
	const int64_t now = 1780000000, year = 31557600;
	char before[4][DATE_TEXT_BYTES], after[DATE_TEXT_BYTES];
	const int64_t at[4] = { now - year, now, now + year / 2,
		now + 20 * year };
	struct buf table;

	date_set_zone(zone);
	for (int i = 0; i < 4; i++)
		date_print(at[i], before[i]);
	buf_init(&table, DATE_ZONE_BYTES);
	date_zone_put(&table, now);
	assert_false(table.overflow);
	date_set_zone("UTC");
	assert_int_equal(date_zone_take(buf_span(&table)), 0);
	for (int i = 0; i < 4; i++) {
		date_print(at[i], after);
		assert_string_equal(before[i], after);
	}
	/* cut anywhere, or out of order, it is not taken */
	for (size_t n = 0; n < table.len; n++)
		if (n % 12)
			assert_int_equal(
			    date_zone_take((struct span){ table.data, n }), -1);
	date_print(at[1], after);
	assert_string_equal(before[1], after);
	buf_clear(&table);
}

static void test_zone_as_a_table(void **state)
{
	static const char *const zones[] = { "Europe/Paris", "Asia/Kolkata",
		"America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca",
		"UTC" };
	struct buf table;

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++)
		check_table(zones[i]);
	assert_int_equal(date_zone_take((struct span){ NULL, 0 }), -1);
	buf_init(&table, DATE_ZONE_BYTES);
	put_u64(&table, 1000);
	put_u32(&table, 1000000);
	assert_int_equal(date_zone_take(buf_span(&table)), -1);
	buf_reset(&table);
	for (int i = 0; i < 2; i++) {
		put_u64(&table, 1000);
		put_u32(&table, 0);
	}
	assert_int_equal(date_zone_take(buf_span(&table)), -1);
	buf_clear(&table);
	date_set_zone("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_zone_as_a_table),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
