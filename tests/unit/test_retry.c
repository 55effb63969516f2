/* When to try again, and what an attempt means for each recipient. */
#include "runner/retry.h"

#include "runner/settle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>

#include <cmocka.h>

#define T0 1700000000u

static const struct conf_retry growing = { .wait_s = 300,
	.factor = 2,
	.max_wait_s = 14400,
	.lifetime_s = 432000,
	.warn_after_s = 14400 };
static const struct conf_retry fixed = { .attempts = 5,
	.wait_s = 300,
	.factor = 1,
	.max_wait_s = 14400,
	.lifetime_s = 432000 };

static struct retry_case at(uint64_t age_s, unsigned attempts)
{
	return (struct retry_case){ .cause = CAUSE_RETRY,
		.now_ms = (T0 + age_s) * 1000,
		.accepted_at = T0,
		.attempts = attempts };
}

static void test_waits_grow(void **state)
{
	static const unsigned waits[] = { 300, 600, 1200, 2400, 4800, 9600,
		14400, 14400 };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct retry_case c = at(10, i + 1);
		struct retry_plan plan = retry_plan(&growing, &c);

		assert_false(plan.gives_up);
		assert_int_equal(plan.next_try_ms, c.now_ms + waits[i] * 1000);
	}
}

static void test_jitter(void **state)
{
	struct conf_retry conf = growing;

	(void)state;
	conf.jitter_percent = 10;
	for (uint64_t random = 0; random < 100000; random += 977) {
		struct retry_case c = at(10, 1);
		struct retry_plan plan;

		c.random = random;
		plan = retry_plan(&conf, &c);
		assert_in_range(plan.next_try_ms - c.now_ms, 270000, 330000);
	}
}

static void test_ends(void **state)
{
	struct retry_case c = at(431999, 40);
	struct retry_plan plan = retry_plan(&growing, &c);

	(void)state;
	/* a last attempt at the very end, none after it */
	assert_false(plan.gives_up);
	assert_int_equal(plan.next_try_ms, (T0 + 432000) * 1000ull);
	c = at(432000, 41);
	assert_true(retry_plan(&growing, &c).gives_up);
	/* the message's own time goes before the settings' */
	c = at(100, 1);
	c.expires_at = T0 + 60;
	assert_true(retry_plan(&growing, &c).gives_up);
	c.expires_at = T0 + 160;
	assert_int_equal(
	    retry_plan(&growing, &c).next_try_ms, (T0 + 160) * 1000ull);
}

static void test_five_resends(void **state)
{
	(void)state;
	for (unsigned made = 1; made <= 5; made++) {
		struct retry_case c = at(made * 300, made);
		struct retry_plan plan = retry_plan(&fixed, &c);

		assert_false(plan.gives_up);
		assert_int_equal(plan.next_try_ms, c.now_ms + 300000);
	}
	struct retry_case last = at(1800, 6);

	assert_true(retry_plan(&fixed, &last).gives_up);
	/* what was not tried uses nothing up */
	last.cause = CAUSE_UNTOUCHED;
	assert_false(retry_plan(&fixed, &last).gives_up);
}

static void test_clock_set_back(void **state)
{
	struct retry_case c = at(0, 1);

	(void)state;
	c.now_ms = (T0 - 86400) * 1000ull;
	assert_false(retry_plan(&growing, &c).gives_up);
	assert_int_equal(
	    retry_plan(&growing, &c).next_try_ms, c.now_ms + 300000);
}

static void test_warning(void **state)
{
	struct retry_case c = at(14399, 3);

	(void)state;
	assert_false(retry_plan(&growing, &c).warns);
	c = at(14400, 3);
	assert_true(retry_plan(&growing, &c).warns);
	c.is_warned = true;
	assert_false(retry_plan(&growing, &c).warns);
	c = at(432000, 3);
	assert_false(retry_plan(&growing, &c).warns); /* it fails instead */
}

static void test_probes(void **state)
{
	(void)state;
	assert_int_equal(retry_probe_first_ms(&growing), 60000);
	assert_int_equal(retry_probe_max_ms(&growing), 1800000);
	/* at least as often as mail is tried */
	assert_int_equal(retry_probe_max_ms(&fixed), 300000);
}

/* --- settle ------------------------------------------------------------- */

static struct settle_recipient asked[3];
static struct rcpt_outcome said[3], outcomes[3];
static uint8_t reports[3];

