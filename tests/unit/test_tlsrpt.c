/* Reports about TLS: records, counts in the runner and at the keeper, JSON and
 * mail. RFC 8460. */
#include "common/messages.h"

#include "queue/tlscount.h"
#include "remote/tlsrpt.h"
#include "runner/tlsrpt_count.h"
#include "runner/tlsrpt_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

enum { DAY = 20779 };

static void test_records(void **state)
{
	static const struct {
		const char *txt;
		bool is_one;
		const char *lines; /* NULL: not to be used */
	} cases[] = {
		{ "v=TLSRPTv1; rua=mailto:a@b.example", true,
		    "mailto:a@b.example\n" },
		{ "v=TLSRPTv1;rua=mailto:a@b.example;", true,
		    "mailto:a@b.example\n" },
		{ "v=TLSRPTv1 ; x=y ; rua=https://r.example/v1 , "
		  "mailto:c@d.example ; z=1",
		    true, "https://r.example/v1\nmailto:c@d.example\n" },
		{ "v=TLSRPTv1; rua=mailto:a%2Bb@c.example?subject=x", true,
		    "mailto:a+b@c.example\n" },
		{ "v=TLSRPTv1; rua=ftp://x.example/,mailto:a@b.example", true,
		    "mailto:a@b.example\n" },
		{ "v=TLSRPTv1; rua=https://r.example:8443/", true,
		    "https://r.example:8443/\n" },
		{ "v=TLSRPTv1; rua=https://user@r.example/", true, NULL },
		{ "v=TLSRPTv1; rua=https://r.example:/", true, NULL },
		{ "v=TLSRPTv1; rua=https://r.example:0/", true, NULL },
		{ "v=TLSRPTv1; rua=https://r.example:65536/", true, NULL },
		{ "v=TLSRPTv1; rua=https:///x", true, NULL },
		{ "v=TLSRPTv1; rua=https://[::1]/x", true, NULL },
		{ "v=TLSRPTv1; rua=http://r.example/", true, NULL },
		{ "v=TLSRPTv1; rua=mailto:a%0d%0ab@c.example", true, NULL },
		{ "v=TLSRPTv1; rua=mailto:a%4", true, NULL },
		{ "v=TLSRPTv1; rua=mailto:", true, NULL },
		{ "v=TLSRPTv1; rua=", true, NULL },
		{ "v=TLSRPTv1; RUA=mailto:a@b.example", true, NULL },
		{ "v=TLSRPTv1", true, NULL },
		{ "v=TLSRPTv2; rua=mailto:a@b.example", false, NULL },
		{ " v=TLSRPTv1; rua=mailto:a@b.example", false, NULL },
		{ "v=TLSRPTv10; rua=mailto:a@b.example", false, NULL },
		{ "", false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct span txt = span_of(cases[i].txt);
		const char *why = NULL;
		struct buf lines;
		int status;

		buf_init(&lines, TLS_LINES_MAX);
		assert_int_equal(tlsrpt_record_is(txt), cases[i].is_one);
		status = tlsrpt_record_parse(txt, &lines, &why);
		assert_int_equal(status, cases[i].lines ? 0 : -1);
		if (cases[i].lines)
			assert_string_equal(buf_text(&lines), cases[i].lines);
		else
			assert_non_null(why);
		buf_clear(&lines);
	}
}

static void test_record_with_many_places(void **state)
{
	struct buf txt, lines;
	const char *why;
	unsigned n = 0;

	(void)state;
	buf_init(&txt, 100000);
	buf_init(&lines, TLS_LINES_MAX);
	buf_puts(&txt, "v=TLSRPTv1; rua=mailto:a@b.example");
	for (int i = 0; i < 100; i++)
		buf_printf(&txt, ",mailto:a%d@b.example", i);
	assert_int_equal(tlsrpt_record_parse(buf_span(&txt), &lines, &why), 0);
	for (size_t i = 0; i < lines.len; i++)
		n += lines.data[i] == '\n';
	assert_int_equal(n, TLS_URIS_MAX);
	buf_clear(&txt);
	buf_clear(&lines);
}

static void test_days(void **state)
{
	char text[TLS_DAY_BYTES];
	uint32_t day;

	(void)state;
	assert_int_equal(tls_day_parse(span_of("2026-11-22"), &day), 0);
	assert_int_equal(day, DAY);
	tls_day_print(day, text);
	assert_string_equal(text, "2026-11-22");
	assert_int_equal(tls_day_parse(span_of("2026-02-29"), &day), -1);
	assert_int_equal(tls_day_parse(span_of("2026-1-022"), &day), -1);
	assert_int_equal(tls_day_parse(span_of("1969-12-31"), &day), -1);
	assert_int_equal(tls_day_parse(span_of(""), &day), -1);
}

static struct tls_count sample(const char *domain, uint8_t result)
{
	return (struct tls_count){ .day = DAY,
		.domain = span_of(domain),
		.policy = TLS_POLICY_STS,
		.policy_domain = span_of(domain),
		.lines = span_of("version: STSv1\nmode: enforce\n"
				 "mx: *.mx.example\nmax_age: 86400\n"),
		.result = result,
		.host = span_of("a.mx.example"),
		.address = span_of("192.0.2.1"),
		.source = span_of("198.51.100.1"),
		.reason = span_of(result == TLS_RESULT_OK ? "" : "expired"),
		.sessions = 1 };
}

static void test_counting(void **state)
{
	struct tlsrpt_counts *t = tlsrpt_counts_new(7);
	struct tls_count c = sample("a.example", TLS_RESULT_OK), got;
	char name[40];
	struct buf payload;
	struct reader r;
	uint64_t sum = 0;
	size_t n = 0, all = c.lines.n;

	(void)state;
	assert_true(tlsrpt_counts_is_empty(t));
	assert_false(tlsrpt_counts_add(t, &c));
	assert_int_equal(tlsrpt_counts_begin(t, &c), 0);
	c.lines = c.reason = (struct span){ NULL, 0 }; /* makes no other */
	for (int i = 0; i < 9; i++)
		assert_true(tlsrpt_counts_add(t, &c));
	c.result = TLS_RESULT_EXPIRED;
	assert_false(tlsrpt_counts_add(t, &c));
	for (int i = 1; i < TLSRPT_KINDS_MAX; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		c.domain = span_of(name);
		assert_int_equal(tlsrpt_counts_begin(t, &c), 0);
	}
	assert_int_equal(tlsrpt_counts_begin(t, &c), -1); /* full */
	buf_init(&payload, 1 << 20);
	while (tlsrpt_counts_take(t, &payload)) {
		uint16_t rows;

		r = reader_of(buf_span(&payload));
		rows = get_u16(&r);
		assert_in_range(rows, 1, TLS_COUNTS_MAX);
		for (; rows > 0; rows--, n++) {
			tls_count_get(&r, &got);
			sum += got.sessions;
			if (span_is_equal(got.domain, span_of("a.example")))
				assert_int_equal(got.lines.n, all);
		}
		assert_true(reader_is_done(&r));
		buf_reset(&payload);
	}
	assert_int_equal(n, TLSRPT_KINDS_MAX);
	assert_int_equal(sum, TLSRPT_KINDS_MAX + 9);
	assert_true(tlsrpt_counts_is_empty(t));
	tlsrpt_counts_free(t);
	buf_clear(&payload);
}

/* --- the keeper's file -----------------------------------------------------
 */

struct seen {
	struct tls_domain d;
	char domain[64];
	uint64_t rows, sessions, stripped;
};

static void on_domain(const struct tls_domain *d, void *arg)
{
	struct seen *seen = arg;

	*seen = (struct seen){ .d = *d };
	snprintf(seen->domain, sizeof(seen->domain), "%.*s", (int)d->domain.n,
	    d->domain.n ? d->domain.p : "");
}

static void on_row(const struct tls_count *c, void *arg)
{
	struct seen *seen = arg;

	seen->rows++;
	seen->sessions += c->sessions;
	seen->stripped += c->host.n == 0;
}

static struct seen read_one(
    struct tlscount *t, uint32_t day, const char *domain, bool is_next)
{
	struct tls_read q = { day, span_of(domain), is_next, true };
	struct seen seen;
	const char *why;

	assert_int_equal(
	    tlscount_read(t, &q, on_domain, on_row, &seen, &why), 0);
	return seen;
}

static void add(struct tlscount *t, const struct tls_count *c)
{
	const char *why;

	assert_int_equal(tlscount_add(t, c, 1, &why), 0);
}

static void test_keeping(void **state)
{
	char folder[] = "/tmp/test_tlsrpt.XXXXXX", path[64];
	struct tls_count c = sample("a.example", TLS_RESULT_OK);
	struct tlscount *t;
	struct seen seen;
	const char *why;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/tlsrpt.mdb", folder);
	t = tlscount_open(folder, &why);
	assert_non_null(t);
	add(t, &c);
	add(t, &c);
	c = sample("a.example", TLS_RESULT_EXPIRED);
	c.sessions = 5;
	add(t, &c);
	c = sample("aa.example", TLS_RESULT_EXPIRED);
	add(t, &c);
	c.day = DAY + 1;
	add(t, &c);
	tlscount_close(t); /* it is all there again */
	t = tlscount_open(folder, &why);
	seen = read_one(t, DAY, "", true);
	assert_string_equal(seen.domain, "a.example");
	assert_int_equal(seen.d.successful, 2);
	assert_int_equal(seen.d.failed, 5);
	assert_int_equal(seen.rows, 2);
	assert_int_equal(seen.sessions, 7);
	assert_int_equal(seen.d.state, TLS_REPORT_OPEN);
	seen.d.domain = span_of(seen.domain);
	seen.d.state = TLS_REPORT_SENT;
	seen.d.done = 3;
	seen.d.tries = 2;
	seen.d.next_at = 99;
	assert_int_equal(tlscount_mark(t, &seen.d, &why), 0);
	seen = read_one(t, DAY, "a.example", false);
	assert_int_equal(seen.d.state, TLS_REPORT_SENT);
	assert_int_equal(seen.d.done, 3);
	assert_int_equal(seen.d.failed, 5);
	assert_string_equal(
	    read_one(t, DAY, "a.example", true).domain, "aa.example");
	assert_string_equal(read_one(t, DAY, "aa.example", true).domain, "");
	assert_string_equal(read_one(t, DAY, "a.exampl", false).domain, "");
	/* days go */
	c.day = DAY + TLSCOUNT_DAYS;
	add(t, &c);
	assert_string_equal(read_one(t, DAY, "", true).domain, "");
	assert_string_equal(
	    read_one(t, DAY + 1, "", true).domain, "aa.example");
	tlscount_close(t);
	/* a file that is none is thrown away */
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 20000; i++)
		fputc(i * 7, f);
	fclose(f);
	t = tlscount_open(folder, &why);
	assert_non_null(t);
	assert_string_equal(read_one(t, DAY + 1, "", true).domain, "");
	add(t, &c);
	tlscount_close(t);
	unlink(path);
	rmdir(folder);
}

