/* Address lists of header fields. */
#include "common/deadline.h"
#include "inject/addrlist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The mailboxes joined by "|"; NULL: not an address list. */
static const struct {
	const char *input;
	const char *mailboxes;
} lists[] = {
	{ "", "" },
	{ " , ,", "" },
	{ "a@b", "a@b" },
	{ "root", "root" },
	{ "a@b, c@d", "a@b|c@d" },
	{ "a@b,,c@d,", "a@b|c@d" },
	{ "<a@b>", "a@b" },
	{ "Name <a@b>", "a@b" },
	{ "A B C <a@b>, d", "a@b|d" },
	{ "A. B. C <a@b>", "a@b" },
	{ "\"A, B\" <a@b>", "a@b" },
	{ "\"A \\\" B\" <a@b>", "a@b" },
	{ "a@b (comment, with (nested) one)", "a@b" },
	{ "(before) a @ b", "a@b" },
	{ "root (Cron Daemon)", "root" },
	{ "a . b @ c . d", "a.b@c.d" },
	{ "a\r\n @b,\r\n\tc@d", "a@b|c@d" },
	{ "\"a b\"@c", "\"a b\"@c" },
	{ "\"a\\@b\"@c", "\"a\\@b\"@c" },
	{ "\"a\r\n b\"@c", "\"a b\"@c" },
	{ "a.\"b\".c@d", "a.\"b\".c@d" },
	{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
	{ "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]" },
	{ "a@b.", "a@b." },
	{ "<@x,@y:a@b>", "a@b" },
	{ "<@x:a@b>, c", "a@b|c" },
	{ "friends: a@b, C <c@d>;", "a@b|c@d" },
	{ "friends:;", "" },
	{ "undisclosed-recipients: ;, a@b", "a@b" },
	{ "x: a;, y: b;", "a|b" },
	{ "j\xc3\xb6rg@b\xc3\xbc.example", "j\xc3\xb6rg@b\xc3\xbc.example" },
	{ "${run{x}}@b, $(id)@c", "${run{x}}@b|$@c" },
	{ "${run}@b", "${run}@b" },
	{ "-X/tmp/x", "-X/tmp/x" },
	/* none */
	{ "a@b c@d", NULL },
	{ "A B", NULL },
	{ "a@b@c", NULL },
	{ "@b", NULL },
	{ "a@", NULL },
	{ "a@b..c", NULL },
	{ "<>", NULL },
	{ "<><><><><>", NULL },
	{ "<a@b", NULL },
	{ "a@b>", NULL },
	{ "<<a@b>>", NULL },
	{ "Name <a@b> x", NULL },
	{ "\"a", NULL },
	{ "\"a\\", NULL },
	{ "(a", NULL },
	{ "a)", NULL },
	{ "a@[1.2.3.4", NULL },
	{ "a@[1[2]", NULL },
	{ "g: a@b", NULL },
	{ "g: h: a@b;;", NULL },
	{ "g: a@b; c@d", NULL },
	{ ": a;", NULL },
	{ "a;", NULL },
	{ ":include:/etc/shadow", NULL },
	{ "<@x a@b>", NULL },
	{ "<@x:>", NULL },
	{ "a\\b@c", NULL },
	{ "a\x01@c", NULL },
	{ "\"a\x01\"@c", NULL },
	{ "(\x01) a@c", NULL },
};

static void join(const struct addrlist *list, struct buf *out)
{
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_putc(out, '|');
		buf_put_raw(out, addrlist_address(list, i));
	}
}

static void test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct addrlist list;
		struct outcome why = { 0 };
		struct buf out;
		int status;

		buf_init(&out, 1 << 20);
		addrlist_init(&list, 10);
		status = addrlist_parse(&list, span_of(lists[i].input), &why);
		if (lists[i].mailboxes) {
			if (status != 0)
				print_error(
				    "%s: %s\n", lists[i].input, why.detail);
			assert_int_equal(status, 0);
			join(&list, &out);
			assert_string_equal(buf_text(&out), lists[i].mailboxes);
		} else {
			if (status == 0)
				print_error("%s\n", lists[i].input);
			assert_int_equal(status, -1);
			assert_string_equal(why.status, "5.1.3");
			assert_true(why.detail[0]);
		}
		buf_clear(&out);
		addrlist_clear(&list);
	}
}

static void test_items(void **state)
{
	struct span input =
	    SPAN_LITERAL("root (x), \"J\" <joe>, a @b, sam , (n) u");
	static const struct {
		bool has_domain, has_name;
		size_t local_end;
	} expected[] = {
		{ false, true, 4 },
		{ false, true, 18 },
		{ true, false, 22 },
		{ false, false, 30 },
		{ false, true, 38 },
	};
	struct addrlist list;

	(void)state;
	addrlist_init(&list, 10);
	assert_int_equal(addrlist_parse(&list, input, NULL), 0);
	assert_int_equal(list.count, 5);
	for (size_t i = 0; i < list.count; i++) {
		assert_int_equal(
		    list.items[i].has_domain, expected[i].has_domain);
		assert_int_equal(list.items[i].has_name, expected[i].has_name);
		assert_int_equal(
		    list.items[i].local_end, expected[i].local_end);
	}
	addrlist_clear(&list);
}

static void test_bounds(void **state)
{
	struct addrlist list;
	struct outcome why = { 0 };
	char text[1200];

	(void)state;
	addrlist_init(&list, 2);
	assert_int_equal(
	    addrlist_parse(&list, SPAN_LITERAL("a, b, c"), &why), -1);
	assert_string_equal(why.status, "5.5.3");
	addrlist_clear(&list);
	memset(text, 'a', sizeof(text));
	assert_int_equal(
	    addrlist_parse(&list, (struct span){ text, sizeof(text) }, &why),
	    -1);
	addrlist_clear(&list);
}

/* Hostile megabytes: whatever comes of them, it comes soon. */
static void test_is_linear(void **state)
{
	static const char *const units[] = { "(", ")", "<", "<>", "\"", "\\",
		"a ", "a.", ".", "@a", "a@b,", ",", ":", ";", "[", "g:;,", "a<",
		"<@a:", "(\\", "\"\\" };
	const size_t size = 1 << 20;
	char *text = malloc(size);
	uint64_t start = now_monotonic_ms();

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct addrlist list;

		for (size_t at = 0; at < size; at++)
			text[at] = units[i][at % strlen(units[i])];
		addrlist_init(&list, 100000);
		addrlist_parse(&list, (struct span){ text, size }, NULL);
		addrlist_clear(&list);
	}
	assert_true(now_monotonic_ms() - start < 5000);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