static struct settle_case mail(void)
{
	for (uint16_t i = 0; i < 3; i++) {
		asked[i] = (struct settle_recipient){ .index = i,
			.address = SPAN_LITERAL("bob@example.org") };
		said[i] = (struct rcpt_outcome){ .index = i,
			.result = RCPT_DELIVERED,
			.code = 250,
			.status = "2.0.0" };
	}
	return (struct settle_case){ .retry = &growing,
		.postmaster = "post@example.com",
		.sender = SPAN_LITERAL("alice@example.com"),
		.origin = ORIGIN_SMTP,
		.now_ms = (T0 + 10) * 1000ull,
		.accepted_at = T0 };
}

static void say(unsigned i, uint8_t result, uint16_t code, const char *reply)
{
	said[i].result = result;
	said[i].code = code;
	said[i].reply = span_of(reply);
}

/* With reply rules. */
static struct conf_reply replies[] = {
	{ { "/etc/outpost.conf", 7 }, "", NULL, "retry", 600 },
	{ { "/etc/outpost.conf", 8 }, "", NULL, "bounce", 0 },
	{ { "/etc/outpost.conf", 9 }, "", NULL, "suspend", 0 },
	{ { "/etc/outpost.conf", 10 }, "", NULL, "relay:isp", 0 },
};
static struct conf_server server = { .host = "isp.example" };
static struct conf_relay relay = {
	.name = "isp", .servers = &server, .nservers = 1
};
static const struct conf rules_conf = {
	.replies = replies, .nreplies = 4, .relays = &relay, .nrelays = 1
};
static struct settle_words words;

static struct settle_case ruled_mail(void)
{
	struct settle_case c = mail();

	buf_clear(&words.texts);
	buf_init(&words.texts, RCPTS_PER_DELIVERY * REPLY_MAX);
	c.conf = &rules_conf;
	c.words = &words;
	return c;
}

static void rule(unsigned i, uint8_t action, uint32_t after_s, uint16_t number)
{
	said[i].action = action;
	said[i].after_s = after_s;
	said[i].rule = number;
}

static struct attempt settled(const struct settle_case *c, bool has_dsn)
{
	struct result result = {
		.recipients = said, .nrecipients = 3, .peer_has_dsn = has_dsn
	};
	struct attempt attempt = { 0 };

	assert_int_equal(
	    settle(c, asked, 3, &result, outcomes, reports, &attempt), 0);
	return attempt;
}

static void test_mixed_results(void **state)
{
	struct settle_case c = mail();
	struct attempt a;

	(void)state;
	say(1, RCPT_DEFERRED, 450, "450 4.2.0 greylisted");
	say(2, RCPT_FAILED, 550, "550 5.1.1 no such user");
	a = settled(&c, false);
	assert_int_equal(outcomes[0].result, RCPT_DELIVERED);
	assert_int_equal(outcomes[1].result, RCPT_DEFERRED);
	assert_int_equal(outcomes[2].result, RCPT_FAILED);
	assert_int_equal(reports[0], REPORT_NONE);
	assert_int_equal(reports[1], REPORT_NONE);
	assert_int_equal(reports[2], REPORT_FAILED);
	assert_true(span_is_equal(a.cause, SPAN_LITERAL("retry")));
	assert_true(a.counts);
	assert_int_equal(a.next_try_ms, c.now_ms + 300000);
}

static void test_notify(void **state)
{
	struct settle_case c = mail();

	(void)state;
	c.now_ms += 14400000;
	asked[0].notify = NOTIFY_SUCCESS;
	asked[1].notify = NOTIFY_NEVER;
	asked[2].notify = NOTIFY_FAILURE;
	say(1, RCPT_FAILED, 550, "no");
	say(2, RCPT_DEFERRED, 450, "later");
	settled(&c, false);
	assert_int_equal(reports[0], REPORT_RELAYED);
	assert_int_equal(reports[1], REPORT_NONE);
	assert_int_equal(reports[2], REPORT_NONE); /* DELAY was not asked */
	settled(&c, true);
	assert_int_equal(reports[0], REPORT_NONE); /* the peer will tell */
	asked[2].notify = NOTIFY_DELAY;
	settled(&c, true);
	assert_int_equal(reports[2], REPORT_DELAYED);
	c.flags = WAITING_WARNED;
	settled(&c, true);
	assert_int_equal(reports[2], REPORT_NONE);
}

