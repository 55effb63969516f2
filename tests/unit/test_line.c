/* line*.c, pipeline*.c, dialogue*.c: transcripts with both sides. */
#include "line_driver.h"

#define BODY "Subject: x\r\n\r\nhi\r\n"
#define BODY2 "Subject: y\r\n\r\n.dot\r\n"

#define PLAIN_HELLO "A", "S:220 sink", "C:EHLO line.test", "S:250 sink"
#define DATA_HELLO                             \
	"A", "S:220 sink", "C:EHLO line.test", \
	    "S:250-sink\r\n250-SIZE 1000\r\n250 PIPELINING"
#define BDAT_HELLO                             \
	"A", "S:220 sink", "C:EHLO line.test", \
	    "S:250-sink\r\n250-PIPELINING\r\n250 CHUNKING"

static void run_one(const char *const *script, const char *rcpts,
    const char *outcomes, struct drive *d)
{
	drive_start(d, script);
	drive_session(d, 1);
	drive_deliver(d, 1, rcpts, BODY);
	drive_end(d);
	drive_expect(d, 1, outcomes);
}

static void finish(struct drive *d)
{
	drive_expect_done(d);
	drive_finish(d);
}

static void test_stepwise(void **state)
{
	static const char *const script[] = { PLAIN_HELLO,
		"C:MAIL FROM:<from@x.test>", "S:250 ok", "C:RCPT TO:<a@x.test>",
		"S:250 ok", "C:RCPT TO:<b@x.test>", "S:550 5.1.1 no b",
		"C:DATA", "S:354 go", "B:" BODY ".\r\n",
		"S:250 2.0.0 taken as 7", "C:QUIT", "E", NULL };
	struct drive d;

	(void)state;
	run_one(script, "a@x.test b@x.test", "DF", &d);
	drive_expect_reply(&d, 0, "250 2.0.0 taken as 7");
	drive_expect_reply(&d, 1, "550 5.1.1 no b");
	assert_string_equal(d.result.recipients[1].status, "5.1.1");
	assert_true(span_is_equal(d.result.host, SPAN_LITERAL("mx.test")));
	drive_expect_done(&d);
	assert_int_equal(d.report.round_trips, 7);
	assert_int_equal(d.report.messages, 1);
	assert_int_equal(d.report.outcome.verdict, VERDICT_OK);
	assert_int_equal(d.states, 4); /* IDLE comes behind */
	drive_finish(&d);
}

static void test_helo(void **state)
{
	static const char *const script[] = { "A", "S:220 old",
		"C:EHLO line.test", "S:500 what?", "C:HELO line.test",
		"S:250 old", "C:MAIL FROM:<from@x.test>", "S:250 ok",
		"C:RCPT TO:<a@x.test>", "S:250 ok", "C:DATA", "S:354 go",
		"B:" BODY ".\r\n", "S:250 ok", "C:QUIT", "E", NULL };
	struct drive d;

	(void)state;
	run_one(script, "a@x.test", "D", &d);
	finish(&d);
}

