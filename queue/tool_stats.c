/* outpost queue stats: counts and bytes by state, destination and line. */
#include "queue/tool_item.h"

#include "queue/tool_source.h"
#include "queue/tool_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { GROUP_BUCKETS = 4096, GROUPS_SHOWN = 20, GROUPS_IN_JSON = 1000 };

struct group {
	struct group *next;
	uint64_t recipients, bytes, oldest_at;
	size_t n;
	char name[];
};

struct groups {
	struct group *buckets[GROUP_BUCKETS];
	size_t count;
};

struct survey {
	struct groups destinations, lines;
	struct {
		uint64_t recipients, bytes;
	} states[STATE_COUNT];
	bool is_out_of_memory;
};

static size_t bucket_of(struct span name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		hash = (hash ^ (unsigned char)name.p[i]) * 16777619u;
	return hash % GROUP_BUCKETS;
}

static struct group *group_of(struct groups *groups, struct span name)
{
	struct group **link = &groups->buckets[bucket_of(name)], *group;

	while (*link &&
	       ((*link)->n != name.n ||
		   (name.n > 0 && memcmp((*link)->name, name.p, name.n) != 0)))
		link = &(*link)->next;
	group = *link;
	if (group)
		return group;
	group = calloc(1, sizeof(*group) + name.n + 1);
	if (!group)
		return NULL;
	group->n = name.n;
	if (name.n > 0)
		memcpy(group->name, name.p, name.n);
	*link = group;
	groups->count++;
	return group;
}

static bool tally(
    struct groups *groups, struct span name, const struct item *item)
{
	struct group *group = group_of(groups, name);

	if (!group)
		return false;
	group->recipients++;
	group->bytes += item->size_bytes;
	if (group->oldest_at == 0 || item->accepted_at < group->oldest_at)
		group->oldest_at = item->accepted_at;
	return true;
}

static bool survey_item(const struct item *item, void *arg)
{
	struct survey *survey = arg;

	if (item->state < STATE_COUNT) {
		survey->states[item->state].recipients++;
		survey->states[item->state].bytes += item->size_bytes;
	}
	if (!tally(&survey->destinations, item->domain, item) ||
	    !tally(&survey->lines, item->line, item))
		survey->is_out_of_memory = true;
	return !survey->is_out_of_memory;
}