static void test_no_bounce_to_nobody(void **state)
{
	struct settle_case c = mail();

	(void)state;
	c.sender = (struct span){ NULL, 0 };
	say(0, RCPT_FAILED, 550, "no");
	settled(&c, false);
	assert_int_equal(reports[0], REPORT_NONE);
	c.origin = ORIGIN_REPORT; /* a double bounce */
	settled(&c, false);
	assert_int_equal(reports[0], REPORT_FAILED);
	asked[0].address = SPAN_LITERAL("Post@example.com");
	settled(&c, false);
	assert_int_equal(reports[0], REPORT_NONE); /* itself failing */
	asked[0].address = SPAN_LITERAL("bob@example.org");
	c.postmaster = "";
	settled(&c, false);
	assert_int_equal(reports[0], REPORT_NONE);
}

static void test_gives_up(void **state)
{
	struct settle_case c = mail();
	struct attempt a;

	(void)state;
	c.now_ms = (T0 + 432000) * 1000ull;
	say(1, RCPT_DEFERRED, 450, "450 4.2.0 try again");
	say(2, RCPT_UNCERTAIN, 0, "");
	a = settled(&c, false);
	assert_int_equal(outcomes[0].result, RCPT_DELIVERED);
	assert_int_equal(outcomes[1].result, RCPT_FAILED);
	assert_string_equal(outcomes[1].status, "4.4.7");
	assert_true(span_is_equal(
	    outcomes[1].reply, SPAN_LITERAL("450 4.2.0 try again")));
	assert_int_equal(outcomes[2].result, RCPT_FAILED);
	assert_true(outcomes[2].reply.n > 0);
	assert_int_equal(reports[1], REPORT_FAILED);
	assert_int_equal(a.next_try_ms, c.now_ms);
}

static void test_untouched_costs_nothing(void **state)
{
	struct settle_case c = mail();
	struct attempt a;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		say(i, RCPT_UNTOUCHED, 0, "");
	a = settled(&c, false);
	assert_false(a.counts);
	assert_int_equal(a.next_try_ms, c.now_ms + 30000);
	assert_true(span_is_equal(a.cause, SPAN_LITERAL("line-busy")));
}

static void test_bad_results(void **state)
{
	struct settle_case c = mail();
	struct result result = { .recipients = said, .nrecipients = 3 };
	struct attempt a = { 0 };

	(void)state;
	said[2].index = 7;
	assert_int_equal(
	    settle(&c, asked, 3, &result, outcomes, reports, &a), -1);
	said[2].index = 1; /* twice */
	assert_int_equal(
	    settle(&c, asked, 3, &result, outcomes, reports, &a), -1);
	result.nrecipients = 2; /* nothing about the third */
	assert_int_equal(
	    settle(&c, asked, 3, &result, outcomes, reports, &a), 0);
	assert_int_equal(outcomes[2].result, RCPT_UNCERTAIN);
}

static void test_line_died(void **state)
{
	struct settle_case c = mail();
	const struct rcpt_outcome like = { .result = RCPT_UNCERTAIN,
		.status = "4.3.0" };
	struct attempt a = { 0 };

	(void)state;
	c.line_died = true;
	settle_all(&c, asked, 3, &like, outcomes, reports, &a);
	assert_true(a.line_died);
	assert_true(a.counts);
	assert_int_equal(a.result.nrecipients, 3);
	assert_int_equal(a.result.recipients[2].index, 2);
	assert_true(span_is_equal(a.cause, SPAN_LITERAL("line-died")));
}

/* What a host's greeting rules out was refused by that host: too large, 8-bit,
 * an address it cannot take. No reply says so. */
static void test_refused_here_is_reached(void **state)
{
	const struct rcpt_outcome big = { .result = RCPT_FAILED,
		.status = "5.3.4" };
	const struct rcpt_outcome lost = { .result = RCPT_DEFERRED,
		.status = "4.4.1" };
	struct result result = { .recipients = &big, .nrecipients = 1 };

	(void)state;
	assert_true(settle_is_reached(&result));
	result.recipients = &lost;
	assert_false(settle_is_reached(&result));
}

static void expect_text(struct span got, const char *text)
{
	if (!span_is_equal(got, span_of(text)))
		fail_msg("%.*s, not %s", (int)got.n, got.p, text);
}

