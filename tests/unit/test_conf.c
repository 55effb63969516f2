/* The configuration: defaults, every error with its place, round trip. */
#include "common/conf.h"

#include "common/messages.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_conf.XXXXXX";
static struct buf errors;

static char *home; /* where the tests were started */

static int set_up(void **state)
{
	(void)state;
	home = getcwd(NULL, 0);
	buf_init(&errors, 1 << 20);
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	buf_clear(&errors);
	unlink("t.conf");
	unlink("more.conf");
	unlink("loop.conf");
	free(home);
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void write_file(const char *name, struct span text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	assert_int_equal(fclose(file), 0);
}

static struct conf *load(const char *text)
{
	write_file("t.conf", span_of(text));
	buf_reset(&errors);
	return conf_load("t.conf", &errors);
}

/* Must load. */
static struct conf *load_sound(const char *text)
{
	struct conf *conf = load(text);

	if (!conf)
		fail_msg("%s\n%s", text, buf_text(&errors));
	assert_int_equal(errors.len, 0);
	return conf;
}

/* Must not load; exactly these errors, one a line, t.conf: left out. */
static void check_errors(const char *text, const char *expected)
{
	struct conf *conf = load(text);
	struct span rest = buf_span(&errors);
	struct buf found;

	if (conf)
		fail_msg("loaded: %s", text);
	buf_init(&found, 1 << 20);
	while (rest.n > 0) {
		struct span line = span_cut(&rest, '\n');

		if (span_has_prefix_nocase(line, "t.conf:"))
			line = span_from(line, 7);
		buf_put_raw(&found, line);
		buf_putc(&found, '\n');
	}
	if (strcmp(buf_text(&found), expected) != 0)
		fail_msg("%s\ngives:\n%sexpected:\n%s", text, buf_text(&found),
		    expected);
	buf_clear(&found);
}

/* Must not load; the only error begins so. */
static void check_error(const char *text, const char *begin)
{
	struct conf *conf = load(text);
	struct span all = buf_span(&errors), first = span_cut(&all, '\n');

	if (conf)
		fail_msg("loaded: %s", text);
	if (!span_has_prefix_nocase(first, "t.conf:") ||
	    !span_has_prefix_nocase(span_from(first, 7), begin) || all.n > 0)
		fail_msg("%s\ngives:\n%sexpected: %s", text, buf_text(&errors),
		    begin);
}

static void test_empty(void **state)
{
	struct conf *conf = load_sound("");

	(void)state;
	assert_string_equal(conf->spool, "/var/spool/outpost");
	assert_string_equal(conf->runtime, "/run/outpost");
	assert_string_equal(conf->log_to, "stderr");
	assert_string_equal(conf->timezone, "");
	assert_string_equal(conf->aliases, "/etc/aliases");
	assert_true(conf->localname[0] != '\0');
	assert_true(strchr(conf->postmaster, '@') != NULL);
	assert_true(conf->node[0] != '\0');
	assert_true(conf->outbound);
	assert_false(conf->allow_local_mx);
	assert_int_equal(conf->mode, MODE_DIRECT);
	assert_int_equal(conf->port, 25);
	assert_int_equal(conf->nlistens, 0);
	assert_int_equal(conf->nlines, 1);
	assert_string_equal(conf->lines[0].name, "default");
	assert_int_equal(conf->lines[0].count, 20);
	assert_int_equal(conf->lines[0].messages_per_connection, 100);
	assert_int_equal(conf->retry.attempts, 0);
	assert_int_equal(conf->retry.wait_s, 300);
	assert_int_equal(conf->retry.lifetime_s, 5 * 86400);
	assert_true(conf->retry.factor > 1.99 && conf->retry.factor < 2.01);
	assert_int_equal(conf->limits.message_size, 50 << 20);
	assert_int_equal(conf->tls.policy, TLS_MAY);
	conf_free(conf);
	conf_free(NULL);
}

static void test_no_file(void **state)
{
	struct conf *conf;

	(void)state;
	buf_reset(&errors);
	assert_null(conf_load("none.conf", &errors));
	assert_string_equal(
	    buf_text(&errors), "none.conf: No such file or directory\n");
	setenv("OUTPOST_CONF", "none.conf", 1);
	buf_reset(&errors);
	assert_null(conf_load(NULL, &errors));
	write_file("t.conf", span_of("port = 2525"));
	setenv("OUTPOST_CONF", "t.conf", 1);
	buf_reset(&errors);
	conf = conf_load(NULL, &errors);
	assert_non_null(conf);
	assert_int_equal(conf->port, 2525);
	conf_free(conf);
	unsetenv("OUTPOST_CONF");
	buf_reset(&errors);
	assert_null(conf_load(folder, &errors)); /* a folder */
}

static const char whole[] =
    "node = auto\n"
    "localname = \"Mail.Example.com\"\n"
    "postmaster = \"admin@example.com\"\n"
    "timezone = UTC\n"
    "spool = \"spool\"\n"
    "runtime = ./run\n"
    "log = detailed  # a comment\n"
    "log-to = log/outpost.log\n"
    "outbound = off\n"
    "mode = relay;\n"
    "port = 2525\n"
    "allow-local-mx = on\n"
    "resolvers = { \"127.0.0.1:5353\", \"::1\" }\n"
    "aliases = /dev/null\n"
    "listen \"127.0.0.1:2525\" {\n"
    "  tls = starttls certificate = \"tls/c.pem\" key = tls/k.pem\n"
    "  auth = none }\n"
    "listen \"[::1]\" { allow = { \"10.0.0.0/8\", \"2001:db8::/32\", } }\n"
    "listen 'unix:smtp.sock' { allow = {} }\n"
    "relay \"default\" { servers = { \"smtps://a.example\", "
    "\"submission://b.example\",\n"
    "  \"c.example:26\", \"[192.0.2.1]:27\", \"[IPv6:2001:DB8::1]\", "
    "\"mx:d.example\" } tls = require }\n"
    "relay plain { servers = localhost }\n"
    "line \"default\" { count = 3 bind = { \"192.0.2.10\", "
    "\"2001:db8::10\" } }\n"
    "line bulk { localname = \"192.0.2.7\" relay = plain "
    "messages-per-connection = 7 }\n"
    "route \"Example.org\" { servers = { \"smtp://10.0.0.5:2525\" } }\n"
    "route \"*.b\xc3\xbc"
    "cher.example\" { line = bulk tls = may }\n"
    "route \"[192.0.2.9]\" { relay = plain }\n"
    "destination \"gmail.com\" { connections = 10 }\n"
    "sender \"alice@Example.net\" { relay = plain }\n"
    "sender \"@news.example.com\" { line = bulk }\n"
    "sender \"uid:1000\" { line = bulk }\n"
    "retry { attempts = 5 wait = 90s factor = 1.25 max-wait = 2h\n"
    "  lifetime = 2d warn-after = 0 jitter = 25% }\n"
    "defaults { reply-to = \"office@example.com\" sender-name = "
    "\"Ex\\\"am$ple \\\\ \xc3\xa9\" sender-domain = \"example.com\" }\n"
    "limits { message-size = 10M recipients = 50 spool-size = 2G\n"
    "  connections = 10 connections-per-client = 5\n"
    "  destination-connections = 2 }\n"
    "tls { policy = require }\n";

static void check_path(const char *path, const char *name)
{
	assert_memory_equal(path, folder, strlen(folder));
	assert_string_equal(path + strlen(folder), name);
}

static void test_whole(void **state)
{
	struct conf *conf = load_sound(whole);
	const struct conf_server *s = conf->relays[0].servers;

	(void)state;
	assert_string_equal(conf->localname, "mail.example.com");
	assert_false(conf->localname_is_found);
	check_path(conf->file, "/t.conf");
	check_path(conf->spool, "/spool");
	check_path(conf->runtime, "/run");
	check_path(conf->log_to, "/log/outpost.log");
	assert_int_equal(conf->log, LOG_LEVEL_DETAILED);
	assert_false(conf->outbound);
	assert_int_equal(conf->mode, MODE_RELAY);
	assert_string_equal(conf->resolvers.items[1], "[::1]:53");
	assert_int_equal(conf->nlistens, 3);
	assert_int_equal(conf->listens[0].tls, LISTEN_TLS_STARTTLS);
	check_path(conf->listens[0].key, "/tls/k.pem");
	assert_int_equal(conf->listens[0].allow.count, 2);
	assert_string_equal(conf->listens[0].allow.items[0], "127.0.0.0/8");
	assert_int_equal(conf->listens[0].place.line, 15);
	check_path(conf->listens[0].place.file, "/t.conf");
	assert_string_equal(conf->listens[1].address, "[::1]:25");
	check_path(conf->listens[2].address + 5, "/smtp.sock");
	assert_int_equal(conf->listens[2].allow.count, 0);
	assert_int_equal(conf->relays[0].nservers, 6);
	assert_string_equal(s[0].host, "a.example");
	assert_true(s[0].implicit_tls && s[0].port == 465);
	assert_true(!s[1].implicit_tls && s[1].port == 587);
	assert_int_equal(s[2].port, 26);
	assert_true(s[3].is_literal && s[3].port == 27);
	assert_string_equal(s[4].host, "2001:db8::1");
	assert_true(s[5].use_mx && s[5].port == 25);
	assert_int_equal(conf->relays[0].tls, TLS_REQUIRE);
	assert_int_equal(conf->relays[1].tls, -1);
	assert_int_equal(conf->nlines, 2);
	assert_string_equal(conf->lines[1].localname, "[192.0.2.7]");
	assert_null(conf->lines[0].localname);
	assert_int_equal(conf->lines[0].bind.count, 2);
	assert_ptr_equal(conf_line(conf, "bulk"), &conf->lines[1]);
	assert_ptr_equal(conf_relay(conf, "plain"), &conf->relays[1]);
	assert_null(conf_line(conf, "none"));
	assert_string_equal(conf->routes[0].pattern, "example.org");
	assert_string_equal(conf->routes[1].pattern, "*.xn--bcher-kva.example");
	assert_int_equal(conf->routes[1].tls, TLS_MAY);
	assert_string_equal(conf->senders[0].pattern, "alice@example.net");
	assert_int_equal(conf->retry.wait_s, 90);
	assert_true(conf->retry.factor > 1.249 && conf->retry.factor < 1.251);
	assert_int_equal(conf->retry.jitter_percent, 25);
	assert_string_equal(
	    conf->defaults.sender_name, "Ex\"am$ple \\ \xc3\xa9");
	assert_int_equal(conf->limits.spool_size, (uint64_t)2 << 30);
	assert_int_equal(conf->tls.policy, TLS_REQUIRE);
	conf_free(conf);
}

static void print(const struct conf *conf, struct buf *out)
{
	buf_init(out, 1 << 20);
	conf_print(conf, out);
	assert_false(out->overflow);
}

static void check_both_ways(const char *text)
{
	struct conf *first = load_sound(text), *second, *third;
	struct buf one, two, three;
	int fd;

	print(first, &one);
	second = load_sound(buf_text(&one));
	print(second, &two);
	assert_string_equal(buf_text(&one), buf_text(&two));
	fd = open("t.conf", O_RDONLY);
	buf_reset(&errors);
	third = conf_load_fd(fd, "t.conf", &errors);
	assert_non_null(third);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
	print(third, &three);
	assert_string_equal(buf_text(&one), buf_text(&three));
	if (first->nlistens > 0)
		assert_int_equal(
		    third->listens[0].place.line, first->listens[0].place.line);
	conf_free(first);
	conf_free(second);
	conf_free(third);
	buf_clear(&one);
	buf_clear(&two);
	buf_clear(&three);
}

static void test_both_ways(void **state)
{
	(void)state;
	check_both_ways(whole);
	check_both_ways("");
	check_both_ways("line x { node vm { bind = { ::1 } } }");
	check_both_ways("retry { lifetime = 1h wait = 5h }");
}

static void test_values(void **state)
{
	(void)state;
	check_error("port = 70000",
	    "1: port: 70000 is not allowed; a number from 1 to 65535");
	check_error("\n\nport = 0", "3: port: 0 is not allowed; ");
	check_error("port = abc", "1: port: abc is not allowed; a number");
	check_error("port = -1", "1: port: -1 is not allowed; ");
	check_error("port = \"25\"", "1: port: \"25\" (in quotes) is not ");
	check_error("port = 99999999999999999999", "1: port: 9999");
	check_error("port = { 25 }", "1: port: takes one value, not a list");
	check_error(
	    "log = loud", "1: log: loud is not allowed; basic or detailed");
	check_error("outbound = 2", "1: outbound: 2 is not allowed; on or off");
	check_error(
	    "mode = \"\"", "1: mode: \"\" is not allowed; direct or relay");
	check_error("postmaster = admin", "1: postmaster: admin is not");
	check_error("timezone = \"../../etc/shadow\"", "1: timezone: ");
	check_error("timezone = \"/etc/localtime\"", "1: timezone: ");
	check_error("timezone = \"No/Such\"", "1: timezone: No/Such is not");
	check_error("resolvers = { \"1.2.3.4:0\" }", "1: resolvers: ");
	check_error("resolvers = { dns.example }", "1: resolvers: ");
	check_error("spool = \"\"", "1: spool: \"\" is not allowed; a path");
	check_error("spool = \"a\\nb\"", "1: spool: a?b is not allowed");
	check_error("retry { wait = 4x }",
	    "1: wait: 4x is not allowed; a time such as 30s, 5m, 4h or 5d, "
	    "from 1s to 30d");
	check_error("retry { wait = 300 }", "1: wait: 300 is not allowed");
	check_error("retry { wait = 0 }", "1: wait: 0 is not allowed");
	check_error("retry { wait = 5h max-wait = 4h }",
	    "1: wait: longer than max-wait");
	check_error("retry { factor = 0.5 }",
	    "1: factor: 0.5 is not allowed; a number from 1 to 100");
	check_error("retry { factor = 1. }", "1: factor: ");
	check_error("retry { factor = 1e3 }", "1: factor: ");
	check_error("retry { jitter = 101% }",
	    "1: jitter: 101% is not allowed; a number from 0% to 100%");
	check_error("retry { lifetime = 4294967297s }", "1: lifetime: ");
	check_error("limits { message-size = 50X }",
	    "1: message-size: 50X is not allowed; a size such as 10K, 50M or "
	    "2G, from 1K to 1T");
	check_error("limits { spool-size = 99999999G }", "1: spool-size: ");
	check_error("limits { recipients = 0 }", "1: recipients: 0 is ");
	check_error("line \"a b\" { }", "1: line: a b is not allowed; up to");
	check_error("line a { bind = { \"1.2.3.4:25\" } }", "1: bind: ");
	check_error("line a { bind = { ::1, ::2, ::3, ::4, ::5 } }",
	    "1: bind: ::5 is not allowed; up to 4");
	check_error("relay a { servers = { \"ftp://x\" } }", "1: servers: ");
	check_error("listen x { }", "1: listen: x is not allowed; an address");
	check_error("listen \"1.2.3.4:0\" { }", "1: listen: ");
	check_error("listen ::1 { allow = { \"10.0.0.1/8\" } }", "1: allow: ");
	check_error("route \"a b\" { line = default }", "1: route: a b is");
	check_error("route \"*\" { line = default }", "1: route: * is not");
	check_error("sender \"uid:-1\" { line = default }", "1: sender: ");
}

static void test_localnames(void **state)
{
	static const char *const bad[] = { "localhost", "mail",
		"localhost.localdomain", "a_b.example", "1.2.3", "-", "[1.2]",
		"[IPv6:1.2.3.4:5]" };
	static const char *const sound[][2] = {
		{ "MX1.example.com.", "mx1.example.com" },
		{ "192.0.2.1", "[192.0.2.1]" },
		{ "[192.0.2.1]", "[192.0.2.1]" },
		{ "2001:DB8::1", "[IPv6:2001:db8::1]" },
		{ "[2001:db8::1]", "[IPv6:2001:db8::1]" },
		{ "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]" },
		{ "b\xc3\xbc"
		  "cher.example",
		    "xn--bcher-kva.example" },
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "localname = \"%s\"", bad[i]);
		check_error(text, "1: localname: ");
		snprintf(text, sizeof(text),
		    "line x {\n node y {\nlocalname = \"%s\"\n} }", bad[i]);
		check_error(text, "3: localname: ");
	}
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		struct conf *conf;

		snprintf(text, sizeof(text), "localname = \"%s\"", sound[i][0]);
		conf = load_sound(text);
		assert_string_equal(conf->localname, sound[i][1]);
		conf_free(conf);
	}
}

