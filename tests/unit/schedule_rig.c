/* A schedule with one group, and short ways to drive it. Included by its
 * tests. */
#include "runner/schedule.h"

#include "runner/intake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct schedule *s;
static uint64_t now;
static uint64_t next_message;

static void begin(unsigned lines, unsigned per_connection)
{
	struct schedule_options options = { .seed = 1,
		.window = 1000,
		.probe_first_ms = 60000,
		.probe_max_ms = 1800000 };

	s = schedule_new(&options);
	assert_non_null(s);
	now = 1000;
	next_message = 1;
	assert_int_equal(
	    schedule_add_group(s, "default", lines, per_connection), 0);
}

static struct destination *to(const char *name)
{
	bool is_new;

	return schedule_destination(s, name, 20, &is_new);
}

static struct delivery *add_mail(
    const char *name, const char *sender, int8_t priority, unsigned deaths)
{
	struct waiting w = { .message = next_message++,
		.size_bytes = 1000,
		.sender = span_of(sender),
		.priority = priority,
		.line_deaths = (uint16_t)deaths };

	assert_int_equal(schedule_add(s, now, &w, to(name), 0), ADDED);
	return schedule_find(s, w.message, 0);
}

static struct delivery *add(const char *name)
{
	return add_mail(name, "a@b.c", 0, 0);
}

/* Starts and resolves by itself; returns the next other decision. */
static bool next(struct decision *x)
{
	struct outcome ok;

	outcome_ok(&ok);
	while (schedule_next(s, now, x)) {
		if (x->kind == DECIDE_START_LINE)
			schedule_line_started(s, now, x->line);
		else if (x->kind == DECIDE_RESOLVE)
			schedule_hosts(s, now, x->destination, &ok, 3600000);
		else
			return true;
	}
	return false;
}

static void expect_nothing(void)
{
	struct decision x;

	assert_false(next(&x));
}