static int by_size(const void *a, const void *b)
{
	const struct group *x = *(struct group *const *)a;
	const struct group *y = *(struct group *const *)b;

	if (x->recipients != y->recipients)
		return x->recipients < y->recipients ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* All groups, the largest first; to free. */
static struct group **sorted(const struct groups *groups)
{
	struct group **list = calloc(groups->count + 1, sizeof(struct group *));
	size_t n = 0;

	if (!list)
		return NULL;
	for (size_t i = 0; i < GROUP_BUCKETS; i++)
		for (struct group *g = groups->buckets[i]; g; g = g->next)
			list[n++] = g;
	qsort(list, n, sizeof(struct group *), by_size);
	return list;
}

static void groups_clear(struct groups *groups)
{
	for (size_t i = 0; i < GROUP_BUCKETS; i++)
		while (groups->buckets[i]) {
			struct group *g = groups->buckets[i];

			groups->buckets[i] = g->next;
			free(g);
		}
}

/* --- rates ---------------------------------------------------------------- */

struct rates {
	uint64_t accepted, delivered, failed; /* recipients in a second */
};

static int measure(
    struct tool *tool, struct spool_stats *stats, struct rates *rates)
{
	const struct timespec second = { .tv_sec = 1 };
	struct spool_stats before = *stats;
	struct outcome why;

	nanosleep(&second, NULL);
	if (source_stats(tool->source, stats, &why) < 0)
		return tool_fail("stats", &why);
	rates->accepted = stats->accepted - before.accepted;
	rates->delivered = stats->delivered - before.delivered;
	rates->failed = stats->failed - before.failed;
	return 0;
}

/* --- for people ----------------------------------------------------------- */

static void print_groups(
    const char *title, const struct groups *groups, uint64_t now)
{
	struct group **list = sorted(groups);
	/* one group without a name says nothing */
	bool is_dull = groups->count == 1 && list && list[0]->n == 0;

	if (!list || is_dull) {
		free(list);
		return;
	}
	for (size_t i = 0; i < groups->count && i < GROUPS_SHOWN; i++) {
		const struct group *g = list[i];
		char size[TOOL_SHORT_MAX], age[TOOL_SHORT_MAX];

		if (i == 0)
			printf("\n%-32s %10s %6s %6s\n", title, "RECIPIENTS",
			    "BYTES", "OLDEST");
		text_size(g->bytes, size);
		text_span_of_time(
		    now > g->oldest_at ? now - g->oldest_at : 0, age);
		printf("%-32s %10llu %6s %6s\n",
		    g->n ? text_safe((struct span){ g->name, g->n })
			 : "(by routes)",
		    (unsigned long long)g->recipients, size, age);
	}
	if (groups->count > GROUPS_SHOWN)
		printf("and %zu more\n", groups->count - GROUPS_SHOWN);
	free(list);
}

static void print_number(const char *name, uint64_t value)
{
	printf("%-18s %llu\n", name, (unsigned long long)value);
}

static void print_totals(
    const struct spool_stats *s, uint64_t now, const struct rates *rates)
{
	char size[TOOL_SHORT_MAX], age[TOOL_SHORT_MAX];

	print_number("messages queued", s->messages);
	print_number("recipients queued", s->recipients);
	text_size(s->bytes, size);
	printf("%-18s %s\n", "bytes queued", size);
	if (s->oldest_accepted_at > 0 && now >= s->oldest_accepted_at) {
		text_span_of_time(now - s->oldest_accepted_at, age);
		printf("%-18s %s\n", "oldest", age);
	}
	text_size(s->journal_bytes, size);
	printf("%-18s %s, %llu large files\n", "journal", size,
	    (unsigned long long)s->large_files);
	text_size(s->free_bytes, size);
	printf("%-18s %s\n", "free space", size);
	puts("\nrecipients since the spool was made");
	print_number("accepted", s->accepted);
	print_number("delivered", s->delivered);
	print_number("failed", s->failed);
	print_number("retracted", s->retracted);
	print_number("uncertain attempts", s->uncertain);
	if (rates)
		printf("%-18s %llu accepted, %llu delivered, %llu failed\n",
		    "in this second", (unsigned long long)rates->accepted,
		    (unsigned long long)rates->delivered,
		    (unsigned long long)rates->failed);
}

static void print_survey(const struct survey *survey, uint64_t now)
{
	bool is_first = true;

	for (int i = 0; i < STATE_COUNT; i++) {
		char size[TOOL_SHORT_MAX];

		if (survey->states[i].recipients == 0)
			continue;
		if (is_first)
			printf("\n%-32s %10s %6s\n", "STATE", "RECIPIENTS",
			    "BYTES");
		is_first = false;
		text_size(survey->states[i].bytes, size);
		printf("%-32s %10llu %6s\n", delivery_state_name((uint8_t)i),
		    (unsigned long long)survey->states[i].recipients, size);
	}
	print_groups("DESTINATION", &survey->destinations, now);
	print_groups("LINE", &survey->lines, now);
}

/* --- for programs --------------------------------------------------------- */

/* The largest: whoever counts them by name must not count a million. */
static json_t *groups_to_json(const struct groups *groups)
{
	struct group **list = sorted(groups);
	json_t *array = json_array();

	for (size_t i = 0; list && i < groups->count && i < GROUPS_IN_JSON;
	     i++) {
		const struct group *g = list[i];

		json_array_append_new(
		    array, json_pack("{so sI sI so}", "name",
			       json_text((struct span){ g->name, g->n }),
			       "recipients", (json_int_t)g->recipients,
			       "size_bytes", (json_int_t)g->bytes, "oldest",
			       json_time(g->oldest_at)));
	}
	free(list);
	return array;
}

static json_t *states_to_json(const struct survey *survey)
{
	json_t *object = json_object();

	for (int i = 0; i < STATE_COUNT; i++)
		json_object_set_new(object, delivery_state_name((uint8_t)i),
		    json_pack("{sI sI}", "recipients",
			(json_int_t)survey->states[i].recipients, "size_bytes",
			(json_int_t)survey->states[i].bytes));
	return object;
}

static void print_json(const struct spool_stats *s, const struct survey *survey,
    const struct rates *rates)
{
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "messages", s->messages },
		{ "recipients", s->recipients },
		{ "size_bytes", s->bytes },
		{ "accepted_messages", s->accepted_messages },
		{ "accepted", s->accepted },
		{ "delivered", s->delivered },
		{ "failed", s->failed },
		{ "retracted", s->retracted },
		{ "uncertain", s->uncertain },
		{ "journal_bytes", s->journal_bytes },
		{ "free_bytes", s->free_bytes },
		{ "large_files", s->large_files },
		{ "syncs", s->syncs },
		{ "written_bytes", s->bytes_written },
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_set_new(object, numbers[i].name,
		    json_integer((json_int_t)numbers[i].value));
	json_object_set_new(object, "oldest", json_time(s->oldest_accepted_at));
	json_object_set_new(object, "states", states_to_json(survey));
	json_object_set_new(
	    object, "destinations", groups_to_json(&survey->destinations));
	json_object_set_new(object, "destination_count",
	    json_integer((json_int_t)survey->destinations.count));
	json_object_set_new(object, "lines", groups_to_json(&survey->lines));
	if (rates)
		json_object_set_new(object, "per_second",
		    json_pack("{sI sI sI}", "accepted",
			(json_int_t)rates->accepted, "delivered",
			(json_int_t)rates->delivered, "failed",
			(json_int_t)rates->failed));
	json_line(object);
}

static int report(struct tool *tool, struct survey *survey)
{
	const struct source_visitor visitor = { .item = survey_item,
		.arg = survey };
	struct spool_stats stats = { 0 };
	struct rates measured = { 0 }, *rates = NULL;
	struct outcome why;

	if (source_stats(tool->source, &stats, &why) < 0 ||
	    source_list(
		tool->source, &tool->options.filter, 0, &visitor, &why) < 0)
		return tool_fail("stats", &why);
	if (tool->options.rates) {
		if (measure(tool, &stats, &measured) != 0)
			return EXIT_PROBLEM;
		rates = &measured;
	}
	if (tool->options.is_json) {
		print_json(&stats, survey, rates);
		return 0;
	}
	print_totals(&stats, tool->now_s, rates);
	print_survey(survey, tool->now_s);
	return 0;
}

int tool_stats(struct tool *tool)
{
	struct survey *survey = calloc(1, sizeof(*survey));
	int status = EXIT_PROBLEM;

	if (!survey) {
		fputs("outpost-queue: out of memory\n", stderr);
		return status;
	}
	status = report(tool, survey);
	groups_clear(&survey->destinations);
	groups_clear(&survey->lines);
	free(survey);
	return status;
}