static void test_shape(void **state)
{
	(void)state;
	check_error("line a {\n count = 3\n", "1: this block is not closed");
	check_error("line a {\n node b {\n}\n", "1: this block is not closed");
	check_error("\nresolvers = { ::1,\n", "2: this list is not closed");
	check_error("resolvers = { ::1 ::2 }", "1: a comma or \"}\" is");
	check_error("\n}", "2: \"}\" closes nothing");
	check_error("spool = \"/a\nport = 3", "1: a text in quotes must end");
	check_error("spool = '/a\n", "1: a text in quotes must end");
	check_error("spool = \"/a\\\n\"", "1: ");
	check_error("spool = \"a\\400\"", "1: no such escape");
	check_error("spool = \"a\\0\"", "1: no such escape");
	check_error("spool = \"a\\x00\"", "1: no such escape");
	check_error("spool = \"a\\1234\"", "1: no such escape");
	check_error("spool = \"${HOME}\"", "1: the environment is not read");
	check_error("spool = ${HOME}", "1: the environment is not read");
	check_error("/* never\nended", "1: a comment begins here");
	check_error("port 25", "1: \"=\"");
	check_error("port", "1: \"=\"");
	check_error("port =", "1: a value is missing");
	check_error("port = = 3", "1: a value is missing");
	check_error("= 3", "1: a name is missing");
	check_error("\"port\" = 3", "1: a name is missing");
	check_error("route *.x.example { }", "1: unexpected sign");
	check_error("line { }", "1: line: needs a title: line \"...\" { ... }");
	check_error("retry \"x\" { }", "1: retry: has no title");
	check_error("line = 3", "1: line: is a block: line \"...\" { ... }");
	check_error("port { }", "1: port: is a setting, not a block");
	check_error("prot = 3", "1: prot: unknown; settings here are: node, ");
	check_error("lin x { prot = { 1, 2 } y { } }",
	    "1: lin: unknown; blocks here are: listen, ");
	check_error("line x { prot = 3 }", "1: prot: unknown; settings here "
					   "are: count, localname");
	write_file("t.conf", (struct span){ "port = 3\0", 9 });
	buf_reset(&errors);
	assert_null(conf_load("t.conf", &errors));
	assert_string_equal(buf_text(&errors), "t.conf: has a NUL byte\n");
}

