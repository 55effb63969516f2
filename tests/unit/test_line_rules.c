/* Reply rules in a line: which host is asked next, what is handed on to the
 * runner; and the transcript of what went badly. */
#include "line_driver.h"

#define BODY "Subject: x\r\n\r\nhi\r\n"

#define PLAIN_HELLO "A", "S:220 sink", "C:EHLO line.test", "S:250 sink"
#define BDAT_HELLO                             \
	"A", "S:220 sink", "C:EHLO line.test", \
	    "S:250-sink\r\n250-PIPELINING\r\n250 CHUNKING"
#define BDAT_MESSAGE "C?MAIL", "C?RCPT", "C:BDAT 18 LAST", "B:" BODY
#define STEPS                                                             \
	"C?MAIL", "S:250 ok", "C?RCPT", "S:250 ok", "C:DATA", "S:354 go", \
	    "B:" BODY ".\r\n", "S:250 stepwise"
#define BYE "C:QUIT", "E"

static struct conf_reply replies[] = {
	{ { "t.conf", 1 }, "other host", NULL, "next-host", 0 },
	{ { "t.conf", 2 }, "wait a bit", NULL, "retry", 300 },
	{ { "t.conf", 3 }, "never", "x.test", "bounce", 0 },
	{ { "t.conf", 4 }, "all of you", NULL, "suspend", 600 },
	{ { "t.conf", 5 }, "not from you", NULL, "relay:isp", 0 },
};

static int make_rules(void **state)
{
	struct conf conf = { .replies = replies, .nreplies = 5 };
	struct outcome why;

	(void)state;
	drive_rules = replyrules_new(&conf, &why);
	return drive_rules ? 0 : -1;
}

static int free_rules(void **state)
{
	(void)state;
	replyrules_free((struct replyrules *)drive_rules);
	return 0;
}

static void begin(
    struct drive *d, const char *const *script, unsigned nhosts, unsigned jobs)
{
	drive_start(d, script);
	drive_session(d, nhosts);
	for (unsigned i = 0; i < jobs; i++)
		drive_deliver(d, i + 1, "a@x.test", BODY);
	drive_end(d);
}

static void expect_rule(
    const struct drive *d, size_t i, uint8_t action, uint16_t rule)
{
	assert_int_equal(d->result.recipients[i].action, action);
	assert_int_equal(d->result.recipients[i].rule, rule);
}

static void finish(struct drive *d)
{
	drive_expect_done(d);
	drive_finish(d);
}

