/* From names to hosts, as far as it needs no DNS: literals and what may not be
 * led to. The rest is tests/system/test_resolve.py. */
#include "remote/mx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	int count;
	struct outcome outcome;
	size_t nhosts, naddresses;
	char first[NET_TEXT_MAX], site[100];
};

static void on_answer(const struct resolve_answer *a, void *arg)
{
	struct seen *seen = arg;
	union net_address address;

	seen->count++;
	seen->outcome = a->outcome;
	seen->nhosts = a->nhosts;
	snprintf(seen->site, sizeof(seen->site), "%.*s", (int)a->site.n,
	    a->site.n ? a->site.p : "");
	if (a->nhosts == 0)
		return;
	seen->naddresses = a->hosts[0].naddresses;
	if (seen->naddresses > 0 &&
	    net_from_bytes(a->hosts[0].addresses[0], 25, &address) == 0)
		net_print_ip(&address, seen->first);
}

static struct seen ask(const char *name, enum resolve_kind kind, bool local,
    const struct hosts *hosts)
{
	struct mx_options options = { NULL, hosts, local };
	struct resolve_query query = {
		.kind = (uint8_t)kind, .name = span_of(name), .port = 25
	};
	struct seen seen = { 0 };

	mx_resolve(&options, &query, on_answer, &seen);
	assert_int_equal(seen.count, 1);
	return seen;
}

static void test_literals(void **state)
{
	static const struct {
		const char *name, *address;
		bool is_local;
	} cases[] = {
		{ "[192.0.2.1]", "192.0.2.1", false },
		{ "192.0.2.1", "192.0.2.1", false },
		{ "[10.0.0.1]", "10.0.0.1", false },
		{ "[IPv6:2001:db8::1]", "2001:db8::1", false },
		{ "[ipv6:2001:DB8::1]", "2001:db8::1", false },
		{ "[127.0.0.1]", "127.0.0.1", true },
		{ "[127.255.255.254]", "127.255.255.254", true },
		{ "[0.0.0.0]", "0.0.0.0", true },
		{ "[0.1.2.3]", "0.1.2.3", true },
		{ "[169.254.169.254]", "169.254.169.254", true },
		{ "[224.0.0.1]", "224.0.0.1", true },
		{ "[255.255.255.255]", "255.255.255.255", true },
		{ "[IPv6:::]", "::", true },
		{ "[IPv6:::1]", "::1", true },
		{ "[IPv6:::127.0.0.1]", "::127.0.0.1", true },
		{ "[IPv6:::ffff:127.0.0.1]", "::ffff:127.0.0.1", true },
		{ "[IPv6:::ffff:192.0.2.1]", "::ffff:192.0.2.1", false },
		{ "[IPv6:64:ff9b::127.0.0.1]", "64:ff9b::7f00:1", true },
		{ "[IPv6:fe80::1]", "fe80::1", true },
		{ "[IPv6:febf::1]", "febf::1", true },
		{ "[IPv6:fec0::1]", "fec0::1", false },
		{ "[IPv6:ff02::1]", "ff02::1", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct seen seen = ask(cases[i].name, RESOLVE_MX, false, NULL);

		if (cases[i].is_local) {
			assert_int_equal(seen.outcome.verdict, VERDICT_PERM);
			assert_string_equal(seen.outcome.status, "5.4.6");
			seen = ask(cases[i].name, RESOLVE_MX, true, NULL);
		}
		assert_int_equal(seen.outcome.verdict, VERDICT_OK);
		assert_int_equal(seen.naddresses, 1);
		assert_string_equal(seen.first, cases[i].address);
		seen = ask(cases[i].name, RESOLVE_HOST, false, NULL);
		assert_int_equal(seen.outcome.verdict, VERDICT_OK);
	}
}

static void test_bad_names(void **state)
{
	static const char *const names[] = { "", ".", "..", ".a", "a b", "a\nb",
		"[192.0.2.1", "[192.0.2.256]", "[IPv6:fe80::1%eth0]", "a\\032b",
		"b\303\274cher.example", "a/b", "*.example" };
	char name[300];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_string_equal(
	    ask(name, RESOLVE_MX, false, NULL).outcome.status, "5.1.2");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(
		    ask(names[i], RESOLVE_MX, false, NULL).outcome.verdict,
		    VERDICT_PERM);
}

static struct hosts *load(const char *text)
{
	char path[] = "/tmp/outpost-hosts-XXXXXX";
	int fd = mkstemp(path);
	struct hosts *hosts;

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	hosts = hosts_load(path);
	unlink(path);
	return hosts;
}

static void test_hosts_file(void **state)
{
	struct hosts *hosts = load("# comment\n"
				   "127.0.0.1\tlocalhost  Local.Example # x\n"
				   "::1 localhost\r\n"
				   "not-an-address name\n"
				   "192.0.2.5 relay relay.example\n\n"
				   "192.0.2.6 relay");
	struct seen seen;

	(void)state;
	seen = ask("localhost", RESOLVE_HOST, false, hosts);
	assert_int_equal(seen.naddresses, 2);
	assert_string_equal(seen.first, "::1");
	seen = ask("LOCAL.example.", RESOLVE_HOST, false, hosts);
	assert_string_equal(seen.first, "127.0.0.1");
	assert_string_equal(seen.site, "local.example");
	seen = ask("relay", RESOLVE_HOST, false, hosts);
	assert_int_equal(seen.naddresses, 2);
	assert_string_equal(seen.first, "192.0.2.5");
	hosts_free(hosts);
}

static void test_servers(void **state)
{
	char path[] = "/tmp/outpost-resolv-XXXXXX";
	const char text[] = "search example\nnameserver 192.0.2.53\n"
			    "  nameserver 2001:db8::53 \n#nameserver 1.1.1.1\n"
			    "nameserver fe80::1%eth0\nnameserver junk\n";
	char *configured[] = { (char *)"127.0.0.1:5353" };
	struct conf none = { 0 }, one = { .resolvers = { configured, 1 } };
	struct dns_options options = { 0 };
	char shown[NET_TEXT_MAX];
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	dns_servers_find(&none, path, &options);
	assert_int_equal(options.nservers, 2);
	net_print(&options.servers[0], shown);
	assert_string_equal(shown, "192.0.2.53:53");
	net_print(&options.servers[1], shown);
	assert_string_equal(shown, "[2001:db8::53]:53");
	dns_servers_find(&one, path, &options);
	assert_int_equal(options.nservers, 1);
	net_print(&options.servers[0], shown);
	assert_string_equal(shown, "127.0.0.1:5353");
	unlink(path);
	dns_servers_find(&none, path, &options);
	assert_int_equal(options.nservers, 1);
	net_print(&options.servers[0], shown);
	assert_string_equal(shown, "127.0.0.1:53");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_hosts_file),
		cmocka_unit_test(test_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