static void test_data_pipelined(void **state)
{
	static const char *const script[] = { DATA_HELLO,
		"C:MAIL FROM:<from@x.test> SIZE=18", "C:RCPT TO:<a@x.test>",
		"C:DATA", "S:250 ok\r\n250 ok\r\n354 go", "B:" BODY ".\r\n",
		"C:MAIL FROM:<from@x.test> SIZE=20", "C:RCPT TO:<b@x.test>",
		"C:DATA", "S:250 one\r\n250 ok\r\n250 ok\r\n354 go",
		"B:Subject: y\r\n\r\n..dot\r\n.\r\n", "S:250 two", "C:QUIT",
		"E", NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_deliver(&d, 2, "b@x.test", BODY2);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	drive_expect_reply(&d, 0, "250 one");
	drive_expect(&d, 2, "D");
	drive_expect_reply(&d, 0, "250 two");
	drive_expect_done(&d);
	assert_int_equal(d.report.round_trips, 5);
	drive_finish(&d);
}

/* hazard 37: nobody takes it, the server says 354 all the same */
static void test_data_without_recipients(void **state)
{
	static const char *const script[] = { DATA_HELLO, "C?MAIL",
		"C:RCPT TO:<a@x.test>", "C:RCPT TO:<b@x.test>", "C:DATA",
		"S:250 ok\r\n450 later\r\n550 no\r\n354 go", "B:.\r\n",
		"C?MAIL", "C:RCPT TO:<c@x.test>", "C:DATA",
		"S:554 no recipients\r\n250 ok\r\n250 ok\r\n354 go",
		"B:" BODY ".\r\n", "S:250 ok", "C:QUIT", "E", NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test b@x.test", BODY);
	drive_deliver(&d, 2, "c@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "TF");
	drive_expect_reply(&d, 0, "450 later");
	drive_expect(&d, 2, "D");
	finish(&d);
}

static void test_data_refused(void **state)
{
	static const char *const script[] = { DATA_HELLO, "C?MAIL",
		"C:RCPT TO:<a@x.test>", "C:DATA",
		"S:250 ok\r\n550 no\r\n503 no recipients", "C:RSET", "C?MAIL",
		"C:RCPT TO:<c@x.test>", "C:DATA",
		"S:250 ok\r\n250 ok\r\n250 ok\r\n451 not now", "C:RSET",
		"C?MAIL", "C:RCPT TO:<d@x.test>", "C:DATA",
		"S:250 ok\r\n452 from\r\n503 no\r\n503 no", "C:QUIT", "E",
		NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_deliver(&d, 2, "c@x.test", BODY);
	drive_deliver(&d, 3, "d@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "F");
	drive_expect(&d, 2, "T");
	drive_expect_reply(&d, 0, "451 not now");
	drive_expect(&d, 3, "T");
	drive_expect_reply(&d, 0, "452 from");
	finish(&d);
}

static void test_bdat_ahead(void **state)
{
	static const char *const script[] = { BDAT_HELLO,
		"C:MAIL FROM:<from@x.test>", "C:RCPT TO:<a@x.test>",
		"C:RCPT TO:<b@x.test>", "C:BDAT 18 LAST", "B:" BODY, "C:RSET",
		"C:MAIL FROM:<from@x.test>", "C:RCPT TO:<c@x.test>",
		"C:BDAT 20 LAST", "B:" BODY2, "C:RSET",
		"C:MAIL FROM:<from@x.test>", "C:RCPT TO:<d@x.test>",
		"C:BDAT 18 LAST", "B:" BODY,
		"S:250 ok\r\n250 ok\r\n550 no b\r\n250 one",
		"S:250 reset\r\n250 ok\r\n550 no c\r\n554 nobody",
		"S:250 reset\r\n250 ok\r\n250 ok\r\n250 three", "C:QUIT", "E",
		NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test b@x.test", BODY);
	drive_deliver(&d, 2, "c@x.test", BODY2);
	drive_deliver(&d, 3, "d@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "DF");
	drive_expect_reply(&d, 0, "250 one");
	drive_expect(&d, 2, "F");
	drive_expect_reply(&d, 0, "550 no c");
	drive_expect(&d, 3, "D");
	drive_expect_reply(&d, 0, "250 three");
	drive_expect_done(&d);
	assert_int_equal(d.report.round_trips, 3);
	drive_finish(&d);
}

/* A job that comes while the answers of another are awaited. */
static void test_bdat_joins(void **state)
{
	static const char *const script[] = { BDAT_HELLO, "C?MAIL", "C?RCPT",
		"C:BDAT 18 LAST", "B:" BODY, "C:RSET", "C?MAIL", "C?RCPT",
		"C:BDAT 20 LAST", "B:" BODY2,
		"S:250 ok\r\n250 ok\r\n250 one\r\n250 reset\r\n250 ok",
		"S:250 ok\r\n250 two", "C?MAIL", "C?RCPT", "C:BDAT 18 LAST",
		"B:" BODY, "S:250 ok\r\n250 ok\r\n250 three", "C:QUIT", "E",
		NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_flush(&d);
	usleep(50000);
	drive_deliver(&d, 2, "b@x.test", BODY2);
	drive_flush(&d);
	drive_expect(&d, 1, "D");
	drive_expect(&d, 2, "D");
	/* idle, then another without RSET */
	drive_deliver(&d, 3, "c@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 3, "D");
	drive_expect_reply(&d, 0, "250 three");
	finish(&d);
}

static void test_bdat_without_pipelining(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250 CHUNKING", "C?MAIL", "S:250 ok", "C?RCPT",
		"S:250 ok", "C:BDAT 18 LAST", "B:" BODY, "S:250 ok", "C?MAIL",
		"S:550 5.7.1 blocked", "C:QUIT", "E", NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_deliver(&d, 2, "a@x.test b@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	drive_expect(&d, 2, "FF");
	drive_expect_reply(&d, 1, "550 5.7.1 blocked");
	finish(&d);
}

static void test_dsn(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN",
		"C:MAIL FROM:<from@x.test> BODY=8BITMIME SMTPUTF8 RET=HDRS "
		"ENVID=a+2Bb+20c",
		"S:250 ok",
		"C:RCPT TO:<a@x.test> NOTIFY=SUCCESS,DELAY "
		"ORCPT=rfc822;a+2Bb@x.test",
		"S:452 too many", "C:RSET", "S:250 ok", "C?MAIL", "S:250 ok",
		"C:RCPT TO:<\"a b\"@x.test>", "S:552 too many", "C:QUIT", "E",
		NULL };
	struct job job = { .sender = SPAN_LITERAL("from@x.test"),
		.envid = SPAN_LITERAL("a+b c"),
		.content = SPAN_LITERAL("Subject: \xc3\xa9\r\n"),
		.body = BODY_7BIT, /* the content says otherwise */
		.ret = RET_HDRS,
		.smtputf8 = true };
	struct job_recipient quoted = { .index = 5,
		.address = SPAN_LITERAL("\"a b\"@x.test") };
	struct drive d;
	struct buf head;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_job(&d, 1, &job, "+a@x.test");
	job.recipients = &quoted;
	job.nrecipients = 1;
	buf_init(&head, 10000);
	job_put_head(&head, &job);
	wire_send_two(d.wire, MSG_DELIVER, 2, buf_span(&head), job.content);
	buf_clear(&head);
	drive_end(&d);
	drive_expect(&d, 1, "T");
	assert_true(d.result.peer_has_dsn);
	drive_expect(&d, 2, "T");
	assert_string_equal(d.result.recipients[0].status, "4.5.3");
	finish(&d);
}

/* Not in clear, whatever the server says. */
static void test_requiretls(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250 REQUIRETLS", "C:QUIT", "E", NULL };
	struct job job = { .sender = SPAN_LITERAL("from@x.test"),
		.content = SPAN_LITERAL(BODY),
		.requiretls = true };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_job(&d, 1, &job, "a@x.test");
	drive_end(&d);
	drive_expect(&d, 1, "T");
	assert_string_equal(d.result.recipients[0].status, "4.7.5");
	finish(&d);
}

static void test_fit(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250 SIZE 17", "C:MAIL FROM:<from@x.test> SIZE=3",
		"S:250 ok", "C:RCPT TO:<a@xn--b-eha.test>", "S:550 5.1.1 no",
		"C:RSET", "S:250 ok", "C:MAIL FROM:<from@x.test> SIZE=3",
		"S:550 5.7.1 no", "C:QUIT", "E", NULL };
	struct job job = { .sender = SPAN_LITERAL("from@x.test"),
		.content = SPAN_LITERAL(BODY) };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_job(&d, 1, &job, "a@x.test");
	job.content = SPAN_LITERAL("\xff\r\n");
	drive_job(&d, 2, &job, "a@x.test");
	job.content = SPAN_LITERAL("x\r\n");
	job.smtputf8 = true;
	drive_job(&d, 3, &job, "a@b\xc3\xbc.test \xc3\xa9@x.test");
	job.body = BODY_8BIT; /* declared, but plain: so is the envelope */
	drive_job(&d, 5, &job, "a@x.test");
	job.smtputf8 = false;
	job.body = BODY_7BIT;
	job.sender = SPAN_LITERAL("a>b@x.test");
	drive_job(&d, 4, &job, "a@x.test");
	drive_end(&d);
	drive_expect(&d, 1, "F");
	assert_string_equal(d.result.recipients[0].status, "5.3.4");
	/* longer in 7 bits */
	drive_expect(&d, 2, "F");
	assert_string_equal(d.result.recipients[0].status, "5.3.4");
	drive_expect(&d, 3, "FF");
	assert_string_equal(d.result.recipients[0].status, "5.1.1");
	assert_string_equal(d.result.recipients[1].status, "5.6.7");
	drive_expect(&d, 5, "F");
	assert_string_equal(d.result.recipients[0].status, "5.7.1");
	drive_expect(&d, 4, "F");
	assert_string_equal(d.result.recipients[0].status, "5.1.7");
	finish(&d);
}

static void test_messages_per_connection(void **state)
{
	static const char *const script[] = { BDAT_HELLO, "C?MAIL", "C?RCPT",
		"C:BDAT 18 LAST", "B:" BODY, "S:250 ok\r\n250 ok\r\n250 one",
		"C:QUIT", "E", BDAT_HELLO, "C?MAIL", "C?RCPT", "C:BDAT 18 LAST",
		"B:" BODY, "S:250 ok\r\n250 ok\r\n250 two", "C:QUIT", "E",
		NULL };
	struct session session = { .messages = 1 };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session_with(&d, &session, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_deliver(&d, 2, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	drive_expect(&d, 2, "D");
	drive_expect_done(&d);
	assert_int_equal(d.report.connections, 2);
	drive_finish(&d);
}

static void test_large(void **state)
{
	static const char *const script[] = { BDAT_HELLO, "C?MAIL", "C?RCPT",
		"S:250 ok\r\n250 ok", "C:BDAT 300000 LAST", "N:300000",
		"S:250 big", "C?MAIL", "C?RCPT", "S:250 ok\r\n550 no", "C:QUIT",
		"E", NULL };
	struct job job = { .sender = SPAN_LITERAL("from@x.test"),
		.is_large = true };
	struct job_recipient rcpt = { .index = 5,
		.address = SPAN_LITERAL("a@x.test") };
	struct drive d;
	struct buf head;
	FILE *file = tmpfile();
	int fd;

	(void)state;
	for (int i = 0; i < 10000; i++)
		fputs("012345678901234567890123456\r\n.", file);
	fflush(file);
	drive_start(&d, script);
	drive_session(&d, 1);
	job.recipients = &rcpt;
	job.nrecipients = 1;
	job.size_bytes = 300000;
	buf_init(&head, 10000);
	job_put_head(&head, &job);
	fd = dup(fileno(file));
	wire_send_fds(d.wire, MSG_DELIVER, 1, buf_span(&head), &fd, 1);
	fd = dup(fileno(file));
	wire_send_fds(d.wire, MSG_DELIVER, 2, buf_span(&head), &fd, 1);
	buf_clear(&head);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	drive_expect(&d, 2, "F");
	finish(&d);
	fclose(file);
}

static void test_starttls(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250-CHUNKING\r\n250 STARTTLS", "C:STARTTLS",
		"S:220 go", "H", "C?EHLO", "S:250-sink\r\n250 PIPELINING",
		"C?MAIL", "C?RCPT", "C:DATA", "S:250 ok\r\n250 ok\r\n354 go",
		"B:" BODY ".\r\n", "S:250 ok", "C:QUIT", "E", NULL };
	struct session session = { .tls = TLS_REQUIRE };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session_with(&d, &session, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	assert_int_equal(strncmp(d.result.tls.p, "TLSv1.3 TLS_", 12), 0);
	finish(&d);
}

static void test_tls_fallback(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250 STARTTLS", "C:STARTTLS", "S:220 go", "N:50",
		"S:no handshake", "X", "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250 STARTTLS", "C?MAIL", "S:250 ok", "C?RCPT",
		"S:250 ok", "C:DATA", "S:354 go", "B:" BODY ".\r\n", "S:250 ok",
		"C:QUIT", "E", NULL };
	struct drive d;

	(void)state;
	run_one(script, "a@x.test", "D", &d);
	assert_int_equal(
	    strncmp(d.result.tls.p, "clear: TLS handshake: wrong version", 35),
	    0);
	assert_int_equal(d.ntried, 2);
	assert_int_equal(d.tried[0].tls, TLS_RESULT_VALIDATION_FAILURE);
	assert_int_equal(d.tried[1].tls, TLS_RESULT_NOT_TRIED);
	assert_int_equal(d.tried[1].outcome.verdict, VERDICT_OK);
	finish(&d);
}

static void test_tls_required(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250 sink", "C:QUIT", "E", "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250 STARTTLS", "C:STARTTLS", "S:454 not now",
		"C:QUIT", "E", NULL };
	struct session session = { .tls = TLS_REQUIRE };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session_with(&d, &session, 2);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_deliver(&d, 2, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "T");
	drive_expect_reply(&d, 0, "454 not now");
	drive_expect(&d, 2, "-");
	drive_expect_done(&d);
	assert_int_equal(d.report.outcome.verdict, VERDICT_TEMP);
	drive_finish(&d);
}

/* Two sessions on one line, jobs too late for the first. */
static void test_two_sessions(void **state)
{
	static const char *const script[] = { "A", "S:421 busy", "E",
		BDAT_HELLO, "C?MAIL", "C?RCPT", "C:BDAT 18 LAST", "B:" BODY,
		"S:250 ok\r\n250 ok\r\n250 one", "C:QUIT", "E", NULL };
	struct drive d;

	(void)state;
	drive_start(&d, script);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_flush(&d);
	drive_expect(&d, 1, "T");
	drive_expect_reply(&d, 0, "421 busy");
	drive_expect_done(&d);
	assert_true(d.report.is_overloaded);
	drive_deliver(&d, 2, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 2, "-");
	drive_session(&d, 1);
	drive_deliver(&d, 3, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 3, "D");
	drive_expect_done(&d);
	assert_false(d.report.is_overloaded);
	drive_finish(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stepwise),
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_data_pipelined),
		cmocka_unit_test(test_data_without_recipients),
		cmocka_unit_test(test_data_refused),
		cmocka_unit_test(test_bdat_ahead),
		cmocka_unit_test(test_bdat_joins),
		cmocka_unit_test(test_bdat_without_pipelining),
		cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_requiretls),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_messages_per_connection),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_tls_fallback),
		cmocka_unit_test(test_tls_required),
		cmocka_unit_test(test_two_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
