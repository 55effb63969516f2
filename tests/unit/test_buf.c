/* span.c, buf.c, outcome.c, id.c: text and its fields. */
#include "common/buf.h"
#include "common/id.h"
#include "common/outcome.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_buf_has_a_hard_limit(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_puts(&b, "12345");
	buf_puts(&b, "67890");
	assert_false(b.overflow);
	buf_putc(&b, 'x');
	assert_true(b.overflow);
	assert_int_equal(b.len, 10);
	buf_puts(&b, "");
	assert_true(b.overflow); /* sticky */
	buf_reset(&b);
	assert_false(b.overflow);
	buf_puts(&b, "ab");
	buf_consume(&b, 1);
	assert_true(span_is_equal(buf_span(&b), SPAN_LITERAL("b")));
	buf_consume(&b, 100);
	assert_int_equal(b.len, 0);
	buf_clear(&b);
}

static void test_fields_read_back_and_never_past_the_end(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	put_u8(&b, 1);
	put_u16(&b, 0x0203);
	put_u32(&b, 0x04050607);
	put_u64(&b, 0x08090a0b0c0d0e0f);
	put_span(&b, SPAN_LITERAL("text"));
	for (size_t n = 0; n <= b.len; n++) {
		struct reader r = reader_of((struct span){ b.data, n });
		struct span s;

		(void)get_u8(&r);
		(void)get_u16(&r);
		(void)get_u32(&r);
		(void)get_u64(&r);
		s = get_span(&r);
		assert_int_equal(reader_is_done(&r), n == b.len);
		assert_int_equal(s.n, n == b.len ? 4 : 0);
	}
	struct reader r = reader_of(buf_span(&b));

	assert_int_equal(get_u8(&r), 1);
	assert_int_equal(get_u16(&r), 0x0203);
	assert_int_equal(get_u32(&r), 0x04050607);
	assert_true(get_u64(&r) == 0x08090a0b0c0d0e0f);
	assert_true(span_is_equal(get_span(&r), SPAN_LITERAL("text")));
	buf_clear(&b);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		int status;
	} cases[] = {
		{ "0", 10, 0, 0 },
		{ "10", 10, 10, 0 },
		{ "11", 10, 0, -1 },
		{ "", 10, 0, -1 },
		{ "-1", 10, 0, -1 },
		{ " 1", 10, 0, -1 },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX, 0 },
		{ "18446744073709551616", UINT64_MAX, 0, -1 },
		{ "99999999999999999999999", UINT64_MAX, 0, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;

		assert_int_equal(
		    span_to_u64(span_of(cases[i].text), cases[i].max, &value),
		    cases[i].status);
		assert_true(value == cases[i].value);
	}
}

static void test_spans(void **state)
{
	struct span rest = SPAN_LITERAL("a=b=c"), empty = { NULL, 0 };

	(void)state;
	assert_true(span_is_equal(span_cut(&rest, '='), SPAN_LITERAL("a")));
	assert_true(span_is_equal(rest, SPAN_LITERAL("b=c")));
	assert_true(span_is_equal(span_cut(&rest, ';'), SPAN_LITERAL("b=c")));
	assert_int_equal(rest.n, 0);
	assert_true(span_is_equal(
	    span_trim(SPAN_LITERAL(" \tx y ")), SPAN_LITERAL("x y")));
	assert_int_equal(span_trim(empty).n, 0);
	assert_true(
	    span_is_equal_nocase(SPAN_LITERAL("EHLO"), SPAN_LITERAL("ehlo")));
	assert_true(span_has_line_breaks(SPAN_LITERAL("a\0b")));
	assert_true(span_has_line_breaks(SPAN_LITERAL("a\n")));
	assert_false(span_has_line_breaks(SPAN_LITERAL("a b")));
	assert_int_equal(span_find(SPAN_LITERAL("abc"), 'c'), 2);
	assert_int_equal(span_find(empty, 'c'), -1);
}

static void test_outcome_is_printable(void **state)
{
	struct outcome why, back;
	struct buf b;
	struct reader r;

	(void)state;
	assert_int_equal(
	    outcome_temp(&why, "4.4.1", "a\r\n%s\033[1m", "b"), -1);
	assert_string_equal(why.detail, "a??b?[1m");
	buf_init(&b, 1000);
	outcome_put(&b, &why);
	r = reader_of(buf_span(&b));
	outcome_get(&r, &back);
	assert_true(reader_is_done(&r));
	assert_int_equal(back.verdict, VERDICT_TEMP);
	assert_string_equal(back.status, "4.4.1");
	b.data[0] = 9;
	r = reader_of(buf_span(&b));
	outcome_get(&r, &back);
	assert_true(r.bad);
	buf_clear(&b);
}

static void test_ids_grow_and_read_back(void **state)
{
	uint64_t last = 0, id, back;
	char text[ID_TEXT_BYTES], before[ID_TEXT_BYTES] = "";

	(void)state;
	/* The clock stands still, then goes back a year. */
	static const uint64_t clock[] = { 1000000, 1000000, 1000000, 5, 0,
		1700000000000000, 1600000000000000, 1700000000000001 };

	for (size_t i = 0; i < sizeof(clock) / sizeof(clock[0]); i++) {
		id = id_next(last, clock[i]);
		assert_true(id > last);
		id_print(id, text);
		assert_true(strcmp(text, before) > 0);
		assert_int_equal(id_parse(span_of(text), &back), 0);
		assert_true(back == id);
		memcpy(before, text, sizeof(text));
		last = id;
	}
	assert_int_equal(id_parse(SPAN_LITERAL("short"), &back), -1);
	assert_int_equal(id_parse(SPAN_LITERAL("ZZZZZZZZZZZZZ"), &back), -1);
	assert_int_equal(id_parse(SPAN_LITERAL("0000000000-00"), &back), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_has_a_hard_limit),
		cmocka_unit_test(test_fields_read_back_and_never_past_the_end),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_outcome_is_printable),
		cmocka_unit_test(test_ids_grow_and_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
