/* Header completion: what is added, what goes, what stays. */
#include "inject/complete.h"
#include "inject/phrase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct author joe = {
	.address = { "joe@here.example", 16 },
	.gecos_name = { "Joe, User", 9 },
};

static void complete(const struct conf *conf, const struct author *author,
    const char *input, struct buf *out)
{
	struct header h;

	header_init(&h);
	buf_init(out, 1 << 20);
	assert_true(header_take(&h, span_of(input), NULL) >= 0);
	assert_int_equal(complete_header(&h, conf, SPAN_LITERAL("here.example"),
			     author, "DATE", "UNIQUE", out, NULL),
	    0);
	header_clear(&h);
}

static void check(const struct conf *conf, const struct author *author,
    const char *input, const char *expected)
{
	struct buf out;

	complete(conf, author, input, &out);
	assert_string_equal(buf_text(&out), expected);
	buf_clear(&out);
}

#define WHOLE "From: a@b\r\nDate: D\r\nMessage-ID: <m>\r\n"

static const struct {
	const char *input, *expected;
} plain[] = {
	{ "", "From: \"Joe, User\" <joe@here.example>\r\nDate: DATE\r\n"
	      "Message-ID: <UNIQUE@mail.here.example>\r\n" },
	{ WHOLE, WHOLE },
	{ "message-id:x>y\r\nFROM : a@b\r\ndate:\r\n",
	    "message-id:x>y\r\nFROM : a@b\r\ndate:\r\n" },
	{ WHOLE "From: c@d\r\n", WHOLE "From: c@d\r\n" },
	/* what nobody else may see */
	{ "Bcc: x@y,\r\n z@y\r\nbcc\t: w\r\nBCC:v\r\n" WHOLE
	  "Return-Path: <q>\r\nResent-Bcc: u@y\r\nResent-Date: d\r\n"
	  "Resent-From: f@y\r\nResent-Message-ID: <r>\r\n",
	    WHOLE "Resent-Date: d\r\n"
		  "Resent-From: f@y\r\nResent-Message-ID: <r>\r\n" },
	/* local names */
	{ "To: root\r\n" WHOLE, "To: root@here.example\r\n" WHOLE },
	{ "To: root (the\r\n boss), A <b>,\r\n\tc@d , \"x y\"\r\n" WHOLE,
	    "To: root@here.example (the\r\n boss), A <b@here.example>,\r\n"
	    "\tc@d , \"x y\"@here.example\r\n" WHOLE },
	{ "Cc : g: a, b;\r\n" WHOLE,
	    "Cc : g: a@here.example, b@here.example;\r\n" WHOLE },
	{ "To: not < a list\r\n" WHOLE, "To: not < a list\r\n" WHOLE },
	{ "To: root\r\nDKIM-Signature: v=1\r\n" WHOLE,
	    "To: root\r\nDKIM-Signature: v=1\r\n" WHOLE },
	{ "Subject: root\r\n" WHOLE, "Subject: root\r\n" WHOLE },
	/* resent */
	{ "Resent-To: x@y\r\n" WHOLE,
	    "Resent-From: \"Joe, User\" <joe@here.example>\r\n"
	    "Resent-Date: DATE\r\n"
	    "Resent-Message-ID: <UNIQUE@mail.here.example>\r\n"
	    "Resent-To: x@y\r\n" WHOLE },
	/* the resending before the last trace is another's */
	{ "Resent-To: x@y\r\nReceived: r\r\nResent-Date: d\r\n"
	  "Resent-From: f@y\r\nResent-Message-ID: <r>\r\n" WHOLE,
	    "Resent-From: \"Joe, User\" <joe@here.example>\r\n"
	    "Resent-Date: DATE\r\n"
	    "Resent-Message-ID: <UNIQUE@mail.here.example>\r\n"
	    "Resent-To: x@y\r\nReceived: r\r\nResent-Date: d\r\n"
	    "Resent-From: f@y\r\nResent-Message-ID: <r>\r\n" WHOLE },
};

static void test_plain(void **state)
{
	struct conf conf = { .localname = (char *)"mail.here.example" };

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		check(&conf, &joe, plain[i].input, plain[i].expected);
}

