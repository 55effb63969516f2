/* SMTP replies: sound ones, hostile ones (hazard 34), cut anywhere. */
#include "common/reply.h"

#include "common/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct sound {
	const char *input;
	unsigned code, nlines;
	const char *status, *text, *printed;
};

static const struct sound sound[] = {
	{ "250 ok\r\n", 250, 1, "2.0.0", "ok", "250 ok" },
	{ "250\r\n", 250, 1, "2.0.0", "", "250" },
	{ "250 \r\n", 250, 1, "2.0.0", "", "250" },
	{ "220 mx\n", 220, 1, "2.0.0", "mx", "220 mx" },
	{ "354 go\r\n", 354, 1, "2.0.0", "go", "354 go" },
	{ "250-mx\r\n250-SIZE 1000\r\n250 HELP\r\n", 250, 3, "2.0.0",
	    "mx\nSIZE 1000\nHELP", "250 mx / SIZE 1000 / HELP" },
	{ "250-mx\n250 HELP\r\n", 250, 2, "2.0.0", "mx\nHELP",
	    "250 mx / HELP" },
	{ "250 2.1.5 fine\r\n", 250, 1, "2.1.5", "fine", "250 2.1.5 fine" },
	{ "550-5.7.26 no\r\n550 5.7.26 way\r\n", 550, 2, "5.7.26", "no\nway",
	    "550 5.7.26 no / way" },
	{ "550-no\r\n550 5.1.1\r\n", 550, 2, "5.1.1", "no\n", "550 5.1.1 no" },
	/* an enhanced code of another class, or no code at all, is text */
	{ "450 5.1.1 no\r\n", 450, 1, "4.0.0", "5.1.1 no", "450 5.1.1 no" },
	{ "550 5.1 no\r\n", 550, 1, "5.0.0", "5.1 no", "550 5.1 no" },
	{ "550 5.1.1x\r\n", 550, 1, "5.0.0", "5.1.1x", "550 5.1.1x" },
	{ "550 5.1000.1 x\r\n", 550, 1, "5.0.0", "5.1000.1 x",
	    "550 5.1000.1 x" },
	/* signs that would play with a terminal or a log */
	{ "550 a\tb\x1b[2J\x07\r\n", 550, 1, "5.0.0", "a b?[2J?",
	    "550 a b?[2J?" },
	{ "550 \xc3\xa9\xff\xc2\x9b\xe2\x80\xae\r\n", 550, 1, "5.0.0",
	    "\xc3\xa9???", "550 \xc3\xa9???" },
};

static const char *const malformed[] = {
	"\r\n",
	"\n",
	"25\r\n",
	"2\r\n",
	"abc\r\n",
	"000 x\r\n",
	"199 x\r\n",
	"600 x\r\n",
	"999 x\r\n",
	"-50 x\r\n",
	"+50 x\r\n",
	"2500 x\r\n",
	"250x\r\n",
	"250\tx\r\n",
	" 250 x\r\n",
	"250 a\rb\r\n",
	"250 a\r\r\n",
	"250-a\r\n550 b\r\n",
	"250-a\r\n251-b\r\n",
	"250-a\r\n25\r\n",
	"250-a\r\n\r\n",
	"EHLO\r\n",
	"HTTP/1.1 400 Bad Request\r\n",
};

static void test_sound(void **state)
{
	struct outcome why;
	struct reply r;

	(void)state;
	reply_init(&r);
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		struct span input = span_of(sound[i].input);
		struct buf printed;

		assert_int_equal(reply_parse(&r, input, &why), input.n);
		assert_int_equal(r.code, sound[i].code);
		assert_int_equal(r.nlines, sound[i].nlines);
		assert_string_equal(r.status, sound[i].status);
		assert_string_equal(buf_text(&r.text), sound[i].text);
		buf_init(&printed, REPLY_MAX);
		reply_print(&r, &printed);
		assert_string_equal(buf_text(&printed), sound[i].printed);
		buf_clear(&printed);
		/* cut anywhere: more is needed, nothing behind it is read */
		for (size_t n = 0; n < input.n; n++) {
			input.n = n;
			assert_int_equal(reply_parse(&r, input, &why), 0);
			input = span_of(sound[i].input);
		}
	}
	reply_clear(&r);
}

