/* The DNS client of dnscheck: packets apart, names, and many threads that want
 * the same answer from a server that counts. */
#include "dnscheck/ask_parts.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ID = 0x1234, ASKERS = 40 };

/* --- packets, put together by hand ---------------------------------------- */

static void put_name(struct buf *b, const char *name)
{
	struct span rest = span_of(name), word;

	while (rest.n > 0) {
		word = span_cut(&rest, '.');
		put_u8(b, (uint8_t)word.n);
		buf_put_raw(b, word);
	}
	put_u8(b, 0);
}

static void begin(struct buf *b, uint16_t flags, uint16_t nanswers,
    const char *name, uint16_t type)
{
	buf_init(b, 1 << 20);
	put_u16(b, ID);
	put_u16(b, flags);
	put_u16(b, 1);
	put_u16(b, nanswers);
	put_u32(b, 0);
	put_name(b, name);
	put_u16(b, type);
	put_u16(b, 1);
}

static void put_record(
    struct buf *b, const char *owner, uint16_t type, const void *data, size_t n)
{
	put_name(b, owner);
	put_u16(b, type);
	put_u16(b, 1);
	put_u32(b, 60);
	put_u16(b, (uint16_t)n);
	buf_put(b, data, n);
}

static void put_target(
    struct buf *b, const char *owner, uint16_t type, const char *target)
{
	struct buf data;

	buf_init(&data, 512);
	if (type == ASK_MX)
		put_u16(&data, 10);
	put_name(&data, target);
	put_record(b, owner, type, data.data, data.len);
	buf_clear(&data);
}

static enum ask_reading take(
    struct buf *b, uint16_t type, struct ask_answer **a)
{
	enum ask_reading reading;

	assert_false(b->overflow);
	reading = ask_packet_read(buf_span(b), "a.example", type, ID, a);
	buf_clear(b);
	return reading;
}

static const struct ask_record *only(const struct ask_answer *a, uint16_t type)
{
	const struct ask_record *r = ask_first(a, type);

	assert_non_null(r);
	assert_null(ask_next(a, r));
	return r;
}

static void test_values(void **state)
{
	static const struct {
		uint16_t type;
		const char *data;
		size_t n;
		const char *text; /* of data */
		size_t ntext;
	} rows[] = {
		{ ASK_A, "\300\0\2\1", 4, "\300\0\2\1", 4 },
		{ ASK_TXT, "\3v=s\4pf1 ", 9, "v=spf1 ", 7 },
		{ ASK_TXT, "\0", 1, "", 0 },
		{ ASK_TXT, "\3a\0b", 4, "a\0b", 3 },
		{ ASK_TLSA, "\3\1\1\xaa\xbb", 5, "\xaa\xbb", 2 },
		{ ASK_CAA, "\0\5issueca.example", 17, "ca.example", 10 },
	};
	struct ask_answer *a;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct ask_record *r;

		begin(&b, 0x81a0, 1, "A.Example", rows[i].type);
		put_record(
		    &b, "a.EXAMPLE", rows[i].type, rows[i].data, rows[i].n);
		assert_int_equal(take(&b, rows[i].type, &a), PACKET_READ);
		assert_int_equal(a->status, ASK_FOUND);
		assert_true(a->says_secure);
		assert_false(a->is_secure);
		r = only(a, rows[i].type);
		assert_int_equal(r->data.n, rows[i].ntext);
		assert_memory_equal(r->data.p, rows[i].text, rows[i].ntext);
		if (rows[i].type == ASK_TLSA)
			assert_int_equal(
			    r->usage * 100 + r->selector * 10 + r->matching,
			    311);
		if (rows[i].type == ASK_CAA)
			assert_string_equal(r->tag.p, "issue");
		ask_answer_free(a);
	}
}

static void test_targets(void **state)
{
	static const uint16_t types[] = { ASK_MX, ASK_PTR, ASK_NS, ASK_CNAME };
	struct ask_answer *a;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		begin(&b, 0x8180, 1, "a.example", types[i]);
		put_target(&b, "a.example", types[i], "Host.Example");
		assert_int_equal(take(&b, types[i], &a), PACKET_READ);
		assert_string_equal(only(a, types[i])->name.p, "host.example");
		ask_answer_free(a);
	}
	/* what is not plain is \DDD; "." is "" */
	begin(&b, 0x8180, 1, "a.example", ASK_PTR);
	put_record(&b, "a.example", ASK_PTR, "\3\x1b<\n\2de", 8);
	assert_int_equal(take(&b, ASK_PTR, &a), PACKET_READ);
	assert_string_equal(only(a, ASK_PTR)->name.p, "\\027<\\010.de");
	ask_answer_free(a);
	begin(&b, 0x8180, 1, "a.example", ASK_MX);
	put_target(&b, "a.example", ASK_MX, "");
	assert_int_equal(take(&b, ASK_MX, &a), PACKET_READ);
	assert_int_equal(only(a, ASK_MX)->name.n, 0);
	ask_answer_free(a);
}

