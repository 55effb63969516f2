/* Which TLSA records SMTP uses: RFC 7672 section 3.1. */
#include "remote/tlsa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct span record(
    char *at, int usage, int selector, int matching, size_t n)
{
	at[0] = (char)usage;
	at[1] = (char)selector;
	at[2] = (char)matching;
	memset(at + 3, 0x11, n);
	return (struct span){ at, n + 3 };
}

static void test_usable(void **state)
{
	static const struct {
		int usage, selector, matching;
		size_t n;
		int status;
	} cases[] = {
		{ 3, 1, 1, 32, 0 },
		{ 3, 0, 1, 32, 0 },
		{ 2, 0, 1, 32, 0 },
		{ 2, 1, 2, 64, 0 },
		{ 0, 1, 1, 32, -1 }, /* PKIX-TA, PKIX-EE: no CA is agreed on */
		{ 1, 1, 1, 32, -1 },
		{ 4, 1, 1, 32, -1 },
		{ 255, 1, 1, 32, -1 },
		{ 3, 2, 1, 32, -1 },
		{ 3, 255, 1, 32, -1 },
		{ 3, 1, 3, 32, -1 },
		{ 3, 1, 255, 32, -1 },
		{ 3, 1, 1, 31, -1 },
		{ 3, 1, 1, 33, -1 },
		{ 3, 1, 1, 0, -1 },
		{ 3, 1, 2, 32, -1 },
		{ 3, 1, 1, 64, -1 },
		{ 3, 0, 0, 300, -1 }, /* no DER */
		{ 3, 0, 0, 0, -1 },
	};
	char at[512];
	struct tlsa tlsa;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
		    tlsa_parse(record(at, cases[i].usage, cases[i].selector,
				   cases[i].matching, cases[i].n),
			&tlsa),
		    cases[i].status);
	for (size_t n = 0; n < 3; n++)
		assert_int_equal(tlsa_parse((struct span){ at, n }, &tlsa), -1);
}

/* Whole certificates and keys: one DER sequence. */
static void test_whole(void **state)
{
	static const struct {
		const char *head;
		size_t nhead, n;
		int status;
	} cases[] = {
		{ "\x30\x10", 2, 16, 0 },
		{ "\x30\x10", 2, 15, -1 },
		{ "\x30\x10", 2, 17, -1 },
		{ "\x31\x10", 2, 16, -1 },
		{ "\x30\x81\xc8", 3, 200, 0 },
		{ "\x30\x82\x0f\xfc", 4, 4092, 0 },
		{ "\x30\x82\x0f\xfd", 4, 4093, -1 }, /* TLSA_DATA_MAX */
		{ "\x30\x80", 2, 16, -1 },
		{ "\x30\x85\0\0\0\0\x10", 7, 16, -1 },
		{ "\x30\x84\xff\xff\xff\xff", 6, 16, -1 },
		{ "\x30\x82", 2, 0, -1 },
		{ "\x30", 1, 0, -1 },
		{ "\x30\0", 2, 0, -1 },
	};
	static char at[8192];
	struct tlsa tlsa;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct span rdata =
		    record(at, 3, 0, 0, cases[i].nhead + cases[i].n);

		memcpy(at + 3, cases[i].head, cases[i].nhead);
		assert_int_equal(tlsa_parse(rdata, &tlsa), cases[i].status);
	}
}

static void test_sets(void **state)
{
	static char data[40][35];
	struct dns_record records[40] = { 0 };
	struct dns_answer a = { .from = "127.0.0.1", .records = records };
	struct host_policy policy = { 0 };
	char text[TLSA_EVIDENCE_MAX];

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		records[i].data = data[i];
		records[i].ndata = record(data[i], i < 10 ? 1 : 3, 1, 1, 32).n;
	}
	a.nrecords = 10;
	tlsa_fill(&a, &policy);
	assert_int_equal(policy.kind, TLS_POLICY_DANE_BLIND);
	tlsa_evidence(&policy, &a, "_25._tcp.mx", text);
	assert_string_equal(text, "no usable TLSA (0 of 10 usable) at "
				  "_25._tcp.mx, DNSSEC-validated by 127.0.0.1");
	a.nrecords = 11;
	tlsa_fill(&a, &policy);
	assert_int_equal(policy.kind, TLS_POLICY_DANE);
	assert_int_equal(policy.ntlsa, 1);
	a.nrecords = 40;
	tlsa_fill(&a, &policy);
	assert_int_equal(policy.ntlsa, TLSA_MAX);
	records[0].data[0] = 3;
	a.nrecords = 1;
	tlsa_fill(&a, &policy);
	tlsa_evidence(&policy, &a, "_25._tcp.mx", text);
	assert_string_equal(text, "TLSA 3 1 1 1111111111111111.. at "
				  "_25._tcp.mx, DNSSEC-validated by 127.0.0.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
