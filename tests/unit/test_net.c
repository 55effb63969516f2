/* Socket addresses and networks as text. */
#include "common/net.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_parse(void **state)
{
	static const struct {
		const char *text, *printed; /* NULL: refused */
	} cases[] = {
		{ "127.0.0.1:25", "127.0.0.1:25" },
		{ "127.0.0.1", "127.0.0.1:53" },
		{ "[127.0.0.1]:25", "127.0.0.1:25" },
		{ "::1", "[::1]:53" },
		{ "[::1]", "[::1]:53" },
		{ "[2001:DB8:0::1]:65535", "[2001:db8::1]:65535" },
		{ "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:53" },
		{ "0.0.0.0:0", "0.0.0.0:0" },
		{ "", NULL },
		{ ":", NULL },
		{ "[", NULL },
		{ "[]", NULL },
		{ "[]:25", NULL },
		{ "[::1]25", NULL },
		{ "[::1]:", NULL },
		{ "[::1", NULL },
		{ "::1]:25", NULL },
		{ "127.0.0.1:", NULL },
		{ "127.0.0.1:65536", NULL },
		{ "127.0.0.1:+5", NULL },
		{ "127.0.0.1:000025", NULL },
		{ "127.0.0.1 ", NULL },
		{ "127.0.0", NULL },
		{ "127.0.0.256", NULL },
		{ "fe80::1%eth0", NULL },
		{ "localhost:25", NULL },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999", NULL },
	};
	char text[NET_TEXT_MAX];
	union net_address a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = net_parse(span_of(cases[i].text), 53, &a);

		if (status != (cases[i].printed ? 0 : -1))
			fail_msg("%s: %d", cases[i].text, status);
		if (status < 0)
			continue;
		net_print(&a, text);
		assert_string_equal(text, cases[i].printed);
	}
	assert_int_equal(
	    net_parse((struct span){ "127.0.0.1\0x", 11 }, 1, &a), -1);
}

static void test_bytes(void **state)
{
	static const char six[16] = { 0x20, 0x01, 0x0d, (char)0xb8, [15] = 1 };
	char text[NET_TEXT_MAX];
	union net_address a;

	(void)state;
	assert_int_equal(
	    net_from_bytes((struct span){ "\x7f\0\0\1", 4 }, 25, &a), 0);
	net_print(&a, text);
	assert_string_equal(text, "127.0.0.1:25");
	assert_int_equal(net_bytes(&a).n, 4);
	assert_int_equal(net_size(&a), sizeof(struct sockaddr_in));
	assert_int_equal(net_from_bytes((struct span){ six, 16 }, 587, &a), 0);
	net_print(&a, text);
	assert_string_equal(text, "[2001:db8::1]:587");
	net_print_ip(&a, text);
	assert_string_equal(text, "2001:db8::1");
	assert_true(span_is_equal(net_bytes(&a), (struct span){ six, 16 }));
	assert_int_equal(net_size(&a), sizeof(struct sockaddr_in6));
	for (size_t n = 0; n < sizeof(six); n++)
		if (n != 4)
			assert_int_equal(
			    net_from_bytes((struct span){ six, n }, 1, &a), -1);
	a.sa.sa_family = AF_UNIX;
	net_print(&a, text);
	assert_string_equal(text, "unix");
	assert_int_equal(net_bytes(&a).n, 0);
}

static void test_networks(void **state)
{
	static const struct {
		const char *network, *address;
		int has; /* -1: no such network */
	} cases[] = {
		{ "127.0.0.0/8", "127.255.0.1", 1 },
		{ "127.0.0.0/8", "128.0.0.1", 0 },
		{ "127.0.0.0/8", "::ffff:127.0.0.1", 1 },
		{ "127.0.0.0/8", "::127.0.0.1", 0 },
		{ "192.0.2.1", "192.0.2.1", 1 },
		{ "192.0.2.1", "192.0.2.2", 0 },
		{ "192.0.2.128/25", "192.0.2.129", 1 },
		{ "192.0.2.128/25", "192.0.2.127", 0 },
		{ "0.0.0.0/0", "1.2.3.4", 1 },
		{ "0.0.0.0/0", "::1", 0 },
		{ "::/0", "::1", 1 },
		{ "::/0", "1.2.3.4", 0 },
		{ "::1", "::1", 1 },
		{ "[::1]", "::1", 1 },
		{ "[2001:db8::]/32", "2001:db8:ffff::1", 1 },
		{ "2001:db8::/33", "2001:db8:8000::1", 0 },
		{ "::ffff:0.0.0.0/96", "::ffff:1.2.3.4", 1 },
		{ "192.0.2.1/24", "192.0.2.1", -1 },
		{ "192.0.2.0/33", "192.0.2.1", -1 },
		{ "192.0.2.0/", "192.0.2.1", -1 },
		{ "192.0.2.0/-1", "192.0.2.1", -1 },
		{ "192.0.2.0:25", "192.0.2.1", -1 },
		{ "[::1]:25", "::1", -1 },
		{ "::/129", "::1", -1 },
		{ "/8", "::1", -1 },
		{ "", "::1", -1 },
		{ "[", "::1", -1 },
	};
	union net_address a;
	struct network n;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int has = network_parse(span_of(cases[i].network), &n);

		assert_int_equal(
		    net_parse(span_of(cases[i].address), 1, &a), 0);
		if (has == 0)
			has = network_has(&n, &a);
		if (has != cases[i].has)
			fail_msg("%s has %s: %d", cases[i].network,
			    cases[i].address, has);
	}
	a.sa.sa_family = AF_UNIX;
	assert_int_equal(network_parse(SPAN_LITERAL("0.0.0.0/0"), &n), 0);
	assert_false(network_has(&n, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
