/* Lines and servers that misbehave: hazards 34 to 39 and 43. */
#include "line_driver.h"

#define BODY "Subject: x\r\n\r\nhi\r\n"

#define BDAT_HELLO                             \
	"A", "S:220 sink", "C:EHLO line.test", \
	    "S:250-sink\r\n250-PIPELINING\r\n250 CHUNKING"
#define PLAIN_HELLO "A", "S:220 sink", "C:EHLO line.test", "S:250 sink"
#define DATA_HELLO \
	"A", "S:220 sink", "C:EHLO line.test", "S:250-sink\r\n250 PIPELINING"
#define BDAT_MESSAGE "C?MAIL", "C?RCPT", "C:BDAT 18 LAST", "B:" BODY
#define STEPS                                                             \
	"C?MAIL", "S:250 ok", "C?RCPT", "S:250 ok", "C:DATA", "S:354 go", \
	    "B:" BODY ".\r\n", "S:250 stepwise"
#define BYE "C:QUIT", "E"

/* n messages to a server of one host (or two names of it); what the recipient
 * of each gets, as in drive_expect. */
static void run(struct drive *d, const char *const *script, unsigned nhosts,
    const char *outcomes)
{
	drive_start(d, script);
	drive_session(d, nhosts);
	for (size_t i = 0; i < strlen(outcomes); i++)
		drive_deliver(d, i + 1, "a@x.test", BODY);
	drive_end(d);
	for (size_t i = 0; i < strlen(outcomes); i++)
		drive_expect(d, i + 1, (char[]){ outcomes[i], '\0' });
}

static void finish(struct drive *d)
{
	drive_expect_done(d);
	drive_finish(d);
}

static void test_greetings(void **state)
{
	static const char *const scripts[][6] = {
		{ "A", "X", NULL },
		{ "A", "R", NULL },
		{ "A", "E", NULL }, /* silence */
		{ "A", "S:554 go away", "C:QUIT", "E", NULL },
		{ "A", "S:450 not now", "C:QUIT", "E", NULL },
		{ "A", "S:25", "E", NULL },
		{ "A", "S:999 hello", "E", NULL },
		{ "A", "S:220-one\r\n550 two", "E", NULL },
		{ "A", "T:\001\002\003\n\n", "E", NULL },
		{ "A", "T:220-a\r\n220-b\r\n", "E", NULL },
		{ "A", "S:220 ok\r\n250 ok", "E", NULL },
		{ "A", "S:220 ok", "C?EHLO", "X", NULL },
		{ "A", "S:220 ok", "C?EHLO", "S:421 gone", "E", NULL },
		{ "A", "S:220 ok", "C?EHLO", "E", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		struct drive d;

		run(&d, scripts[i], 1, "T-");
		drive_expect_done(&d);
		assert_int_equal(d.report.outcome.verdict, VERDICT_TEMP);
		assert_true(d.report.is_overloaded);
		drive_finish(&d);
	}
}

/* A reply that never ends: bounded in lines and in octets. */
static void test_endless_reply(void **state)
{
	static char lines[8192], octets[70000];
	const char *many[300] = { "A" }, *long_[4] = { "A", octets, "X", NULL };
	struct drive d;

	(void)state;
	snprintf(lines, sizeof(lines), "T:");
	for (int i = 0; i < 20; i++)
		strcat(lines, "220-one more line\r\n");
	for (int i = 1; i < 20; i++)
		many[i] = lines;
	many[20] = "X";
	many[21] = NULL;
	run(&d, many, 1, "T");
	drive_expect_reply(&d, 0, "too many lines");
	finish(&d);
	memset(octets, 'x', sizeof(octets) - 1);
	memcpy(octets, "T:220", 5);
	run(&d, long_, 1, "T");
	drive_expect_reply(&d, 0, "too long");
	finish(&d);
}

/* A bad first host, a good second one. */
static void test_next_host(void **state)
{
	static const char *const scripts[][32] = {
		{ "A", "X", PLAIN_HELLO, STEPS, BYE, NULL },
		{ "A", "S:554 no", "C:QUIT", "E", PLAIN_HELLO, STEPS, BYE },
		{ "A", "S:220 x", "C?EHLO", "S:421 no", "E", PLAIN_HELLO, STEPS,
		    BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:421 busy", "E", PLAIN_HELLO, STEPS,
		    BYE },
		{ PLAIN_HELLO, "C?MAIL", "X", PLAIN_HELLO, STEPS, BYE },
	};
	struct drive d;

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		run(&d, scripts[i], 2, "D");
		assert_true(
		    span_is_equal(d.result.host, SPAN_LITERAL("mx2.test")));
		drive_expect_done(&d);
		assert_int_equal(d.report.outcome.verdict, VERDICT_OK);
		drive_finish(&d);
	}
}

