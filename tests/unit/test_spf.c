/* SPF over a table of records instead of a network: every mechanism, the
 * limits, macros, what bad records and bad DNS become. The public test suite
 * runs in tests/system/test_spf.py. */
#include "dnscheck/ask_parts.h"
#include "dnscheck/spf.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* name, type, value ("10 host" of MX); value NULL: SERVFAIL. */
struct row {
	const char *name;
	uint16_t type;
	const char *value;
};

struct zone {
	const struct row *rows; /* ended by a name NULL */
	struct ask_answer *answers[200];
	size_t count;
	bool all_fail;
};

static void fill(
    struct ask_answer *a, struct ask_record *r, const struct row *row)
{
	unsigned char bytes[16];

	r->type = row->type;
	r->name = r->data = SPAN_LITERAL("");
	if (row->type == ASK_TXT)
		r->data = ask_answer_keep(a, span_of(row->value));
	else if (row->type == ASK_MX || row->type == ASK_PTR)
		r->name = ask_answer_keep(a, span_of(row->value));
	else if (row->type == ASK_A &&
		 inet_pton(AF_INET, row->value, bytes) == 1)
		r->data = ask_answer_keep(a, (struct span){ (char *)bytes, 4 });
	else if (inet_pton(AF_INET6, row->value, bytes) == 1)
		r->data =
		    ask_answer_keep(a, (struct span){ (char *)bytes, 16 });
	else
		fail_msg("%s", row->value);
}

static const struct ask_answer *look(void *arg, struct span name, uint16_t type)
{
	struct zone *zone = arg;
	struct ask_answer *a = ask_answer_new(name, type, ASK_NO_NAME);
	struct ask_record *room = ask_answer_room(a, 20);

	assert_true(zone->count < 200);
	zone->answers[zone->count++] = a;
	if (zone->all_fail)
		ask_answer_why(a, ASK_TIMEOUT, "silent");
	for (const struct row *row = zone->rows; row->name; row++) {
		if (!span_is_equal_nocase(span_of(row->name), name))
			continue;
		if (a->status == ASK_NO_NAME)
			a->status = ASK_NO_DATA;
		if (row->type != type)
			continue;
		if (!row->value) {
			ask_answer_why(a, ASK_SERVFAIL, "broken");
			return a;
		}
		fill(a, &room[a->nrecords++], row);
		a->status = ASK_FOUND;
	}
	return a;
}

static enum spf_result check_with(struct zone *zone, struct spf_query *query,
    const char *ip, struct spf_report *report)
{
	union net_address address;

	assert_int_equal(net_parse(span_of(ip), 0, &address), 0);
	query->dns = (struct spf_dns){ look, zone };
	query->ip = net_bytes(&address);
	query->deadline = deadline_in_ms(5000);
	spf_check(query, report);
	for (size_t i = 0; i < zone->count; i++)
		ask_answer_free(zone->answers[i]);
	zone->count = 0;
	spf_report_clear(report);
	return report->result;
}

static enum spf_result check(const struct row *rows, const char *ip,
    const char *sender, struct spf_report *report)
{
	struct zone zone = { .rows = rows };
	struct spf_query query = { .sender = span_of(sender),
		.helo = SPAN_LITERAL("mail.helo.example"),
		.receiver = "mx.receiver.example",
		.now = 1700000000 };

	return check_with(&zone, &query, ip, report);
}

