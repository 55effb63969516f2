/* Recipients from arguments and header fields, with the aliases file. */
#include "inject/aliases.h"
#include "inject/recipients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

static char aliases_path[] = "/tmp/outpost-aliases-XXXXXX";

static const char aliases_text[] = "# comment\n"
				   "\n"
				   "Root: alice@example.org, bob\n"
				   "bob: Bob <bob@example.net>\n"
				   "list: a@x.example,\n"
				   "\tb@x.example,\n"
				   "self: self, \\root, c@x.example\n"
				   "chain: chain2\n"
				   "chain2: chain3\n"
				   "chain3: d@x.example\n"
				   "loop: loop2\n"
				   "loop2: loop\n"
				   "prog: \"|/bin/vacation, -x\"\n"
				   "file: /var/mail/file\n"
				   "incl: :include:/etc/shadow\n"
				   "quoted: \"a, b\"@x.example\n"
				   "dup: first@x.example\n"
				   "dup: second@x.example\n"
				   "none:\n"
				   "no colon\n"
				   ": no name\n"
				   "broken: a b c\n"
				   "last: e@x.example";

static int set_up(void **state)
{
	int fd = mkstemp(aliases_path);
	ssize_t n = write(fd, aliases_text, sizeof(aliases_text) - 1);

	(void)state;
	close(fd);
	return n == sizeof(aliases_text) - 1 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(aliases_path);
}

static struct conf conf_for_tests(void)
{
	return (struct conf){
		.localname = (char *)"mail.here.example",
		.postmaster = (char *)"admin@example.com",
		.aliases = aliases_path,
		.limits = { .recipients = 4 },
	};
}

/* One argument (or, with is_list, a field) becomes these, joined by "|". */
static const struct {
	const char *text;
	bool is_list;
	int status;
	const char *expected;
} cases[] = {
	{ "a@b.example", false, 0, "a@b.example" },
	{ "Name <a@b.example> (x)", false, 0, "a@b.example" },
	{ "joe", false, 0, "joe@here.example" },
	{ "-X/tmp/x", false, 0, "-X/tmp/x@here.example" },
	{ "--retract", false, 0, "--retract@here.example" },
	{ "${run{x}}@b.example", false, 0, "${run{x}}@b.example" },
	{ "\"|x\"@b.example", false, 0, "\"|x\"@b.example" },
	{ "root", false, 0, "alice@example.org|bob@example.net" },
	{ "ROOT@b.example", false, 0, "ROOT@b.example" },
	{ "a@b\xc3\xbc.example", false, 0, "a@xn--b-eha.example" },
	{ "\xc3\xbc@b\xc3\xbc.example", false, 0,
	    "\xc3\xbc@b\xc3\xbc.example" },
	{ "\\root", false, 0, "root@here.example" },
	{ "self", false, 0, "self@here.example|root@here.example|c@x.example" },
	{ "chain", false, 0, "d@x.example" },
	{ "quoted", false, 0, "\"a, b\"@x.example" },
	{ "broken", false, EX_NOUSER, "" },
	{ "dup", false, 0, "second@x.example" },
	{ "last", false, 0, "e@x.example" },
	{ "postmaster", false, 0, "admin@example.com" },
	{ "a@b.example,c", false, EX_USAGE, "" },
	{ "a@b.example, c@d.example", false, EX_USAGE, "" },
	{ "a b", false, EX_USAGE, "" },
	{ "", false, EX_USAGE, "" },
	{ "<>", false, EX_USAGE, "" },
	{ "a@", false, EX_USAGE, "" },
	{ "none", false, EX_USAGE, "" },
	{ "loop", false, EX_UNAVAILABLE, "" },
	{ "|cmd", false, EX_NOUSER, "" },
	{ "\"|x\"", false, EX_NOUSER, "" },
	{ "/etc/file", false, EX_NOUSER, "" },
	{ ":include:/etc/shadow", false, EX_NOUSER, "" },
	{ "prog", false, EX_NOUSER, "" },
	{ "file", false, EX_NOUSER, "" },
	{ "incl", false, EX_NOUSER, "" },
	{ "a@b.example, joe, root", true, 0,
	    "a@b.example|joe@here.example|alice@example.org|"
	    "bob@example.net" },
	{ "x: joe, C <c@d.example>;", true, 0, "joe@here.example|c@d.example" },
	{ "/etc/file, a@b.example", true, EX_NOUSER, "" },
	{ "a, b, c, d", true, 0,
	    "a@here.example|b@here.example|c@here.example|d@here.example" },
	{ "a, b, c, d, e", true, EX_UNAVAILABLE, "" },
	{ "a, b, root, d", true, EX_UNAVAILABLE, "" },
	{ "a <", true, EX_DATAERR, "" },
};

