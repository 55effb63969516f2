/* messages.c: what is put is got back; what is cut short or spoilt is not. */
#include "common/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct recipient recipients[] = {
	{ SPAN_LITERAL("a@example.org"), SPAN_LITERAL("rfc822;a@example.org"),
	    NOTIFY_SUCCESS | NOTIFY_DELAY },
	{ SPAN_LITERAL("b@example.net"), { NULL, 0 }, 0 },
};
static const struct report_ref refs[] = { { 1, 2, REPORT_DELAYED } };

static struct envelope sample_envelope(void)
{
	return (struct envelope){
		.sender = SPAN_LITERAL("me@example.com"),
		.origin = ORIGIN_SMTP,
		.body = BODY_8BIT,
		.ret = RET_HDRS,
		.smtputf8 = true,
		.priority = -3,
		.uid = 1000,
		.login = SPAN_LITERAL("me"),
		.client = SPAN_LITERAL("[192.0.2.1] host"),
		.envid = SPAN_LITERAL("env=1"),
		.line = SPAN_LITERAL("bulk"),
		.hold_until = 5,
		.expires_at = 6,
		.trace_head = SPAN_LITERAL("Received: x\r\n\tid "),
		.trace_tail = SPAN_LITERAL("; date"),
		.about = 77,
		.refs = refs,
		.nrefs = 1,
		.recipients = recipients,
		.nrecipients = 2,
	};
}

static void test_envelope(void **state)
{
	struct envelope e = sample_envelope(), back;
	struct buf b, again;

	(void)state;
	buf_init(&b, 10000);
	buf_init(&again, 10000);
	envelope_put(&b, &e);
	for (size_t n = 0; n <= b.len; n++) {
		struct reader r = reader_of((struct span){ b.data, n });
		int status = envelope_get(&r, &back);

		assert_int_equal(status, n == b.len ? 0 : -1);
		if (status == 0) {
			envelope_put(&again, &back);
			assert_true(
			    span_is_equal(buf_span(&b), buf_span(&again)));
			assert_int_equal(back.priority, -3);
			assert_int_equal(back.refs[0].kind, REPORT_DELAYED);
			envelope_free(&back);
		}
	}
	buf_clear(&b);
	buf_clear(&again);
}

static int try_envelope(const struct envelope *e)
{
	struct envelope back;
	struct reader r;
	struct buf b;
	int status;

	buf_init(&b, 1 << 20);
	envelope_put(&b, e);
	r = reader_of(buf_span(&b));
	status = envelope_get(&r, &back);
	if (status == 0)
		envelope_free(&back);
	buf_clear(&b);
	return status;
}

static void test_envelope_refuses_line_breaks(void **state)
{
	static const char *const bad[] = { "a\nRCPT TO:<x@y>", "a\r", "\n" };
	struct recipient one = { SPAN_LITERAL("a@b"), { NULL, 0 }, 0 };
	struct envelope e;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		e = sample_envelope();
		e.sender = span_of(bad[i]);
		assert_int_equal(try_envelope(&e), -1);
		e = sample_envelope();
		e.envid = span_of(bad[i]);
		assert_int_equal(try_envelope(&e), -1);
		e = sample_envelope();
		e.recipients = &one;
		e.nrecipients = 1;
		assert_int_equal(try_envelope(&e), 0);
		one.orcpt = span_of(bad[i]);
		assert_int_equal(try_envelope(&e), -1);
		one.orcpt = (struct span){ NULL, 0 };
	}
	e = sample_envelope();
	e.sender = SPAN_LITERAL("a\0b");
	assert_int_equal(try_envelope(&e), -1);
	e = sample_envelope();
	e.origin = 9;
	assert_int_equal(try_envelope(&e), -1);
}

static void test_attempt(void **state)
{
	const struct rcpt_outcome outcomes[] = {
		{ 0, RCPT_DELIVERED, 250, "2.0.0", SPAN_LITERAL("ok") },
		{ 3, RCPT_DEFERRED, 451, "4.7.1", SPAN_LITERAL("later") },
	};
	const uint8_t reports[] = { REPORT_RELAYED, REPORT_NONE };
	struct attempt a = {
		.message = 1,
		.delivery = 2,
		.next_try_ms = 3,
		.counts = true,
		.line = SPAN_LITERAL("default/3"),
		.cause = SPAN_LITERAL("retry"),
		.reports = reports,
		.result = { .host = SPAN_LITERAL("mx.example.org"),
		    .address = SPAN_LITERAL("192.0.2.1:25"),
		    .tls = SPAN_LITERAL(""),
		    .took_ms = 12,
		    .recipients = outcomes,
		    .nrecipients = 2 },
	}, back;
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	attempt_put(&b, &a);
	for (size_t n = 0; n <= b.len; n++) {
		struct reader r = reader_of((struct span){ b.data, n });

		if (attempt_get(&r, &back) < 0) {
			assert_true(n < b.len);
			continue;
		}
		assert_int_equal(n, b.len);
		assert_int_equal(back.reports[0], REPORT_RELAYED);
		assert_int_equal(back.result.recipients[1].index, 3);
		assert_string_equal(back.result.recipients[1].status, "4.7.1");
		attempt_free(&back);
	}
	buf_clear(&b);
}