/* One record for a.example among this: */
static enum spf_result judge(
    const char *record, const char *ip, struct spf_report *report)
{
	const struct row rows[] = {
		{ "a.example", ASK_TXT, record },
		{ "a.example", ASK_A, "192.0.2.1" },
		{ "a.example", ASK_AAAA, "2001:db8::1" },
		{ "a.example", ASK_MX, "mx1.a.example" },
		{ "a.example", ASK_MX, "" },
		{ "mx1.a.example", ASK_A, "192.0.2.2" },
		{ "mx1.a.example", ASK_AAAA, "2001:db8::2" },
		{ "pass.example", ASK_TXT, "v=spf1 ip4:192.0.2.3 -all" },
		{ "bad.example", ASK_TXT, "v=spf1 ip4:192.0.2.3/40" },
		{ "fail.example", ASK_A, NULL },
		{ "fail.example", ASK_TXT, NULL },
		{ "text.example", ASK_TXT, "see %{d} %{c} at %{t} %{r}" },
		{ "1.2.0.192.in-addr.arpa", ASK_PTR, "host.a.example" },
		{ "9.2.0.192.in-addr.arpa", ASK_PTR, "liar.a.example" },
		{ "host.a.example", ASK_A, "192.0.2.1" },
		{ "u.a.example", ASK_A, "127.0.0.2" },
		{ "1.2.0.192.in-addr.v.example", ASK_A, "127.0.0.2" },
		{ "c.b.a.v.example", ASK_A, "127.0.0.2" },
		{ "b%\\0322f.v.example", ASK_A, "127.0.0.2" },
		{ NULL },
	};

	return check(rows, ip, "u@a.example", report);
}

static void test_mechanisms(void **state)
{
	static const struct {
		const char *record, *ip;
		enum spf_result result;
	} cases[] = {
		{ "v=spf1", "192.0.2.1", SPF_NEUTRAL },
		{ "v=spf1 -all", "192.0.2.1", SPF_FAIL },
		{ "v=spf1 ~all", "192.0.2.1", SPF_SOFTFAIL },
		{ "v=spf1 ?all", "192.0.2.1", SPF_NEUTRAL },
		{ "V=SPF1 +ALL  ", "192.0.2.1", SPF_PASS },
		{ "v=spf10 -all", "192.0.2.1", SPF_NONE },
		{ "v=spf1 a -all", "192.0.2.1", SPF_PASS },
		{ "v=spf1 a -all", "2001:db8::1", SPF_PASS },
		{ "v=spf1 a -all", "192.0.2.2", SPF_FAIL },
		{ "v=spf1 a/24 -all", "192.0.2.200", SPF_PASS },
		{ "v=spf1 a/24 -all", "2001:db8::2", SPF_FAIL },
		{ "v=spf1 a//64 -all", "2001:db8::2", SPF_PASS },
		{ "v=spf1 a/33", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a/24/64", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a/24//64 -all", "192.0.2.9", SPF_PASS },
		{ "v=spf1 a:mx1.a.example -all", "192.0.2.2", SPF_PASS },
		{ "v=spf1 a:1.2.3.4 -all", "192.0.2.2", SPF_PERMERROR },
		{ "v=spf1 mx -all", "192.0.2.2", SPF_PASS },
		{ "v=spf1 mx -all", "2001:db8::2", SPF_PASS },
		{ "v=spf1 mx -all", "192.0.2.1", SPF_FAIL },
		{ "v=spf1 ptr -all", "192.0.2.1", SPF_PASS },
		{ "v=spf1 ptr -all", "192.0.2.9", SPF_FAIL },
		{ "v=spf1 ptr:b.example -all", "192.0.2.1", SPF_FAIL },
		{ "v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.1", SPF_PASS },
		{ "v=spf1 ip4:192.0.2.0/24 -all", "::ffff:192.0.2.1",
		    SPF_PASS },
		{ "v=spf1 ip4:192.0.2.0/23 -all", "192.0.3.1", SPF_PASS },
		{ "v=spf1 ip4:192.0.2.0/31 -all", "192.0.2.2", SPF_FAIL },
		{ "v=spf1 ip4:192.0.2 -all", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 ip4:192.0.2.1/08 -all", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::1", SPF_PASS },
		{ "v=spf1 ip6:::/0 -all", "192.0.2.1", SPF_FAIL },
		{ "v=spf1 exists:%{l}.%{d} -all", "192.0.2.1", SPF_PASS },
		{ "v=spf1 exists:%{ir}.%{v}.v.example -all", "192.0.2.1",
		    SPF_PASS },
		{ "v=spf1 exists:%{ir}.%{v}.v.example -all", "192.0.2.2",
		    SPF_FAIL },
		{ "v=spf1 exists:fail.example -all", "192.0.2.1",
		    SPF_TEMPERROR },
		{ "v=spf1 include:pass.example -all", "192.0.2.3", SPF_PASS },
		{ "v=spf1 include:pass.example ~all", "192.0.2.4",
		    SPF_SOFTFAIL },
		{ "v=spf1 include:none.example -all", "192.0.2.4",
		    SPF_PERMERROR },
		{ "v=spf1 include:bad.example -all", "192.0.2.4",
		    SPF_PERMERROR },
		{ "v=spf1 include:fail.example -all", "192.0.2.4",
		    SPF_TEMPERROR },
		{ "v=spf1 redirect=pass.example", "192.0.2.3", SPF_PASS },
		{ "v=spf1 redirect=pass.example", "192.0.2.4", SPF_FAIL },
		{ "v=spf1 redirect=none.example", "192.0.2.4", SPF_PERMERROR },
		{ "v=spf1 redirect=none.example ?all", "192.0.2.4",
		    SPF_NEUTRAL },
		{ "v=spf1 redirect=a.example redirect=a.example ?all",
		    "192.0.2.4", SPF_PERMERROR },
		{ "v=spf1 x-y.z_1=%{l}/:= -all", "192.0.2.1", SPF_FAIL },
		{ "v=spf1 x=%{q} -all", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 foo -all", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 all:a.example", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 -all a\t", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 include", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a:%{d0}.b -all", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a:%{c}.b -all", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a:%{d", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a:%", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a:\x80.example", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a:a..b.example -all", "192.0.2.1", SPF_FAIL },
		{ "v=spf1 redirect=a.example", "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a:n1.example a:n2.example -all", "192.0.2.1",
		    SPF_FAIL },
		{ "v=spf1 a:n1.example a:n2.example a:n3.example -all",
		    "192.0.2.1", SPF_PERMERROR },
		{ "v=spf1 a mx a mx a mx a mx a mx ip4:192.0.2.7", "192.0.2.7",
		    SPF_PASS },
		{ "v=spf1 a mx a mx a mx a mx a mx a ip4:192.0.2.7",
		    "192.0.2.7", SPF_PERMERROR },
	};
	struct spf_report report;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		enum spf_result result =
		    judge(cases[i].record, cases[i].ip, &report);

		if (result != cases[i].result)
			fail_msg("%s for %s: %s (%s)", cases[i].record,
			    cases[i].ip, spf_result_name(result), report.why);
		if (report.why[0] == '\0')
			fail_msg("%s: no reason", cases[i].record);
	}
}

