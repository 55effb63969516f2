/* ehlo.c: answers to EHLO as servers give them. */
#include "remote/ehlo.h"
#include "remote/sasl.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct ehlo parse(const char *text)
{
	struct outcome why;
	struct reply reply;
	struct ehlo ehlo;

	reply_init(&reply);
	assert_true(reply_parse(&reply, span_of(text), &why) > 0);
	ehlo_parse(&reply, &ehlo);
	reply_clear(&reply);
	return ehlo;
}

static void test_all(void **state)
{
	struct ehlo e = parse("250-mx.test at your service\r\n"
			      "250-PIPELINING\r\n250-SIZE 35882577\r\n"
			      "250-8BITMIME\r\n250-chunking\r\n250-DSN\r\n"
			      "250-SMTPUTF8\r\n250-BINARYMIME\r\n"
			      "250-STARTTLS\r\n250 REQUIRETLS\r\n");

	(void)state;
	assert_string_equal(e.name, "mx.test");
	assert_true(e.has_pipelining && e.has_8bitmime && e.has_chunking);
	assert_true(e.has_dsn && e.has_smtputf8 && e.has_binarymime);
	assert_true(e.has_starttls && e.has_requiretls && e.has_size);
	assert_int_equal(e.size_bytes, 35882577);
}

static void test_none(void **state)
{
	struct ehlo e = parse("250 mx.test PIPELINING CHUNKING\r\n");

	(void)state;
	assert_false(e.has_pipelining || e.has_chunking || e.has_size);
	e = parse("250-x\r\n250-XPIPELINING\r\n250-PIPELININGX\r\n250 \r\n");
	assert_false(e.has_pipelining);
}

static void test_auth(void **state)
{
	static const struct {
		const char *text;
		uint32_t wanted;
		const char *shown;
	} cases[] = {
		{ "250-x\r\n250 SIZE\r\n", 0, NULL },
		{ "250-x\r\n250 AUTH\r\n", 0, "" },
		{ "250-x\r\n250 AUTH PLAIN  login X\r\n",
		    SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN),
		    "PLAIN login X" },
		{ "250-x\r\n250-AUTH=LOGIN\r\n250 auth CRAM-MD5\r\n",
		    SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_CRAM_MD5),
		    "LOGIN CRAM-MD5" },
		{ "250-x\r\n250 AUTHPLAIN\r\n", 0, NULL },
		{ "250-x\r\n250 AUTH "
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA "
		  "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB "
		  "PLAIN\r\n",
		    SASL_BIT(SASL_PLAIN),
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA "
		    "PLAIN" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ehlo e = parse(cases[i].text);

		assert_int_equal(e.has_auth, cases[i].shown != NULL);
		assert_int_equal(e.auth, cases[i].wanted);
		assert_string_equal(
		    e.auth_text, cases[i].shown ? cases[i].shown : "");
	}
}

static void test_size(void **state)
{
	static const struct {
		const char *line;
		uint64_t bytes;
	} cases[] = {
		{ "250 SIZE\r\n", 0 },
		{ "250 SIZE 0\r\n", 0 },
		{ "250 SIZE  123 \r\n", 123 },
		{ "250 SIZE -5\r\n", 0 },
		{ "250 SIZE 12x\r\n", 0 },
		{ "250 SIZE 18446744073709551615\r\n", UINT64_MAX },
		{ "250 SIZE 18446744073709551616\r\n", 0 },
		{ "250 SIZE 99999999999999999999999999999999\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[200] = "250-x\r\n";
		struct ehlo e;

		strncat(text, cases[i].line, sizeof(text) - 8);
		e = parse(text);
		assert_true(e.has_size);
		assert_int_equal(e.size_bytes, cases[i].bytes);
	}
}

static void test_odd(void **state)
{
	struct ehlo e = parse("250-\r\n250-\tDSN\r\n250-AUTH=LOGIN PLAIN\r\n"
			      "250 PIPELINING yes please\r\n");
	char text[1200];

	(void)state;
	assert_string_equal(e.name, "");
	assert_true(e.has_dsn && e.has_pipelining);
	memset(text, 'a', sizeof(text));
	memcpy(text, "250-", 4);
	memcpy(text + 1100, "\r\n250 DSN\r\n", 12);
	e = parse(text);
	assert_int_equal(strlen(e.name), 255);
	assert_true(e.has_dsn);
}

static void test_helo(void **state)
{
	struct outcome why;
	struct reply reply;
	struct ehlo e;

	(void)state;
	reply_init(&reply);
	assert_true(reply_parse(&reply,
			SPAN_LITERAL("250-old.test\r\n250 DSN\r\n"), &why) > 0);
	ehlo_parse_helo(&reply, &e);
	reply_clear(&reply);
	assert_string_equal(e.name, "old.test");
	assert_false(e.has_dsn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_helo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