/* Verdicts on the message stop at the first host. */
static void test_stop(void **state)
{
	static const char *const scripts[][16] = {
		{ PLAIN_HELLO, "C?MAIL", "S:451 greylisted", BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:250 ok", "C?RCPT", "S:450 grey",
		    BYE },
		{ PLAIN_HELLO, "C?MAIL", "S:250 ok", "C?RCPT", "S:250 ok",
		    "C:DATA", "S:354 go", "B:" BODY ".\r\n", "S:451 full",
		    BYE },
	};
	static const char *const hard[] = { PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C?RCPT", "S:250 ok", "C:DATA", "S:354 go", "B:" BODY ".\r\n",
		"S:554 spam", BYE, NULL };
	struct drive d;

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		run(&d, scripts[i], 2, "T");
		finish(&d);
	}
	run(&d, hard, 2, "F");
	drive_expect_reply(&d, 0, "554 spam");
	finish(&d);
}

static void test_lost_after_the_end(void **state)
{
	static const char *const step[] = { PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C?RCPT", "S:250 ok", "C:DATA", "S:354 go", "B:" BODY ".\r\n",
		"X", NULL };
	static const char *const silent[] = { PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C?RCPT", "S:250 ok", "C:DATA", "S:354 go", "B:" BODY ".\r\n",
		"E", NULL };
	static const char *const before[] = { PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C?RCPT", "S:250 ok", "C:DATA", "X", NULL };
	struct drive d;

	(void)state;
	run(&d, step, 2, "U");
	finish(&d);
	run(&d, silent, 2, "U");
	drive_expect_reply(&d, 0, "no reply in time");
	finish(&d);
	run(&d, before, 1, "T");
	finish(&d);
}

/* hazard 38: the server dies in the middle of several messages. */
/* The last server is lost with a message, and no other waits: the runner hears
 * that the session is over, and another try of it is not given to this one. */
static void test_lost_for_good(void **state)
{
	static const char *const script[] = { PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C?RCPT", "S:250 ok", "C:DATA", "S:354 go", "B:" BODY ".\r\n",
		"X", NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_flush(&d);
	drive_expect(&d, 1, "U");
	drive_expect_done(&d);
	assert_int_equal(d.report.outcome.verdict, VERDICT_TEMP);
	drive_finish(&d);
}

static void test_lost_among_several(void **state)
{
	static const char *const reset[] = { BDAT_HELLO, BDAT_MESSAGE, "C:RSET",
		BDAT_MESSAGE, "C:RSET", BDAT_MESSAGE,
		"S:250 ok\r\n250 ok\r\n250 one", "W:50", "R", NULL };
	static const char *const closing[] = { BDAT_HELLO, BDAT_MESSAGE,
		"C:RSET", BDAT_MESSAGE, "C:RSET", BDAT_MESSAGE,
		"S:250 ok\r\n250 ok\r\n250 one\r\n421 enough", "X", BDAT_HELLO,
		BDAT_MESSAGE, "C:RSET", BDAT_MESSAGE,
		"S:250 ok\r\n250 ok\r\n250 two\r\n250 reset",
		"S:250 ok\r\n250 ok\r\n250 three", BYE, NULL };
	static const char *const at_content[] = { BDAT_HELLO, BDAT_MESSAGE,
		"C:RSET", BDAT_MESSAGE, "S:250 ok\r\n250 ok\r\n421 disk", "X",
		"A", "S:421 no more", "E", NULL };
	struct drive d;

	(void)state;
	run(&d, reset, 1, "DUU");
	drive_expect_done(&d);
	assert_true(d.report.must_be_stepwise);
	drive_finish(&d);
	run(&d, closing, 1, "DDD");
	drive_expect_reply(&d, 0, "250 three");
	drive_expect_done(&d);
	assert_true(d.report.is_overloaded);
	assert_false(d.report.must_be_stepwise);
	drive_finish(&d);
	run(&d, at_content, 2, "T-");
	finish(&d);
}

/* What was not yet sent when the server died is sent again. */
static void test_untouched_is_sent_again(void **state)
{
	static const char *const script[] = { DATA_HELLO, "C?MAIL", "C?RCPT",
		"C:DATA", "S:250 ok\r\n250 ok\r\n354 go", "B:" BODY ".\r\n",
		"C?MAIL", "C?RCPT", "C:DATA", "S:250 one", "W:50", "R",
		DATA_HELLO, "C?MAIL", "C?RCPT", "C:DATA",
		"S:250 ok\r\n250 ok\r\n354 go", "B:" BODY ".\r\n", "S:250 two",
		BYE, NULL };
	struct drive d;

	(void)state;
	run(&d, script, 1, "DD");
	drive_expect_done(&d);
	assert_int_equal(d.report.connections, 2);
	drive_finish(&d);
}

/* hazard 36 */
static void test_pipelining_done_badly(void **state)
{
	/* more replies than commands */
	static const char *const extra[] = { BDAT_HELLO, BDAT_MESSAGE, "C:RSET",
		BDAT_MESSAGE,
		"S:250 ok\r\n250 ok\r\n250 one\r\n250 reset\r\n250 ok\r\n"
		"250 ok\r\n250 two\r\n250 three",
		"E", NULL };
	/* closes on the second command */
	static const char *const closes[] = { DATA_HELLO, "C?MAIL", "S:250 ok",
		"X", PLAIN_HELLO, STEPS, STEPS, BYE, NULL };
	/* knows no BDAT after all */
	static const char *const no_bdat[] = { BDAT_HELLO, BDAT_MESSAGE,
		"S:250 ok\r\n250 ok\r\n502 what?", "W:20", "X", BDAT_HELLO,
		STEPS, STEPS, BYE, NULL };
	/* answers 354 to BDAT */
	static const char *const go_ahead[] = { BDAT_HELLO, BDAT_MESSAGE,
		"S:250 ok\r\n250 ok\r\n354 go", "E", NULL };
	/* loses the order */
	static const char *const order[] = { DATA_HELLO, "C?MAIL", "C?RCPT",
		"C:DATA", "S:250 ok\r\n503 MAIL first\r\n503 no", "E",
		DATA_HELLO, STEPS, STEPS, BYE, NULL };
	/* garbage */
	static const char *const garbage[] = { DATA_HELLO, "C?MAIL", "C?RCPT",
		"C:DATA", "S:250 ok\r\nhello there", "E", DATA_HELLO, STEPS,
		STEPS, BYE, NULL };
	static const struct {
		const char *const *script;
		const char *outcomes;
	} cases[] = {
		{ extra, "DD" },
		{ closes, "DD" },
		{ no_bdat, "DD" },
		{ go_ahead, "U" },
		{ order, "DD" },
		{ garbage, "DD" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct drive d;

		run(&d, cases[i].script, 1, cases[i].outcomes);
		drive_expect_done(&d);
		if (cases[i].script != extra)
			assert_true(d.report.must_be_stepwise);
		drive_finish(&d);
	}
}

/* Extra replies while more is to be sent. */
static void test_extra_replies(void **state)
{
	static const char *const script[] = { BDAT_HELLO, BDAT_MESSAGE,
		"S:250 ok\r\n250 ok\r\n250 one\r\n250 two", "E", BDAT_HELLO,
		STEPS, BYE, NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_flush(&d);
	drive_expect(&d, 1, "D");
	usleep(50000);
	drive_deliver(&d, 2, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 2, "D");
	drive_expect_reply(&d, 0, "250 stepwise");
	drive_expect_done(&d);
	assert_true(d.report.must_be_stepwise);
	drive_finish(&d);
}

/* hazard 35 */
static void test_starttls_injection(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250 STARTTLS", "C:STARTTLS",
		"S:220 go\r\n250-sink\r\n250 PIPELINING", "E", NULL };
	struct drive d;

	(void)state;
	run(&d, script, 1, "T");
	drive_expect_reply(&d, 0, "in clear after the reply");
	finish(&d);
}

/* hazard 39: DATA and BDAT octet by octet. */
static void test_content_exact(void **state)
{
	static const char body[] =
	    ".a\r\n..\r\n.\r\nb\n.\nc\r.\rd\r\r\n\n.\r\ne.\r\n.f";
	static const char *const data[] = { PLAIN_HELLO, "C?MAIL", "S:250 ok",
		"C?RCPT", "S:250 ok", "C:DATA", "S:354 go",
		"B:..a\r\n...\r\n..\r\nb . c . d \r\n .\r\ne.\r\n..f\r\n.\r\n",
		"S:250 ok", BYE, NULL };
	static const char *const bdat[] = { "A", "S:220 x", "C?EHLO",
		"S:250-x\r\n250 CHUNKING", "C?MAIL", "S:250 ok", "C?RCPT",
		"S:250 ok", "C:BDAT 33 LAST",
		"B:.a\r\n..\r\n.\r\nb\n.\nc\r.\rd\r\r\n\n.\r\ne.\r\n.f",
		"S:250 ok", BYE, NULL };
	struct drive d;

	(void)state;
	drive_start(&d, data);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", body);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	finish(&d);
	drive_start(&d, bdat);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", body);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	finish(&d);
}

/* The server does not read what it is sent. */
static void test_blocked(void **state)
{
	static const char *const script[] = { "A", "S:220 x", "C?EHLO",
		"S:250-x\r\n250-PIPELINING\r\n250 CHUNKING", "C?MAIL", "C?RCPT",
		"S:250 ok\r\n250 ok", "C?BDAT", "W:900", "R", NULL };
	struct job job = { .sender = SPAN_LITERAL("from@x.test"),
		.is_large = true };
	struct job_recipient rcpt = { .index = 5,
		.address = SPAN_LITERAL("a@x.test") };
	FILE *file = tmpfile();
	struct drive d;
	struct buf head;
	int fd = dup(fileno(file));

	(void)state;
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	drive_start(&d, script);
	drive_session(&d, 1);
	job.recipients = &rcpt;
	job.nrecipients = 1;
	job.size_bytes = 64 << 20;
	buf_init(&head, 10000);
	job_put_head(&head, &job);
	wire_send_fds(d.wire, MSG_DELIVER, 1, buf_span(&head), &fd, 1);
	buf_clear(&head);
	drive_end(&d);
	drive_expect(&d, 1, "T");
	drive_expect_reply(&d, 0, "");
	finish(&d);
	fclose(file);
}

/* The server closes while there is nothing to do, then is used again. */
static void test_idle_close(void **state)
{
	static const char *const script[] = { BDAT_HELLO, BDAT_MESSAGE,
		"S:250 ok\r\n250 ok\r\n250 one", "S:421 idle", "X", BDAT_HELLO,
		BDAT_MESSAGE, "S:250 ok\r\n250 ok\r\n250 two", BYE, NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_flush(&d);
	drive_expect(&d, 1, "D");
	usleep(50000);
	drive_deliver(&d, 2, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 2, "D");
	drive_expect_done(&d);
	assert_false(d.report.is_overloaded);
	assert_false(d.report.must_be_stepwise);
	drive_finish(&d);
}

/* Refused connections and families without an own address. */
static void test_addresses(void **state)
{
	static const char *const script[] = { PLAIN_HELLO, STEPS, BYE, NULL };
	struct session session = { .nbinds = 1,
		.binds = { { "\x7f\0\0\2", 4 } } };
	struct host hosts[2];
	struct buf payload;
	struct drive d;

	(void)state;
	drive_start(&d, script);
	hosts[0] = (struct host){ .name = SPAN_LITERAL("no.test"),
		.why = { VERDICT_TEMP, "4.4.3", "no such host" } };
	hosts[1] = drive_host(&d, "mx.test");
	hosts[1].naddresses = 3;
	hosts[1].addresses[2] = hosts[1].addresses[0];
	hosts[1].addresses[0] = (struct span){ "\x7f\0\0\3", 4 };
	hosts[1].addresses[1] =
	    (struct span){ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16 };
	session.hosts = hosts;
	session.nhosts = 2;
	session.localname = SPAN_LITERAL("line.test");
	buf_init(&payload, 10000);
	session_put(&payload, &session);
	wire_send(d.wire, MSG_SESSION, 77, buf_span(&payload));
	buf_clear(&payload);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	finish(&d);
}

/* The runner goes away: the line ends, without finishing the message. */
static void test_runner_lost(void **state)
{
	static const char *const script[] = { PLAIN_HELLO, "C?MAIL", "E",
		NULL };
	struct message message;
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_flush(&d);
	do
		assert_int_equal(
		    wire_receive(d.wire, &message, deadline_in_ms(5000)), 1);
	while (message.payload.p[0] != LINE_SENDING);
	drive_finish(&d);
}

static void test_runner_talks_rubbish(void **state)
{
	static const char *const script[] = { NULL };
	struct drive d;
	int status;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	wire_send(d.wire, MSG_DELIVER, 1, SPAN_LITERAL("rubbish"));
	drive_flush(&d);
	waitpid(d.line, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 1);
	wire_free(d.wire);
	waitpid(d.server, &status, 0);
}

/* Answered for one recipient, 421 leaves it open though the others' message is
 * taken: nobody has said yes for it. */
static void test_421_to_one_of_two(void **state)
{
	static const char *const script[] = { BDAT_HELLO, "C?MAIL", "C?RCPT",
		"C?RCPT", "C:BDAT 18 LAST", "B:" BODY,
		"S:250 ok\r\n250 ok\r\n421 not now\r\n250 one", "E", NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test b@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "DT");
	drive_expect_reply(&d, 0, "250 one");
	finish(&d);
}

/* Connections that end in good order are no tries that failed. */
static void test_many_connections(void **state)
{
	static const char *const once[] = { PLAIN_HELLO, STEPS, "C:QUIT", "E" };
	enum { STEPS_ONCE = sizeof(once) / sizeof(*once), JOBS = 20 };
	const char *script[JOBS * STEPS_ONCE + 1] = { NULL };
	struct session session = { .messages = 1,
		.localname = SPAN_LITERAL("line.test") };
	struct drive d;

	(void)state;
	for (unsigned i = 0; i < JOBS; i++)
		memcpy(script + i * STEPS_ONCE, once, sizeof(once));
	drive_start(&d, script);
	drive_session_with(&d, &session, 1);
	for (unsigned i = 1; i <= JOBS; i++)
		drive_deliver(&d, i, "a@x.test", BODY);
	drive_end(&d);
	for (unsigned i = 1; i <= JOBS; i++)
		drive_expect(&d, i, "D");
	finish(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greetings),
		cmocka_unit_test(test_endless_reply),
		cmocka_unit_test(test_next_host),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_lost_after_the_end),
		cmocka_unit_test(test_lost_for_good),
		cmocka_unit_test(test_lost_among_several),
		cmocka_unit_test(test_untouched_is_sent_again),
		cmocka_unit_test(test_pipelining_done_badly),
		cmocka_unit_test(test_extra_replies),
		cmocka_unit_test(test_starttls_injection),
		cmocka_unit_test(test_content_exact),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_idle_close),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_runner_lost),
		cmocka_unit_test(test_runner_talks_rubbish),
		cmocka_unit_test(test_421_to_one_of_two),
		cmocka_unit_test(test_many_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