static void test_bounds_of_a_day(void **state)
{
	char folder[] = "/tmp/test_tlsrpt.XXXXXX", path[64], name[64];
	static struct tls_count all[TLSCOUNT_DOMAINS + 50];
	static char names[TLSCOUNT_DOMAINS + 50][24];
	struct tls_count c = sample("a.example", TLS_RESULT_EXPIRED);
	struct tlscount *t;
	struct seen seen;
	const char *why;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/tlsrpt.mdb", folder);
	t = tlscount_open(folder, &why);
	/* hosts without end: what is beyond the bound is only counted */
	for (int i = 0; i < TLS_ROWS_A_DOMAIN * 2; i++) {
		snprintf(name, sizeof(name), "h%d.example", i);
		c.host = span_of(name);
		add(t, &c);
	}
	seen = read_one(t, DAY, "a.example", false);
	assert_int_equal(seen.rows, TLS_ROWS_A_DOMAIN + 1);
	assert_int_equal(seen.stripped, 1);
	assert_int_equal(seen.sessions, TLS_ROWS_A_DOMAIN * 2);
	assert_int_equal(seen.d.failed, TLS_ROWS_A_DOMAIN * 2);
	/* domains without end */
	for (int i = 0; i < TLSCOUNT_DOMAINS + 50; i++) {
		snprintf(names[i], sizeof(names[i]), "d%05d.example", i);
		all[i] = sample(names[i], TLS_RESULT_OK);
	}
	assert_int_equal(tlscount_add(t, all, TLSCOUNT_DOMAINS + 50, &why), 0);
	assert_int_equal(read_one(t, DAY, "", true).d.missed, 51);
	assert_string_equal(
	    read_one(t, DAY, "d01999.example", false).domain, "");
	tlscount_close(t);
	unlink(path);
	rmdir(folder);
}

