/* The cache of DNS answers: by name and type, as long as they hold, bounded. */
#include "remote/dnscache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void put(struct dns_cache *cache, const char *name, enum dns_type type,
    enum dns_status status, uint32_t ttl_s, uint64_t now_ms)
{
	struct dns_answer *a = dns_answer_new(status);

	assert_non_null(a);
	a->ttl_s = ttl_s;
	dns_cache_put(cache, name, type, a, now_ms);
	dns_answer_release(a);
}

static bool has(struct dns_cache *cache, const char *name, enum dns_type type,
    uint64_t now_ms)
{
	uint32_t ttl_s;

	return dns_cache_get(cache, name, type, now_ms, &ttl_s);
}

static void test_time(void **state)
{
	struct dns_cache *cache = dns_cache_new(10);
	uint32_t ttl_s = 0;

	(void)state;
	put(cache, "a.example", DNS_MX, DNS_FOUND, 60, 1000);
	put(cache, "b.example", DNS_MX, DNS_NO_NAME, 5, 1000);
	assert_non_null(
	    dns_cache_get(cache, "a.example", DNS_MX, 11000, &ttl_s));
	assert_int_equal(ttl_s, 50);
	assert_true(has(cache, "b.example", DNS_MX, 5999));
	assert_false(has(cache, "b.example", DNS_MX, 6000));
	assert_true(has(cache, "a.example", DNS_MX, 60999));
	assert_false(has(cache, "a.example", DNS_MX, 61000));
	assert_int_equal(dns_cache_count(cache), 0);
	dns_cache_free(cache);
}

static void test_keys(void **state)
{
	struct dns_cache *cache = dns_cache_new(10);

	(void)state;
	put(cache, "a.example", DNS_A, DNS_FOUND, 60, 0);
	assert_false(has(cache, "a.example", DNS_AAAA, 0));
	assert_false(has(cache, "A.example", DNS_A, 0));
	assert_false(has(cache, "a.exampl", DNS_A, 0));
	assert_true(has(cache, "a.example", DNS_A, 0));
	dns_cache_free(cache);
}

static void test_not_kept(void **state)
{
	struct dns_cache *cache = dns_cache_new(10);

	(void)state;
	put(cache, "a.example", DNS_A, DNS_FOUND, 0, 0);
	put(cache, "b.example", DNS_A, DNS_FAILED, 60, 0);
	assert_int_equal(dns_cache_count(cache), 0);
	/* What is now without a time is no longer what was. */
	put(cache, "a.example", DNS_A, DNS_FOUND, 60, 0);
	put(cache, "a.example", DNS_A, DNS_FOUND, 0, 0);
	assert_false(has(cache, "a.example", DNS_A, 0));
	dns_cache_free(cache);
}

static void test_bound(void **state)
{
	struct dns_cache *cache = dns_cache_new(100);
	char name[32];

	(void)state;
	put(cache, "used.example", DNS_A, DNS_FOUND, 60, 0);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		put(cache, name, DNS_A, DNS_FOUND, 60, 0);
		assert_true(has(cache, "used.example", DNS_A, 0));
		assert_true(dns_cache_count(cache) <= 100);
	}
	assert_false(has(cache, "n0.example", DNS_A, 0));
	assert_true(has(cache, "n4999.example", DNS_A, 0));
	dns_cache_free(cache);
}

/* An answer in use outlives its entry. */
static void test_held(void **state)
{
	struct dns_cache *cache = dns_cache_new(10);
	uint32_t ttl_s;
	struct dns_answer *a;

	(void)state;
	put(cache, "a.example", DNS_A, DNS_FOUND, 60, 0);
	a = dns_answer_hold(
	    dns_cache_get(cache, "a.example", DNS_A, 0, &ttl_s));
	dns_cache_free(cache);
	assert_int_equal(a->status, DNS_FOUND);
	dns_answer_release(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_not_kept),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
