/* DMARC records: what receivers apply, what they ignore, whom reports go to. */
#include "dnscheck/dmarc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_good(void **state)
{
	static const struct {
		const char *text;
		enum dmarc_policy policy, subdomains;
		unsigned percent;
		char psd;
	} cases[] = {
		{ "v=DMARC1; p=none", DMARC_NONE, DMARC_NOT_GIVEN, 100, 'u' },
		{ "v=DMARC1;p=REJECT;sp=quarantine;pct=20;", DMARC_REJECT,
		    DMARC_QUARANTINE, 20, 'u' },
		{ " v = DMARC1 ; p = quarantine ; psd = n ; x = 1",
		    DMARC_QUARANTINE, DMARC_NOT_GIVEN, 100, 'n' },
		{ "v=\r\n DMARC1; p=none", DMARC_NONE, DMARC_NOT_GIVEN, 100,
		    'u' },
		{ "v=DMARC1; p=reject; psd=y; np=reject; adkim=s; aspf=S; t=y",
		    DMARC_REJECT, DMARC_NOT_GIVEN, 100, 'y' },
	};
	struct dmarc_record record;
	const char *why = "";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(dmarc_is_record(span_of(cases[i].text)));
		if (dmarc_record_parse(span_of(cases[i].text), &record, &why) <
		    0)
			fail_msg("%s: %s", cases[i].text, why);
		assert_int_equal(record.policy, cases[i].policy);
		assert_int_equal(record.subdomains, cases[i].subdomains);
		assert_int_equal(record.percent, cases[i].percent);
		assert_int_equal(record.psd, cases[i].psd);
	}
	assert_true(record.is_strict_dkim && record.is_strict_spf &&
		    record.is_testing && record.missing == DMARC_REJECT);
}

static void test_bad(void **state)
{
	static const char *const cases[] = { "", "p=none", "v=DMARC1",
		"v=DMARC1; sp=none", "v=DMARC1; p=", "v=DMARC1; p=rejekt",
		"p=none; v=DMARC1", "v=DMARC2; p=none", "v=dmarc1; p=none",
		"v=DMARC1; p=none; p=reject", "v=DMARC1; p=none; pct=101",
		"v=DMARC1; p=none; pct=", "v=DMARC1; p=none; adkim=x",
		"v=DMARC1; p=none; psd=yes", "v=DMARC1 p=none",
		"v=DMARC1; p=none; np=maybe", "v=DMARC1; p=none, rua=x" };
	struct dmarc_record record;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		why = NULL;
		if (dmarc_record_parse(span_of(cases[i]), &record, &why) == 0)
			fail_msg("taken: %s", cases[i]);
		assert_non_null(why);
	}
	assert_false(dmarc_is_record(SPAN_LITERAL("v=spf1 -all")));
	assert_false(dmarc_is_record(SPAN_LITERAL("")));
}

static void test_reports(void **state)
{
	struct span rest = SPAN_LITERAL(
	    "mailto:a@b.example, MAILTO:x+y@c.example!10m ,mailto:a@d?x=@e");
	struct span domain;
	static const char *const bad[] = { "https://x", "mailto:", "mailto:a",
		"mailto:@b", "mailto:a@", "mailto:a@b@c", "a@b", "," };

	(void)state;
	assert_int_equal(dmarc_next_report(&rest, &domain), 1);
	assert_true(span_is_equal(domain, SPAN_LITERAL("b.example")));
	assert_int_equal(dmarc_next_report(&rest, &domain), 1);
	assert_true(span_is_equal(domain, SPAN_LITERAL("c.example")));
	assert_int_equal(dmarc_next_report(&rest, &domain), 1);
	assert_true(span_is_equal(domain, SPAN_LITERAL("d")));
	assert_int_equal(dmarc_next_report(&rest, &domain), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		rest = span_of(bad[i]);
		assert_int_equal(dmarc_next_report(&rest, &domain), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
