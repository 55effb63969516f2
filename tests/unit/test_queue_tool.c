/* The queue tool: its command line, and how it writes what it shows. */
#include "queue/tool.h"
#include "queue/tool_item.h"
#include "queue/tool_text.h"

#include "common/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW = 1800000000, WORDS_MAX = 16 };

static int parse(const char *line, struct tool_options *o, struct buf *error)
{
	static char copy[1024];
	char *argv[WORDS_MAX + 1] = { NULL }, *rest = copy;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while (argc < WORDS_MAX && (argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	return tool_options_parse(argc, argv, NOW, o, error);
}

static void accepts_what_is_right(void **state)
{
	static const char *const lines[] = {
		"outpost-queue list",
		"outpost-queue -c /x list --json",
		"outpost-queue list -c /x --limit 5 --count",
		"outpost-queue list --state deferred --sender a@b.c "
		"--recipient @x --destination *.net --line bulk --older 5m "
		"--newer 2d",
		"outpost-queue show 0D5N3KX5G0G00 --raw",
		"outpost-queue explain 0D5N3KX5G0G00 --json",
		"outpost-queue hold --all --for 2h --yes",
		"outpost-queue hold --sender a@b --until "
		"2027-12-31T08:00:00Z",
		"outpost-queue retry 0D5N3KX5G0G00 0D5N3KX5G0G01 --reset",
		"outpost-queue stats --rates",
		"outpost-queue verify",
		"outpost-queue -h",
		"outpost-queue list -h",
		"/usr/bin/mailq",
		"mailq -v",
		"mailq -c /x",
	};
	struct buf error;

	(void)state;
	buf_init(&error, 4096);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct tool_options o;

		if (parse(lines[i], &o, &error) != 0)
			fail_msg("%s: %s", lines[i], buf_text(&error));
		tool_options_clear(&o);
	}
	buf_clear(&error);
}

static void refuses_what_is_wrong(void **state)
{
	static const char *const lines[] = {
		"outpost-queue",
		"outpost-queue dance",
		"outpost-queue top",
		"outpost-queue export",
		"outpost-queue export --again /tmp/x",
		"outpost-queue export /tmp/x y",
		"outpost-queue import",
		"outpost-queue import /tmp/x 0D5N3KX5G0G00",
		"outpost-queue import /tmp/x --delete",
		"outpost-queue list 0D5N3KX5G0G00",
		"outpost-queue list --state sleeping",
		"outpost-queue list --limit 0",
		"outpost-queue list --limit 5x",
		"outpost-queue list --limit",
		"outpost-queue list --older soon",
		"outpost-queue list --newer 99999999999d",
		"outpost-queue list --yes",
		"outpost-queue list --nonsense",
		"outpost-queue list -z",
		"outpost-queue show",
		"outpost-queue show 0D5N3KX5G0G00 0D5N3KX5G0G01",
		"outpost-queue show ../../etc/passwd",
		"outpost-queue explain x",
		"outpost-queue delete",
		"outpost-queue delete --all --sender a@b",
		"outpost-queue delete 0D5N3KX5G0G00 --all",
		"outpost-queue delete 0D5N3KX5G0G00 --sender a@b",
		"outpost-queue delete --sender= --yes",
		"outpost-queue retry --all --for 2h",
		"outpost-queue hold --all --until tomorrow",
		"outpost-queue verify --all",
		"mailq --all",
	};
	struct buf error;

	(void)state;
	buf_init(&error, 4096);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct tool_options o;

		if (parse(lines[i], &o, &error) != -1)
			fail_msg("accepted: %s", lines[i]);
		assert_true(error.len > 0);
		tool_options_clear(&o);
	}
	buf_clear(&error);
}

static void reads_values(void **state)
{
	struct tool_options o;
	struct buf error;
	uint64_t id;

	(void)state;
	buf_init(&error, 4096);
	assert_int_equal(parse("outpost-queue -c /etc/x list --state held "
			       "--older 1h --newer 2d --sender @b.c --limit 7",
			     &o, &error),
	    0);
	assert_string_equal(o.conf_path, "/etc/x");
	assert_int_equal(o.filter.state, STATE_HELD);
	assert_int_equal(o.filter.older_than, NOW - 3600);
	assert_int_equal(o.filter.newer_than, NOW - 2 * 86400);
	assert_true(span_is_equal(o.filter.sender, span_of("@b.c")));
	assert_true(o.filter.uid == UINT32_MAX);
	assert_int_equal(o.limit, 7);
	tool_options_clear(&o);

	assert_int_equal(
	    parse("outpost-queue hold 0d5n3kx5g0g00 --for 90s", &o, &error), 0);
	assert_int_equal(id_parse(span_of("0D5N3KX5G0G00"), &id), 0);
	assert_int_equal(o.nids, 1);
	assert_true(o.ids[0] == id);
	assert_int_equal(o.until, NOW + 90);
	assert_int_equal(o.command->action, CHANGE_HOLD);
	tool_options_clear(&o);

	assert_int_equal(parse("outpost-queue hold --all --until "
			       "2027-01-15T08:00:01Z",
			     &o, &error),
	    0);
	assert_int_equal(o.until, NOW + 1);
	buf_clear(&error);
}

