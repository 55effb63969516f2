/* Sessions that are logged in detail: by scope, for a time, bounded. */
#include "runner/detail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static bool set(struct details *d, const char *scope, bool on, uint64_t until)
{
	return details_set(d, span_of(scope), on, until, 100);
}

static void scopes_are_told_apart(void **state)
{
	struct details d = { 0 };

	(void)state;
	assert_true(set(&d, "destination:Example.org", true, UINT64_MAX));
	assert_true(set(&d, "line:bulk", true, 200));
	assert_true(details_has(&d, "default", "example.org", 100));
	assert_false(details_has(&d, "default", "a.example.org", 100));
	assert_true(details_has(&d, "bulk", "other.example", 199));
	assert_false(details_has(&d, "bulk", "other.example", 200));
	assert_false(details_has(&d, "bulk2", "other.example", 100));
	assert_true(details_has(&d, "default", "example.org tls=verify", 100));
	assert_true(details_has(&d, "default", "route:example.org", 100));
	assert_true(details_has(&d, "default", "route:*.org", 100));
	assert_false(details_has(&d, "default", "route:*.net", 100));
	assert_false(details_has(&d, "default", "relay:example.org", 100));
	assert_true(set(&d, "destination:example.ORG", false, 0));
	assert_false(details_has(&d, "default", "example.org", 100));
	details_clear(&d);
	assert_int_equal(d.n, 0);
}

static void nonsense_and_too_many_are_refused(void **state)
{
	struct details d = { 0 };
	char scope[64];

	(void)state;
	assert_false(set(&d, "", true, 200));
	assert_false(set(&d, "line:", true, 200));
	assert_false(set(&d, "host:x", true, 200));
	assert_false(set(&d, "line:a\nb", true, 200));
	for (int i = 0; i < DETAILS_MAX; i++) {
		snprintf(scope, sizeof(scope), "line:%d", i);
		assert_true(set(&d, scope, true, 200));
	}
	assert_false(set(&d, "line:one-more", true, 200));
	assert_true(set(&d, "line:3", true, 300)); /* again */
	/* the others' time is over */
	assert_true(details_set(&d, span_of("line:one-more"), true, 400, 250));
	assert_int_equal(d.n, 2);
	details_clear(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scopes_are_told_apart),
		cmocka_unit_test(nonsense_and_too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