static void test_ruled_retry(void **state)
{
	struct settle_case c = ruled_mail();
	struct attempt a;

	(void)state;
	say(1, RCPT_FAILED, 550, "550 5.7.1 wait");
	snprintf(said[1].status, sizeof(said[1].status), "5.7.1");
	rule(1, REPLY_RETRY, 600, 1);
	a = settled(&c, false);
	assert_int_equal(outcomes[1].result, RCPT_DEFERRED);
	assert_string_equal(outcomes[1].status, "4.7.1");
	assert_true(a.next_try_ms >= c.now_ms + 600000);
	assert_true(a.next_try_ms <= c.now_ms + 600000 * 2);
	assert_true(a.counts);
	expect_text(a.cause, "retry rule=outpost.conf:7");
	/* a built-in rule's wait does not hold for ever */
	rule(1, REPLY_RETRY, 60, REPLY_RULE_BUILTIN + 1);
	c.attempts = 30;
	a = settled(&c, false);
	assert_true(a.next_try_ms > c.now_ms + 3600 * 1000);
	/* and never beyond the end of its life */
	rule(1, REPLY_RETRY, 30 * 86400, 1);
	a = settled(&c, false);
	assert_true(
	    a.next_try_ms <= (c.accepted_at + growing.lifetime_s) * 1000ull);
}

static void test_ruled_bounce(void **state)
{
	static char longest[REPLY_MAX + 1];
	struct settle_case c = ruled_mail();

	(void)state;
	say(1, RCPT_DEFERRED, 451, "451 4.7.1 no");
	snprintf(said[1].status, sizeof(said[1].status), "4.7.1");
	rule(1, REPLY_BOUNCE, 0, 2);
	memset(longest, 'x', REPLY_MAX);
	say(2, RCPT_DEFERRED, 451, longest);
	rule(2, REPLY_BOUNCE, 0, 2);
	settled(&c, false);
	assert_int_equal(outcomes[1].result, RCPT_FAILED);
	assert_string_equal(outcomes[1].status, "5.7.1");
	assert_int_equal(reports[1], REPORT_FAILED);
	expect_text(outcomes[1].reply,
	    "451 4.7.1 no (final by reply rule outpost.conf:8)");
	assert_true(outcomes[2].reply.n <= REPLY_MAX);
}

static void test_ruled_suspend(void **state)
{
	struct settle_case c = ruled_mail();
	struct attempt a;

	(void)state;
	say(1, RCPT_DEFERRED, 451, "451 grey");
	rule(1, REPLY_RETRY, 60, 1);
	say(2, RCPT_FAILED, 554, "554 blocked");
	rule(2, REPLY_SUSPEND, 0, 3);
	a = settled(&c, false);
	assert_int_equal(outcomes[2].result, RCPT_DEFERRED);
	assert_true(a.next_try_ms >= c.now_ms + SUSPEND_S * 1000ull);
	expect_text(a.cause, "suspended rule=outpost.conf:9");
	assert_int_equal(words.ruling.action, REPLY_SUSPEND);
	/* waiting for it uses no attempt up */
	c.suspended_ms = 5000;
	c.cause = CAUSE_SUSPENDED;
	rule(1, REPLY_AS_IS, 0, 0);
	rule(2, REPLY_AS_IS, 0, 0);
	a = settled(&c, false);
	assert_false(a.counts);
	assert_true(a.next_try_ms >= c.now_ms + 5000 &&
		    a.next_try_ms <= c.now_ms + 5500);
}

static void test_ruled_relay(void **state)
{
	struct settle_case c = ruled_mail();
	struct attempt a;

	(void)state;
	say(1, RCPT_FAILED, 554, "554 not from you");
	rule(1, REPLY_RELAY, 0, 4);
	a = settled(&c, false);
	assert_int_equal(outcomes[1].result, RCPT_DEFERRED);
	assert_int_equal(a.next_try_ms, c.now_ms + RELAY_SOON_MS);
	expect_text(a.cause, "retry rule=outpost.conf:10 relay=isp");
	/* it stays there; and what the relay says itself is taken as it is */
	c.relay = SPAN_LITERAL("isp");
	a = settled(&c, false);
	assert_int_equal(outcomes[1].result, RCPT_FAILED);
	say(1, RCPT_DEFERRED, 0, "connect: refused");
	rule(1, REPLY_AS_IS, 0, 0);
	a = settled(&c, false);
	expect_text(a.cause, "connect relay=isp");
	buf_clear(&words.texts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_grow),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_five_resends),
		cmocka_unit_test(test_clock_set_back),
		cmocka_unit_test(test_warning),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_mixed_results),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_no_bounce_to_nobody),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_untouched_costs_nothing),
		cmocka_unit_test(test_bad_results),
		cmocka_unit_test(test_line_died),
		cmocka_unit_test(test_refused_here_is_reached),
		cmocka_unit_test(test_ruled_retry),
		cmocka_unit_test(test_ruled_bounce),
		cmocka_unit_test(test_ruled_suspend),
		cmocka_unit_test(test_ruled_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