static void test_explanation(void **state)
{
	static const struct {
		const char *record, *text;
	} cases[] = {
		{ "v=spf1 -all exp=text.example",
		    "see a.example 192.0.2.9 at 1700000000 "
		    "mx.receiver.example" },
		{ "v=spf1 exp=none.example -all", "" },
		{ "v=spf1 exp=fail.example -all", "" },
		{ "v=spf1 exp=a..b.example -all", "" },
		{ "v=spf1 redirect=pass.example exp=text.example", "" },
	};
	struct spf_report report;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(
		    judge(cases[i].record, "192.0.2.9", &report), SPF_FAIL);
		assert_string_equal(report.explanation, cases[i].text);
	}
	judge("v=spf1 ~all exp=text.example", "192.0.2.9", &report);
	assert_string_equal(report.explanation, "");
	judge("v=spf1 exp=text -all", "192.0.2.9", &report);
	assert_int_equal(report.result, SPF_PERMERROR);
}

/* What a macro becomes, seen in an explanation. */
static void expands(
    const char *sender, const char *ip, const char *macro, const char *expected)
{
	const struct row rows[] = {
		{ "b.a.example", ASK_TXT, "v=spf1 -all exp=t.example" },
		{ "xn--bcher-kva.example", ASK_TXT,
		    "v=spf1 -all exp=t.example" },
		{ "t.example", ASK_TXT, macro },
		{ "1.2.0.192.in-addr.arpa", ASK_PTR, "other.example" },
		{ "1.2.0.192.in-addr.arpa", ASK_PTR, "mx.b.a.example" },
		{ "1.2.0.192.in-addr.arpa", ASK_PTR, "b.a.example" },
		{ "other.example", ASK_A, "192.0.2.1" },
		{ "mx.b.a.example", ASK_A, "192.0.2.1" },
		{ NULL },
	};
	struct spf_report report;

	assert_int_equal(check(rows, ip, sender, &report), SPF_FAIL);
	assert_string_equal(report.explanation, expected);
}