/* --- the report ------------------------------------------------------------
 */

static const char wanted[] =
    "{\"organization-name\":\"mx.us.example\",\"date-range\":{"
    "\"start-datetime\":\"2026-11-22T00:00:00Z\",\"end-datetime\":"
    "\"2026-11-22T23:59:59Z\"},\"contact-info\":\"pm@us.example\","
    "\"report-id\":\"ID\",\"policies\":[{\"policy\":{\"policy-type\":\"sts\","
    "\"policy-string\":[\"version: STSv1\",\"mode: enforce\","
    "\"mx: *.mx.example\",\"max_age: 86400\"],\"mx-host\":[\"*.mx.example\"],"
    "\"policy-domain\":\"a.example\"},\"summary\":{"
    "\"total-successful-session-count\":4,\"total-failure-session-count\":3},"
    "\"failure-details\":[{\"result-type\":\"certificate-expired\","
    "\"sending-mta-ip\":\"198.51.100.1\",\"receiving-mx-hostname\":"
    "\"a.mx.example\",\"receiving-ip\":\"192.0.2.1\","
    "\"failed-session-count\":3,\"failure-reason-code\":\"expired\"}]},"
    "{\"policy\":{\"policy-type\":\"tlsa\",\"policy-string\":[\"3 1 1 AB\"],"
    "\"policy-domain\":\"a.mx.example\"},\"summary\":{"
    "\"total-successful-session-count\":1,\"total-failure-session-count\":0}},"
    "{\"policy\":{\"policy-type\":\"no-policy-found\",\"policy-domain\":"
    "\"a.example\"},\"summary\":{\"total-successful-session-count\":1,"
    "\"total-failure-session-count\":0}}]}";