#define REST "Date: D\r\nMessage-ID: <m>\r\n"
#define REPLY "Reply-To: office@o.example\r\n"

static const struct {
	const char *scope, *input, *expected;
} defaults[] = {
	{ NULL, REST, REST "From: Sales <joe@here.example>\r\n" REPLY },
	{ NULL, "From: a@b\r\n" REST, "From: Sales <a@b>\r\n" REST REPLY },
	{ NULL, "From: root\r\n" REST,
	    "From: Sales <root@here.example>\r\n" REST REPLY },
	{ NULL, "From: A <a@b>\r\nreply-to: x@y\r\n" REST,
	    "From: A <a@b>\r\nreply-to: x@y\r\n" REST },
	{ NULL, "From: a@b (A)\r\n" REST, "From: a@b (A)\r\n" REST REPLY },
	{ NULL, "From: a@b, c@d\r\n" REST, "From: a@b, c@d\r\n" REST REPLY },
	{ NULL, "DKIM-Signature: x\r\nFrom: a@b\r\n" REST,
	    "DKIM-Signature: x\r\nFrom: a@b\r\n" REST },
	{ "b", "From: a@b\r\n" REST, "From: Sales <a@b>\r\n" REST REPLY },
	{ "B", "From: \"x@c\"@b\r\n" REST,
	    "From: Sales <\"x@c\"@b>\r\n" REST REPLY },
	{ "b", "From: a@c\r\n" REST, "From: a@c\r\n" REST },
	{ "b", "From: a <\r\n" REST, "From: a <\r\n" REST },
};

static void test_defaults(void **state)
{
	struct conf conf = {
		.localname = (char *)"mail.here.example",
		.defaults = { .reply_to = (char *)"office@o.example",
		    .sender_name = (char *)"Sales" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		conf.defaults.sender_domain = (char *)defaults[i].scope;
		check(&conf, &joe, defaults[i].input, defaults[i].expected);
	}
}

static void test_given_name(void **state)
{
	struct author author = joe;
	struct conf conf = { .localname = (char *)"h.example",
		.defaults = { .sender_name = (char *)"Sales" } };

	(void)state;
	author.given_name = SPAN_LITERAL("J\xc3\xb6rg");
	check(&conf, &author, REST,
	    REST "From: =?UTF-8?B?SsO2cmc=?= <joe@here.example>\r\n");
	author = (struct author){ .address = SPAN_LITERAL("a@b") };
	conf.defaults.sender_name = NULL;
	check(&conf, &author, REST, REST "From: a@b\r\n");
}

static void check_phrase(const char *name, const char *expected)
{
	struct buf out;

	buf_init(&out, 10000);
	phrase_put(&out, span_of(name));
	assert_string_equal(buf_text(&out), expected);
	buf_clear(&out);
}

static void test_phrases(void **state)
{
	(void)state;
	check_phrase("Joe User", "Joe User");
	check_phrase("", "\"\"");
	check_phrase(" Joe", "\" Joe\"");
	check_phrase("Joe.", "\"Joe.\"");
	check_phrase("a\"b\\c", "\"a\\\"b\\\\c\"");
	check_phrase("=?utf-8?q?x?=", "\"=?utf-8?q?x?=\"");
	check_phrase("a\r\nBcc: x", "=?UTF-8?B?YQ0KQmNjOiB4?=");
	check_phrase("\xe9", "=?unknown-8bit?B?6Q==?=");
	check_phrase("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		     "x\xc3\xa9\xc3\xa9",
	    "=?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqX"
	    "g=?=\r\n =?UTF-8?B?w6nDqQ==?=");
}

static void check_local_part(const char *name, const char *expected)
{
	struct buf out;

	buf_init(&out, 10000);
	local_part_put(&out, span_of(name));
	assert_string_equal(buf_text(&out), expected);
	buf_clear(&out);
}

static void test_local_parts(void **state)
{
	(void)state;
	check_local_part("joe.user-1", "joe.user-1");
	check_local_part("joe user", "\"joe user\"");
	check_local_part(".joe", "\".joe\"");
	check_local_part("a..b", "\"a..b\"");
	check_local_part("a@b", "\"a@b\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_given_name),
		cmocka_unit_test(test_phrases),
		cmocka_unit_test(test_local_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