static void test_nesting(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (int i = 0; i < 100000; i++)
		buf_puts(&text, "x {");
	assert_null(load(buf_text(&text)));
	buf_clear(&text);
}

static void test_twice(void **state)
{
	(void)state;
	check_error(
	    "port = 3\nport = 4", "2: port: given twice, before in t.conf:1");
	check_error("line a { }\nline \"a\" { }",
	    "2: line \"a\": given twice, before in t.conf:1");
	check_error("retry { }\n retry { }", "2: retry: given twice");
	check_error("line a { count = 3\ncount = 4 }", "2: count: given twice");
	check_error("line a { node b { } node b { } }", "1: node \"b\": given");
	check_error("resolvers = { ::1 }\nresolvers += { ::2 }",
	    "2: resolvers: given twice");
	/* the same title in another spelling: libconfuse sees it */
	check_error("line a { }\nline \"\\x61\" { }", "2: ");
	check_error("listen \"127.0.0.1\" { }\nlisten \"127.0.0.1:25\" { }",
	    "2: listen: 127.0.0.1:25 is listened on twice");
	conf_free(load_sound("line a { node c { } }\nline b { node c { } }"));
}

static void test_all_errors(void **state)
{
	(void)state;
	check_errors("port = 0 /* one\n two */ prot = 4\n"
		     "line x { count = auto relay = y\n"
		     "localname = localhost }\n"
		     "sender \"@a\" { line = z hold = 2m }\n"
		     "mode = relay\n",
	    "1: port: 0 is not allowed; a number from 1 to 65535\n"
	    "2: prot: unknown; settings here are: node, localname, "
	    "postmaster, timezone, spool, runtime, log, log-to, outbound, "
	    "mode, port, allow-local-mx, resolvers, aliases, suppress\n"
	    "3: relay: y is not allowed; the name of a relay block (there is "
	    "no relay \"y\" for this line)\n"
	    "4: localname: localhost is not allowed; a full name such as "
	    "\"mail.example.com\", not a bare host name or localhost, or an "
	    "address literal such as \"[192.0.2.1]\"\n"
	    "5: line: z is not allowed; the name of a line block (there is no "
	    "line \"z\" for this sender)\n"
	    "6: mode: relay needs a block relay \"default\" { servers = { ... "
	    "} }\n");
}

