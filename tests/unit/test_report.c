/* DSNs: who gets one, what it says, in which form. */
#include "runner/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ORIGINAL                                           \
	"Received: by mail.example.com (Outpost) id 0\r\n" \
	"From: alice@example.com\r\nSubject: Hello\r\n\r\nThe body.\r\n"

static struct job_recipient recipients[3];
static struct job job;
static struct report_case given;

static void reset(void)
{
	memset(recipients, 0, sizeof(recipients));
	recipients[0] = (struct job_recipient){ .index = 4,
		.delivery = 2,
		.report = REPORT_FAILED,
		.address = SPAN_LITERAL("bob@example.org"),
		.orcpt = SPAN_LITERAL("rfc822;robert@example.org"),
		.reply = SPAN_LITERAL("550 5.1.1 <bob@example.org>: no such "
				      "user here"),
		.status = SPAN_LITERAL("5.1.1"),
		.host = SPAN_LITERAL("mx.example.org") };
	job = (struct job){ .message = 1ull << 40,
		.accepted_at = 1700000000,
		.size_bytes = sizeof(ORIGINAL) - 1,
		.sender = SPAN_LITERAL("alice@example.com"),
		.envid = SPAN_LITERAL("env 1"),
		.content = SPAN_LITERAL(ORIGINAL),
		.origin = ORIGIN_SMTP,
		.recipients = recipients,
		.nrecipients = 1 };
	given = (struct report_case){ .job = &job,
		.localname = "mail.example.com",
		.postmaster = "post@example.com",
		.now = 1700000100,
		.retry_until = 1700432000 };
}

static const char *composed(struct report *report)
{
	assert_int_equal(report_compose(&given, report), 0);
	if (getenv("SHOW"))
		fprintf(stderr, "%s\n", buf_text(&report->text));
	return buf_text(&report->text);
}

#define HAS(text, part) assert_non_null(strstr((text), (part)))
#define HAS_NOT(text, part) assert_null(strstr((text), (part)))

/* CRLF everywhere and no line beyond SMTP's limit. */
static void check_lines(const struct report *report)
{
	struct span rest = buf_span(&report->text);

	while (rest.n > 0) {
		ptrdiff_t end = span_find(rest, '\n');

		assert_true(end > 0);
		assert_int_equal(rest.p[end - 1], '\r');
		assert_true(end < 1000);
		rest = span_from(rest, (size_t)end + 1);
	}
}

static void test_failed(void **state)
{
	struct report report;
	const char *text;

	(void)state;
	reset();
	text = composed(&report);
	check_lines(&report);
	assert_true(span_is_equal(report.to, job.sender));
	assert_int_equal(report.nrefs, 1);
	assert_int_equal(report.refs[0].delivery, 2);
	assert_int_equal(report.refs[0].recipient, 4);
	assert_int_equal(report.refs[0].kind, REPORT_FAILED);
	assert_int_equal(report.body, BODY_7BIT);
	assert_false(report.smtputf8);
	HAS(text, "From: Mail Delivery System "
		  "<MAILER-DAEMON@mail.example.com>\r\n"
		  "To: <alice@example.com>\r\n");
	HAS(text, "Auto-Submitted: auto-replied\r\n");
	HAS(text, "multipart/report; report-type=delivery-status;");
	HAS(text, "\r\nReporting-MTA: dns; mail.example.com\r\n"
		  "Original-Envelope-Id: env 1\r\n");
	HAS(text, "\r\n\r\nOriginal-Recipient: rfc822;robert@example.org\r\n"
		  "Final-Recipient: rfc822; bob@example.org\r\n"
		  "Action: failed\r\nStatus: 5.1.1\r\n"
		  "Remote-MTA: dns; mx.example.org\r\n"
		  "Diagnostic-Code: smtp; 550 5.1.1");
	HAS(text, "Content-Type: message/rfc822\r\n\r\n" ORIGINAL);
	HAS(text, "Check the spelling");
	HAS_NOT(text, "Content-Transfer-Encoding");
	report_clear(&report);
}

static void test_headers_only(void **state)
{
	struct report report;
	const char *text;

	(void)state;
	reset();
	job.ret = RET_HDRS;
	text = composed(&report);
	HAS(text, "Content-Type: text/rfc822-headers\r\n\r\nReceived:");
	HAS_NOT(text, "The body.");
	report_clear(&report);
	reset();
	job.size_bytes = 10000000; /* content is only its beginning */
	text = composed(&report);
	HAS_NOT(text, "The body.");
	report_clear(&report);
	reset();
	recipients[0].report = REPORT_RELAYED;
	job.ret = RET_FULL; /* RFC 3461 6.1: full only for failures */
	text = composed(&report);
	HAS(text, "Action: relayed\r\n");
	HAS_NOT(text, "The body.");
	report_clear(&report);
}

static void test_large_header(void **state)
{
	static char content[200000];
	struct report report;

	(void)state;
	reset();
	for (size_t i = 0; i + 10 <= sizeof(content); i += 10)
		memcpy(content + i, "X-A: abc\r\n", 10);
	job.content = (struct span){ content, sizeof(content) };
	job.size_bytes = sizeof(content);
	composed(&report);
	check_lines(&report);
	assert_true(report.text.len < REPORT_HEADER_MAX + 4000);
	report_clear(&report);
}

