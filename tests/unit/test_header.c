/* The header parser and the input rule in front of it. */
#include "inject/header.h"
#include "inject/textin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_span(struct span s, const char *text)
{
	assert_int_equal(s.n, strlen(text));
	assert_memory_equal(s.p, text, s.n);
}

/* --- header --------------------------------------------------------------- */

static const struct {
	const char *input;
	size_t nfields;
	const char *fields; /* as kept */
	const char *body;   /* what was not taken, behind what was */
	bool has_blank;
} headers[] = {
	{ "To: a\r\n\r\nbody\r\n", 1, "To: a\r\n", "body\r\n", true },
	{ "To: a\n\nbody\n", 1, "To: a\n", "body\n", true },
	{ "To: a\r\n b\r\n\tc\r\nCc: d\r\n\r\n", 2,
	    "To: a\r\n b\r\n\tc\r\nCc: d\r\n", "", true },
	/* a continuation of blanks only does not end the header */
	{ "To: a\r\n   \r\n b\r\n\r\nx", 1, "To: a\r\n   \r\n b\r\n", "x",
	    true },
	/* no empty line */
	{ "To: a\r\nno field\r\nX: y\r\n", 1, "To: a\r\n",
	    "no field\r\nX: y\r\n", false },
	{ "no field\r\n", 0, "", "no field\r\n", false },
	{ " To: a\r\n", 0, "", " To: a\r\n", false },
	{ ": a\r\n", 0, "", ": a\r\n", false },
	{ "\r\nTo: a\r\n", 0, "", "To: a\r\n", true },
	{ "", 0, "", "", false },
	{ "To: a\r\nT\xc3\xb6: b\r\n", 1, "To: a\r\n", "T\xc3\xb6: b\r\n",
	    false },
	{ "To : a\r\nCC\t:b\r\n\r\n", 2, "To : a\r\nCC\t:b\r\n", "", true },
	{ "From x@y Mon\r\nTo: a\r\n\r\nb", 1, "To: a\r\n", "b", true },
	{ ">From x@y Mon\r\nTo: a\r\n\r\nb", 1, "To: a\r\n", "b", true },
	{ "To: a\r\nFrom x\r\n\r\n", 1, "To: a\r\n", "From x\r\n\r\n", false },
	{ "To: a\r\n\rx: y\r\n", 1, "To: a\r\n", "\rx: y\r\n", false },
	/* an unfinished line is body */
	{ "To: a\r\nCc", 1, "To: a\r\n", "Cc", false },
};

static void check_header(size_t i, size_t step)
{
	struct header h;
	struct span input = span_of(headers[i].input);
	struct buf body;

	header_init(&h);
	buf_init(&body, 1 << 20);
	while (input.n > 0 && !h.is_done) {
		struct span piece = { input.p,
			input.n < step ? input.n : step };
		ptrdiff_t taken = header_take(&h, piece, NULL);

		assert_true(taken >= 0);
		input = span_from(input, (size_t)taken);
		assert_true(h.is_done || (size_t)taken == piece.n);
	}
	header_end(&h);
	assert_int_equal(h.nfields, headers[i].nfields);
	assert_int_equal(h.has_blank, headers[i].has_blank);
	assert_span((struct span){ h.text.data, h.end }, headers[i].fields);
	buf_put_raw(&body, header_rest(&h));
	buf_put_raw(&body, input);
	assert_span(buf_span(&body), headers[i].body);
	buf_clear(&body);
	header_clear(&h);
}

static void test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		for (size_t step = 1; step < 9; step++)
			check_header(i, step);
}

static void test_fields(void **state)
{
	struct header h;
	struct span text = SPAN_LITERAL(
	    "to : a,\r\n b\r\nRESENT-foo: x\r\nResent-To:y\r\nX:\r\n\r\n");

	(void)state;
	header_init(&h);
	assert_int_equal(header_take(&h, text, NULL), text.n);
	assert_int_equal(h.nfields, 4);
	assert_int_equal(h.fields[0].kind, FIELD_TO);
	assert_span(field_name(&h, &h.fields[0]), "to");
	assert_span(field_value(&h, &h.fields[0]), " a,\r\n b");
	assert_span(field_whole(&h, &h.fields[0]), "to : a,\r\n b\r\n");
	assert_int_equal(h.fields[1].kind, FIELD_RESENT_OTHER);
	assert_int_equal(h.fields[2].kind, FIELD_RESENT_TO);
	assert_true(field_is_resent(&h.fields[1]));
	assert_false(field_is_resent(&h.fields[0]));
	assert_span(field_value(&h, &h.fields[3]), "");
	assert_ptr_equal(header_find(&h, FIELD_RESENT_TO), &h.fields[2]);
	assert_null(header_find(&h, FIELD_DATE));
	header_clear(&h);
}