static void test_many_errors(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (int i = 0; i < 5000; i++)
		buf_puts(&text, "x = 3\n");
	assert_null(load(buf_text(&text)));
	assert_true(strstr(buf_text(&errors), "... and more") != NULL);
	buf_clear(&text);
}

static void test_replies(void **state)
{
	struct conf *conf = load(
	    "relay isp { servers = x }\n"
	    "reply '^4.. .*grey\\.list' { action = retry after = 5m }\n"
	    "reply 'x' { action = \"relay:isp\" destination = \"*.a.b\" }\n");
	struct buf printed;

	(void)state;
	assert_non_null(conf);
	assert_int_equal(conf->nreplies, 2);
	assert_string_equal(conf->replies[0].pattern, "^4.. .*grey\\.list");
	assert_int_equal(conf->replies[0].after_s, 300);
	assert_int_equal(conf->replies[0].place.line, 2);
	assert_string_equal(conf->replies[1].action, "relay:isp");
	assert_string_equal(conf->replies[1].destination, "*.a.b");
	buf_init(&printed, 65536);
	conf_print(conf, &printed);
	conf_free(conf);
	conf = load(buf_text(&printed));
	assert_non_null(conf);
	assert_string_equal(conf->replies[0].pattern, "^4.. .*grey\\.list");
	assert_string_equal(conf->replies[1].action, "relay:isp");
	conf_free(conf);
	buf_clear(&printed);
	check_error("reply '(a' { action = bounce }", "1: reply: '(a' is not");
	check_error("reply 'a' { }", "1: reply: needs action");
	check_error("reply 'a' { action = jump }",
	    "1: action: jump is not allowed; retry, bounce, next-host, "
	    "suspend or relay:NAME");
	check_error(
	    "reply 'a' { action = bounce after = 5m }", "1: after: goes with");
	check_error("reply 'a' { action = \"relay:x\" }",
	    "1: action: there is no relay");
}

