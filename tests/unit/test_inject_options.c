/* The command line of sendmail. */
#include "common/messages.h"
#include "inject/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 20 };

struct line {
	char text[300];
	char *argv[WORDS_MAX + 1];
	int argc;
};

/* Words are separated by blanks; '' is an empty one. */
static void split(struct line *line, const char *text)
{
	char *rest = line->text;

	*line = (struct line){ 0 };
	snprintf(line->text, sizeof(line->text), "%s", text);
	while (rest && line->argc < WORDS_MAX) {
		char *word = strsep(&rest, " ");

		line->argv[line->argc++] =
		    strcmp(word, "''") == 0 ? word + 2 : word;
	}
}

static int parse(struct line *line, const char *text, struct options *o)
{
	struct outcome why = { 0 };
	int status;

	split(line, text);
	status = options_parse(line->argc, line->argv, o, &why);
	assert_int_equal(status != 0, why.detail[0] != '\0');
	return status;
}

static const struct {
	const char *line;
	int status;
} statuses[] = {
	{ "sendmail", 0 },
	{ "sendmail -t -i", 0 },
	{ "sendmail -ti", 0 },
	{ "sendmail -oi -oem -odb -om -oeq -odi a", 0 },
	{ "sendmail -o i a", 0 },
	{ "sendmail -O DeliveryMode=b -ODeliveryMode=i a", 0 },
	{ "sendmail -B8BITMIME -U -G -L tag -h 3 -Am -Ac a", 0 },
	{ "sendmail -X /tmp/x -d0.4 -D /tmp/y -oQ/tmp -p SMTP:x a", 0 },
	{ "sendmail -em -m -n -x -v a", 0 },
	{ "sendmail -N success,delay,failure -R hdrs -V abc a", 0 },
	{ "sendmail -N never a", 0 },
	{ "sendmail -bm -- -a", 0 },
	{ "sendmail -f", EX_USAGE },
	{ "sendmail -o", EX_USAGE },
	{ "sendmail -Z", EX_USAGE },
	{ "sendmail -tZ", EX_USAGE },
	{ "sendmail --hold=3m a", 0 },
	{ "sendmail --expire=3m a", 0 },
	{ "sendmail --hold 2m a", 0 },
	{ "sendmail --hold", EX_USAGE },
	{ "sendmail --hold=soon a", EX_USAGE },
	{ "sendmail --expire=0s a", EX_USAGE },
	{ "sendmail --holdup=2m a", EX_USAGE },
	{ "sendmail --retract a", EX_USAGE },
	{ "sendmail -bd", EX_USAGE },
	{ "sendmail -bd -q30m", EX_USAGE },
	{ "sendmail -bt", EX_USAGE },
	{ "sendmail -bsx", EX_USAGE },
	{ "sendmail -q30m", EX_USAGE },
	{ "sendmail -qI", EX_USAGE },
	{ "sendmail -q!Rx", EX_USAGE },
	{ "sendmail -N never,delay a", EX_USAGE },
	{ "sendmail -N often a", EX_USAGE },
	{ "sendmail -N '' a", EX_USAGE },
	{ "sendmail -R all a", EX_USAGE },
	{ "sendmail -V '' a", EX_USAGE },
	{ "sendmail -V \x01 a", EX_USAGE },
	{ "sendmail -B9BIT a", EX_USAGE },
	{ "sendmail -fa\nb c", EX_USAGE },
	{ "sendmail -f a\rRCPT c", EX_USAGE },
	{ "sendmail -Fa\r\nBcc:x c", EX_USAGE },
};

static void test_statuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct line line;
		struct options o;
		int status = parse(&line, statuses[i].line, &o);

		if (status != statuses[i].status)
			print_error("%s\n", statuses[i].line);
		assert_int_equal(status, statuses[i].status);
	}
}