/* Refused at the first host at every stage, delivered at the second. */
static void the_next_host_is_asked(void **state)
{
	static const char *const scripts[][40] = {
		{ PLAIN_HELLO, "C?MAIL", "S:451 other host", BYE, PLAIN_HELLO,
		    STEPS, BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:550 other host", BYE, PLAIN_HELLO,
		    STEPS, BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:250 ok", "C?RCPT",
		    "S:450 other host", BYE, PLAIN_HELLO, STEPS, BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:250 ok", "C?RCPT", "S:250 ok",
		    "C:DATA", "S:451 other host", BYE, PLAIN_HELLO, STEPS,
		    BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:250 ok", "C?RCPT", "S:250 ok",
		    "C:DATA", "S:354 go", "B:" BODY ".\r\n", "S:554 other host",
		    BYE, PLAIN_HELLO, STEPS, BYE },
		{ BDAT_HELLO, BDAT_MESSAGE,
		    "S:451 other host\r\n503 no\r\n503 no", BYE, PLAIN_HELLO,
		    STEPS, BYE },
		{ BDAT_HELLO, BDAT_MESSAGE,
		    "S:250 ok\r\n250 ok\r\n451 other host", BYE, PLAIN_HELLO,
		    STEPS, BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:421 other host", "E", PLAIN_HELLO,
		    STEPS, BYE },
		{ "A", "S:554 other host", "C:QUIT", "E", PLAIN_HELLO, STEPS,
		    BYE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		struct drive d;

		begin(&d, scripts[i], 2, 1);
		drive_expect(&d, 1, "D");
		assert_true(
		    span_is_equal(d.result.host, SPAN_LITERAL("mx2.test")));
		finish(&d);
	}
}

/* One recipient of two is taken by the first host, the other by the second; of
 * two messages in flight the one that was taken stays so. */
static void only_what_was_refused_goes_on(void **state)
{
	static const char *const two[] = { PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C:RCPT TO:<a@x.test>", "S:450 other host",
		"C:RCPT TO:<b@x.test>", "S:250 ok", "C:DATA", "S:354 go",
		"B:" BODY ".\r\n", "S:250 first", BYE, PLAIN_HELLO, "C?MAIL",
		"S:250 ok", "C:RCPT TO:<a@x.test>", "S:250 ok", "C:DATA",
		"S:354 go", "B:" BODY ".\r\n", "S:250 second", BYE, NULL };
	static const char *const flight[] = { BDAT_HELLO, BDAT_MESSAGE,
		"C:RSET", BDAT_MESSAGE,
		"S:451 other host\r\n503 no\r\n503 no\r\n250 ok\r\n250 "
		"ok\r\n250 ok\r\n250 second",
		BYE, PLAIN_HELLO, STEPS, BYE, NULL };
	struct drive d;

	(void)state;
	drive_start(&d, two);
	drive_session(&d, 2);
	drive_deliver(&d, 1, "a@x.test b@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "DD");
	drive_expect_reply(&d, 0, "250 second");
	drive_expect_reply(&d, 1, "250 first");
	finish(&d);
	begin(&d, flight, 2, 2);
	drive_receive(&d);
	drive_receive(&d);
	assert_int_equal(d.result.recipients[0].result, RCPT_DELIVERED);
	finish(&d);
}

/* The last host's word counts; a host that hangs up after it has all of a
 * message leaves uncertain what it had taken, and only that. */
static void passing_on_ends(void **state)
{
	static const char *const last[] = { PLAIN_HELLO, "C?MAIL",
		"S:451 other host one", BYE, PLAIN_HELLO, "C?MAIL",
		"S:550 other host two", BYE, NULL };
	static const char *const lost[] = { PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C:RCPT TO:<a@x.test>", "S:450 other host",
		"C:RCPT TO:<b@x.test>", "S:250 ok", "C:DATA", "S:354 go",
		"B:" BODY ".\r\n", "X", PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C:RCPT TO:<a@x.test>", "S:250 ok", "C:DATA", "S:354 go",
		"B:" BODY ".\r\n", "S:250 second", BYE, NULL };
	struct drive d;

	(void)state;
	begin(&d, last, 2, 1);
	drive_expect(&d, 1, "F");
	drive_expect_reply(&d, 0, "550 other host two");
	expect_rule(&d, 0, REPLY_NEXT_HOST, 1);
	finish(&d);
	drive_start(&d, lost);
	drive_session(&d, 2);
	drive_deliver(&d, 1, "a@x.test b@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "DU");
	finish(&d);
}

/* What the runner has to know: action, time, rule, what was answered. */
static void verdicts_are_handed_on(void **state)
{
	static const struct {
		const char *script[12], *outcome;
		uint8_t action, stage;
		uint16_t rule;
		uint32_t after_s;
	} cases[] = {
		{ { PLAIN_HELLO, "C?MAIL", "S:550 wait a bit", BYE }, "F",
		    REPLY_RETRY, REPLY_TO_MAIL, 2, 300 },
		{ { PLAIN_HELLO, "C?MAIL", "S:250 ok", "C?RCPT", "S:450 never",
		      BYE },
		    "T", REPLY_BOUNCE, REPLY_TO_RCPT, 3, 0 },
		{ { PLAIN_HELLO, "C?MAIL", "S:421 not from you", "E" }, "T",
		    REPLY_RELAY, REPLY_TO_MAIL, 5, 0 },
		{ { PLAIN_HELLO, "C?MAIL", "S:451 4.7.1 greylisted", BYE }, "T",
		    REPLY_RETRY, REPLY_TO_MAIL, 0, 300 },
		{ { PLAIN_HELLO, "C?MAIL", "S:451 try later", BYE }, "T",
		    REPLY_AS_IS, REPLY_TO_MAIL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct rcpt_outcome *o;
		struct drive d;

		begin(&d, cases[i].script, 2, 1);
		drive_expect(&d, 1, cases[i].outcome);
		o = &d.result.recipients[0];
		assert_int_equal(o->action, cases[i].action);
		assert_int_equal(o->after_s, cases[i].after_s);
		assert_int_equal(o->stage, cases[i].stage);
		if (cases[i].rule > 0 || o->action == REPLY_AS_IS)
			assert_int_equal(o->rule, cases[i].rule);
		else
			assert_string_equal(
			    reply_builtin(o->rule)->name, "greylist");
		finish(&d);
	}
}

/* Nothing more for this destination: the rest goes back untouched. */
static void a_suspension_ends_the_session(void **state)
{
	static const char *const scripts[][12] = {
		{ PLAIN_HELLO, "C?MAIL", "S:550 all of you", BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:421 all of you", "E" },
		{ "A", "S:421 all of you", "E" },
		{ "A", "S:554 all of you", "C:QUIT", "E" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		struct drive d;

		begin(&d, scripts[i], 2, 3);
		drive_expect(&d, 1, i == 0 ? "F" : "T");
		expect_rule(&d, 0, REPLY_SUSPEND, 4);
		assert_true(d.result.recipients[0].code >= 421);
		drive_expect(&d, 2, "-");
		drive_expect(&d, 3, "-");
		drive_expect_done(&d);
		assert_int_equal(d.report.outcome.verdict, VERDICT_TEMP);
		drive_finish(&d);
	}
}

/* Said before the first message: for all of them. */
static void a_banner_has_the_last_word(void **state)
{
	static const struct {
		const char *banner;
		uint8_t action;
		enum verdict verdict;
	} cases[] = {
		{ "S:554 never", REPLY_BOUNCE, VERDICT_OK },
		{ "S:450 not from you", REPLY_RELAY, VERDICT_OK },
		{ "S:450 wait a bit", REPLY_RETRY, VERDICT_TEMP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *script[] = { "A", cases[i].banner, "C:QUIT", "E",
			NULL };
		struct drive d;

		begin(&d, script, 2, 2);
		drive_expect(&d, 1, "T");
		assert_int_equal(
		    d.result.recipients[0].action, cases[i].action);
		drive_expect_reply(&d, 0, "banner: ");
		drive_expect(&d, 2, "T");
		drive_expect_done(&d);
		assert_int_equal(d.report.outcome.verdict, cases[i].verdict);
		drive_finish(&d);
	}
}

static void expect_words(const struct drive *d, const char *const *words)
{
	char *text = span_dup(d->transcript.text);
	const char *at = text;

	for (; *words && at; words++)
		at = strstr(at, *words);
	if (!at)
		fail_msg("not there: %s\n%s", words[-1], text);
	free(text);
}

static void a_bad_session_is_told(void **state)
{
	static const char *const script[] = { PLAIN_HELLO, STEPS, "C?MAIL",
		"S:250 ok", "C?RCPT", "S:550-no\r\n550 \x1b[31msuch", BYE,
		NULL };
	static const char *const words[] = { "< 220 sink\n", "> EHLO line.test",
		"< 250 sink", "> (18 octets)\n", "< 250 stepwise",
		"> RCPT TO:<a@x.test>\n", "< 550-no\n", "< 550 \x1b[31msuch\n",
		"> QUIT\n", NULL };
	static const char *const well[] = { PLAIN_HELLO, STEPS, BYE, NULL };
	static const char *const dead[] = { "A", "X", NULL };
	struct drive d;

	(void)state;
	begin(&d, script, 1, 2);
	drive_expect(&d, 1, "D");
	drive_expect(&d, 2, "F");
	drive_expect_done(&d);
	assert_int_equal(d.ntranscripts, 1);
	assert_int_equal(d.transcript.nmessages, 1);
	assert_int_equal(d.transcript.messages[0], 2);
	assert_true(span_is_equal(d.transcript.line, SPAN_LITERAL("test/1")));
	expect_words(&d, words);
	drive_finish(&d);
	begin(&d, well, 1, 1);
	drive_expect(&d, 1, "D");
	drive_expect_done(&d);
	assert_int_equal(d.ntranscripts, 0);
	drive_finish(&d);
	begin(&d, dead, 1, 1);
	drive_expect(&d, 1, "T");
	drive_expect_done(&d);
	assert_int_equal(d.ntranscripts, 1);
	assert_int_equal(d.transcript.messages[0], 1);
	drive_finish(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_host_is_asked),
		cmocka_unit_test(only_what_was_refused_goes_on),
		cmocka_unit_test(passing_on_ends),
		cmocka_unit_test(verdicts_are_handed_on),
		cmocka_unit_test(a_suspension_ends_the_session),
		cmocka_unit_test(a_banner_has_the_last_word),
		cmocka_unit_test(a_bad_session_is_told),
	};

	return cmocka_run_group_tests(tests, make_rules, free_rules);
}
