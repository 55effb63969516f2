/* Rates as buckets: spread evenly, kept over changes, never saved up. */
#include "runner/bucket.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MINUTE ((uint64_t)60000)
#define BEGIN ((uint64_t)1000000)

/* Events taken as soon as allowed between two times. */
static unsigned spend(struct bucket *b, uint64_t from, uint64_t to)
{
	unsigned n = 0;

	for (uint64_t now = from; now < to; now++)
		while (bucket_count(b, now) > 0) {
			bucket_take(b, now);
			n++;
		}
	return n;
}

static void test_no_limit(void **state)
{
	struct bucket b = { 0 };

	(void)state;
	assert_int_equal(bucket_count(&b, 5), UINT_MAX);
	bucket_take(&b, 5);
	bucket_give_back(&b);
	assert_int_equal(bucket_at(&b), 0);
}

static void test_exact_over_time(void **state)
{
	static const struct rate rates[] = { { 1, 1 }, { 20, 60 }, { 1000, 60 },
		{ 1000, 3600 }, { 50000, 86400 }, { 7, 1 }, { 500, 1 },
		{ 100000, 3600 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct bucket b = { 0 };
		double allowed = 600.0 * rates[i].events / rates[i].per_seconds;
		unsigned n;

		bucket_set(&b, BEGIN, &rates[i]);
		n = spend(&b, BEGIN, BEGIN + 10 * MINUTE);
		assert_true(n >= allowed * 0.99);
		assert_true(n <= allowed * 1.01 + 1);
	}
}

/* No minute sees more than is allowed, whenever it begins. */
static void test_no_burst(void **state)
{
	const struct rate rate = { 20, 60 };
	struct bucket b = { 0 };

	(void)state;
	bucket_set(&b, BEGIN, &rate);
	assert_int_equal(spend(&b, BEGIN, BEGIN + MINUTE), 20);
	/* an hour of silence is not saved up */
	assert_int_equal(bucket_count(&b, BEGIN + 60 * MINUTE), 1);
	assert_int_equal(
	    spend(&b, BEGIN + 60 * MINUTE, BEGIN + 61 * MINUTE), 20);
	assert_int_equal(
	    spend(&b, BEGIN + 61 * MINUTE, BEGIN + 61 * MINUTE + 2999), 1);
}

static void test_wait_is_told(void **state)
{
	const struct rate rate = { 1, 60 };
	struct bucket b = { 0 };

	(void)state;
	bucket_set(&b, BEGIN, &rate);
	bucket_take(&b, BEGIN);
	assert_int_equal(bucket_at(&b), BEGIN + MINUTE);
	assert_int_equal(bucket_count(&b, BEGIN + MINUTE - 1), 0);
	assert_int_equal(bucket_count(&b, BEGIN + MINUTE), 1);
	bucket_give_back(&b);
	assert_int_equal(bucket_count(&b, BEGIN), 1);
}

static void test_change(void **state)
{
	const struct rate slow = { 1, 86400 }, quick = { 60, 60 }, none = { 0 };
	struct bucket b = { 0 };

	(void)state;
	bucket_set(&b, BEGIN, &slow);
	bucket_take(&b, BEGIN);
	bucket_set(&b, BEGIN + 5, &quick);
	assert_int_equal(bucket_at(&b), BEGIN + 5 + 1000);
	bucket_set(&b, BEGIN + 6, &quick); /* the same: nothing is won */
	assert_int_equal(bucket_at(&b), BEGIN + 5 + 1000);
	bucket_set(&b, BEGIN + 7, &none);
	assert_int_equal(bucket_count(&b, BEGIN + 7), UINT_MAX);
	bucket_set_pace(&b, BEGIN + 8, 3600);
	bucket_take(&b, BEGIN + 1010);
	assert_int_equal(bucket_at(&b), BEGIN + 2010);
}

/* What another run used; but of a wrong clock only one interval. */
static void test_not_before(void **state)
{
	const struct rate rate = { 60, 3600 };
	struct bucket b = { 0 };

	(void)state;
	bucket_set(&b, BEGIN, &rate);
	bucket_not_before(&b, BEGIN, BEGIN + 30000);
	assert_int_equal(bucket_at(&b), BEGIN + 30000);
	bucket_not_before(&b, BEGIN, BEGIN - 1);
	assert_int_equal(bucket_at(&b), BEGIN + 30000);
	bucket_not_before(&b, BEGIN, UINT64_MAX / 2);
	assert_int_equal(bucket_at(&b), BEGIN + MINUTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_exact_over_time),
		cmocka_unit_test(test_no_burst),
		cmocka_unit_test(test_wait_is_told),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_not_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
