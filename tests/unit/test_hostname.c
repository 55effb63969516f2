/* What this machine calls itself: always something, never a wrong "full". */
#include "common/hostname.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_is_full(void **state)
{
	static const struct {
		const char *name;
		bool is_full;
	} cases[] = {
		{ "mail.example.com", true },
		{ "a.b", true },
		{ "[192.0.2.1]", true },
		{ "[IPv6:::1]", true },
		{ "mail", false },
		{ "localhost", false },
		{ "localhost.localdomain", false },
		{ "LocalHost.example.com", false },
		{ "mail.example.com.", false },
		{ "1.2.3.4", false },
		{ "a b.example", false },
		{ "", false },
		{ "[]", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (hostname_is_full(span_of(cases[i].name)) !=
		    cases[i].is_full)
			fail_msg("%s", cases[i].name);
}

static void test_find(void **state)
{
	struct hostname h;
	char bare[256];

	(void)state;
	hostname_bare(bare);
	assert_true(bare[0] != '\0');
	assert_null(strchr(bare, '.'));
	hostname_find(&h);
	assert_true(h.name[0] != '\0');
	assert_true(h.how[0] != '\0');
	assert_true(h.is_full == hostname_is_full(span_of(h.name)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_full),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
