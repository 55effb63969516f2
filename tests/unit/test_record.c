/* Journal records: what is put comes back, what is damaged is refused. */
#include "queue/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { GENERATION = 77, OFFSET = 8192 };

static struct span record_make(
    struct buf *b, uint8_t type, struct span contents)
{
	struct record_head h = { .type = type,
		.version = 1,
		.bytes = (uint32_t)(RECORD_HEAD_BYTES + contents.n),
		.message = 5,
		.session = 6 };
	struct span whole;

	buf_init(b, 1 << 20);
	record_head_put(b, &h);
	buf_put_raw(b, contents);
	whole = buf_span(b);
	record_set_crc(
	    b->data, record_seal(record_crc(whole, (struct span){ 0 }),
			 GENERATION, OFFSET));
	return whole;
}

static void a_record_belongs_to_its_place(void **state)
{
	struct record_head h;
	struct buf b;
	struct span r = record_make(&b, RECORD_GONE, SPAN_LITERAL("abcdefg"));

	(void)state;
	assert_true(record_is_valid(r, GENERATION, OFFSET, &h));
	assert_int_equal(h.type, RECORD_GONE);
	assert_int_equal(h.message, 5);
	assert_int_equal(h.session, 6);
	assert_int_equal(h.bytes, r.n);
	assert_false(record_is_valid(r, GENERATION + 1, OFFSET, &h));
	assert_false(record_is_valid(r, GENERATION, OFFSET + 8, &h));
	buf_clear(&b);
}

static void each_flipped_bit_is_noticed(void **state)
{
	struct record_head h;
	struct buf b;
	struct span r = record_make(&b, RECORD_GONE, SPAN_LITERAL("abcdefg"));

	(void)state;
	for (size_t bit = 0; bit < r.n * 8; bit++) {
		b.data[bit / 8] ^= (char)(1 << bit % 8);
		assert_false(record_is_valid(r, GENERATION, OFFSET, &h));
		b.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t n = 0; n < r.n; n++)
		assert_false(record_is_valid(
		    (struct span){ r.p, n }, GENERATION, OFFSET, &h));
	buf_clear(&b);
}

static void the_sum_may_be_made_in_parts(void **state)
{
	struct buf b;
	struct span r =
	    record_make(&b, RECORD_MESSAGE, SPAN_LITERAL("head and body"));
	struct span head = { r.p, r.n - 4 }, body = span_from(r, r.n - 4);

	(void)state;
	assert_int_equal(
	    record_crc(r, (struct span){ 0 }), record_crc(head, body));
	buf_clear(&b);
}

static void message_put_all(struct buf *b)
{
	struct stored_message m = {
		.at_ms = 123456,
		.body_bytes = 4,
		.envelope = { .sender = SPAN_LITERAL("me@x.example"),
		    .origin = ORIGIN_SMTP,
		    .priority = -9,
		    .about = 8,
		    .requiretls = true,
		    .line = SPAN_LITERAL("bulk") },
		.nrefs = 1,
		.ndeliveries = 2,
		.nrecipients = 3,
	};
	struct report_ref ref = { 1, 2, REPORT_FAILED };
	struct recipient r = { .address = SPAN_LITERAL("a@b.example"),
		.orcpt = SPAN_LITERAL("rfc822;a"),
		.notify = NOTIFY_DELAY };

	stored_message_put(b, &m);
	stored_ref_put(b, &ref);
	stored_delivery_put(b, SPAN_LITERAL("b.example"), 2);
	stored_recipient_put(b, &r, 2);
	stored_recipient_put(b, &r, 0);
	stored_delivery_put(b, SPAN_LITERAL("c.example"), 1);
	stored_recipient_put(b, &r, 1);
}

static void a_message_comes_back(void **state)
{
	struct stored_message m;
	struct stored_delivery d;
	struct recipient r;
	struct report_ref ref;
	uint32_t order;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 16);
	message_put_all(&b);
	assert_int_equal(stored_message_get(buf_span(&b), &m), 0);
	assert_int_equal(m.at_ms, 123456);
	assert_int_equal(m.envelope.priority, -9);
	assert_true(m.envelope.requiretls && !m.envelope.smtputf8);
	assert_true(span_is_equal(m.envelope.line, SPAN_LITERAL("bulk")));
	assert_true(stored_ref_next(&m, &ref));
	assert_int_equal(ref.recipient, 2);
	assert_false(stored_ref_next(&m, &ref));
	assert_true(stored_delivery_next(&m, &d));
	assert_int_equal(d.nrecipients, 2);
	assert_true(stored_recipient_next(&d, &r, &order));
	assert_int_equal(order, 2);
	assert_true(span_is_equal(r.orcpt, SPAN_LITERAL("rfc822;a")));
	assert_true(stored_delivery_next(&m, &d));
	assert_true(span_is_equal(d.domain, SPAN_LITERAL("c.example")));
	assert_false(stored_delivery_next(&m, &d));
	assert_true(reader_is_done(&m.deliveries));
	buf_clear(&b);
}

