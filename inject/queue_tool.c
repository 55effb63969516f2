/* sendmail -bp and -q: the work of outpost-queue. */
#include "inject/queue_tool.h"

#include <errno.h>
#include <limits.h>
#include <sysexits.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 10 };

struct arguments {
	const char *items[ARGUMENTS_MAX + 1];
	size_t count;
};

static void add(struct arguments *a, const char *argument)
{
	if (a->count < ARGUMENTS_MAX)
		a->items[a->count++] = argument;
}

/* sendmail looks for a part of the text. */
static const char *pattern_of(struct buf *out, const char *text)
{
	buf_printf(out, "*%s*", text);
	return buf_text(out);
}

static void add_retry(
    struct arguments *a, const struct options *o, struct buf *pattern)
{
	add(a, "retry");
	add(a, "--yes");
	if (o->retry_by == 'R') {
		add(a, "--recipient");
		add(a, pattern_of(pattern, o->retry_what));
	} else if (o->retry_by == 'S') {
		add(a, "--sender");
		add(a, pattern_of(pattern, o->retry_what));
	} else if (!o->retry_what) {
		add(a, "--state");
		add(a, "deferred");
	}
}

static int find_tool(char path[PATH_MAX])
{
	static const char name[] = "outpost-queue";
	ptrdiff_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n <= 0 || (size_t)n + sizeof(name) > PATH_MAX)
		return -1;
	memcpy(path + n, name, sizeof(name));
	return 0;
}

int queue_tool_run(const struct options *options, struct outcome *why)
{
	struct arguments a = { .count = 0 };
	char path[PATH_MAX];
	struct buf pattern;

	buf_init(&pattern, 1 << 20);
	add(&a, options->task == TASK_RETRY ? "outpost-queue" : "mailq");
	if (options->task == TASK_RETRY)
		add_retry(&a, options, &pattern);
	if (options->conf_file) {
		add(&a, "-c");
		add(&a, options->conf_file);
	}
	if (options->retry_by == 'I') {
		add(&a, "--");
		add(&a, options->retry_what);
	}
	if (find_tool(path) == 0)
		execv(path, (char *const *)a.items);
	outcome_perm(why, "5.3.5",
	    "cannot run outpost-queue: %s; it belongs beside this program; "
	    "install it there",
	    strerror(errno));
	buf_clear(&pattern);
	return EX_UNAVAILABLE;
}