static void check(size_t i)
{
	struct conf conf = conf_for_tests();
	struct outcome why = { 0 };
	struct recipients r;
	struct buf out;
	int status;

	buf_init(&out, 10000);
	recipients_init(&r, &conf, SPAN_LITERAL("here.example"));
	if (cases[i].is_list)
		status = recipients_add_list(&r, span_of(cases[i].text), &why);
	else
		status = recipients_add_argument(&r, cases[i].text, &why);
	if (status != cases[i].status)
		print_error("%s: %s\n", cases[i].text, why.detail);
	assert_int_equal(status, cases[i].status);
	assert_int_equal(status != 0, why.detail[0] != '\0');
	recipients_finish(&r, NOTIFY_DELAY);
	for (size_t k = 0; k < r.count && status == 0; k++) {
		buf_puts(&out, k > 0 ? "|" : "");
		buf_put_raw(&out, r.items[k].address);
		assert_int_equal(r.items[k].notify, NOTIFY_DELAY);
	}
	assert_string_equal(buf_text(&out), cases[i].expected);
	buf_clear(&out);
	recipients_clear(&r);
}

static void test_recipients(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(i);
}

static void test_postmaster_of_the_default(void **state)
{
	struct conf conf = conf_for_tests();
	struct outcome why = { 0 };
	struct recipients r;

	(void)state;
	conf.postmaster = (char *)"postmaster@mail.here.example";
	conf.aliases = (char *)"/nonexistent/aliases";
	recipients_init(&r, &conf, recipients_domain(&conf));
	assert_int_equal(recipients_add_argument(&r, "root", &why), 0);
	recipients_finish(&r, 0);
	assert_true(span_is_equal(
	    r.items[0].address, SPAN_LITERAL("root@mail.here.example")));
	recipients_clear(&r);
}

static void test_aliases_that_cannot_be_read(void **state)
{
	struct conf conf = conf_for_tests();
	struct outcome why = { 0 };
	struct recipients r;

	(void)state;
	conf.aliases = (char *)"/dev/null";
	recipients_init(&r, &conf, recipients_domain(&conf));
	assert_int_equal(
	    recipients_add_argument(&r, "root", &why), EX_TEMPFAIL);
	recipients_clear(&r);
}

static unsigned reported[20];
static size_t nreported;

static void report(const char *path, unsigned line, const char *what)
{
	(void)path;
	(void)what;
	if (nreported < 20)
		reported[nreported++] = line;
}

static void test_aliases_check(void **state)
{
	static const unsigned lines[] = { 13, 14, 15, 19, 20, 21 };
	struct alias_counts counts;
	struct aliases *a = aliases_load(aliases_path, report, &counts, NULL);

	(void)state;
	assert_non_null(a);
	assert_int_equal(nreported, 6);
	assert_memory_equal(reported, lines, sizeof(lines));
	assert_int_equal(counts.problems, 6);
	assert_int_equal(counts.aliases, 18);
	aliases_free(a);
}

static void test_exit_statuses(void **state)
{
	static const struct {
		enum verdict verdict;
		const char *status;
		int expected;
	} statuses[] = {
		{ VERDICT_TEMP, "4.3.1", EX_TEMPFAIL },
		{ VERDICT_PERM, "5.1.1", EX_NOUSER },
		{ VERDICT_PERM, "5.7.1", EX_NOPERM },
		{ VERDICT_PERM, "5.6.0", EX_DATAERR },
		{ VERDICT_PERM, "5.3.4", EX_UNAVAILABLE },
	};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct outcome why = { .verdict = statuses[i].verdict };

		snprintf(
		    why.status, sizeof(why.status), "%s", statuses[i].status);
		assert_int_equal(exit_status_of(&why), statuses[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_postmaster_of_the_default),
		cmocka_unit_test(test_aliases_that_cannot_be_read),
		cmocka_unit_test(test_aliases_check),
		cmocka_unit_test(test_exit_statuses),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
