/* SMTP command lines and their parameters. */
#include "inject/command.h"

#include "common/messages.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_verbs(void **state)
{
	static const struct {
		struct span line;
		enum verb verb;
		unsigned code; /* 0: fine */
	} cases[] = {
		{ TEXT("EHLO host"), VERB_EHLO, 0 },
		{ TEXT("ehlo host"), VERB_EHLO, 0 },
		{ TEXT("EHLO"), VERB_EHLO, 501 },
		{ TEXT("EHLO  "), VERB_EHLO, 501 },
		{ TEXT("DATA"), VERB_DATA, 0 },
		{ TEXT("DATA "), VERB_DATA, 0 },
		{ TEXT("DATA x"), VERB_DATA, 501 },
		{ TEXT("RSET\tx"), VERB_UNKNOWN, 0 },
		{ TEXT(""), VERB_UNKNOWN, 0 },
		{ TEXT(" NOOP"), VERB_UNKNOWN, 0 },
		{ TEXT("NOOP anything"), VERB_NOOP, 0 },
		{ TEXT("NOOP a\0b"), VERB_NOOP, 500 },
		{ TEXT("NOOP a\rQUIT"), VERB_NOOP, 500 },
		{ TEXT("GET / HTTP/1.1"), VERB_FOREIGN, 0 },
		{ TEXT("MAILFROM:<a@b>"), VERB_UNKNOWN, 0 },
		{ TEXT("BDAT 5"), VERB_BDAT, 0 },
		{ TEXT("BDAT 0 LAST"), VERB_BDAT, 0 },
		{ TEXT("BDAT 5 last"), VERB_BDAT, 0 },
		{ TEXT("BDAT"), VERB_BDAT, 501 },
		{ TEXT("BDAT LAST"), VERB_BDAT, 501 },
		{ TEXT("BDAT -1"), VERB_BDAT, 501 },
		{ TEXT("BDAT 1x"), VERB_BDAT, 501 },
		{ TEXT("BDAT 5 LAST LAST"), VERB_BDAT, 501 },
		{ TEXT("BDAT 5 FIRST"), VERB_BDAT, 501 },
		{ TEXT("BDAT 9223372036854775807"), VERB_BDAT, 0 },
		{ TEXT("BDAT 9223372036854775808"), VERB_BDAT, 501 },
		{ TEXT("BDAT 99999999999999999999999"), VERB_BDAT, 501 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct command c;
		struct answer why = { 0 };
		int status = command_parse(cases[i].line, &c, &why);

		if (c.verb != cases[i].verb ||
		    (status < 0 ? why.code : 0) != cases[i].code)
			fail_msg("%s: verb %d code %d", cases[i].line.p,
			    (int)c.verb, status < 0 ? why.code : 0);
	}
}

static void test_paths(void **state)
{
	static const struct {
		struct span line;
		const char *path; /* NULL: refused */
		size_t nparameters;
	} cases[] = {
		{ TEXT("MAIL FROM:<a@b>"), "a@b", 0 },
		{ TEXT("mail from:<a@b>"), "a@b", 0 },
		{ TEXT("MAIL FROM: <a@b> SIZE=5"), "a@b", 1 },
		{ TEXT("MAIL FROM:<>"), "", 0 },
		{ TEXT("MAIL FROM:a@b BODY=7BIT"), "a@b", 1 },
		{ TEXT("MAIL FROM:<\"a>b\"@c> SIZE=1 RET=FULL"), "\"a>b\"@c",
		    2 },
		{ TEXT("MAIL FROM:<\"a\\\">\"@c>"), "\"a\\\">\"@c", 0 },
		{ TEXT("MAIL FROM:<a@b"), NULL, 0 },
		{ TEXT("MAIL FROM:<\"a@b>"), NULL, 0 },
		{ TEXT("MAIL FROM:<\"a\\"), NULL, 0 },
		{ TEXT("MAIL FROM:<a@b>SIZE=5"), NULL, 0 },
		{ TEXT("MAIL FROM:a@b>"), NULL, 0 },
		{ TEXT("MAIL FROM:"), NULL, 0 },
		{ TEXT("MAIL FROM"), NULL, 0 },
		{ TEXT("MAIL TO:<a@b>"), NULL, 0 },
		{ TEXT("MAIL"), NULL, 0 },
		{ TEXT("MAIL FROM:<a@b> =5"), NULL, 0 },
		{ TEXT("MAIL FROM:<a@b> SIZE="), NULL, 0 },
		{ TEXT("MAIL FROM:<a@b> SIZE=1=2"), NULL, 0 },
		{ TEXT("MAIL FROM:<a@b> SIZE=1 size=2"), NULL, 0 },
		{ TEXT("MAIL FROM:<a@b> A B C D E F G H I J K L M N O P"),
		    "a@b", 16 },
		{ TEXT("MAIL FROM:<a@b> A B C D E F G H I J K L M N O P Q"),
		    NULL, 0 },
		{ TEXT("RCPT TO:<a@b> NOTIFY=NEVER"), "a@b", 1 },
		{ TEXT("RCPT FROM:<a@b>"), NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct command c;
		struct answer why;
		int status = command_parse(cases[i].line, &c, &why);

		if ((status == 0) != (cases[i].path != NULL))
			fail_msg("%s: %d", cases[i].line.p, status);
		if (status < 0)
			continue;
		assert_true(span_is_equal(c.path, span_of(cases[i].path)));
		assert_int_equal(c.nparameters, cases[i].nparameters);
	}
}

static int parse_mail(
    const char *line, struct mail_parameters *p, struct buf *envid)
{
	struct command c;
	struct answer why;

	if (command_parse(span_of(line), &c, &why) < 0)
		return -1;
	return mail_parameters(&c, p, envid, &why) < 0 ? -(int)why.code : 0;
}

static void test_mail_parameters(void **state)
{
	static const struct {
		const char *parameters;
		int status;
		struct mail_parameters p;
		const char *envid;
	} cases[] = {
		{ "", 0, { 0 }, "" },
		{ "SIZE=0", 0, { .has_size = true }, "" },
		{ "SIZE=18446744073709551615", 0,
		    { .has_size = true, .size = UINT64_MAX }, "" },
		{ "SIZE=99999999999999999999", 0,
		    { .has_size = true, .size = UINT64_MAX }, "" },
		{ "SIZE=999999999999999999999", -501, { 0 }, "" },
		{ "SIZE=-1", -501, { 0 }, "" },
		{ "SIZE", -501, { 0 }, "" },
		{ "BODY=8bitmime", 0, { .body = BODY_8BIT }, "" },
		{ "BODY=7BIT SMTPUTF8", 0, { .is_utf8 = true }, "" },
		{ "BODY=BINARYMIME", -501, { 0 }, "" },
		{ "SMTPUTF8=1", -501, { 0 }, "" },
		{ "RET=HDRS ENVID=a+2Bb", 0,
		    { .ret = RET_HDRS, .envid_bytes = 3 }, "a+b" },
		{ "RET=BOTH", -501, { 0 }, "" },
		{ "ENVID=a+0Ab", -501, { 0 }, NULL },
		{ "ENVID=a+00b", -501, { 0 }, NULL },
		{ "ENVID=a+80b", -501, { 0 }, NULL },
		{ "ENVID=a+", -501, { 0 }, NULL },
		{ "ENVID=a+2", -501, { 0 }, NULL },
		{ "ENVID=a+2b", -501, { 0 }, NULL },
		{ "ENVID=\xc3\xa4", -501, { 0 }, NULL },
		{ "MT-PRIORITY=3", 0, { .priority = 3 }, "" },
		{ "MT-PRIORITY=-9", 0, { .priority = -9 }, "" },
		{ "MT-PRIORITY=10", -501, { 0 }, "" },
		{ "MT-PRIORITY=--", -501, { 0 }, "" },
		{ "MT-PRIORITY=-", -501, { 0 }, "" },
		{ "AUTH=<>", -555, { 0 }, "" },
		{ "HOLDFOR=60", 0, { .hold_s = 60 }, "" },
		{ "HOLDFOR=0", -501, { 0 }, "" },
		{ "HOLDFOR=7776001", -501, { 0 }, "" },
		{ "HOLDFOR=9999999999", -501, { 0 }, "" },
		{ "HOLDFOR=-1", -501, { 0 }, "" },
		{ "HOLDUNTIL=2024-06-03T10:00:00Z", 0,
		    { .hold_until = 1717408800 }, "" },
		{ "HOLDUNTIL=tomorrow", -501, { 0 }, "" },
		{ "HOLDFOR=60 HOLDUNTIL=2024-06-03T10:00:00Z", -501, { 0 },
		    "" },
		{ "BY=120;R", 0, { .by_s = 120 }, "" },
		{ "BY=120;rt", 0, { .by_s = 120 }, "" },
		{ "BY=-120;N", 0, { 0 }, "" },
		{ "BY=-120;R", -501, { 0 }, "" },
		{ "BY=0;R", -501, { 0 }, "" },
		{ "BY=120", -501, { 0 }, "" },
		{ "BY=120;X", -501, { 0 }, "" },
		{ "BY=120;RTT", -501, { 0 }, "" },
		{ "BY=1234567890;R", -501, { 0 }, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mail_parameters p = { 0 };
		struct buf line, envid;
		int status;

		buf_init(&line, 1000);
		buf_init(&envid, 1000);
		buf_printf(&line, "MAIL FROM:<> %s", cases[i].parameters);
		status = parse_mail(buf_text(&line), &p, &envid);
		if (status != cases[i].status)
			fail_msg("%s: %d", cases[i].parameters, status);
		if (status == 0) {
			assert_int_equal(p.has_size, cases[i].p.has_size);
			assert_true(p.size == cases[i].p.size);
			assert_int_equal(p.body, cases[i].p.body);
			assert_int_equal(p.ret, cases[i].p.ret);
			assert_int_equal(p.is_utf8, cases[i].p.is_utf8);
			assert_true(p.hold_s == cases[i].p.hold_s);
			assert_true(p.hold_until == cases[i].p.hold_until);
			assert_true(p.by_s == cases[i].p.by_s);
			assert_int_equal(p.priority, cases[i].p.priority);
			assert_int_equal(p.envid_bytes, cases[i].p.envid_bytes);
			assert_string_equal(buf_text(&envid), cases[i].envid);
		}
		buf_clear(&line);
		buf_clear(&envid);
	}
}

static int parse_rcpt(const char *parameters, bool is_utf8,
    struct rcpt_parameters *p, struct buf *orcpt)
{
	struct command c;
	struct answer why;
	struct buf line;
	int status;

	buf_init(&line, 4096);
	buf_printf(&line, "RCPT TO:<a@b> %s", parameters);
	status = command_parse(buf_span(&line), &c, &why);
	if (status == 0 && rcpt_parameters(&c, is_utf8, p, orcpt, &why) < 0)
		status = -(int)why.code;
	buf_clear(&line);
	return status;
}

static void test_rcpt_parameters(void **state)
{
	static const struct {
		const char *parameters;
		bool is_utf8;
		int status;
		uint8_t notify;
		const char *orcpt;
	} cases[] = {
		{ "NOTIFY=NEVER", false, 0, NOTIFY_NEVER, "" },
		{ "NOTIFY=success,FAILURE,DELAY", false, 0,
		    NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, "" },
		{ "NOTIFY=NEVER,DELAY", false, -501, 0, "" },
		{ "NOTIFY=DELAY,", false, -501, 0, "" },
		{ "NOTIFY=,DELAY", false, -501, 0, "" },
		{ "NOTIFY=DELAY,,DELAY", false, -501, 0, "" },
		{ "NOTIFY", false, -501, 0, "" },
		{ "ORCPT=rfc822;a+2Bb@c", false, 0, 0, "rfc822;a+b@c" },
		{ "ORCPT=rfc822;a+0D+0Ab@c", false, -501, 0, NULL },
		{ "ORCPT=rfc822;", false, -501, 0, NULL },
		{ "ORCPT=;a", false, -501, 0, NULL },
		{ "ORCPT=a", false, -501, 0, NULL },
		{ "ORCPT=rf\xc3\xa4;a", false, -501, 0, NULL },
		{ "ORCPT=rfc822;\xc3\xa4", true, -501, 0, NULL },
		{ "ORCPT=utf-8;\xc3\xa4@c", true, 0, 0, "utf-8;\xc3\xa4@c" },
		{ "ORCPT=utf-8;\xc3\xa4@c", false, -501, 0, NULL },
		{ "ORCPT=utf-8;\xc3@c", true, -501, 0, NULL },
		{ "ORCPT=utf-8;\xc2\x85@c", true, -501, 0, NULL },
		{ "ORCPT=utf-8;\\x{E4}@c", false, 0, 0, "utf-8;\xc3\xa4@c" },
		{ "ORCPT=utf-8;\\x{1F600}", false, 0, 0,
		    "utf-8;\xf0\x9f\x98\x80" },
		{ "ORCPT=utf-8;\\x{2B}\\x{3D}", false, 0, 0, "utf-8;+=" },
		{ "ORCPT=utf-8;\\x{0A}", false, -501, 0, NULL },
		{ "ORCPT=utf-8;\\x{D800}", false, -501, 0, NULL },
		{ "ORCPT=utf-8;\\x{110000}", false, -501, 0, NULL },
		{ "ORCPT=utf-8;\\x{FFFFFFFFFF}", false, -501, 0, NULL },
		{ "ORCPT=utf-8;\\x{}", false, -501, 0, NULL },
		{ "ORCPT=utf-8;\\x{41", false, -501, 0, NULL },
		{ "ORCPT=utf-8;\\", false, -501, 0, NULL },
		{ "SIZE=5", false, -555, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rcpt_parameters p;
		struct buf orcpt;
		int status;

		buf_init(&orcpt, 2000);
		status = parse_rcpt(
		    cases[i].parameters, cases[i].is_utf8, &p, &orcpt);
		if (status != cases[i].status)
			fail_msg("%s: %d", cases[i].parameters, status);
		if (status == 0) {
			assert_int_equal(p.notify, cases[i].notify);
			assert_string_equal(buf_text(&orcpt), cases[i].orcpt);
		}
		buf_clear(&orcpt);
	}
}

/* Longer than RFC 3461 allows. */
static void test_too_long(void **state)
{
	char text[600];
	struct rcpt_parameters p;
	struct buf orcpt;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "ORCPT=rfc822;", 13);
	buf_init(&orcpt, 2000);
	assert_int_equal(parse_rcpt(text, false, &p, &orcpt), -501);
	text[6 + ORCPT_MAX] = '\0';
	buf_reset(&orcpt);
	assert_int_equal(parse_rcpt(text, false, &p, &orcpt), 0);
	assert_int_equal(p.orcpt_bytes, ORCPT_MAX);
	buf_clear(&orcpt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_mail_parameters),
		cmocka_unit_test(test_rcpt_parameters),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
