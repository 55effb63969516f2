/* Addresses: what is refused (hazards 5, 20, 21), what is kept as it is, and
 * the destination each one has. */
#include "common/address.h"

#include "common/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct accepted {
	const char *text, *local, *key;
};

static const struct accepted good[] = {
	{ "a@b", "a", "b" },
	{ "joe.doe+tag@Example.ORG", "joe.doe+tag", "example.org" },
	{ "a@example.org.", "a", "example.org" },
	{ "\"a b\"@example.org", "\"a b\"", "example.org" },
	{ "\"\"@example.org", "\"\"", "example.org" },
	{ "\"a\\\"@b\"@example.org", "\"a\\\"@b\"", "example.org" },
	{ "a@[1.2.3.4]", "a", "[1.2.3.4]" },
	{ "a@[IPv6:2001:DB8:0:0::1]", "a", "[IPv6:2001:db8::1]" },
	{ "a@[ipv6:::1]", "a", "[IPv6:::1]" },
	/* programs, files, lists: names like any other, never split or run */
	{ "|cmd@example.org", "|cmd", "example.org" },
	{ "\"|x\"@local", "\"|x\"", "local" },
	{ "/etc/file@example.org", "/etc/file", "example.org" },
	{ "${run{id}}@example.org", "${run{id}}", "example.org" },
	{ "`id`@example.org", "`id`", "example.org" },
	/* no relaying by spelling: the domain behind the last @ decides */
	{ "user%remote@example.org", "user%remote", "example.org" },
	{ "remote!user@example.org", "remote!user", "example.org" },
	{ "\"user@local\"@example.org", "\"user@local\"", "example.org" },
	/* SMTPUTF8, IDNA2008 without transitional mapping */
	{ "jos\xc3\xa9@example.org", "jos\xc3\xa9", "example.org" },
	{ "a@B\xc3\xbc"
	  "cher.example",
	    "a", "xn--bcher-kva.example" },
	{ "a@xn--bcher-kva.example", "a", "xn--bcher-kva.example" },
	{ "a@fa\xc3\x9f.de", "a", "xn--fa-hia.de" },
	{ "a@xn--bcher-kva.b\xc3\xbc"
	  "cher",
	    "a", "xn--bcher-kva.xn--bcher-kva" },
	{ "a@b\xe3\x80\x82"
	  "c",
	    "a", "b.c" },
	/* Cyrillic a: another domain than example.org, and seen as such */
	{ "a@ex\xd0\xb0mple.org", "a", "xn--exmple-4nf.org" },
};

static const char *const refused[] = {
	"",
	"@",
	"a",
	"a@",
	"@b",
	"@a,@b:c@d",
	"@relay.example:user@example.org",
	"a@b@c",
	"user@local@remote",
	"a@b,c",
	"a,b@c",
	"a b@c",
	"a@b c",
	"<a@b>",
	"a@b>",
	":include:/etc/shadow",
	":include:/etc/shadow@b",
	".a@b",
	"a.@b",
	"a..b@c",
	"\"a@b",
	"\"a\\\"@b",
	"\"a\"b@c",
	"a\"b\"@c",
	"\"a\r\nb\"@c",
	"\"a\\\r\"@c",
	"a\n@b",
	"a\x7f@b",
	"a@b\r\n",
	"a@.b",
	"a@b..c",
	"a@b..",
	"a@.",
	"a@-b",
	"a@b-",
	"a@b_c.org",
	"a@1.2.3.4",
	"a@example.123",
	"a@[",
	"a@[]",
	"a@[1.2.3.4",
	"a@[1.2.3]",
	"a@[1.2.3.4]x",
	"a@[01.2.3.4]",
	"a@[::1]",
	"a@[IPv6:]",
	"a@[IPv6:1.2.3.4]",
	"a@[IPv6:fe80::1%eth0]",
	"a@[X400:foo]",
	"a@[[1.2.3.4]]",
	"a\xff@b",
	"a\xc0\x80@b",
	"a\xed\xa0\x80@b",
	"a@\xff",
	"a@b\xc3",
	"a@xn--zz--\xc3\xbc",
	"a@-\xc3\xbc",
	"a@\xef\xbc\xa0.org",
	"a@x\xef\xbc\x8f.org",
};