static void test_macros(void **state)
{
	(void)state;
	expands("x-y@b.a.example", "192.0.2.1", "%{s} %{l} %{o} %{d} %{h}",
	    "x-y@b.a.example x-y b.a.example b.a.example mail.helo.example");
	expands("x-y@b.a.example", "192.0.2.1", "%{d1} %{d2r} %{l1r-} %{lr-}",
	    "example a.b x y.x");
	expands("x-y@b.a.example", "192.0.2.1", "%{i} %{ir} %{v} %{c} %{p}",
	    "192.0.2.1 1.2.0.192 in-addr 192.0.2.1 mx.b.a.example");
	expands("@b.a.example", "192.0.2.1", "%{l}%%%_%-", "postmaster% %20");
	expands("a+b=c,d@b.a.example", "192.0.2.1", "%{L} %{l2+=,} %{L1r+,}",
	    "a%2Bb%3Dc%2Cd c.d a");
	expands("x@b.a.example", "2001:db8::1", "%{c} %{v} %{p} %{i8r} %{i2r}",
	    "2001:db8::1 ip6 unknown 8.B.D.0.1.0.0.2 0.2");
	/* RFC 8616: macros are in A-labels */
	expands("x@b\xc3\xbc"
		"cher.example",
	    "192.0.2.1", "%{o} %{d}",
	    "xn--bcher-kva.example xn--bcher-kva.example");
	/* never a line or a terminal's command */
	expands("x\n\x1b@b.a.example", "192.0.2.1", "%{l}", "x??");
	/* syntax errors: as if there was none */
	expands("x@b.a.example", "192.0.2.1", "%{x}", "");
	expands("x@b.a.example", "192.0.2.1", "50% off", "");
	expands("x@b.a.example", "192.0.2.1", "\xef\xbb\xbf", "");
}

static void test_identity(void **state)
{
	const struct row rows[] = {
		{ "mail.helo.example", ASK_TXT, "v=spf1 -all exp=t.example" },
		{ "t.example", ASK_TXT, "%{s}" },
		{ NULL },
	};
	static const char *const none[] = { "u@localhost", "u@[192.0.2.1]",
		"u@a..b", "u@.a.b", "u@", "u@b.example", "\xff@\xff.\xff" };
	struct spf_report report;
	char long_name[400];

	(void)state;
	assert_int_equal(check(rows, "192.0.2.1", "", &report), SPF_FAIL);
	assert_string_equal(report.explanation, "postmaster@mail.helo.example");
	assert_int_equal(
	    check(rows, "192.0.2.1", "MAIL.helo.example.", &report), SPF_FAIL);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_int_equal(
		    check(rows, "192.0.2.1", none[i], &report), SPF_NONE);
	memset(long_name, 'a', sizeof(long_name));
	memcpy(long_name, "u@a.", 4);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(
	    check(rows, "192.0.2.1", long_name, &report), SPF_NONE);
	long_name[60] = '\0';
	assert_int_equal(
	    check(rows, "192.0.2.1", long_name, &report), SPF_NONE);
}

static void test_several_records(void **state)
{
	const struct row rows[] = {
		{ "a.example", ASK_TXT, "v=spf1 -all" },
		{ "a.example", ASK_TXT, "v=spf1 +all" },
		{ "b.example", ASK_TXT, "something else" },
		{ "b.example", ASK_TXT, "v=spf1 -all" },
		{ NULL },
	};
	struct spf_report report;

	(void)state;
	assert_int_equal(
	    check(rows, "192.0.2.1", "u@a.example", &report), SPF_PERMERROR);
	assert_string_equal(report.why, "a.example has 2 SPF records");
	assert_int_equal(
	    check(rows, "192.0.2.1", "u@b.example", &report), SPF_FAIL);
}

