/* runner/host_memory.c: bad addresses last, tickets by destination and host. */
#include "runner/host_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { NOW = 1000000 };

static const char A[] = "\xc0\x00\x02\x01", B[] = "\xc0\x00\x02\x02",
		  C[] = "\xc0\x00\x02\x03";

static struct host host_of(const char *name, const char *a, const char *b)
{
	struct host h = { .name = span_of(name), .port = 25 };

	h.addresses[h.naddresses++] = (struct span){ a, 4 };
	if (b)
		h.addresses[h.naddresses++] = (struct span){ b, 4 };
	return h;
}

static void check_order(struct host_memory *m, uint64_t now, const char *want)
{
	struct host hosts[2] = { host_of("one", A, B),
		host_of("two", C, NULL) };
	char got[16];

	host_memory_order(m, hosts, 2, now);
	snprintf(got, sizeof(got), "%d%d %s", hosts[0].addresses[0].p[3],
	    hosts[0].naddresses > 1 ? hosts[0].addresses[1].p[3] : 0,
	    hosts[0].name.p);
	assert_string_equal(got, want);
}

static void test_bad_last(void **state)
{
	struct host_memory *m = host_memory_new(7);

	(void)state;
	check_order(m, NOW, "12 one");
	host_memory_tried(m, span_of("192.0.2.1:25"), false, NOW);
	check_order(m, NOW, "21 one");
	host_memory_tried(m, span_of("192.0.2.2:25"), false, NOW);
	check_order(m, NOW, "30 two");
	/* all are bad: as the DNS says */
	host_memory_tried(m, span_of("192.0.2.3:25"), false, NOW);
	check_order(m, NOW, "12 one");
	host_memory_tried(m, span_of("192.0.2.2:25"), true, NOW);
	check_order(m, NOW, "21 one");
	/* another port is another server */
	host_memory_tried(m, span_of("192.0.2.2:26"), false, NOW);
	check_order(m, NOW, "21 one");
	host_memory_free(m);
}

static void test_one_tries_again(void **state)
{
	struct host_memory *m = host_memory_new(7);
	uint64_t now = NOW;

	(void)state;
	host_memory_tried(m, span_of("192.0.2.1:25"), false, now);
	now += BAD_MS;
	check_order(m, now, "12 one");	   /* the trial */
	check_order(m, now + 1, "21 one"); /* others meanwhile */
	host_memory_tried(m, span_of("192.0.2.1:25"), true, now + 2);
	check_order(m, now + 3, "12 one");
	host_memory_free(m);
}

static void test_pauses_grow(void **state)
{
	struct host_memory *m = host_memory_new(7);
	uint64_t now = NOW, wait = BAD_MS;

	(void)state;
	host_memory_tried(m, span_of("192.0.2.1:25"), false, now);
	for (int i = 0; i < 12; i++) {
		check_order(m, now + wait - 1, "21 one");
		now += wait;
		/* at once, not as a trial: the pause is over */
		host_memory_tried(m, span_of("192.0.2.1:25"), false, now);
		wait = wait * 2 > BAD_MAX_MS ? wait : wait * 2;
	}
	assert_true(wait <= BAD_MAX_MS && wait * 2 > BAD_MAX_MS);
	host_memory_free(m);
}

static struct span ticket_for(
    struct host_memory *m, const char *destination, const char *name)
{
	struct host host = host_of(name, A, NULL);

	host_memory_tickets(m, span_of("g"), span_of(destination), &host, 1);
	return host.ticket;
}

static void test_tickets(void **state)
{
	struct host_memory *m = host_memory_new(7);
	struct ticket t = { SPAN_LITERAL("one"), SPAN_LITERAL("secret") };

	(void)state;
	assert_int_equal(ticket_for(m, "d", "one").n, 0);
	host_memory_keep(m, span_of("g"), span_of("d"), &t);
	assert_true(span_is_equal(ticket_for(m, "d", "one"), t.data));
	assert_int_equal(ticket_for(m, "d", "two").n, 0);
	assert_int_equal(ticket_for(m, "e", "one").n, 0);
	assert_int_equal(ticket_for(m, "d tls=verify", "one").n, 0);
	t.data = (struct span){ NULL, 0 };
	host_memory_keep(m, span_of("g"), span_of("d"), &t);
	assert_int_equal(ticket_for(m, "d", "one").n, 0);
	host_memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_last),
		cmocka_unit_test(test_one_tries_again),
		cmocka_unit_test(test_pauses_grow),
		cmocka_unit_test(test_tickets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