/* After "--" nothing is an option. */
static void takes_words_after_dashes_as_ids(void **state)
{
	struct tool_options o;
	struct buf error;

	(void)state;
	buf_init(&error, 4096);
	assert_int_equal(
	    parse("outpost-queue delete -- --all", &o, &error), -1);
	tool_options_clear(&o);
	assert_int_equal(
	    parse("outpost-queue delete -- 0D5N3KX5G0G00", &o, &error), 0);
	assert_int_equal(o.nids, 1);
	tool_options_clear(&o);
	buf_clear(&error);
}

static void writes_times_and_sizes(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} spans[] = { { 0, "0s" }, { 59, "59s" }, { 60, "1m" }, { 119, "1m" },
		{ 3600, "60m" }, { 7199, "119m" }, { 7200, "2h" },
		{ 86400, "24h" }, { 172800, "2d" } };
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = { { 0, "0" }, { 999, "999" }, { 1000, "1.0K" },
		{ 4198, "4.1K" }, { 20480, "20K" }, { 52428800, "50M" },
		{ UINT64_MAX, "16E" } };
	char out[TOOL_TIME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		text_span_of_time(spans[i].seconds, out);
		assert_string_equal(out, spans[i].text);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		text_size(sizes[i].bytes, out);
		assert_string_equal(out, sizes[i].text);
	}
	text_time(NOW, out);
	assert_string_equal(out, "2027-01-15T08:00:00Z");
	text_time(UINT64_MAX, out);
	assert_string_equal(out, "9999-12-31T23:59:59Z");
	text_until(NOW + 240, NOW, out);
	assert_string_equal(out, "in 4m");
	text_until(NOW - 1, NOW, out);
	assert_string_equal(out, "now");
	text_until(UINT64_MAX, 0, out);
}

static void makes_foreign_text_safe(void **state)
{
	static const struct {
		const char *text, *safe;
	} cases[] = {
		{ "plain words", "plain words" },
		{ "\033]0;owned\007", "\\x1b]0;owned\\x07" },
		{ "a\r\nb\tc", "a\\x0d\\x0ab\\x09c" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xc2\x9b"
		  "31m",
		    "\\xc2\\x9b31m" }, /* C1 CSI */
		{ "\xe2\x80\xae"
		  "evil",
		    "\\xe2\\x80\\xae"
		    "evil" },
		{ "\xff\xfe", "\\xff\\xfe" },
	};
	struct buf lines;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(
		    text_safe(span_of(cases[i].text)), cases[i].safe);
	buf_init(&lines, 4096);
	text_put_lines(&lines, span_of("A: b\r\n\tc\033[2J\n\rd"));
	assert_string_equal(buf_text(&lines), "A: b\n\tc\\x1b[2J\n\\x0dd");
	buf_clear(&lines);
}

static struct item an_item(void)
{
	return (struct item){
		.message = 0x0600000000001000,
		.state = STATE_DEFERRED,
		.accepted_at = NOW - 600,
		.next_try_ms = (uint64_t)(NOW + 300) * 1000,
		.size_bytes = 4096,
		.attempts = 2,
		.uid = 1000,
		.sender = span_of("a@example.net"),
		.address = span_of("b@example.org"),
		.domain = span_of("example.org"),
		.reply = span_of("451 4.7.1 \xff\033[31mgreylisted"),
		.status = span_of("4.7.1"),
		.cause = span_of("retry"),
	};
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "(none)";
}

static void writes_json_as_promised(void **state)
{
	struct conf conf = { .retry = { .lifetime_s = 86400 } };
	struct tool tool = {
		.conf = &conf, .now_s = NOW, .outbound = OUTBOUND_ON
	};
	struct item item = an_item();
	struct view view = view_of(&tool, &item);
	json_t *o = view_to_json(&view);

	(void)state;
	assert_string_equal(text_of(o, "id"), id_text(item.message));
	assert_string_equal(text_of(o, "state"), "deferred");
	assert_string_equal(text_of(o, "sender"), "a@example.net");
	assert_string_equal(text_of(o, "recipient"), "b@example.org");
	assert_string_equal(text_of(o, "destination"), "example.org");
	assert_string_equal(text_of(o, "accepted"), "2027-01-15T07:50:00Z");
	assert_string_equal(text_of(o, "next_try"), "2027-01-15T08:05:00Z");
	assert_string_equal(text_of(o, "expires"), "2027-01-16T07:50:00Z");
	assert_string_equal(
	    text_of(o, "reply"), "451 4.7.1 \xef\xbf\xbd\033[31mgreylisted");
	assert_string_equal(text_of(o, "status"), "4.7.1");
	assert_string_equal(text_of(o, "cause"), "retry");
	assert_int_equal(
	    json_integer_value(json_object_get(o, "size_bytes")), 4096);
	assert_int_equal(json_integer_value(json_object_get(o, "attempts")), 2);
	assert_true(json_is_null(json_object_get(o, "line")));
	json_decref(o);
}