static void test_limits(void **state)
{
	static const char text[] =
	    "line a { count = \"auto\" rate = \"1000/h\" in-flight = 50\n"
	    "window = \"Mon-Fri 08:00-18:00, Sat 22:00-02:00\"\n"
	    "address-connections = 5 address-rate = \"50/d\" }\n"
	    "line b { count = auto }\n"
	    "destination \"*.example.net\" { rate = \"20/m\" in-flight = 3\n"
	    "connections = 7 messages-per-connection = 9 }\n";
	struct conf *conf = load(text), *again;
	struct buf printed;

	(void)state;
	assert_non_null(conf);
	buf_init(&printed, 1 << 16);
	conf_print(conf, &printed);
	again = load(buf_text(&printed));
	assert_non_null(again);
	assert_int_equal(again->lines[0].count, 0);
	assert_int_equal(again->lines[1].count, 0);
	assert_int_equal(again->lines[0].rate.events, 1000);
	assert_int_equal(again->lines[0].in_flight, 50);
	assert_int_equal(again->lines[0].address_connections, 5);
	assert_int_equal(again->lines[0].address_rate.per_seconds, 86400);
	assert_string_equal(
	    again->lines[0].window, "Mon-Fri 08:00-18:00, Sat 22:00-02:00");
	assert_int_equal(again->destinations[0].rate.per_seconds, 60);
	assert_int_equal(again->destinations[0].messages_per_connection, 9);
	assert_int_equal(again->destinations[0].in_flight, 3);
	conf_free(conf);
	conf_free(again);
	buf_clear(&printed);
	check_error("line a { rate = \"0/m\" }", "1: rate: 0/m is not allowed");
	check_error("destination a { rate = \"1000001/s\" }",
	    "1: rate: 1000001 in 1 s is beyond what the clock");
	check_error(
	    "line a { window = \"08:00-08:00\" }", "1: window: it never opens");
	check_error("line a { window = \"Mon,Tue 08:00-09:00\" }",
	    "1: window: \"Mon\" is not a time of the week");
	check_error("line a { count = \"20\" }",
	    "1: count: \"20\" (in quotes) is not allowed");
	check_error("destination a { in-flight = 0 }",
	    "1: in-flight: 0 is not allowed");
}

