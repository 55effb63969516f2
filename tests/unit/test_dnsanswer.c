/* DNS packets: what is asked, and what is read from answers that are right,
 * foreign, cut off or hostile. */
#include "remote/dnsanswer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { ID = 0x1234 };

/* Packets are put together by hand: the reader uses ldns, the test does not. */

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
    uint16_t nauthority, const char *name, enum dns_type type)
{
	buf_init(b, 65536);
	put_u16(b, ID);
	put_u16(b, flags);
	put_u16(b, 1);
	put_u16(b, nanswers);
	put_u16(b, nauthority);
	put_u16(b, 0);
	put_name(b, name);
	put_u16(b, (uint16_t)type);
	put_u16(b, 1);
}

static void put_record(struct buf *b, const char *owner, uint16_t type,
    uint32_t ttl, const void *data, uint16_t n)
{
	put_name(b, owner);
	put_u16(b, type);
	put_u16(b, 1);
	put_u32(b, ttl);
	put_u16(b, n);
	buf_put(b, data, n);
}

static void put_mx(
    struct buf *b, const char *owner, uint16_t preference, const char *host)
{
	struct buf data;

	buf_init(&data, 512);
	put_u16(&data, preference);
	put_name(&data, host);
	put_record(b, owner, DNS_MX, 300, data.data, (uint16_t)data.len);
	buf_clear(&data);
}

static void put_cname(struct buf *b, const char *owner, const char *target)
{
	struct buf data;

	buf_init(&data, 512);
	put_name(&data, target);
	put_record(b, owner, 5, 30, data.data, (uint16_t)data.len);
	buf_clear(&data);
}

static void put_soa(struct buf *b, uint32_t ttl, uint32_t minimum)
{
	struct buf data;

	buf_init(&data, 512);
	put_name(&data, "ns.example");
	put_name(&data, "host.example");
	for (int i = 0; i < 4; i++)
		put_u32(&data, 1);
	put_u32(&data, minimum);
	put_record(b, "example", 6, ttl, data.data, (uint16_t)data.len);
	buf_clear(&data);
}

static enum dns_reading take(
    struct buf *b, enum dns_type type, struct dns_answer **a)
{
	enum dns_reading reading;

	*a = NULL;
	reading = dns_answer_read(buf_span(b), "a.example", type, ID, a);
	buf_clear(b);
	return reading;
}

static const unsigned char address[4] = { 192, 0, 2, 1 };