static void names_the_cause(void **state)
{
	struct conf conf = { .retry = { .lifetime_s = 86400 } };
	struct tool off = {
		.conf = &conf, .now_s = NOW, .outbound = OUTBOUND_OFF
	};
	struct item item = an_item();

	(void)state;
	item.state = STATE_READY;
	assert_string_equal(view_of(&off, &item).cause, "outbound-off");
	item.state = STATE_DEFERRED;
	item.next_try_ms = (uint64_t)NOW * 1000;
	assert_string_equal(view_of(&off, &item).cause, "outbound-off");
	item.next_try_ms += 1000;
	assert_string_equal(view_of(&off, &item).cause, "retry");
	item.state = STATE_HELD;
	item.next_try_ms = UINT64_MAX;
	assert_string_equal(view_of(&off, &item).cause, "hold");
	assert_int_equal(view_of(&off, &item).next_try_s, 0);
	item.state = STATE_SUSPENDED;
	assert_string_equal(view_of(&off, &item).cause, "suspended");
	item.state = STATE_DEFERRED;
	item.cause.n = 0;
	assert_string_equal(view_of(&off, &item).cause, "retry");
}

static int status_of(struct tool *tool, const char *json)
{
	return tool_read_status(tool, span_of(json));
}

static void reads_the_status(void **state)
{
	struct tool tool = { 0 };

	(void)state;
	assert_int_equal(status_of(&tool, "{\"outbound\":false,\"x\":1}"), 0);
	assert_int_equal(status_of(&tool, "{\"outbound\":true}"), 1);
	assert_int_equal(status_of(&tool, "{\"outbound\":0}"), -1);
	assert_int_equal(status_of(&tool, "{}"), -1);
	assert_int_equal(status_of(&tool, "[[["), -1);
	assert_int_equal(status_of(&tool, ""), -1);
	assert_null(tool.off);
}

/* Of what is off, the part that an item belongs to. */
static struct conf *plain_conf(void)
{
	FILE *file = tmpfile();
	struct buf errors;
	struct conf *conf;

	assert_non_null(file);
	fputs("localname = \"mx.example.com\"\n", file);
	rewind(file);
	buf_init(&errors, 65536);
	conf = conf_load_fd(dup(fileno(file)), "test.conf", &errors);
	assert_non_null(conf);
	buf_clear(&errors);
	fclose(file);
	return conf;
}

static void names_the_scope(void **state)
{
	static const struct {
		const char *scope, *domain, *line;
		bool is_off;
	} cases[] = {
		{ "destination:example.org", "example.org", "", true },
		{ "destination:example.org", "other.example", "", false },
		{ "destination:route:example.org", "example.org", "", true },
		{ "destination:route:*.example.org", "a.example.org", "",
		    true },
		{ "destination:route:*.example.org", "example.org", "", false },
		{ "line:bulk", "example.org", "bulk", true },
		{ "line:bulk", "example.org", "bulk/3", true },
		{ "line:bulk", "example.org", "default/3", false },
		{ "line:bulk", "example.org", "", false },
		{ "nonsense", "example.org", "", false },
	};
	struct item item = an_item();
	struct conf *conf = plain_conf();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tool tool = { .outbound = OUTBOUND_ON,
			.conf = conf,
			.off = json_pack("[s s]", "line:x", cases[i].scope) };
		const char *scope;

		item.domain = span_of(cases[i].domain);
		item.line = span_of(cases[i].line);
		scope = tool_off_scope(&tool, &item);
		assert_int_equal(scope != NULL, cases[i].is_off);
		if (scope)
			assert_string_equal(scope, cases[i].scope);
		json_decref(tool.off);
	}
	conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_is_right),
		cmocka_unit_test(refuses_what_is_wrong),
		cmocka_unit_test(reads_values),
		cmocka_unit_test(takes_words_after_dashes_as_ids),
		cmocka_unit_test(writes_times_and_sizes),
		cmocka_unit_test(makes_foreign_text_safe),
		cmocka_unit_test(writes_json_as_promised),
		cmocka_unit_test(names_the_cause),
		cmocka_unit_test(reads_the_status),
		cmocka_unit_test(names_the_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
