/* MTA-STS records, policies and their cache: RFC 8461. */
#include "remote/sts.h"

#include "remote/stscache.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void test_records(void **state)
{
	static const struct {
		const char *txt;
		bool is_one;
		const char *id; /* NULL: malformed */
	} cases[] = {
		{ "v=STSv1; id=20160831085700Z;", true, "20160831085700Z" },
		{ "v=STSv1;id=1", true, "1" },
		{ "v=STSv1 ; id = a1 ; ", true, "a1" },
		{ "v=STSv1; x=y; id=a; id=b", true, "a" },
		{ "v=STSv1; other=id=3; id=4;", true, "4" },
		{ "v=STSv1; id=12345678901234567890123456789012", true,
		    "12345678901234567890123456789012" },
		{ "v=STSv1; id=123456789012345678901234567890123", true, NULL },
		{ "v=STSv1; id=a-b", true, NULL },
		{ "v=STSv1; id=", true, NULL },
		{ "v=STSv1; id", true, NULL },
		{ "v=STSv1", true, NULL },
		{ "v=STSv1;;;", true, NULL },
		{ "v=STSv1; ID=1", true, NULL },
		{ " v=STSv1; id=1", false, NULL },
		{ "v=STSv10; id=1", false, NULL },
		{ "v=STSv2; id=1", false, NULL },
		{ "V=STSv1; id=1", false, NULL },
		{ "id=1; v=STSv1", false, NULL },
		{ "", false, NULL },
	};
	char id[STS_ID_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct span txt = span_of(cases[i].txt);

		assert_int_equal(sts_record_is(txt), cases[i].is_one);
		assert_int_equal(
		    sts_record_parse(txt, id), cases[i].id ? 0 : -1);
		if (cases[i].id)
			assert_string_equal(id, cases[i].id);
	}
}

static void test_policies(void **state)
{
	static const struct {
		const char *text;
		int status;
		enum sts_mode mode;
		uint32_t age;
		size_t nmx;
	} cases[] = {
		{ "version: STSv1\r\nmode: enforce\r\nmx: a.example\r\n"
		  "mx: *.b.example\r\nmax_age: 604800\r\n",
		    0, STS_ENFORCE, 604800, 2 },
		{ "max_age:1\nmx:a\nmode:testing\nversion:STSv1", 0,
		    STS_TESTING, 1, 1 },
		{ "version: STSv1 \nmode:\t none \nmax_age: 0\n\n \n", 0,
		    STS_NONE, 0, 0 },
		/* a year at most; unknown names; the first counts */
		{ "version: STSv1\nx: y\nmode: enforce\nmode: none\n"
		  "max_age: 9999999999\nmax_age: x\nversion: 2\nmx: a.\n",
		    0, STS_ENFORCE, STS_AGE_MAX_S, 1 },
		{ "version: STSv1\nmode: enforce\nmax_age: 1\n", -1, 0, 0, 0 },
		{ "version: STSv2\nmode: none\nmax_age: 1\n", -1, 0, 0, 0 },
		{ "mode: none\nmax_age: 1\n", -1, 0, 0, 0 },
		{ "version: STSv1\nmax_age: 1\nmx: a\n", -1, 0, 0, 0 },
		{ "version: STSv1\nmode: none\n", -1, 0, 0, 0 },
		{ "version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a\n", -1, 0,
		    0, 0 },
		{ "version: STSv1\nmode: none\nmax_age: -1\n", -1, 0, 0, 0 },
		{ "version: STSv1\nmode: none\nmax_age: 12345678901\n", -1, 0,
		    0, 0 },
		{ "version: STSv1\nmode: none\nmax_age: 1\nmx\n", -1, 0, 0, 0 },
		{ "version: STSv1\nmode: none\nmax_age: 1\nmx: a b\n", -1, 0, 0,
		    0 },
		{ "version: STSv1\nmode: none\nmax_age: 1\nmx: a*.b\n", -1, 0,
		    0, 0 },
		{ "version: STSv1\nmode: none\nmax_age: 1\nmx: *.\n", -1, 0, 0,
		    0 },
		{ "version: STSv1\nmode: none\nmax_age: 1\nmx:\n", -1, 0, 0,
		    0 },
		{ "version: STSv1\rmode: none\rmax_age: 1", -1, 0, 0, 0 },
		{ "", -1, 0, 0, 0 },
		{ "<html>\n", -1, 0, 0, 0 },
	};
	static struct sts_policy p;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int status = sts_policy_parse(span_of(cases[i].text), &p, &why);

		if (status != cases[i].status)
			fail_msg("%zu: %s", i, why ? why : "taken");
		assert_int_equal(status < 0, why != NULL);
		if (status < 0)
			continue;
		assert_int_equal(p.mode, cases[i].mode);
		assert_int_equal(p.max_age_s, cases[i].age);
		assert_int_equal(p.nmx, cases[i].nmx);
	}
}

