/* The text of a message on its way in: every ending that servers disagree on,
 * split at every place. */
#include "inject/datain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}

struct result {
	char *text;
	size_t n, used;
	bool is_end, is_bad;
};

/* Feed in the given parts; each part in memory of its own size, so that a
 * sanitizer sees a step too far. */
static struct result feed(struct span in, size_t first, size_t part)
{
	struct result r = { .text = calloc(1, in.n + 1) };
	struct datain d;

	datain_init(&d);
	for (size_t n = first; r.used < in.n && !r.is_end; n = part) {
		char *copy;
		struct span text;

		if (n > in.n - r.used)
			n = in.n - r.used;
		if (n == 0)
			continue;
		copy = malloc(n);
		memcpy(copy, in.p + r.used, n);
		r.used += datain_dotted(&d, copy, n, &text, &r.is_end);
		memcpy(r.text + r.n, text.p, text.n);
		r.n += text.n;
		free(copy);
	}
	r.is_bad = d.bad != NULL;
	return r;
}

static const struct {
	const char *name;
	struct span in, text;
	size_t after; /* bytes behind the end */
	bool is_end, is_bad;
} cases[] = {
	{ "plain", TEXT("a\r\nb\r\n.\r\n"), TEXT("a\r\nb\r\n"), 0, true,
	    false },
	{ "empty", TEXT(".\r\n"), TEXT(""), 0, true, false },
	{ "what follows is left", TEXT("a\r\n.\r\nQUIT\r\n"), TEXT("a\r\n"), 6,
	    true, false },
	{ "no end yet", TEXT("a\r\n."), TEXT("a\r\n"), 0, false, false },
	{ "no end yet, CR", TEXT("a\r\n.\r"), TEXT("a\r\n"), 0, false, false },
	{ "stuffed dot", TEXT("..\r\n.\r\n"), TEXT(".\r\n"), 0, true, false },
	{ "stuffed dots", TEXT("...a\r\n..b\r\n.\r\n"), TEXT("..a\r\n.b\r\n"),
	    0, true, false },
	{ "dot with text", TEXT(".a\r\n.\r\n"), TEXT("a\r\n"), 0, true, false },
	{ "dot inside a line", TEXT("a.\r\n.\r\n"), TEXT("a.\r\n"), 0, true,
	    false },
	{ "8-bit", TEXT("\xc3\xa4\xff\r\n.\r\n"), TEXT("\xc3\xa4\xff\r\n"), 0,
	    true, false },
	{ "LF.LF", TEXT("a\n.\nb\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "LF.CRLF", TEXT("a\n.\r\nb\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "CRLF.LF", TEXT("a\r\n.\nb\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "CRLF.CR", TEXT("a\r\n.\rb\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "CR.CR", TEXT("a\r.\rb\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "CR.CRLF", TEXT("a\r.\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "CRCRLF.CRLF", TEXT("a\r\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "CRLF.CRCRLF", TEXT("a\r\n.\r\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "CRLF NUL .CRLF", TEXT("a\r\n\0.\r\n.\r\n"), TEXT(""), 0, true,
	    true },
	{ "CRLF. NUL CRLF", TEXT("a\r\n.\0\r\n.\r\n"), TEXT(""), 0, true,
	    true },
	{ "NUL", TEXT("a\0b\r\n.\r\n"), TEXT(""), 0, true, true },
	{ "LF CR . LF CR", TEXT("a\n\r.\n\rb\r\n.\r\n"), TEXT(""), 0, true,
	    true },
	{ "bare CR at the end", TEXT("a\r\nb\r"), TEXT("a\r\nb\r"), 0, false,
	    false },
};

static void test_endings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span in = cases[i].in;

		for (size_t at = 0; at <= in.n; at++) {
			for (size_t part = 1; part <= in.n; part++) {
				struct result r = feed(in, at, part);

				if (r.is_end != cases[i].is_end ||
				    r.is_bad != cases[i].is_bad)
					fail_msg("%s", cases[i].name);
				assert_int_equal(r.used, in.n - cases[i].after);
				if (!r.is_bad) {
					assert_int_equal(r.n, cases[i].text.n);
					assert_memory_equal(
					    r.text, cases[i].text.p, r.n);
				}
				free(r.text);
			}
		}
	}
}

/* The same endings where they cross the boundaries of usual buffers. */
static void test_boundaries(void **state)
{
	static const struct span endings[] = { TEXT("\n.\n"), TEXT("\n.\r\n"),
		TEXT("\r\n.\n"), TEXT("\r.\r"), TEXT("\r\n.\r\r\n"),
		TEXT("\r\n\0.\r\n"), TEXT("\r\n.\0\r\n") };

	(void)state;
	for (size_t at = 4090; at <= 4100; at++) {
		for (size_t e = 0; e < sizeof(endings) / sizeof(*endings);
		     e++) {
			char *text = malloc(at + 32);
			struct result r;
			struct span end = TEXT("x\r\n.\r\n");

			memset(text, 'a', at);
			memcpy(text + at, endings[e].p, endings[e].n);
			memcpy(text + at + endings[e].n, end.p, end.n);
			r = feed(
			    (struct span){ text, at + endings[e].n + end.n },
			    4096, 4096);
			assert_true(r.is_end);
			assert_true(r.is_bad);
			assert_int_equal(r.used, at + endings[e].n + end.n);
			free(r.text);
			free(text);
		}
	}
}

static bool chunks_are_bad(struct span in, size_t part, bool *needs_end)
{
	struct datain d;

	datain_init(&d);
	while (in.n > 0) {
		struct span now = { in.p, part < in.n ? part : in.n };

		datain_chunk(&d, now);
		in = span_from(in, now.n);
	}
	*needs_end = datain_needs_line_end(&d);
	return d.bad != NULL;
}

static void test_chunks(void **state)
{
	static const struct {
		struct span in;
		bool is_bad, needs_end;
	} chunks[] = {
		{ TEXT("a\r\n.\r\nb\r\n"), false, false },
		{ TEXT(""), false, false },
		{ TEXT("a\r\nb"), false, true },
		{ TEXT("a\r\nb\r"), true, true },
		{ TEXT("a\nb\r\n"), true, false },
		{ TEXT("a\rb\r\n"), true, false },
		{ TEXT("a\0b\r\n"), true, false },
		{ TEXT("\n"), true, true },
		{ TEXT("\r\r\n"), true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
		for (size_t part = 1; part < 12; part++) {
			bool needs_end;

			assert_int_equal(
			    chunks_are_bad(chunks[i].in, part, &needs_end),
			    chunks[i].is_bad);
			assert_int_equal(needs_end, chunks[i].needs_end);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endings),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
