/* The words of a connection: the beginning and the latest, in bounds. */
#include "remote/talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *print(const struct talk *t, struct buf *out)
{
	buf_reset(out);
	talk_print(t, out);
	return buf_text(out);
}

static void the_beginning_and_the_latest_stay(void **state)
{
	struct talk t;
	struct buf out;
	char word[64];

	(void)state;
	buf_init(&out, 1 << 20);
	talk_init(&t);
	talk_note(&t, TALK_COMMAND, SPAN_LITERAL("before any connection"));
	talk_begin(&t);
	talk_note(&t, TALK_REPLY, SPAN_LITERAL("220-one\r\n220 two\r\n"));
	talk_note(&t, TALK_COMMAND, SPAN_LITERAL("\r\n"));
	talk_note_octets(&t, 1234567);
	assert_true(strstr(print(&t, &out), "< 220-one\n0.0") != NULL);
	assert_true(strstr(print(&t, &out), "> (1234567 octets)\n") != NULL);
	assert_null(strstr(print(&t, &out), "before"));
	for (int i = 0; i < 5000; i++) {
		snprintf(word, sizeof(word), "NOOP %d %.*s", i, i % 40,
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		talk_note(&t, TALK_COMMAND, span_of(word));
	}
	print(&t, &out);
	assert_true(strstr(buf_text(&out), "< 220 two\n") != NULL);
	assert_true(strstr(buf_text(&out), "NOOP 1 x\n") != NULL);
	assert_true(strstr(buf_text(&out), "left out ...") != NULL);
	assert_null(strstr(buf_text(&out), "NOOP 2500 "));
	assert_true(strstr(buf_text(&out), "NOOP 4998 ") != NULL);
	assert_true(strstr(buf_text(&out), "NOOP 4999 ") != NULL);
	talk_begin(&t);
	assert_string_equal(print(&t, &out), "");
	talk_clear(&t);
	buf_clear(&out);
}

static void long_words_are_cut(void **state)
{
	static char word[5000];
	struct talk t;
	struct buf out;

	(void)state;
	buf_init(&out, 32768);
	talk_init(&t);
	talk_begin(&t);
	memset(word, 'x', sizeof(word));
	for (int i = 0; i < 100; i++)
		talk_note(
		    &t, TALK_REPLY, (struct span){ word, (size_t)i * 50 });
	print(&t, &out);
	assert_false(out.overflow);
	assert_true(out.len < 20000);
	talk_clear(&t);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_beginning_and_the_latest_stay),
		cmocka_unit_test(long_words_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