static void test_question(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(
	    dns_question_put(&b, "a.example", DNS_MX, ID, DNS_WITH_EDNS), 0);
	assert_int_equal(b.len, 12 + 11 + 4 + 11);
	assert_memory_equal(b.data, "\x12\x34\x01\x00\0\1\0\0\0\0\0\1", 12);
	assert_memory_equal(b.data + 12, "\1a\7example\0\0\x0f\0\1", 15);
	assert_memory_equal(b.data + 27, "\0\0\x29\x04\xd0", 5);
	buf_reset(&b);
	/* with AD and DO: RFC 6840 5.7, RFC 3225 */
	assert_int_equal(
	    dns_question_put(&b, "", DNS_TLSA, ID, DNS_WITH_EDNS | DNS_WITH_AD),
	    0);
	assert_memory_equal(b.data, "\x12\x34\x01\x20", 4);
	assert_memory_equal(b.data + 12, "\0\0\x34\0\1", 5);
	assert_memory_equal(b.data + 17, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", 11);
	buf_reset(&b);
	assert_int_equal(dns_question_put(&b, "a.example", DNS_A, ID, 0), 0);
	assert_int_equal(b.len, 12 + 11 + 4);
	assert_int_equal(
	    dns_question_put(&b, "a..example", DNS_A, ID, DNS_WITH_EDNS), -1);
	buf_clear(&b);
}

static void test_mx(void **state)
{
	struct dns_answer *a;
	struct buf b;

	(void)state;
	begin(&b, 0x8180, 3, 0, "A.EXAMPLE", DNS_MX);
	put_mx(&b, "a.example", 20, "Two.example");
	put_mx(&b, "a.example", 10, "one.example");
	put_mx(&b, "b.example", 5, "foreign.example");
	assert_int_equal(take(&b, DNS_MX, &a), DNS_READ);
	assert_int_equal(a->status, DNS_FOUND);
	assert_int_equal(a->nrecords, 2);
	assert_string_equal(a->records[0].name, "one.example");
	assert_string_equal(a->records[1].name, "two.example");
	assert_int_equal(a->ttl_s, 300);
	dns_answer_release(a);

	begin(&b, 0x8180, 1, 0, "a.example", DNS_MX);
	put_mx(&b, "a.example", 0, "");
	assert_int_equal(take(&b, DNS_MX, &a), DNS_READ);
	assert_string_equal(a->records[0].name, "");
	dns_answer_release(a);
}

static void test_many_mx(void **state)
{
	struct dns_answer *a;
	struct buf b;
	char name[32];

	(void)state;
	begin(&b, 0x8180, 500, 0, "a.example", DNS_MX);
	for (unsigned i = 500; i > 0; i--) {
		snprintf(name, sizeof(name), "h%u.example", i);
		put_mx(&b, "a.example", (uint16_t)i, name);
	}
	assert_int_equal(take(&b, DNS_MX, &a), DNS_READ);
	assert_int_equal(a->nrecords, DNS_RECORDS_MAX);
	assert_string_equal(a->records[0].name, "h1.example");
	assert_int_equal(
	    a->records[DNS_RECORDS_MAX - 1].preference, DNS_RECORDS_MAX);
	dns_answer_release(a);
}

static void test_aliases(void **state)
{
	struct dns_answer *a;
	struct buf b;

	(void)state;
	begin(&b, 0x8180, 3, 0, "a.example", DNS_A);
	put_record(&b, "c.example", DNS_A, 60, address, 4);
	put_cname(&b, "b.example", "c.example");
	put_cname(&b, "a.example", "b.example");
	assert_int_equal(take(&b, DNS_A, &a), DNS_READ);
	assert_int_equal(a->status, DNS_FOUND);
	assert_int_equal(a->ttl_s, 30);
	assert_memory_equal(a->records[0].bytes, address, 4);
	dns_answer_release(a);

	begin(&b, 0x8180, 2, 0, "a.example", DNS_A);
	put_cname(&b, "a.example", "b.example");
	put_cname(&b, "b.example", "a.example");
	assert_int_equal(take(&b, DNS_A, &a), DNS_READ);
	assert_int_equal(a->status, DNS_FAILED);
	dns_answer_release(a);
}

/* What was validated, by aliases or not, and what failed. */
static void test_secure(void **state)
{
	struct dns_answer *a;
	struct buf b;

	(void)state;
	begin(&b, 0x81a0, 2, 0, "a.example", DNS_A);
	put_cname(&b, "a.example", "b.example");
	put_record(&b, "b.example", DNS_A, 60, address, 4);
	assert_int_equal(take(&b, DNS_A, &a), DNS_READ);
	assert_true(a->is_secure);
	assert_string_equal(a->alias, "b.example");
	dns_answer_release(a);

	begin(&b, 0x8180, 1, 0, "a.example", DNS_A);
	put_record(&b, "a.example", DNS_A, 60, address, 4);
	assert_int_equal(take(&b, DNS_A, &a), DNS_READ);
	assert_false(a->is_secure);
	assert_null(a->alias);
	dns_answer_release(a);

	begin(&b, 0x81a0, 0, 0, "a.example", DNS_TLSA);
	assert_int_equal(take(&b, DNS_TLSA, &a), DNS_READ);
	assert_int_equal(a->status, DNS_NO_DATA);
	assert_true(a->is_secure);
	dns_answer_release(a);

	begin(&b, 0x81a2, 0, 0, "a.example", DNS_TLSA);
	assert_int_equal(take(&b, DNS_TLSA, &a), DNS_READ);
	assert_int_equal(a->status, DNS_FAILED);
	assert_false(a->is_secure);
	dns_answer_release(a);
}

static void test_data(void **state)
{
	struct dns_answer *a;
	struct buf b;

	(void)state;
	begin(&b, 0x8180, 1, 0, "a.example", DNS_TXT);
	put_record(&b, "a.example", DNS_TXT, 60, "\3abc\0\2de", 8);
	assert_int_equal(take(&b, DNS_TXT, &a), DNS_READ);
	assert_int_equal(a->records[0].ndata, 5);
	assert_memory_equal(a->records[0].data, "abcde", 5);
	dns_answer_release(a);

	begin(&b, 0x8180, 2, 0, "a.example", DNS_TLSA);
	put_record(&b, "a.example", DNS_TLSA, 60, "\3\1\1\xab", 4);
	put_record(&b, "a.example", DNS_TLSA, 9, "\3\1\2\xab\0", 5);
	assert_int_equal(take(&b, DNS_TLSA, &a), DNS_READ);
	assert_int_equal(a->nrecords, 2);
	assert_int_equal(a->ttl_s, 9);
	assert_int_equal(a->records[1].ndata, 5);
	assert_memory_equal(a->records[1].data, "\3\1\2\xab\0", 5);
	dns_answer_release(a);

	/* the alias itself */
	begin(&b, 0x8180, 2, 0, "a.example", DNS_CNAME);
	put_cname(&b, "a.example", "B.example");
	put_cname(&b, "b.example", "c.example");
	assert_int_equal(take(&b, DNS_CNAME, &a), DNS_READ);
	assert_int_equal(a->nrecords, 1);
	assert_string_equal(a->records[0].name, "b.example");
	dns_answer_release(a);
}

static void test_negative(void **state)
{
	struct dns_answer *a;
	struct buf b;

	(void)state;
	begin(&b, 0x8183, 0, 1, "a.example", DNS_MX);
	put_soa(&b, 3600, 900);
	assert_int_equal(take(&b, DNS_MX, &a), DNS_READ);
	assert_int_equal(a->status, DNS_NO_NAME);
	assert_int_equal(a->ttl_s, 900);
	dns_answer_release(a);

	begin(&b, 0x8180, 0, 1, "a.example", DNS_MX);
	put_soa(&b, 60, 900000);
	assert_int_equal(take(&b, DNS_MX, &a), DNS_READ);
	assert_int_equal(a->status, DNS_NO_DATA);
	assert_int_equal(a->ttl_s, 60);
	dns_answer_release(a);

	/* Without SOA it is not kept. */
	begin(&b, 0x8183, 0, 0, "a.example", DNS_MX);
	assert_int_equal(take(&b, DNS_MX, &a), DNS_READ);
	assert_int_equal(a->ttl_s, 0);
	dns_answer_release(a);

	begin(&b, 0x8182, 0, 0, "a.example", DNS_MX);
	assert_int_equal(take(&b, DNS_MX, &a), DNS_READ);
	assert_int_equal(a->status, DNS_FAILED);
	assert_string_equal(a->detail, "SERVFAIL");
	dns_answer_release(a);
}

/* RFC 2181 section 8 */
static void test_ttl(void **state)
{
	static const struct {
		uint32_t given, kept;
	} cases[] = { { 0, 0 }, { 5, 5 }, { 0x80000000U, 0 },
		{ 0xffffffffU, 0 }, { 0x7fffffffU, DNS_TTL_MAX_S } };
	struct dns_answer *a;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		begin(&b, 0x8180, 1, 0, "a.example", DNS_A);
		put_record(&b, "a.example", DNS_A, cases[i].given, address, 4);
		assert_int_equal(take(&b, DNS_A, &a), DNS_READ);
		assert_int_equal(a->ttl_s, cases[i].kept);
		dns_answer_release(a);
	}
}