/* Wherever it ends too early: no read beyond, and no full result. */
static void a_cut_message_is_noticed(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 16);
	message_put_all(&b);
	for (size_t n = 0; n < b.len; n++) {
		char *exact = malloc(n + 1);
		struct stored_message m;
		struct stored_delivery d;
		unsigned whole = 0;

		memcpy(exact, b.data, n);
		if (stored_message_get((struct span){ exact, n }, &m) == 0)
			while (stored_delivery_next(&m, &d))
				whole++;
		assert_true(whole < 2);
		free(exact);
	}
	buf_clear(&b);
}

static void an_attempt_comes_back(void **state)
{
	struct rcpt_outcome out[2] = {
		{ .index = 3,
		    .result = RCPT_FAILED,
		    .code = 550,
		    .status = "5.1.1",
		    .reply = SPAN_LITERAL("no such user") },
		{ .index = 4, .result = RCPT_DELIVERED, .status = "2.0.0" },
	};
	struct attempt a = { .delivery = 9,
		.next_try_ms = 77,
		.counts = true,
		.line = SPAN_LITERAL("default/1"),
		.reports = (uint8_t[]){ REPORT_FAILED, REPORT_NONE },
		.result = { .host = SPAN_LITERAL("mx"),
		    .took_ms = 12,
		    .peer_has_dsn = true,
		    .recipients = out,
		    .nrecipients = 2 } };
	struct record_attempt x;
	struct rcpt_outcome r;
	struct span status;
	uint8_t report;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 16);
	record_attempt_put(&b, 1000, &a);
	assert_int_equal(record_attempt_get(buf_span(&b), &x), 0);
	assert_int_equal(x.at_ms, 1000);
	assert_int_equal(x.attempt.delivery, 9);
	assert_true(x.attempt.counts && !x.attempt.line_died);
	assert_true(x.attempt.result.peer_has_dsn);
	memset(&r, 0xa5, sizeof(r));
	assert_true(record_attempt_next(&x, &r, &report, &status));
	assert_int_equal(r.index, 3);
	assert_int_equal(report, REPORT_FAILED);
	assert_string_equal(r.status, "5.1.1");
	assert_int_equal(r.action + r.after_s + r.rule + r.stage, 0);
	assert_true(span_is_equal(status, SPAN_LITERAL("5.1.1")));
	assert_true(record_attempt_next(&x, &r, &report, &status));
	assert_int_equal(r.result, RCPT_DELIVERED);
	assert_false(record_attempt_next(&x, &r, &report, &status));
	buf_clear(&b);
}

static void a_change_names_its_targets(void **state)
{
	struct record_change x = {
		.at_ms = 1, .until = 2, .action = CHANGE_HOLD, .ntargets = 2
	};
	struct change_target t = { 3, 4, EVERY_RECIPIENT };
	struct record_change got;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 16);
	record_change_put(&b, &x);
	change_target_put(&b, &t);
	assert_int_equal(record_change_get(buf_span(&b), &got), -1);
	t.delivery = 5;
	change_target_put(&b, &t);
	assert_int_equal(record_change_get(buf_span(&b), &got), 0);
	assert_true(change_target_next(&got, &t));
	assert_int_equal(t.delivery, 4);
	assert_true(change_target_next(&got, &t));
	assert_int_equal(t.recipient, EVERY_RECIPIENT);
	assert_false(change_target_next(&got, &t));
	buf_clear(&b);
}

static void a_text_too_long_is_not_cut(void **state)
{
	static char text[70000];
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	put_text16(&b, (struct span){ text, sizeof(text) });
	assert_true(b.overflow);
	buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_belongs_to_its_place),
		cmocka_unit_test(each_flipped_bit_is_noticed),
		cmocka_unit_test(the_sum_may_be_made_in_parts),
		cmocka_unit_test(a_message_comes_back),
		cmocka_unit_test(a_cut_message_is_noticed),
		cmocka_unit_test(an_attempt_comes_back),
		cmocka_unit_test(a_change_names_its_targets),
		cmocka_unit_test(a_text_too_long_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