static void test_not_yet(void **state)
{
	static const char *const texts[] = {
		"listen ::1 { auth = required }",
		"listen ::1 { auth = optional }",
		"listen ::1 { users = users }",
		"line a { warmup = \"30d\" }",
		"suppress = \"suppress.txt\"",
		"dkim \"example.com\" { selector = s1 key = \"k.pem\" }",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct conf *conf = load(texts[i]);

		if (conf || !strstr(buf_text(&errors), "not yet supported"))
			fail_msg("%s: %s", texts[i], buf_text(&errors));
	}
	/* typed all the same */
	check_error("line a { rate = fast }", "1: rate: fast is not allowed");
	check_error(
	    "tls { dane = 3 }", "1: dane: 3 is not allowed; off, on or shadow");
}

static void test_logins(void **state)
{
	struct conf *conf = load("relay isp { servers = x user = \"me@isp\"\n"
				 "password-file = \"/etc/secret #1\"\n"
				 "mechanisms = { plain, SCRAM-SHA-256 } }\n"
				 "relay cloud { servers = y user = me\n"
				 "token-command = { \"/bin/token\", \"a b\" }\n"
				 "certificate = \"/etc/both.pem\" }");

	(void)state;
	assert_non_null(conf);
	assert_string_equal(conf->relays[0].user, "me@isp");
	assert_string_equal(conf->relays[0].password_file, "/etc/secret #1");
	assert_int_equal(conf->relays[0].mechanisms.count, 2);
	assert_int_equal(conf->relays[1].token_command.count, 2);
	assert_string_equal(conf->relays[1].token_command.items[1], "a b");
	assert_null(conf->relays[1].key);
	check_error("relay a { servers = x password-file = \"/s\" }",
	    "1: password-file: needs user");
	check_error("relay a { servers = x token-command = { \"/t\" } }",
	    "1: token-command: needs user");
	check_error("relay a { servers = x user = u password-file = \"/s\"\n"
		    "token-command = { \"/t\" } }",
	    "2: token-command: either this or password-file");
	check_error("relay a { servers = x user = u\n"
		    "token-command = { \"token --now\" } }",
	    "2: token-command: token --now is not allowed; the whole path");
	check_error("relay a { servers = x key = \"/k\" }",
	    "1: key: needs certificate");
	check_error("relay a { servers = x user = u mechanisms = { NTLM } }",
	    "1: mechanisms: NTLM is not allowed; EXTERNAL, SCRAM");
	check_error("relay a { servers = x mechanisms = { PLAIN } }",
	    "1: mechanisms: needs user or certificate");
}