static void test_bounds(void **state)
{
	static struct sts_policy p;
	const char *why;
	struct buf b;

	(void)state;
	buf_init(&b, 2 * STS_TEXT_MAX);
	buf_puts(&b, "version: STSv1\nmode: enforce\nmax_age: 9\n");
	for (int i = 0; i < STS_MX_MAX; i++)
		buf_printf(&b, "mx: a%d.example\n", i);
	assert_int_equal(sts_policy_parse(buf_span(&b), &p, &why), 0);
	assert_int_equal(p.nmx, STS_MX_MAX);
	buf_puts(&b, "mx: b.example\n");
	assert_int_equal(sts_policy_parse(buf_span(&b), &p, &why), -1);
	buf_reset(&b);
	buf_puts(&b, "version: STSv1\nmode: none\nmax_age: 9\nx: ");
	while (b.len < STS_TEXT_MAX)
		buf_putc(&b, 'y');
	assert_int_equal(sts_policy_parse(buf_span(&b), &p, &why), 0);
	buf_putc(&b, 'y');
	assert_int_equal(sts_policy_parse(buf_span(&b), &p, &why), -1);
	b.len = STS_TEXT_MAX;
	b.data[100] = '\0';
	assert_int_equal(sts_policy_parse(buf_span(&b), &p, &why), -1);
	buf_clear(&b);
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool fits;
	} cases[] = {
		{ "mx.example", "mx.example", true },
		{ "MX.Example", "mx.example", true },
		{ "mx.example.", "mx.example", true },
		{ "mx.example", "a.mx.example", false },
		{ "mx.example", "mx.example.org", false },
		{ "*.example", "mx.example", true },
		{ "*.example", "a.mx.example", false }, /* one label */
		{ "*.example", "example", false },
		{ "*.example", ".example", false },
		{ "*.mx.example", "a.mx.example", true },
		{ "mx.b\303\274cher.example", "mx.xn--bcher-kva.example",
		    true },
		{ "*.b\303\274cher.example", "mx.xn--bcher-kva.example", true },
		{ "*.b\303\274cher.example", "mx.bcher.example", false },
		{ "mx.\303.example", "mx.x.example", false },
	};
	static struct sts_policy p;
	const char *why;
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text),
		    "version: STSv1\nmode: enforce\nmax_age: 9\nmx: %s\n",
		    cases[i].pattern);
		assert_int_equal(sts_policy_parse(span_of(text), &p, &why), 0);
		if (sts_policy_has(&p, span_of(cases[i].name)) != cases[i].fits)
			fail_msg("%s %s", cases[i].pattern, cases[i].name);
	}
}

/* --- the cache ------------------------------------------------------------ */

static const char text_a[] = "version: STSv1\nmode: enforce\nmax_age: 100\n"
			     "mx: a.example\n";

static void put(struct sts_cache *cache, const char *domain, const char *id,
    const char *text, uint64_t now)
{
	struct sts_entry e;
	const char *why;

	assert_int_equal(sts_entry_init(&e, id, span_of(text), now, &why), 0);
	assert_int_equal(sts_cache_put(cache, domain, &e, now, &why), 0);
	sts_entry_clear(&e);
}

static bool has(
    struct sts_cache *cache, const char *domain, uint64_t now, const char *id)
{
	struct sts_entry e;
	bool is_there = sts_cache_get(cache, domain, now, &e);

