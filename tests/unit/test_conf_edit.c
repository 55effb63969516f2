/* One setting changed, all else as it was. */
#include "common/conf_edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *before, *block, *title, *option, *value, *after;
} cases[] = {
	{ "", NULL, NULL, "mode", "\"relay\"", "mode = \"relay\"\n" },
	{ "mode = \"direct\" # why\n", NULL, NULL, "mode", "\"relay\"",
	    "mode = \"relay\" # why\n" },
	{ "# mode = \"x\"\nport = 25", NULL, NULL, "mode", "\"relay\"",
	    "# mode = \"x\"\nport = 25\nmode = \"relay\"\n" },
	{ "line \"a\" { localname = \"x.y\" }\n", NULL, NULL, "localname",
	    "\"p.q\"",
	    "line \"a\" { localname = \"x.y\" }\nlocalname = \"p.q\"\n" },
	{ "relay \"a\" { user = \"u\" }\nrelay \"default\" {\n\ttls = \"may\" "
	  "# ok\n}\n",
	    "relay", "default", "user", "\"me\"",
	    "relay \"a\" { user = \"u\" }\nrelay \"default\" {\n\tuser = "
	    "\"me\"\n\ttls = \"may\" # ok\n}\n" },
	{ "relay \"default\" { servers = { \"smtp://a\", \"smtp://b\" } user = "
	  "\"u\" }\n",
	    "relay", "default", "servers", "{ \"smtp://c\" }",
	    "relay \"default\" { servers = { \"smtp://c\" } user = \"u\" "
	    "}\n" },
	{ "defaults { reply-to = 'a' }", "defaults", NULL, "sender-name",
	    "\"N\"", "defaults {\n\tsender-name = \"N\"\n\t reply-to = 'a' }" },
	{ "port = 25\n", "defaults", NULL, "sender-name", "\"N\"",
	    "port = 25\n\ndefaults {\n\tsender-name = \"N\"\n}\n" },
	{ "line \"user\" { node \"relay\" { localname = \"a.b\" } }\n", "relay",
	    "default", "user", "\"me\"",
	    "line \"user\" { node \"relay\" { localname = \"a.b\" } }\n\nrelay "
	    "\"default\" {\n\tuser = \"me\"\n}\n" },
	/* what cannot be read stays */
	{ "port = \"25", NULL, NULL, "mode", "\"relay\"", NULL },
};

static void edits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *why;
		struct buf text;
		int status;

		buf_init(&text, 10000);
		buf_puts(&text, cases[i].before);
		status = conf_edit(&text, cases[i].block, cases[i].title,
		    cases[i].option, cases[i].value, &why);
		assert_int_equal(status, cases[i].after ? 0 : -1);
		assert_string_equal(buf_text(&text),
		    cases[i].after ? cases[i].after : cases[i].before);
		buf_clear(&text);
	}
}

static void quotes(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(conf_edit_quote(&out, SPAN_LITERAL("a\"b\\c")), 0);
	assert_string_equal(buf_text(&out), "\"a\\\"b\\\\c\"");
	assert_int_equal(conf_edit_quote(&out, SPAN_LITERAL("a\nb")), -1);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits),
		cmocka_unit_test(quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