static void test_too_long(void **state)
{
	static char line[60000];
	struct outcome why = { 0 };
	struct header h;
	ptrdiff_t n = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "X: ", 3);
	header_init(&h);
	for (int i = 0; i < 20 && n >= 0; i++)
		n = header_take(&h, (struct span){ line, sizeof(line) }, &why);
	assert_int_equal(n, -1);
	assert_int_equal(why.verdict, VERDICT_PERM);
	assert_true(h.text.cap <= 2 * HEADER_MAX);
	header_clear(&h);
}

static void test_many_fields(void **state)
{
	struct header h;
	size_t n = 0;

	(void)state;
	header_init(&h);
	while (n < 260000 && header_take(&h, SPAN_LITERAL("a:\r\n"), NULL) == 4)
		n++;
	assert_int_equal(h.nfields, n);
	assert_true(n > 200000);
	header_clear(&h);
}

/* --- input rule ----------------------------------------------------------- */

static const struct {
	const char *input;
	const char *dots_end; /* without -i */
	const char *ignored;  /* with -i */
} texts[] = {
	{ "", "", "" },
	{ "a", "a\r\n", "a\r\n" },
	{ "a\n", "a\r\n", "a\r\n" },
	{ "a\r\n", "a\r\n", "a\r\n" },
	{ "a\rb", "a\r\nb\r\n", "a\r\nb\r\n" },
	{ "a\r\rb\r\r\n", "a\r\n\r\nb\r\n\r\n", "a\r\n\r\nb\r\n\r\n" },
	{ "\n\n", "\r\n\r\n", "\r\n\r\n" },
	{ "\n\r", "\r\n\r\n", "\r\n\r\n" },
	{ "a\n.\nb\n", "a\r\n", "a\r\n.\r\nb\r\n" },
	{ "a\n.\r\nb\n", "a\r\n", "a\r\n.\r\nb\r\n" },
	{ "a\r.\rb\n", "a\r\n", "a\r\n.\r\nb\r\n" },
	{ ".", "", ".\r\n" },
	{ "a\n.", "a\r\n", "a\r\n.\r\n" },
	{ "..\n.a\n. \n", "..\r\n.a\r\n. \r\n", "..\r\n.a\r\n. \r\n" },
	{ "a.\n.\n", "a.\r\n", "a.\r\n.\r\n" },
};

static void check_text(
    const char *input, const char *expected, bool ends_at_dot, size_t step)
{
	struct textin t = { .ends_at_dot = ends_at_dot };
	struct span rest = span_of(input);
	struct buf out;

	buf_init(&out, 1 << 20);
	while (rest.n > 0) {
		struct span piece = { rest.p, rest.n < step ? rest.n : step };

		assert_int_equal(textin_convert(&t, piece, &out, NULL), 0);
		rest = span_from(rest, piece.n);
	}
	textin_end(&t, &out);
	assert_span(buf_span(&out), expected);
	buf_clear(&out);
}

static void test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (size_t step = 1; step < 6; step++) {
			check_text(
			    texts[i].input, texts[i].dots_end, true, step);
			check_text(
			    texts[i].input, texts[i].ignored, false, step);
		}
	}
}

static void test_bytes(void **state)
{
	struct textin t = { 0 };
	struct outcome why = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	assert_int_equal(
	    textin_convert(&t, SPAN_LITERAL("abc"), &out, &why), 0);
	assert_false(t.has_8bit);
	assert_int_equal(
	    textin_convert(&t, SPAN_LITERAL("\xe9"), &out, &why), 0);
	assert_true(t.has_8bit);
	assert_int_equal(
	    textin_convert(&t, SPAN_LITERAL("a\0b"), &out, &why), -1);
	assert_string_equal(why.status, "5.6.0");
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_many_fields),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