static void test_delayed_and_mixed(void **state)
{
	struct report report;
	const char *text;

	(void)state;
	reset();
	recipients[1] = (struct job_recipient){ .report = REPORT_DELAYED,
		.address = SPAN_LITERAL("carol@example.net"),
		.reply = SPAN_LITERAL("connect: refused"),
		.status = SPAN_LITERAL("4.4.1") };
	recipients[2] = (struct job_recipient){ .report = REPORT_NONE,
		.address = SPAN_LITERAL("dave@example.net") };
	job.nrecipients = 3;
	text = composed(&report);
	assert_int_equal(report.nrefs, 2);
	HAS(text, "Action: delayed\r\nStatus: 4.4.1\r\n"
		  "Diagnostic-Code: X-Outpost; connect: refused\r\n"
		  "Will-Retry-Until: ");
	HAS(text, "still being tried");
	HAS_NOT(text, "dave@");
	report_clear(&report);
	recipients[0].report = REPORT_NONE;
	text = composed(&report);
	HAS(text, "Subject: Your message is delayed");
	report_clear(&report);
}

static void test_double_bounce(void **state)
{
	struct report report;
	const char *text;

	(void)state;
	reset();
	job.sender = (struct span){ NULL, 0 };
	composed(&report);
	assert_int_equal(report.to.n, 0); /* never to <> */
	report_clear(&report);
	job.origin = ORIGIN_REPORT;
	text = composed(&report);
	assert_true(span_is_equal(report.to, SPAN_LITERAL("post@example.com")));
	HAS(text, "Subject: Double bounce");
	report_clear(&report);
	recipients[0].address = SPAN_LITERAL("POST@example.com");
	composed(&report);
	assert_int_equal(report.to.n, 0); /* the postmaster's own fails */
	report_clear(&report);
	recipients[0].address = SPAN_LITERAL("x@example.com");
	given.postmaster = "";
	composed(&report);
	assert_int_equal(report.to.n, 0);
	report_clear(&report);
}

static void test_eight_bit(void **state)
{
	struct report report;
	const char *text;

	(void)state;
	reset();
	job.content = SPAN_LITERAL("Subject: x\r\n\r\ncaf\xc3\xa9\r\n");
	job.size_bytes = job.content.n;
	recipients[0].reply = SPAN_LITERAL("550 n\xc3\xb6");
	text = composed(&report);
	assert_int_equal(report.body, BODY_8BIT);
	assert_false(report.smtputf8);
	HAS(text, "Content-Type: message/rfc822\r\n"
		  "Content-Transfer-Encoding: 8bit\r\n");
	HAS(text, "smtp; 550 n??\r\n");
	report_clear(&report);
	job.smtputf8 = true;
	recipients[0].address = SPAN_LITERAL("b\xc3\xb6@example.org");
	text = composed(&report);
	assert_true(report.smtputf8);
	HAS(text, "report-type=global-delivery-status;");
	HAS(text, "Content-Type: message/global-delivery-status\r\n");
	HAS(text, "Final-Recipient: utf-8; b\xc3\xb6@example.org\r\n");
	HAS(text, "Content-Type: message/global\r\n");
	HAS(text, "smtp; 550 n\xc3\xb6\r\n");
	report_clear(&report);
}

static void test_hostile_texts(void **state)
{
	static char reply[1000];
	struct report report;
	const char *text;

	(void)state;
	reset();
	memset(reply, 'x', sizeof(reply));
	memcpy(reply, "550 \r\nBcc: a@b.c\r\n\r\n\x1b[2J", 25);
	recipients[0].reply = (struct span){ reply, sizeof(reply) };
	recipients[0].orcpt = SPAN_LITERAL("rfc822;a\r\nX-Evil: 1");
	job.envid = SPAN_LITERAL("e\nX-Evil: 2");
	text = composed(&report);
	check_lines(&report);
	HAS_NOT(text, "\nX-Evil");
	HAS_NOT(text, "\nBcc");
	HAS_NOT(text, "\x1b");
	report_clear(&report);
}

static void test_boundary_is_not_inside(void **state)
{
	char content[400], *boundary, *end;
	struct report report;
	const char *text;

	(void)state;
	reset();
	text = composed(&report);
	boundary = strstr(text, "boundary=\"");
	assert_non_null(boundary);
	boundary += 10;
	end = strchr(boundary, '"');
	snprintf(content, sizeof(content), "Subject: x\r\n\r\n--%.*s--\r\n",
	    (int)(end - boundary), boundary);
	job.content = span_of(content);
	job.size_bytes = job.content.n;
	report_clear(&report);
	text = composed(&report);
	HAS(text, content);
	boundary = strstr(text, "boundary=\"") + 10;
	end = strchr(boundary, '"');
	assert_null(memmem(
	    content, strlen(content), boundary, (size_t)(end - boundary)));
	report_clear(&report);
}

static void test_many_recipients(void **state)
{
	size_t n = REPORT_RECIPIENTS_MAX + 5;
	struct job_recipient *many = calloc(n, sizeof(*many));
	struct report report;

	(void)state;
	reset();
	assert_non_null(many);
	for (size_t i = 0; i < n; i++)
		many[i] = recipients[0];
	job.recipients = many;
	job.nrecipients = n;
	composed(&report);
	assert_int_equal(report.nrefs, REPORT_RECIPIENTS_MAX);
	report_clear(&report);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_headers_only),
		cmocka_unit_test(test_large_header),
		cmocka_unit_test(test_delayed_and_mixed),
		cmocka_unit_test(test_double_bounce),
		cmocka_unit_test(test_eight_bit),
		cmocka_unit_test(test_hostile_texts),
		cmocka_unit_test(test_boundary_is_not_inside),
		cmocka_unit_test(test_many_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