	if (!is_there)
		return false;
	assert_string_equal(e.id, id);
	assert_int_equal(e.policy.mode, STS_ENFORCE);
	assert_true(sts_policy_has(&e.policy, SPAN_LITERAL("a.example")));
	sts_entry_clear(&e);
	return true;
}

static void test_memory(void **state)
{
	const char *why;
	struct sts_cache *cache = sts_cache_open(-1, &why);

	(void)state;
	assert_non_null(cache);
	assert_false(has(cache, "one.example", 1000, ""));
	put(cache, "one.example", "1", text_a, 1000);
	put(cache, "two.example", "7", text_a, 1000);
	assert_true(has(cache, "one.example", 1000, "1"));
	assert_true(has(cache, "one.example", 1099, "1"));
	assert_false(has(cache, "one.example", 1100, "1")); /* max_age */
	assert_false(has(cache, "three.example", 1000, ""));
	assert_false(has(cache, "", 1000, ""));
	put(cache, "one.example", "2", text_a, 1050);
	assert_true(has(cache, "one.example", 1149, "2"));
	assert_int_equal(sts_cache_count(cache), 2);
	sts_cache_close(cache);
}

/* The clock went back by more than any policy lasts. */
static void test_clock(void **state)
{
	const char *why;
	struct sts_cache *cache = sts_cache_open(-1, &why);

	(void)state;
	put(cache, "one.example", "1", text_a, 4000000000);
	assert_true(has(cache, "one.example", 4000000000, "1"));
	assert_false(has(cache, "one.example", 1000, "1"));
	sts_cache_close(cache);
}

static int make_folder(char path[])
{
	assert_non_null(mkdtemp(path));
	return open(path, O_RDONLY | O_DIRECTORY);
}

/* Across a restart; what was cut short or overwritten is begun anew. */
static void test_file(void **state)
{
	char path[] = "/tmp/outpost-sts-XXXXXX", junk[5000];
	int folder = make_folder(path), fd;
	const char *why;
	struct sts_cache *cache = sts_cache_open(folder, &why);

	(void)state;
	assert_non_null(cache);
	put(cache, "one.example", "1", text_a, 1000);
	sts_cache_close(cache);
	cache = sts_cache_open(folder, &why);
	assert_true(has(cache, "one.example", 1000, "1"));
	sts_cache_close(cache);

	fd = openat(folder, "policies.mdb", O_RDWR);
	assert_int_equal(ftruncate(fd, 8192), 0);
	close(fd);
	cache = sts_cache_open(folder, &why);
	assert_non_null(cache);
	assert_false(has(cache, "one.example", 1000, "1"));
	put(cache, "one.example", "2", text_a, 1000);
	sts_cache_close(cache);

	memset(junk, 'x', sizeof(junk));
	fd = openat(folder, "policies.mdb", O_RDWR | O_TRUNC);
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	cache = sts_cache_open(folder, &why);
	assert_non_null(cache);
	put(cache, "one.example", "3", text_a, 1000);
	assert_true(has(cache, "one.example", 1000, "3"));
	sts_cache_close(cache);
	unlinkat(folder, "policies.mdb", 0);
	close(folder);
	rmdir(path);
}

/* A full file gives room by what is over. */
static void test_full(void **state)
{
	static char text[STS_TEXT_MAX + 1];
	const char *why;
	struct sts_cache *cache = sts_cache_open(-1, &why);
	struct sts_entry e;
	char domain[40];
	int n;

	(void)state;
	n = snprintf(text, sizeof(text), "%sx: ", text_a);
	memset(text + n, 'y', sizeof(text) - 1 - (size_t)n);
	assert_int_equal(sts_entry_init(&e, "1", span_of(text), 1000, &why), 0);
	for (n = 0; n < 5000; n++) {
		snprintf(domain, sizeof(domain), "d%d.example", n);
		if (sts_cache_put(cache, domain, &e, 1000, &why) < 0)
			break;
	}
	assert_in_range(n, 500, 1100);
	assert_int_equal(sts_cache_put(cache, domain, &e, 2000, &why), 0);
	assert_int_equal(sts_cache_count(cache), 1);
	sts_entry_clear(&e);
	sts_cache_close(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