static void test_limits(void **state)
{
	struct row rows[30] = {
		{ "a.example", ASK_TXT, "v=spf1 mx ?all" },
		{ "loop.example", ASK_TXT, "v=spf1 include:loop.example" },
		{ "silent.example", ASK_TXT, NULL },
	};
	struct zone zone = { .rows = rows };
	struct spf_query query = { .sender = SPAN_LITERAL("u@a.example"),
		.walks_all = true };
	struct spf_report report;
	const struct row many[] = {
		{ "a.example", ASK_TXT,
		    "v=spf1 a mx:b.example a a a a a a a a "
		    "a a -all" },
		{ NULL },
	};

	(void)state;
	for (int i = 3; i < 14; i++)
		rows[i] = (struct row){ "a.example", ASK_MX, "mx.a.example" };
	assert_int_equal(
	    check(rows, "192.0.2.1", "u@a.example", &report), SPF_PERMERROR);
	rows[13].name = NULL;
	assert_int_equal(
	    check(rows, "192.0.2.1", "u@a.example", &report), SPF_NEUTRAL);
	assert_int_equal(
	    check(rows, "192.0.2.1", "u@loop.example", &report), SPF_PERMERROR);
	assert_int_equal(report.lookups, SPF_LOOKUPS_MAX);
	assert_int_equal(check(rows, "192.0.2.1", "u@silent.example", &report),
	    SPF_TEMPERROR);
	/* counting goes on where a check ends */
	zone.rows = many;
	assert_int_equal(
	    check_with(&zone, &query, "192.0.2.1", &report), SPF_FAIL);
	assert_int_equal(report.lookups, 12);
	query.sender = SPAN_LITERAL("u@loop.example");
	zone.rows = rows;
	assert_int_equal(
	    check_with(&zone, &query, "192.0.2.1", &report), SPF_PERMERROR);
	assert_int_equal(report.lookups, SPF_COUNT_MAX);
}

static void test_late(void **state)
{
	const struct row none[] = { { NULL } };
	struct zone zone = { .rows = none };
	struct spf_report report;
	struct spf_query query = { .dns = { look, &zone },
		.ip = { "\1\2\3\4", 4 },
		.sender = SPAN_LITERAL("u@a.example"),
		.deadline = { 0 } };

	(void)state;
	spf_check(&query, &report);
	assert_int_equal(report.result, SPF_TEMPERROR);
	assert_int_equal(zone.count, 0);
	spf_report_clear(&report);
	zone.all_fail = true;
	assert_int_equal(
	    check_with(&zone, &query, "192.0.2.1", &report), SPF_TEMPERROR);
}

/* The right side of a name that became too long is kept (section 7.3). */
static void test_long_target(void **state)
{
	const struct row rows[] = {
		{ "a.example", ASK_TXT,
		    "v=spf1 exists:%{l}.%{l}.%{l}.%{l}.%{l}.e.example -all" },
		{ "0123456789012345678901234567890123456789012345678901234567."
		  "0123456789012345678901234567890123456789012345678901234567."
		  "0123456789012345678901234567890123456789012345678901234567."
		  "0123456789012345678901234567890123456789012345678901234567."
		  "e.example",
		    ASK_A, "127.0.0.2" },
		{ NULL },
	};
	struct spf_report report;

	(void)state;
	assert_int_equal(
	    check(rows, "192.0.2.1",
		"01234567890123456789012345678901234567890123456789012345"
		"67@a.example",
		&report),
	    SPF_PASS);
}

static void test_add_address(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	spf_add_address(
	    SPAN_LITERAL("v=spf1 mx -all"), SPAN_LITERAL("\300\0\2\1"), &b);
	assert_string_equal(buf_text(&b), "v=spf1 ip4:192.0.2.1 mx -all");
	buf_reset(&b);
	spf_add_address(SPAN_LITERAL(""),
	    (struct span){ "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0"
			   "\0\0\1",
		16 },
	    &b);
	assert_string_equal(buf_text(&b), "v=spf1 ip6:2001:db8::1 ~all");
	buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mechanisms),
		cmocka_unit_test(test_explanation),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_several_records),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_long_target),
		cmocka_unit_test(test_add_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