static void test_references(void **state)
{
	(void)state;
	check_error("mode = relay", "1: mode: relay needs a block relay");
	check_error("relay a { }", "1: relay: needs servers");
	check_error("retry { fallback-relay = isp }",
	    "1: fallback-relay: isp is not allowed; the name of a relay");
	check_error("route a { relay = b }", "1: relay: b is not allowed");
	check_error("route a { line = b }", "1: line: b is not allowed");
	check_error("route a { }", "1: route: needs servers");
	check_error("relay b { servers = x }\n"
		    "route a { relay = b servers = y }",
	    "2: relay: either this or servers");
	check_error("sender \"@a\" { relay = b }", "1: relay: b is not");
	check_error("listen ::1 {\ntls = implicit }", "2: tls: needs certif");
	check_error("retry { lifetime = 1h\nwarn-after = 2h }",
	    "2: warn-after: longer than lifetime");
	conf_free(load_sound("sender \"@a\" { line = default }"));
	conf_free(load_sound("retry { lifetime = 1h }"));
}

static void test_include(void **state)
{
	struct conf *conf;

	(void)state;
	write_file("more.conf", span_of("port = 26\nline b { count = 3 }"));
	conf = load_sound("line a { }\ninclude(\"more.conf\")\nline c { }");
	assert_int_equal(conf->port, 26);
	assert_int_equal(conf->nlines, 4);
	assert_int_equal(conf_line(conf, "b")->place.line, 2);
	check_path(conf_line(conf, "b")->place.file, "/more.conf");
	conf_free(conf);
	conf_free(load_sound("include more.conf"));
	check_error(
	    "port = 25\ninclude \"none.conf\"", "2: none.conf: No such file");
	check_error("include \"more.conf\"\ninclude \"./more.conf\"",
	    "2: ./more.conf: included twice");
	check_error("include", "1: include: a file");
	check_error("include(\"more.conf\"", "1: include: \")\" is missing");
	check_error("line x { include \"more.conf\" }", "1: \"=\"");
	assert_null(load("port = 25\ninclude \"more.conf\""));
	assert_true(strstr(buf_text(&errors),
	    "more.conf:1: port: given twice, before in t.conf:1\n"));
	write_file("more.conf", span_of("line b {\n"));
	assert_null(load("include \"more.conf\"\n}"));
	write_file("more.conf", span_of("include loop.conf"));
	write_file("loop.conf", span_of("include more.conf"));
	assert_null(load("include \"more.conf\""));
	assert_true(strstr(buf_text(&errors), "included twice"));
}

static void test_nodes(void **state)
{
	static const char nodes[] =
	    "line a { localname = \"a.example.com\" bind = { 192.0.2.1 }\n"
	    " node one { localname = \"one.example.com\" }\n"
	    " node two { bind = { 192.0.2.2, ::2 } } }\n"
	    "line b { node two { localname = \"two.example.com\" } }\n";
	struct buf text;
	struct conf *conf;

	(void)state;
	buf_init(&text, 10000);
	buf_printf(&text, "node = one\n%s", nodes);
	conf = load_sound(buf_text(&text));
	assert_string_equal(conf->node, "one");
	assert_string_equal(conf->lines[0].localname, "one.example.com");
	assert_string_equal(conf->lines[0].bind.items[0], "192.0.2.1");
	assert_null(conf->lines[1].localname);
	assert_int_equal(conf->lines[0].nnodes, 0);
	conf_free(conf);
	buf_reset(&text);
	buf_printf(&text, "node = two\n%s", nodes);
	conf = load_sound(buf_text(&text));
	assert_string_equal(conf->lines[0].localname, "a.example.com");
	assert_int_equal(conf->lines[0].bind.count, 2);
	assert_string_equal(conf->lines[1].localname, "two.example.com");
	conf_free(conf);
	buf_reset(&text);
	buf_printf(&text, "node = three\n%s", nodes);
	check_error(buf_text(&text), "1: node: three is not allowed; auto, or");
	conf = load_sound(nodes); /* this machine is neither */
	assert_string_equal(conf->lines[0].localname, "a.example.com");
	conf_free(conf);
	buf_clear(&text);
}

