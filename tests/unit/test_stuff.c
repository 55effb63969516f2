/* stuff.c: the content of DATA, octet by octet, however it is cut. */
#include "remote/stuff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
	const char *in, *out;
} cases[] = {
	{ "", ".\r\n" },
	{ "a\r\n", "a\r\n.\r\n" },
	{ "a", "a\r\n.\r\n" },
	{ ".", "..\r\n.\r\n" },
	{ ".\r\n", "..\r\n.\r\n" },
	{ "..\r\n", "...\r\n.\r\n" },
	{ "a.\r\n.b\r\n", "a.\r\n..b\r\n.\r\n" },
	{ "\r\n.\r\n", "\r\n..\r\n.\r\n" },
	{ "\r\n", "\r\n.\r\n" },
	/* what a server might take for the end */
	{ "a\n.\nb", "a . b\r\n.\r\n" },
	{ "a\n.\r\nb", "a .\r\nb\r\n.\r\n" },
	{ "a\r\n.\nb", "a\r\n.. b\r\n.\r\n" },
	{ "a\r.\rb", "a . b\r\n.\r\n" },
	{ "a\r\r\n.\r\r\n", "a \r\n.. \r\n.\r\n" },
	{ "a\r\n.\r", "a\r\n.. \r\n.\r\n" },
	{ "\r", " \r\n.\r\n" },
	{ "\n", " \r\n.\r\n" },
	{ "\n.", " .\r\n.\r\n" },
	{ "\r.", " .\r\n.\r\n" },
	{ "\n\r\n", " \r\n.\r\n" },
	{ "\r\n\n.\r\n", "\r\n .\r\n.\r\n" },
};

static void check(const char *in, size_t cut, size_t cut2, const char *out)
{
	struct span text = span_of(in);
	struct stuff s;
	struct buf got;

	buf_init(&got, 1000);
	stuff_init(&s);
	stuff_put(&s, (struct span){ text.p, cut }, &got);
	stuff_put(&s, (struct span){ text.p + cut, cut2 - cut }, &got);
	stuff_put(&s, span_from(text, cut2), &got);
	stuff_end(&s, &got);
	assert_string_equal(buf_text(&got), out);
	buf_clear(&got);
}

static void test_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t a = 0; a <= strlen(cases[i].in); a++)
			for (size_t b = a; b <= strlen(cases[i].in); b++)
				check(cases[i].in, a, b, cases[i].out);
}

/* Any octets: the end stands once, at the end, and unstuffing gives back what
 * a strict receiver may see. */
static void test_one_end(void **state)
{
	static const char alphabet[] = "\r\n.a";
	char in[24];

	(void)state;
	srand(7);
	for (int round = 0; round < 20000; round++) {
		size_t n = (size_t)rand() % sizeof(in);
		struct stuff s;
		struct buf got;
		const char *end;

		for (size_t i = 0; i < n; i++)
			in[i] = alphabet[rand() % 4];
		buf_init(&got, 1000);
		buf_puts(&got, "\r\n");
		stuff_init(&s);
		stuff_put(&s, (struct span){ in, n }, &got);
		assert_true(got.len <= 2 + 2 * n + 1);
		stuff_end(&s, &got);
		end = memmem(got.data, got.len, "\r\n.\r\n", 5);
		assert_ptr_equal(end, got.data + got.len - 5);
		for (size_t i = 0; i < got.len; i++) {
			if (got.data[i] == '\r')
				assert_int_equal(got.data[i + 1], '\n');
			if (got.data[i] == '\n')
				assert_int_equal(got.data[i - 1], '\r');
		}
		buf_clear(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_one_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