static void test_aliases(void **state)
{
	struct ask_answer *a;
	struct buf b;
	char from[20], to[20];

	(void)state;
	begin(&b, 0x8180, 4, "a.example", ASK_A);
	put_target(&b, "b.example", ASK_CNAME, "c.example");
	put_target(&b, "a.example", ASK_CNAME, "b.example");
	put_record(&b, "a.example", ASK_A, "\1\1\1\1", 4); /* not of c */
	put_record(&b, "c.example", ASK_A, "\2\2\2\2", 4);
	assert_int_equal(take(&b, ASK_A, &a), PACKET_READ);
	assert_string_equal(a->canonical.p, "c.example");
	assert_int_equal(a->nrecords, 3);
	assert_memory_equal(only(a, ASK_A)->data.p, "\2\2\2\2", 4);
	ask_answer_free(a);
	/* it leads nowhere: NXDOMAIN is of the last name */
	begin(&b, 0x8183, 1, "a.example", ASK_A);
	put_target(&b, "a.example", ASK_CNAME, "b.example");
	assert_int_equal(take(&b, ASK_A, &a), PACKET_READ);
	assert_int_equal(a->status, ASK_NO_NAME);
	assert_string_equal(only(a, ASK_CNAME)->name.p, "b.example");
	ask_answer_free(a);
	begin(&b, 0x8180, 2, "a.example", ASK_A);
	put_target(&b, "a.example", ASK_CNAME, "b.example");
	put_target(&b, "b.example", ASK_CNAME, "a.example");
	assert_int_equal(take(&b, ASK_A, &a), PACKET_READ);
	assert_int_equal(a->status, ASK_MALFORMED);
	ask_answer_free(a);
	begin(&b, 0x8180, 12, "a.example", ASK_A);
	for (int i = 0; i < 12; i++) {
		snprintf(
		    from, sizeof(from), i ? "c%d.example" : "a.example", i);
		snprintf(to, sizeof(to), "c%d.example", i + 1);
		put_target(&b, from, ASK_CNAME, to);
	}
	assert_int_equal(take(&b, ASK_A, &a), PACKET_READ);
	assert_int_equal(a->status, ASK_MALFORMED);
	assert_null(ask_first(a, ASK_CNAME));
	ask_answer_free(a);
}

static void test_not_answers(void **state)
{
	static const struct {
		const char *name, *packet;
		size_t n;
		enum ask_reading reading;
	} rows[] = {
		{ "another id", "\x12\x35\x81\x80\0\0\0\0\0\0\0\0", 12,
		    PACKET_FOREIGN },
		{ "nothing", "", 0, PACKET_FOREIGN },
		{ "id alone", "\x12\x34", 2, PACKET_BROKEN },
		{ "no question", "\x12\x34\x81\x80\0\0\0\0\0\0\0\0", 12,
		    PACKET_FOREIGN },
		{ "a question", "\x12\x34\x01\x00\0\0\0\0\0\0\0\0", 12,
		    PACKET_FOREIGN },
		{ "refused without question",
		    "\x12\x34\x81\x85\0\0\0\0\0\0\0\0", 12, PACKET_READ },
		{ "formerr", "\x12\x34\x81\x81\0\0\0\0\0\0\0\0", 12,
		    PACKET_NO_EDNS },
		{ "cut off", "\x12\x34\x83\x80\0\1\0\1\0\0\0\0\1a\7ex", 17,
		    PACKET_READ },
		{ "cut off unsaid", "\x12\x34\x81\x80\0\1\0\1\0\0\0\0\1a\7ex",
		    17, PACKET_BROKEN },
	};
	struct ask_answer *a;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct span packet = { rows[i].packet, rows[i].n };

		if (ask_packet_read(packet, "a.example", ASK_MX, ID, &a) !=
		    rows[i].reading)
			fail_msg("%s", rows[i].name);
		assert_true(!a || (!ask_is_known(a) && a->why.n > 0));
		ask_answer_free(a);
	}
	begin(&b, 0x8180, 0, "b.example", ASK_MX);
	assert_int_equal(take(&b, ASK_MX, &a), PACKET_FOREIGN);
	begin(&b, 0x8180, 0, "a.example", ASK_A);
	assert_int_equal(take(&b, ASK_MX, &a), PACKET_FOREIGN);
	begin(&b, 0x8180, 0, "a.example", ASK_MX);
	assert_int_equal(take(&b, ASK_MX, &a), PACKET_READ);
	assert_int_equal(a->status, ASK_NO_DATA);
	ask_answer_free(a);
}

