/* Received fields are counted however the text is split. */
#include "inject/hops.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *text;
	unsigned count;
} cases[] = {
	{ "", 0 },
	{ "Received: by a\r\n", 1 },
	{ "RECEIVED:by a\r\n\tfor b\r\nreceived: x\r\n\r\nbody\r\n", 2 },
	{ "Subject: Received: x\r\nReceived-SPF: pass\r\n\r\n", 0 },
	{ "Subject: x\r\n Received: folded\r\n\r\n", 0 },
	{ "\r\nReceived: in the body\r\n", 0 },
	{ "Subject: x\r\n\r\nReceived: in the body\r\n", 0 },
	{ "a\r\nReceived: x\r\nReceived:\r\n\r\n", 2 },
	{ "Received x: y\r\nReceived", 0 },
};

static unsigned count(struct span text, size_t part)
{
	struct hops h = { 0 };

	while (text.n > 0) {
		struct span some = { text.p, part < text.n ? part : text.n };

		hops_take(&h, some);
		text = span_from(text, some.n);
	}
	return h.count;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t part = 1; part < 60; part++)
			assert_int_equal(count(span_of(cases[i].text), part),
			    cases[i].count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
