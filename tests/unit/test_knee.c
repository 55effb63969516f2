/* The useful number of lines is found, and followed. */
#include "runner/knee.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* What n lines get through in a second when more than best are of no use. */
static unsigned through(unsigned n, unsigned best)
{
	return 10 * (n < best ? n : best);
}

static uint64_t run(struct knee *k, uint64_t now, unsigned seconds,
    unsigned best, bool has_mail, unsigned *most)
{
	for (unsigned i = 0; i < seconds; i++) {
		unsigned n;

		now += 1000;
		if (has_mail)
			knee_short(k);
		for (unsigned m = has_mail ? through(k->count, best) : 5; m;
		     m--)
			knee_result(k);
		n = knee_look(k, now);
		if (n > *most)
			*most = n;
	}
	return now;
}

static void test_found(void **state)
{
	static const unsigned best[] = { 25, 40, 90, 150 };

	(void)state;
	for (size_t i = 0; i < sizeof(best) / sizeof(*best); i++) {
		struct knee k;
		unsigned most = 0;

		knee_init(&k, 1000);
		run(&k, 1000, 150, best[i], true, &most);
		print_message("  of use %u, found %u, tried %u\n", best[i],
		    k.count, most);
		assert_true(k.count >= best[i] * 9 / 10);
		assert_true(most <= best[i] * 16 / 10);
		assert_true(through(k.count, best[i]) * 10 >=
			    through(best[i], best[i]) * 9);
	}
}

static void test_few_are_enough(void **state)
{
	struct knee k;
	unsigned most = 0;

	(void)state;
	knee_init(&k, 1000);
	run(&k, 1000, 3600, 5, true, &most);
	assert_int_equal(most, 25); /* looked, and came back */
	assert_true(k.count == KNEE_START || k.count == 25);
}

static void test_without_mail(void **state)
{
	struct knee k;
	unsigned most = 0;

	(void)state;
	knee_init(&k, 1000);
	run(&k, 1000, 3600, 100, false, &most);
	assert_int_equal(most, KNEE_START);
}

static void test_followed(void **state)
{
	struct knee k;
	unsigned most = 0;
	uint64_t now;

	(void)state;
	knee_init(&k, 1000);
	now = run(&k, 1000, 150, 30, true, &most);
	assert_true(k.count <= 40);
	now = run(&k, now, 3600, 120, true, &most);
	assert_true(k.count >= 100);
	assert_true(now > 0);
}

static void test_bounded(void **state)
{
	struct knee k;
	unsigned most = 0;

	(void)state;
	knee_init(&k, 1000);
	run(&k, 1000, 3600, 100000, true, &most);
	assert_int_equal(most, KNEE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_few_are_enough),
		cmocka_unit_test(test_without_mail),
		cmocka_unit_test(test_followed),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