static void test_malformed(void **state)
{
	struct reply r;

	(void)state;
	reply_init(&r);
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		struct outcome why = { 0 };

		if (reply_parse(&r, span_of(malformed[i]), &why) != -1)
			fail_msg("taken: %s", malformed[i]);
		assert_int_equal(why.verdict, VERDICT_TEMP);
		assert_true(why.detail[0] != '\0');
	}
	assert_int_equal(
	    reply_parse(&r, (struct span){ "250 a\0b\r\n", 9 }, NULL), -1);
	reply_clear(&r);
}

/* One reply is taken, not the next one (pipelining). */
static void test_two(void **state)
{
	struct span input = SPAN_LITERAL("250 one\r\n550 two\r\n");
	struct reply r;
	ptrdiff_t n;

	(void)state;
	reply_init(&r);
	n = reply_parse(&r, input, NULL);
	assert_int_equal(n, 9);
	assert_int_equal(reply_parse(&r, span_from(input, (size_t)n), NULL), 9);
	assert_int_equal(r.code, 550);
	assert_string_equal(buf_text(&r.text), "two");
	reply_clear(&r);
}

static void test_long_line(void **state)
{
	struct reply r;
	struct buf input;

	(void)state;
	reply_init(&r);
	buf_init(&input, 1 << 20);
	buf_puts(&input, "250 ");
	while (input.len < REPLY_LINE_MAX)
		buf_putc(&input, 'x');
	assert_int_equal(reply_parse(&r, buf_span(&input), NULL), 0);
	buf_putc(&input, 'x');
	assert_int_equal(reply_parse(&r, buf_span(&input), NULL), -1);
	buf_puts(&input, "\r\n");
	assert_int_equal(reply_parse(&r, buf_span(&input), NULL), -1);
	buf_clear(&input);
	reply_clear(&r);
}

/* The number of "250-" lines of that text that are taken. */
static size_t count_lines(const char *text)
{
	struct reply r;
	struct buf input;
	size_t n = 0;

	reply_init(&r);
	buf_init(&input, 1 << 20);
	for (;; n++) {
		buf_printf(&input, "250-%s\r\n", text);
		if (reply_parse(&r, buf_span(&input), NULL) != 0)
			break;
	}
	buf_clear(&input);
	reply_clear(&r);
	return n;
}

static void test_endless(void **state)
{
	char line[1001];

	(void)state;
	assert_int_equal(count_lines(""), REPLY_LINES_MAX);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(count_lines(line), REPLY_TEXT_MAX / 1001);
}

static void test_print_is_bounded(void **state)
{
	struct reply r;
	struct buf input, printed;

	(void)state;
	reply_init(&r);
	buf_init(&input, 1 << 20);
	for (int i = 0; i < 9; i++) {
		buf_puts(&input, i < 8 ? "550-" : "550 ");
		for (int j = 0; j < 300; j++)
			buf_puts(&input, "\xe2\x82\xac");
		buf_puts(&input, "\r\n");
	}
	assert_true(reply_parse(&r, buf_span(&input), NULL) > 0);
	buf_init(&printed, REPLY_MAX);
	reply_print(&r, &printed);
	assert_false(printed.overflow);
	/* whole characters only */
	assert_in_range(printed.len, REPLY_MAX - 2, REPLY_MAX);
	assert_memory_equal(printed.data + printed.len - 3, "\xe2\x82\xac", 3);
	buf_clear(&printed);
	buf_clear(&input);
	reply_clear(&r);
}

static void test_quoted(void **state)
{
	(void)state;
	assert_true(reply_is_quoted(SPAN_LITERAL("451 4.7.1 later")));
	assert_true(reply_is_quoted(SPAN_LITERAL("250")));
	assert_false(reply_is_quoted(SPAN_LITERAL("")));
	assert_false(reply_is_quoted(SPAN_LITERAL("45")));
	assert_false(reply_is_quoted(SPAN_LITERAL("1234 bytes are missing")));
	assert_false(reply_is_quoted(SPAN_LITERAL("451st try")));
	assert_false(reply_is_quoted(SPAN_LITERAL("AUTH: 535 5.7.8 no")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quoted),
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_two),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_print_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
