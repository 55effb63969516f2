/* Where mail goes next: the order of the rules, patterns, line groups. */
#include "common/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct conf *load(const char *text)
{
	char name[] = "/tmp/test_route.XXXXXX";
	int fd = mkstemp(name);
	struct conf *conf;
	struct buf errors;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	buf_init(&errors, 65536);
	conf = conf_load(name, &errors);
	if (!conf)
		print_message("%s\n", buf_text(&errors));
	unlink(name);
	assert_non_null(conf);
	buf_clear(&errors);
	return conf;
}

static const char *const everything =
    "localname = \"mail.example.com\"\n"
    "relay \"default\" { servers = { \"smtp://isp.example:587\" } }\n"
    "relay \"other\" { servers = { \"smtp://10.0.0.9:25\" } "
    "tls = \"require\" }\n"
    "line \"default\" { count = 5 }\n"
    "line \"bulk\" { relay = \"other\" }\n"
    "route \"example.org\" { servers = { \"smtp://10.0.0.5:2525\" } }\n"
    "route \"*.example.net\" { line = \"bulk\" }\n"
    "route \"*.deep.example.net\" { relay = \"default\" tls = \"none\" }\n"
    "sender \"alice@example.com\" { relay = \"other\" }\n"
    "sender \"@example.com\" { line = \"bulk\" }\n"
    "sender \"uid:1000\" { relay = \"default\" }\n"
    "destination \"gmail.com\" { connections = 3 }\n"
    "destination \"*.slow.example\" { connections = 1 }\n";

struct row {
	const char *domain, *sender, *line;
	uint32_t uid;
	const char *key, *group, *what;
	unsigned connections;
};

static void check(const struct conf *conf, const struct row *row)
{
	struct route_query q = { span_of(row->domain), span_of(row->sender),
		span_of(row->line), row->uid };
	struct outcome why;
	struct route route;

	assert_int_equal(route_find(conf, &q, &route, &why), 0);
	assert_string_equal(route.key, row->key);
	assert_string_equal(route.line->name, row->group);
	assert_ptr_equal(route.line, &conf->lines[route.group]);
	assert_string_equal(route.what, row->what);
	assert_int_equal(route.connections, row->connections);
	assert_int_equal(route.servers == NULL, strcmp(row->what, "mx") == 0);
}

static void test_rules(void **state)
{
	static const struct row rows[] = {
		{ "gmail.com", "x@y.z", "", UINT32_MAX, "gmail.com", "default",
		    "mx", 3 },
		{ "a.slow.example", "x@y.z", "", UINT32_MAX, "a.slow.example",
		    "default", "mx", 1 },
		{ "[192.0.2.1]", "", "", UINT32_MAX, "[192.0.2.1]", "default",
		    "mx", 20 },
		/* a route wins over the sender's relay */
		{ "example.org", "alice@example.com", "", 1000,
		    "route:example.org", "default", "route", 20 },
		{ "EXAMPLE.ORG", "x@y.z", "", UINT32_MAX, "route:example.org",
		    "default", "route", 20 },
		/* what is below is another domain */
		{ "a.example.org", "x@y.z", "", UINT32_MAX, "a.example.org",
		    "default", "mx", 20 },
		/* a wildcard does not match its own domain */
		{ "example.net", "x@y.z", "", UINT32_MAX, "example.net",
		    "default", "mx", 20 },
		/* a route's group, and that group's relay */
		{ "a.example.net", "x@y.z", "", UINT32_MAX, "relay:other",
		    "bulk", "line", 20 },
		/* the longest wildcard */
		{ "a.deep.example.net", "x@y.z", "", UINT32_MAX,
		    "relay:default tls=none", "default", "route", 20 },
		/* address before uid before domain */
		{ "a.com", "Alice@Example.com", "", 1000, "relay:other",
		    "default", "sender", 20 },
		{ "a.com", "bob@example.com", "", 1000, "relay:default",
		    "default", "sender", 20 },
		{ "a.com", "bob@example.com", "", 1001, "relay:other", "bulk",
		    "line", 20 },
		/* the group asked for; an unknown one is as none */
		{ "a.com", "x@y.z", "bulk", UINT32_MAX, "relay:other", "bulk",
		    "line", 20 },
		{ "a.com", "x@y.z", "gone", UINT32_MAX, "a.com", "default",
		    "mx", 20 },
	};
	struct conf *conf = load(everything);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(conf, &rows[i]);
	conf_free(conf);
}

static void test_relay_mode(void **state)
{
	struct conf *conf = load(
	    "localname = \"mail.example.com\"\nmode = \"relay\"\n"
	    "relay \"default\" { servers = { \"smtp://isp.example:587\" } }\n"
	    "route \"example.org\" { servers = { \"smtp://10.0.0.5\" } }\n");
	static const struct row relayed = { "a.com", "x@y.z", "", UINT32_MAX,
		"relay:default", "default", "mode", 20 };
	static const struct row routed = { "example.org", "x@y.z", "",
		UINT32_MAX, "route:example.org", "default", "route", 20 };

	(void)state;
	check(conf, &relayed);
	check(conf, &routed);
	conf_free(conf);
}

static void check_key(struct conf *conf, struct route_query q, const char *key,
    uint8_t tls, const char *what)
{
	struct outcome why;
	struct route route;

	assert_int_equal(route_find(conf, &q, &route, &why), 0);
	assert_string_equal(route.key, key);
	assert_int_equal(route.tls, tls);
	assert_string_equal(route.what, what);
}

/* After so many attempts by the fallback relay, but never against a route. */
static void test_fallback(void **state)
{
	struct conf *conf =
	    load("localname = \"mail.example.com\"\n"
		 "relay \"isp\" { servers = { \"smtp://isp.example\" } }\n"
		 "route \"example.org\" { servers = { \"smtp://10.0.0.5\" } }\n"
		 "retry { fallback-relay = \"isp\"  fallback-after = 2 }\n");
	struct route_query q = { .domain = SPAN_LITERAL("a.com"),
		.uid = UINT32_MAX };

	(void)state;
	q.attempts = 1;
	check_key(conf, q, "a.com", TLS_MAY, "mx");
	q.attempts = 2;
	check_key(conf, q, "relay:isp", TLS_MAY, "fallback");
	q.domain = SPAN_LITERAL("example.org");
	check_key(conf, q, "route:example.org", TLS_MAY, "route");
	conf_free(conf);
}

/* Mail that requires TLS has sessions of its own. */
static void test_requiretls(void **state)
{
	struct conf *conf = load(everything);
	struct route_query q = { .domain = SPAN_LITERAL("a.com"),
		.uid = UINT32_MAX };

	(void)state;
	q.requiretls = true;
	check_key(conf, q, "a.com tls=verify", TLS_VERIFY, "mx");
	q.domain = SPAN_LITERAL("a.deep.example.net");
	check_key(
	    conf, q, "relay:default tls=none tls=verify", TLS_VERIFY, "route");
	conf_free(conf);
}

static void test_empty(void **state)
{
	struct conf *conf = load("localname = \"mail.example.com\"\n");
	struct route_query q = { .uid = UINT32_MAX };
	struct outcome why;
	struct route route;

	(void)state;
	assert_int_equal(route_find(conf, &q, &route, &why), -1);
	q.domain = SPAN_LITERAL("a.com");
	assert_int_equal(route_find(conf, &q, &route, &why), 0);
	assert_int_equal(route.port, 25);
	assert_int_equal(route.tls, TLS_MAY);
	assert_string_equal(route.line->name, "default");
	conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_relay_mode),
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_requiretls),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