static void test_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct outcome why = { 0 };
		struct address a;
		struct buf key;

		buf_init(&key, 1000);
		if (address_parse(span_of(good[i].text), &a, &why) < 0 ||
		    address_domain_key(&a, &key, &why) < 0)
			fail_msg("%s: %s", good[i].text, why.detail);
		assert_true(span_is_equal(a.local, span_of(good[i].local)));
		assert_string_equal(buf_text(&key), good[i].key);
		assert_true(a.is_literal == (good[i].key[0] == '['));
		buf_clear(&key);
	}
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct outcome why = { 0 };
		struct address a;

		if (address_parse(span_of(refused[i]), &a, &why) == 0)
			fail_msg("accepted: %s", refused[i]);
		assert_int_equal(why.verdict, VERDICT_PERM);
		assert_string_equal(why.status, "5.1.3");
		assert_true(why.detail[0] != '\0');
		assert_false(span_has_line_breaks(span_of(why.detail)));
		/* no outcome wanted: the same */
		assert_int_equal(
		    address_parse(span_of(refused[i]), &a, NULL), -1);
	}
}

static void fill(struct buf *b, char c, size_t n)
{
	while (n-- > 0)
		buf_putc(b, c);
}

/* local@domain of these lengths, the domain in labels of 63. */
static int parse_long(size_t local, size_t domain, bool is_quoted)
{
	struct address a;
	struct buf text;
	int status;

	buf_init(&text, 1 << 20);
	if (is_quoted)
		buf_putc(&text, '"');
	fill(&text, 'a', is_quoted ? local - 2 : local);
	buf_puts(&text, is_quoted ? "\"@" : "@");
	for (size_t i = 1; i <= domain; i++)
		buf_putc(&text, i % 64 == 0 ? '.' : 'b');
	status = address_parse(buf_span(&text), &a, NULL);
	buf_clear(&text);
	return status;
}

static void test_bounds(void **state)
{
	struct buf label;

	(void)state;
	assert_int_equal(parse_long(64, 10, false), 0);
	assert_int_equal(parse_long(65, 10, false), -1);
	assert_int_equal(parse_long(64, 10, true), 0);
	assert_int_equal(parse_long(65, 10, true), -1);
	assert_int_equal(parse_long(1, 253, false), 0);
	assert_int_equal(parse_long(1, 255, false), -1);
	assert_int_equal(parse_long(1, ADDRESS_MAX, false), -1);
	assert_int_equal(parse_long(1 << 19, 10, false), -1);
	buf_init(&label, 1001);
	fill(&label, 'x', 64);
	assert_false(domain_is_valid(buf_span(&label), 1));
	fill(&label, 'x', 936);
	assert_false(domain_is_valid(buf_span(&label), 1));
	label.len = 63;
	assert_true(domain_is_valid(buf_span(&label), 1));
	buf_clear(&label);
}

static void test_nul(void **state)
{
	static const char text[] = "a@b\0.example.org";
	static const char quoted[] = "\"a\0\"@b";
	struct address a;

	(void)state;
	assert_int_equal(
	    address_parse((struct span){ text, sizeof(text) - 1 }, &a, NULL),
	    -1);
	assert_int_equal(
	    address_parse(
		(struct span){ quoted, sizeof(quoted) - 1 }, &a, NULL),
	    -1);
}

static void test_domains(void **state)
{
	struct buf out;

	(void)state;
	assert_true(domain_is_valid(SPAN_LITERAL("mail.example.com"), 2));
	assert_false(domain_is_valid(SPAN_LITERAL("localhost"), 2));
	assert_true(domain_is_valid(SPAN_LITERAL("localhost"), 1));
	assert_false(domain_is_valid(SPAN_LITERAL("a."), 1));
	assert_false(domain_is_valid(SPAN_LITERAL("a b"), 1));
	assert_false(domain_is_valid(SPAN_LITERAL(""), 0));
	buf_init(&out, 100);
	assert_int_equal(
	    domain_to_ascii(SPAN_LITERAL("M\xc3\x9cnchen.DE."), &out, NULL), 0);
	assert_string_equal(buf_text(&out), "xn--mnchen-3ya.de");
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
