/* remote/connect.c: which address of a host is used, and what is said of the
 * others. Loopback addresses: one that listens, one that refuses, one whose
 * queue is full and so does not answer. */
#include "remote/connect.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 3000, FILL_MAX = 64 };

struct place {
	int fd;
	int fill[FILL_MAX]; /* connections that keep the queue full */
	int nfill;
	union net_address address;
};

static uint16_t port;

static struct place place(const char *ip, int backlog)
{
	struct place p = { .fd = -1 };
	socklen_t size = sizeof(p.address);

	assert_int_equal(net_parse(span_of(ip), port, &p.address), 0);
	p.fd = socket(p.address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p.fd < 0 || bind(p.fd, &p.address.sa, net_size(&p.address)) < 0) {
		close(p.fd);
		p.fd = -1;
		return p;
	}
	assert_int_equal(getsockname(p.fd, &p.address.sa, &size), 0);
	port =
	    ntohs(p.address.sa.sa_family == AF_INET6 ? p.address.in6.sin6_port
						     : p.address.in.sin_port);
	assert_int_equal(backlog < 0 ? 0 : listen(p.fd, backlog), 0);
	return p;
}

/* Until nobody is let in any more. */
static void fill(struct place *p)
{
	struct outcome why;
	struct host host = { .port = port, .naddresses = 1 };
	struct session session = { 0 };
	struct connect_report report;

	host.addresses[0] = net_bytes(&p->address);
	while (p->nfill < FILL_MAX) {
		int fd =
		    connect_host(&session, &host, 0, 0, 300, &report, &why);

		if (fd < 0)
			return;
		p->fill[p->nfill++] = fd;
	}
	fail_msg("the queue never gets full");
}

static void unplace(struct place *p)
{
	while (p->nfill > 0)
		close(p->fill[--p->nfill]);
	close(p->fd);
}

static struct host host_of(const struct place *const *places, unsigned n)
{
	struct host host = { .name = SPAN_LITERAL("mx.test"), .port = port };

	for (unsigned i = 0; i < n; i++)
		host.addresses[host.naddresses++] =
		    net_bytes(&places[i]->address);
	return host;
}

static int go(const struct host *host, const struct session *session,
    struct connect_report *report, struct outcome *why)
{
	return connect_host(
	    session, host, 0, host->naddresses - 1u, WAIT_MS, report, why);
}

static void test_refused_then_live(void **state)
{
	struct place dead = place("127.0.9.1", -1),
		     live = place("127.0.9.2", 5);
	const struct place *both[] = { &dead, &live };
	struct host host = host_of(both, 2);
	struct session session = { 0 };
	struct connect_report report;
	struct outcome why;
	int fd = go(&host, &session, &report, &why);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(report.used, 1);
	assert_int_equal(report.results[0], CONNECT_FAILED);
	assert_non_null(strstr(report.why[0].detail, "127.0.9.1:"));
	close(fd);
	unplace(&live);
	assert_int_equal(go(&host, &session, &report, &why), -1);
	assert_string_equal(why.status, "4.4.1");
	assert_non_null(strstr(why.detail, "refused"));
	unplace(&dead);
}

/* Used long before the first one's time is up, and the first is said to be
 * slow. */
static void test_silent_then_live(void **state)
{
	struct place silent = place("127.0.9.3", 0),
		     live = place("127.0.9.2", 5);
	const struct place *both[] = { &silent, &live };
	struct host host = host_of(both, 2);
	struct session session = { 0 };
	struct connect_report report;
	struct outcome why;
	uint64_t began;
	int fd;

	(void)state;
	fill(&silent);
	began = now_monotonic_ms();
	fd = go(&host, &session, &report, &why);
	assert_true(fd >= 0);
	assert_true(now_monotonic_ms() - began < WAIT_MS);
	assert_int_equal(report.used, 1);
	assert_int_equal(report.results[0], CONNECT_SLOW);
	close(fd);
	host.naddresses = 1;
	assert_int_equal(
	    connect_host(&session, &host, 0, 0, 300, &report, &why), -1);
	assert_non_null(strstr(why.detail, "timed out"));
	unplace(&silent);
	unplace(&live);
}

/* The first that answers is used, without another being asked. */
static void test_order(void **state)
{
	struct place one = place("127.0.9.1", 5), two = place("127.0.9.2", 5);
	const struct place *both[] = { &one, &two };
	struct host host = host_of(both, 2);
	struct session session = { 0 };
	struct connect_report report;
	struct outcome why;
	int fd = go(&host, &session, &report, &why);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(report.used, 0);
	assert_int_equal(report.results[1], CONNECT_UNTRIED);
	close(fd);
	unplace(&one);
	unplace(&two);
}

/* A family without an address of ours is passed over without a word. */
static void test_families(void **state)
{
	struct place v6 = place("::1", 5), v4 = place("127.0.9.2", 5);
	const struct place *both[] = { &v6, &v4 };
	struct host host = host_of(both, 2);
	struct session session = { .destination = SPAN_LITERAL("x.test") };
	union net_address own[2], seen;
	socklen_t size = sizeof(seen);
	struct connect_report report;
	struct outcome why;
	char text[NET_TEXT_MAX], first[NET_TEXT_MAX];

	(void)state;
	assert_int_equal(net_parse(span_of("127.0.9.8"), 0, &own[0]), 0);
	assert_int_equal(net_parse(span_of("127.0.9.9"), 0, &own[1]), 0);
	session.nbinds = 2;
	session.binds[0] = net_bytes(&own[0]);
	session.binds[1] = net_bytes(&own[1]);
	for (int i = 0; i < 3; i++) {
		int fd = go(&host, &session, &report, &why);

		assert_true(fd >= 0);
		assert_int_equal(report.results[0], CONNECT_NO_FAMILY);
		assert_int_equal(getsockname(fd, &seen.sa, &size), 0);
		net_print_ip(&seen, i == 0 ? first : text);
		/* the same each time: who greylists knows it again */
		if (i > 0)
			assert_string_equal(text, first);
		close(fd);
	}
	assert_int_equal(strncmp(first, "127.0.9.", 8), 0);
	host.naddresses = 1;
	assert_int_equal(go(&host, &session, &report, &why), -1);
	assert_non_null(strstr(why.detail, "no address of ours"));
	unplace(&v4);
	if (v6.fd >= 0)
		unplace(&v6);
}

/* What to do stands beside the error, and port 25 has its own. */
static void test_remedies(void **state)
{
	static const struct {
		int error;
		uint16_t port;
		const char *words;
	} cases[] = {
		{ ECONNREFUSED, 25, "port 25 is blocked" },
		{ ECONNREFUSED, 587, "check host and port" },
		{ ETIMEDOUT, 25, "send by a relay" },
		{ ETIMEDOUT, 465, "firewalls" },
		{ EHOSTUNREACH, 25, "routes" },
		{ EPERM, 25, "this machine's firewall" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_non_null(
		    strstr(connect_remedy(cases[i].error, cases[i].port),
			cases[i].words));
	assert_string_equal(connect_remedy(ECONNRESET, 25), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remedies),
		cmocka_unit_test(test_refused_then_live),
		cmocka_unit_test(test_silent_then_live),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
