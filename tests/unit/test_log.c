/* log.c: one event a line; foreign text cannot break the line or the screen. */
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/outpost-log-XXXXXX";

static int open_log(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return log_open("test", path);
}

static int close_log(void **state)
{
	(void)state;
	log_open("test", "stderr");
	return unlink(path);
}

/* What the last line says after its time and "test[pid]: ". */
static const char *last_line(void)
{
	static char line[16384];
	FILE *file = fopen(path, "r");
	char *text;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		continue;
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	text = strstr(line, "]: ");
	return text ? text + 3 : line;
}

static void test_many_made_texts_in_one_line(void **state)
{
	(void)state;
	log_event("delivered", "a", log_text("%d", 1), "b", "x y", "c",
	    log_text("%d", 3), "d", "q\"", "e", log_text("%d", 5), "f", "=",
	    "g", log_text("%d", 7), "h", "", "i", log_text("%d", 9), "j", NULL,
	    "k", log_text("%d", 11), NULL);
	assert_string_equal(last_line(), "delivered a=1 b=\"x y\" c=3 "
					 "d=\"q\\x22\" e=5 f=\"=\" g=7 h=\"\" "
					 "i=9 k=11");
}

static void test_control_bytes_are_escaped(void **state)
{
	(void)state;
	log_warn("event", "reply", "a\r\nfake: line\033[2J\x7f\xc3\xa9", NULL);
	assert_string_equal(last_line(),
	    "warning: event reply=\"a\\x0d\\x0afake: line\\x1b[2J\\x7f\\xc3"
	    "\\xa9\"");
}

static void test_values_are_bounded(void **state)
{
	char *huge = calloc(1, 100001);

	(void)state;
	memset(huge, 'x', 100000);
	log_event("event", "value", huge, NULL);
	assert_int_equal(strlen(last_line()), strlen("event value=") + 1000);
	memset(huge, '\n', 100000);
	log_event("event", "value", huge, NULL);
	assert_int_equal(
	    strlen(last_line()), strlen("event value=\"\"") + 4000);
	free(huge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_made_texts_in_one_line),
		cmocka_unit_test(test_control_bytes_are_escaped),
		cmocka_unit_test(test_values_are_bounded),
	};

	return cmocka_run_group_tests(tests, open_log, close_log);
}