static struct tlsrpt_case make_case(struct tls_count rows[5])
{
	rows[0] = sample("a.example", TLS_RESULT_OK);
	rows[0].sessions = 4;
	rows[1] = sample("a.example", TLS_RESULT_EXPIRED);
	rows[2] = rows[1];
	rows[2].sessions = 2;
	rows[3] = sample("a.example", TLS_RESULT_OK);
	rows[3].policy = TLS_POLICY_DANE;
	rows[3].policy_domain = span_of("a.mx.example");
	rows[3].lines = span_of("3 1 1 AB\n");
	rows[4] = sample("a.example", TLS_RESULT_OK);
	rows[4].policy = TLS_POLICY_NONE;
	rows[4].lines = (struct span){ NULL, 0 };
	return (struct tlsrpt_case){ span_of("a.example"), DAY, "mx.us.example",
		"pm@us.example", rows, 5 };
}

static void test_json(void **state)
{
	struct tls_count rows[5];
	struct tlsrpt_case c = make_case(rows);
	json_t *json = tlsrpt_json(&c), *other;
	char *text;

	(void)state;
	assert_non_null(json);
	other = tlsrpt_json(&c);
	assert_true(json_equal(json, other)); /* the id too */
	json_decref(other);
	json_object_set_new(json, "report-id", json_string("ID"));
	text = json_dumps(json, JSON_COMPACT);
	assert_string_equal(text, wanted);
	free(text);
	json_decref(json);
}

static void test_mail(void **state)
{
	static char long_text[100000];
	struct tls_count rows[5];
	struct tlsrpt_case c = make_case(rows);
	char back[sizeof(long_text)];
	struct buf gzip, mail;
	z_stream z = { 0 };
	size_t width = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(long_text); i++)
		long_text[i] = (char)(i * i >> 3);
	buf_init(&gzip, 1 << 20);
	buf_init(&mail, 1 << 20);
	assert_int_equal(
	    tlsrpt_gzip((struct span){ long_text, sizeof(long_text) }, &gzip),
	    0);
	z.next_in = (Bytef *)gzip.data;
	z.avail_in = (uInt)gzip.len;
	z.next_out = (Bytef *)back;
	z.avail_out = sizeof(back);
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	assert_memory_equal(back, long_text, sizeof(back));
	assert_int_equal(tlsrpt_mail(&c, span_of("r@x.example"),
			     buf_span(&gzip), 1795000000, &mail),
	    0);
	for (size_t i = 0; i < mail.len; i++) {
		width = mail.data[i] == '\n' ? 0 : width + 1;
		assert_in_range(width, 0, 200);
		if (mail.data[i] == '\n')
			assert_int_equal(mail.data[i - 1], '\r');
	}
	assert_non_null(
	    strstr(buf_text(&mail), "\r\nTLS-Report-Domain: a.example\r\n"));
	assert_non_null(strstr(buf_text(&mail), "\r\nFrom: <pm@us.example>") ||
				strncmp(buf_text(&mail), "From: <pm@", 10) == 0
			    ? ""
			    : NULL);
	buf_clear(&gzip);
	buf_clear(&mail);
	/* no room: said, not cut */
	buf_init(&gzip, 100);
	assert_int_equal(
	    tlsrpt_gzip((struct span){ long_text, sizeof(long_text) }, &gzip),
	    -1);
	buf_clear(&gzip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_record_with_many_places),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_keeping),
		cmocka_unit_test(test_bounds_of_a_day),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
