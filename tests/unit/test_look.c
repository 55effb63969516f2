/* What is read out of a server's words. */
#include "dnscheck/look.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *text, *address; /* NULL: none */
} addresses[] = {
	{ "250 mx.example.org Hello me.example [192.0.2.7], pleased",
	    "192.0.2.7" },
	{ "250 mx.example.org at your service, [IPv6:2001:db8::1]",
	    "2001:db8::1" },
	{ "250 mx.example.org Hello 203.0.113.9.", "203.0.113.9" },
	{ "250 me (198.51.100.1:4021) hello", NULL }, /* with a port */
	{ "250 mx4.example.org", NULL },
	{ "250 [1.2.3] [300.1.1.1] [::g] [", NULL },
	{ "250 dead.beef. IPv6:IPv6:", NULL },
	{ "", NULL },
};

static void finds_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		char address[64] = "";
		int status =
		    look_find_address(span_of(addresses[i].text), address);

		assert_int_equal(status, addresses[i].address ? 0 : -1);
		if (status == 0)
			assert_string_equal(address, addresses[i].address);
	}
}

static void reads_offers(void **state)
{
	const struct span ehlo = SPAN_LITERAL(
	    "250 mx AUTH\nSIZE 1000\nAUTH PLAIN LOGIN\n\n8BITMIME");
	struct span rest;

	(void)state;
	assert_true(look_offers(ehlo, "size", &rest));
	assert_true(span_is_equal(rest, SPAN_LITERAL("1000")));
	assert_true(look_offers(ehlo, "AUTH", &rest));
	assert_true(span_is_equal(rest, SPAN_LITERAL("PLAIN LOGIN")));
	assert_true(look_offers(ehlo, "8BITMIME", NULL));
	assert_false(look_offers(ehlo, "mx", NULL));
	assert_false(look_offers((struct span){ NULL, 0 }, "SIZE", NULL));
}

static void tells_relations(void **state)
{
	(void)state;
	assert_true(look_is_related("mx.google.com", "a.l.GOOGLE.com."));
	assert_false(look_is_related("mx.google.com", "mx.google.org"));
	assert_false(look_is_related("com", "com"));
	assert_false(look_is_related("", ""));
	assert_false(look_is_related("...", "..."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_addresses),
		cmocka_unit_test(reads_offers),
		cmocka_unit_test(tells_relations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