static void test_comments(void **state)
{
	struct conf *conf = load_sound("// port = 1\n//port = 1\n"
				       "##port = 1\n/*/ port = 1 **/\n"
				       "port = 26#x\r\n"
				       "log = basic/* x */outbound = off;;\n"
				       "spool = /a//b/ runtime = '/a\\b\\'c'\n"
				       "log-to = \"/\\x41\\102\\$\"");

	(void)state;
	assert_int_equal(conf->port, 26);
	assert_false(conf->outbound);
	assert_string_equal(conf->spool, "/a//b/");
	assert_string_equal(conf->runtime, "/a\\b'c");
	assert_string_equal(conf->log_to, "/AB$");
	conf_free(conf);
}

/* What a newcomer copies must work. */
static void test_templates(void **state)
{
	static const char *const names[] = { "relay-through-isp",
		"independent-server", "two-line-groups", "several-nodes" };
	char path[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct conf *conf;

		snprintf(path, sizeof(path), "%s/conf-templates/%s.conf", home,
		    names[i]);
		if (access(path, R_OK) < 0)
			skip(); /* not started in the source folder */
		buf_reset(&errors);
		conf = conf_load(path, &errors);
		if (!conf)
			fail_msg("%s", buf_text(&errors));
		conf_free(conf);
	}
}

static void test_parsers(void **state)
{
	struct conf_server server;
	struct rate rate;
	uint32_t seconds;
	uint64_t bytes;

	(void)state;
	assert_int_equal(conf_parse_duration("5d", &seconds), 0);
	assert_int_equal(seconds, 432000);
	assert_int_equal(conf_parse_duration("0", &seconds), 0);
	assert_int_equal(conf_parse_duration("", &seconds), -1);
	assert_int_equal(conf_parse_duration("d", &seconds), -1);
	assert_int_equal(conf_parse_duration("5", &seconds), -1);
	assert_int_equal(conf_parse_duration("99999d", &seconds), -1);
	assert_int_equal(conf_parse_size("512", &bytes), 0);
	assert_int_equal(conf_parse_size("64G", &bytes), 0);
	assert_true(bytes == (uint64_t)64 << 30);
	assert_int_equal(conf_parse_size("1E", &bytes), -1);
	assert_int_equal(conf_parse_size("4294967295T", &bytes), -1);
	assert_int_equal(conf_parse_rate("20/m", &rate), 0);
	assert_true(rate.events == 20 && rate.per_seconds == 60);
	assert_int_equal(conf_parse_rate("0/m", &rate), -1);
	assert_int_equal(conf_parse_rate("20", &rate), -1);
	assert_int_equal(conf_parse_rate("20/w", &rate), -1);
	assert_int_equal(conf_parse_server("SMTP://Mx.Example", &server), 0);
	assert_string_equal(server.host, "mx.example");
	free(server.host);
	assert_int_equal(conf_parse_server("192.0.2.1", &server), 0);
	assert_true(server.is_literal && server.port == 25);
	free(server.host);
}

static void test_bad_servers(void **state)
{
	static const char *const bad[] = { "", "smtp://", "smtp://:25",
		"host:", "host:0", "host:65536", "host:25x", "http://host", "[",
		"[]", "[1.2.3.4", "[1.2.3.4]x", "[1.2.3.4]:", "2001:db8::1",
		"[IPv6:x]", "a b", "a@b", "host/path", "mx:[1.2.3.4]", "mx:" };
	struct conf_server server;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (conf_parse_server(bad[i], &server) == 0)
			fail_msg("%s", bad[i]);
		assert_null(server.host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_localnames),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_all_errors),
		cmocka_unit_test(test_many_errors),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_not_yet),
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_parsers),
		cmocka_unit_test(test_bad_servers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