static void test_session(void **state)
{
	struct host hosts[2] = {
		{ .name = SPAN_LITERAL("mx1"),
		    .port = 25,
		    .naddresses = 1,
		    .addresses = { SPAN_LITERAL("\x7f\0\0\1") } },
		{ .name = SPAN_LITERAL("mx2"), .port = 25 },
	};
	struct session s = { .destination = SPAN_LITERAL("example.org"),
		.localname = SPAN_LITERAL("me.example.com"),
		.tls = TLS_MAY,
		.messages = 100,
		.hosts = hosts,
		.nhosts = 2 };
	struct session back;
	struct reader r;
	struct buf b;

	(void)state;
	outcome_temp(&hosts[1].why, "4.4.3", "no address");
	buf_init(&b, 10000);
	session_put(&b, &s);
	r = reader_of(buf_span(&b));
	assert_int_equal(session_get(&r, &back), 0);
	assert_true(reader_is_done(&r));
	assert_int_equal(back.hosts[0].addresses[0].n, 4);
	assert_string_equal(back.hosts[1].why.detail, "no address");
	session_free(&back);
	/* An address of five bytes is none. */
	hosts[0].addresses[0] = SPAN_LITERAL("12345");
	buf_reset(&b);
	session_put(&b, &s);
	r = reader_of(buf_span(&b));
	assert_int_equal(session_get(&r, &back), -1);
	buf_clear(&b);
}

/* A count that no payload could hold asks for no memory. */
static void test_counts_are_believed_only_as_far_as_bytes_came(void **state)
{
	struct resolve_answer answer;
	struct job job;
	struct reader r;
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	put_u8(&b, 0);
	put_span(&b, SPAN_LITERAL(""));
	put_span(&b, SPAN_LITERAL(""));
	put_u32(&b, 1);
	put_span(&b, SPAN_LITERAL(""));
	put_u16(&b, 50);
	r = reader_of(buf_span(&b));
	assert_int_equal(resolve_answer_get(&r, &answer), -1);
	r = reader_of(SPAN_LITERAL("\377\377\377\377\377\377\377\377"));
	assert_int_equal(job_get(&r, &job), -1);
	buf_clear(&b);
}

static void test_fetch(void **state)
{
	struct fetch_query q = { .domain = SPAN_LITERAL("a.example"),
		.port = 443,
		.addresses = { SPAN_LITERAL("1234"),
		    SPAN_LITERAL("1234567890123456") },
		.naddresses = 2 },
			   back;
	struct fetch_answer a = { .text = SPAN_LITERAL("mode: none\r\n") },
			    other;
	struct reader r;
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	fetch_query_put(&b, &q);
	r = reader_of(buf_span(&b));
	fetch_query_get(&r, &back);
	assert_true(reader_is_done(&r));
	assert_int_equal(back.naddresses, 2);
	assert_int_equal(back.addresses[1].n, 16);
	for (size_t n = 0; n < b.len; n++) {
		r = reader_of((struct span){ b.data, n });
		fetch_query_get(&r, &back);
		assert_true(r.bad);
	}
	buf_reset(&b);
	outcome_temp(&a.outcome, "4.7.5", "no");
	fetch_answer_put(&b, &a);
	r = reader_of(buf_span(&b));
	fetch_answer_get(&r, &other);
	assert_true(reader_is_done(&r));
	assert_string_equal(other.outcome.detail, "no");
	assert_int_equal(other.text.n, 12);
	buf_clear(&b);
}

static void test_stats(void **state)
{
	struct spool_stats s, back;
	struct reader r;
	struct buf b;

	(void)state;
	memset(&s, 0, sizeof(s));
	s.messages = 1;
	s.by_state[STATE_COUNT - 1] = 2;
	s.bytes_written = 3;
	buf_init(&b, 1000);
	spool_stats_put(&b, &s);
	r = reader_of(buf_span(&b));
	spool_stats_get(&r, &back);
	assert_true(reader_is_done(&r));
	assert_memory_equal(&s, &back, sizeof(s));
	buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_envelope_refuses_line_breaks),
		cmocka_unit_test(test_attempt),
		cmocka_unit_test(test_session),
		cmocka_unit_test(
		    test_counts_are_believed_only_as_far_as_bytes_came),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