static void test_values(void **state)
{
	struct line line;
	struct options o;

	(void)state;
	assert_int_equal(parse(&line,
			     "sendmail -it -f a@b -F Name -N success,delay "
			     "-Rfull -Vid -v -cfile -B 8bitmime x y",
			     &o),
	    0);
	assert_true(o.ignores_dots && o.reads_header && o.is_verbose);
	assert_true(o.is_8bit);
	assert_string_equal(o.sender, "a@b");
	assert_string_equal(o.full_name, "Name");
	assert_int_equal(o.notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	assert_int_equal(o.ret, RET_FULL);
	assert_string_equal(o.envid, "id");
	assert_string_equal(o.conf_file, "file");
	assert_int_equal(o.nrecipients, 2);
	assert_string_equal(o.recipients[1], "y");

	assert_int_equal(parse(&line, "sendmail -f '' -t", &o), 0);
	assert_string_equal(o.sender, "");
	assert_true(o.reads_header);
	assert_int_equal(parse(&line, "sendmail -r<> -OIgnoreDots a", &o), 0);
	assert_string_equal(o.sender, "<>");
	assert_true(o.ignores_dots);
	assert_int_equal(parse(&line, "sendmail -fuser a", &o), 0);
	assert_string_equal(o.sender, "user");
}

/* Recipients are data, whatever they look like. */
static void test_recipients(void **state)
{
	static const char *const lines[] = {
		"sendmail -i -- -X/tmp/x -C/etc/passwd -oQ/tmp --retract",
		"sendmail -i a -X/tmp/x -t --hold",
		"sendmail - -C/etc/passwd -- x",
	};
	static const int counts[] = { 4, 4, 4 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct line line;
		struct options o;

		assert_int_equal(parse(&line, lines[i], &o), 0);
		assert_int_equal(o.nrecipients, counts[i]);
		assert_false(o.reads_header);
		assert_null(o.conf_file);
	}
}

static void test_tasks(void **state)
{
	static const struct {
		const char *line;
		enum inject_task task;
	} tasks[] = {
		{ "/usr/sbin/sendmail a", TASK_SEND },
		{ "newaliases", TASK_ALIASES },
		{ "/usr/bin/mailq", TASK_LIST },
		{ "sendmail -bp", TASK_LIST },
		{ "sendmail -bi", TASK_ALIASES },
		{ "sendmail -I", TASK_ALIASES },
		{ "sendmail -bs", TASK_SMTP },
		{ "sendmail -b s", TASK_SMTP },
		{ "sendmail -q", TASK_RETRY },
		{ "sendmail -qf", TASK_RETRY },
		{ "sendmail -h", TASK_HELP },
		{ "sendmail --help", TASK_HELP },
		{ "sendmail -h a", TASK_HELP },
		{ "sendmail -h 10 a", TASK_SEND },
		{ "sendmail -h10 a", TASK_SEND },
	};
	struct line line;
	struct options o;

	(void)state;
	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
		assert_int_equal(parse(&line, tasks[i].line, &o), 0);
		assert_int_equal(o.task, tasks[i].task);
	}
	assert_int_equal(parse(&line, "sendmail -qRexample.org", &o), 0);
	assert_int_equal(o.retry_by, 'R');
	assert_string_equal(o.retry_what, "example.org");
}

static void test_config_is_for_root(void **state)
{
	struct line line;
	struct options o;
	int status = parse(&line, "sendmail -C/etc/passwd a", &o);

	(void)state;
	assert_int_equal(status, getuid() == 0 ? 0 : EX_NOPERM);
	if (getuid() != 0)
		assert_null(o.conf_file);
}

static void test_without_arguments(void **state)
{
	char *none[] = { NULL };
	char *empty[] = { (char *)"", NULL };
	struct options o;

	(void)state;
	assert_int_equal(options_parse(0, none, &o, NULL), 0);
	assert_int_equal(options_parse(1, empty, &o, NULL), 0);
	assert_int_equal(o.task, TASK_SEND);
	assert_int_equal(o.nrecipients, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_config_is_for_root),
		cmocka_unit_test(test_without_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
