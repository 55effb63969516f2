/* outpost queue hold, release, retract, retry, delete, bounce. */
#include "queue/tool_item.h"

#include "common/id.h"
#include "queue/tool_source.h"

#include <stdio.h>
#include <unistd.h>

static const char *done_word(uint8_t action)
{
	static const char *const words[] = {
		[CHANGE_HOLD] = "held",
		[CHANGE_RELEASE] = "released",
		[CHANGE_RETRY] = "to be tried now",
		[CHANGE_DELETE] = "deleted",
		[CHANGE_BOUNCE] = "bounced",
		[CHANGE_RETRACT] = "retracted",
	};

	return words[action];
}

static struct change change_of(const struct tool *tool)
{
	const struct tool_options *o = &tool->options;
	struct change change = { .action = o->command->action,
		.filter = o->filter };

	if (change.action == CHANGE_HOLD)
		change.until = o->until;
	if (change.action == CHANGE_RETRY && o->reset)
		change.until = 1;
	return change;
}

/* All at once by filter, or one ID after the other. *missing: IDs that
 * nothing was done to. */
static int apply(struct tool *tool, bool is_dry_run, uint64_t *total,
    uint64_t *missing, struct outcome *why)
{
	struct change change = change_of(tool);
	uint64_t n = 0;

	change.is_dry_run = is_dry_run;
	*total = *missing = 0;
	if (tool->options.nids == 0)
		return source_change(tool->source, &change, total, why);
	for (size_t i = 0; i < tool->options.nids; i++) {
		change.filter.id = tool->options.ids[i];
		if (source_change(tool->source, &change, &n, why) < 0)
			return -1;
		*total += n;
		if (n > 0)
			continue;
		++*missing;
		if (!is_dry_run || tool->options.is_dry_run)
			fprintf(stderr,
			    "outpost-queue: %s: nothing to %s: not in the "
			    "queue, being delivered now, or so already\n",
			    id_text(change.filter.id),
			    tool->options.command->name);
	}
	return 0;
}

/* 0: go on; else the exit status. */
static int confirm(struct tool *tool)
{
	const char *name = tool->options.command->name;
	uint64_t n, missing;
	struct outcome why;
	int answer, rest;

	if (apply(tool, true, &n, &missing, &why) < 0)
		return tool_fail(name, &why);
	if (n <= 1)
		return 0;
	if (!isatty(STDIN_FILENO)) {
		fprintf(stderr,
		    "outpost-queue: %s would change %llu messages: add --yes "
		    "to do it (nothing was done)\n",
		    name, (unsigned long long)n);
		return EXIT_USAGE;
	}
	fprintf(
	    stderr, "%s %llu messages? [y/N] ", name, (unsigned long long)n);
	answer = rest = getchar();
	while (rest != '\n' && rest != EOF)
		rest = getchar();
	if (answer == 'y' || answer == 'Y')
		return 0;
	fputs("nothing was done\n", stderr);
	return EXIT_PROBLEM;
}

static void report(const struct tool *tool, uint64_t n)
{
	const struct tool_options *o = &tool->options;

	if (o->is_json)
		json_line(json_pack("{sssIsb}", "action", o->command->name,
		    "messages", (json_int_t)n, "dry_run", o->is_dry_run));
	else
		printf("%llu message%s %s%s\n", (unsigned long long)n,
		    n == 1 ? "" : "s", o->is_dry_run ? "would be " : "",
		    done_word(o->command->action));
}

int tool_change(struct tool *tool)
{
	const struct tool_options *o = &tool->options;
	bool must_ask = !o->is_yes && !o->is_dry_run && o->nids != 1;
	uint64_t n, missing;
	struct outcome why;
	int status = must_ask ? confirm(tool) : 0;

	if (status != 0)
		return status;
	if (apply(tool, o->is_dry_run, &n, &missing, &why) < 0) {
		if (n > 0)
			report(tool, n);
		return tool_fail(o->command->name, &why);
	}
	report(tool, n);
	return missing > 0 ? EXIT_PROBLEM : 0;
}