static void test_foreign(void **state)
{
	struct dns_answer *a;
	struct buf b;

	(void)state;
	begin(&b, 0x8180, 0, 0, "b.example", DNS_A); /* another question */
	assert_int_equal(take(&b, DNS_A, &a), DNS_FOREIGN);
	begin(&b, 0x8180, 0, 0, "a.example", DNS_MX); /* another type */
	assert_int_equal(take(&b, DNS_A, &a), DNS_FOREIGN);
	begin(&b, 0x0100, 0, 0, "a.example", DNS_A); /* a question */
	assert_int_equal(take(&b, DNS_A, &a), DNS_FOREIGN);
	begin(&b, 0x8180, 0, 0, "a.example", DNS_A); /* another id */
	b.data[0] ^= 1;
	assert_int_equal(take(&b, DNS_A, &a), DNS_FOREIGN);
	begin(&b, 0x8180, 9, 0, "a.example", DNS_A); /* ends too early */
	assert_int_equal(take(&b, DNS_A, &a), DNS_FOREIGN);
	begin(&b, 0x8180, 1, 0, "a.example", DNS_A); /* of a wrong size */
	put_record(&b, "a.example", DNS_A, 60, address, 3);
	assert_int_equal(take(&b, DNS_A, &a), DNS_FOREIGN);
	buf_init(&b, 10);
	assert_int_equal(take(&b, DNS_A, &a), DNS_FOREIGN);
	assert_null(a);
}

static void test_other_ways(void **state)
{
	struct dns_answer *a;
	struct buf b;

	(void)state;
	begin(&b, 0x8380, 9, 0, "a.example", DNS_A); /* cut off, unreadable */
	assert_int_equal(take(&b, DNS_A, &a), DNS_TRUNCATED);
	begin(&b, 0x8181, 0, 0, "a.example", DNS_A);
	assert_int_equal(take(&b, DNS_A, &a), DNS_NO_EDNS);
	begin(&b, 0x8184, 0, 0, "a.example", DNS_A);
	assert_int_equal(take(&b, DNS_A, &a), DNS_NO_EDNS);
}

/* Every packet cut off at every byte, and every byte of it changed. */
static void test_damage(void **state)
{
	struct dns_answer *a;
	struct buf b, copy;

	(void)state;
	begin(&b, 0x8180, 2, 1, "a.example", DNS_MX);
	put_mx(&b, "a.example", 20, "two.example");
	put_cname(&b, "a.example", "b.example");
	put_soa(&b, 3600, 900);
	for (size_t i = 0; i < b.len; i++) {
		for (int flip = 0; flip < 8; flip++) {
			buf_init(&copy, 65536);
			buf_put(&copy, b.data, flip ? b.len : i);
			if (flip)
				copy.data[i] ^= (char)(1 << flip);
			take(&copy, DNS_MX, &a);
			dns_answer_release(a);
		}
	}
	buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_many_mx),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_secure),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_negative),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_other_ways),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