static void test_too_many(void **state)
{
	struct ask_answer *a;
	struct buf b;

	(void)state;
	begin(&b, 0x8180, 1500, "a.example", ASK_A);
	for (uint32_t i = 0; i < 1500; i++)
		put_record(&b, "a.example", ASK_A, &i, 4);
	assert_int_equal(take(&b, ASK_A, &a), PACKET_READ);
	assert_int_equal(a->nrecords, ASK_RECORDS_MAX);
	assert_true(a->was_cut);
	ask_answer_free(a);
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *text; /* NULL: none */
	} rows[] = {
		{ "Mail.Example.COM.", "mail.example.com" },
		{ "", "" },
		{ ".", "" },
		{ "_25._tcp.mx.example", "_25._tcp.mx.example" },
		{ "b\xc3\xbc"
		  "cher.example",
		    "xn--bcher-kva.example" },
		{ "a..example", NULL },
		{ "\xff.example", NULL },
		{ "0123456789012345678901234567890123456789012345678901234567"
		  "890123.example",
		    NULL },
	};
	char text[ASK_NAME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int status = ask_name(span_of(rows[i].name), text);

		if (!!rows[i].text != (status == 0))
			fail_msg("%s: %d", rows[i].name, status);
		if (rows[i].text)
			assert_string_equal(text, rows[i].text);
	}
	ask_reverse_name((struct span){ "\300\0\2\1", 4 }, text);
	assert_string_equal(text, "1.2.0.192.in-addr.arpa");
	ask_reverse_name(
	    (struct span){ "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16 }, text);
	assert_string_equal(text, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
				  "0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

/* --- many threads --------------------------------------------------------- */

struct server {
	int fd, stop[2];
	unsigned asked;
	struct ask *ask;
};

/* Every name has the address 192.0.2.7. */
static void *serve(void *arg)
{
	struct server *s = arg;
	struct pollfd p[2] = { { s->fd, POLLIN, 0 },
		{ s->stop[0], POLLIN, 0 } };
	union net_address peer;
	socklen_t size;
	char packet[512];
	struct buf b;
	ssize_t n;

	buf_init(&b, 1024);
	while (poll(p, 2, -1) > 0 && !p[1].revents) {
		size = sizeof(peer);
		n = recvfrom(s->fd, packet, sizeof(packet), 0, &peer.sa, &size);
		if (n < 12)
			continue;
		s->asked++;
		usleep(20000);
		packet[2] = (char)0x81;
		packet[3] = (char)0x80;
		memcpy(packet + 4, "\0\1\0\1\0\0\0\0", 8);
		buf_reset(&b);
		/* without the OPT record, 11 bytes */
		buf_put(&b, packet, (size_t)n - 11);
		buf_put(&b, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\300\0\2\7", 16);
		sendto(s->fd, b.data, b.len, 0, &peer.sa, size);
	}
	buf_clear(&b);
	return NULL;
}

static void *ask_it(void *arg)
{
	struct server *s = arg;

	return (void *)ask(s->ask, SPAN_LITERAL("Same.Example"), ASK_A);
}

static void test_once(void **state)
{
	struct server s = { .fd = socket(AF_INET, SOCK_DGRAM, 0) };
	union net_address own = { .in = { .sin_family = AF_INET,
				      .sin_addr.s_addr =
					  htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(own);
	pthread_t thread, askers[ASKERS];
	char text[NET_TEXT_MAX], *items[] = { text };
	struct strings list = { items, 1 };
	struct ask_options options = { .resolvers = &list,
		.deadline = deadline_in_ms(4000) };
	void *first = NULL, *answer;

	(void)state;
	assert_int_equal(bind(s.fd, &own.sa, sizeof(own.in)), 0);
	assert_int_equal(getsockname(s.fd, &own.sa, &size), 0);
	net_print(&own, text);
	assert_int_equal(pipe(s.stop), 0);
	s.ask = ask_new(&options);
	assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
	for (int i = 0; i < ASKERS; i++)
		assert_int_equal(
		    pthread_create(&askers[i], NULL, ask_it, &s), 0);
	for (int i = 0; i < ASKERS; i++) {
		pthread_join(askers[i], &answer);
		first = first ? first : answer;
		assert_ptr_equal(answer, first);
	}
	assert_int_equal(((struct ask_answer *)first)->status, ASK_FOUND);
	assert_int_equal(
	    ask(s.ask, SPAN_LITERAL("a..b"), ASK_A)->status, ASK_BAD_NAME);
	assert_ptr_equal(
	    ask(s.ask, SPAN_LITERAL("same.example."), ASK_A), first);
	assert_int_equal(write(s.stop[1], "", 1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(s.asked, 1);
	ask_free(s.ask);
	close(s.fd);
	close(s.stop[0]);
	close(s.stop[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_not_answers),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
