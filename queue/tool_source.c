/* A source of the queue tool: pages put together, and the choice of one. */
#include "queue/tool_source.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 1000 };

struct source {
	const struct source_kind *kind;
	void *self;
};

static void *open_keeper(const char *runtime, struct outcome *why)
{
	struct buf path;
	void *self;

	buf_init(&path, 4096);
	buf_printf(&path, "%s/queue.sock", runtime);
	self = source_keeper_new(buf_text(&path), why);
	buf_clear(&path);
	return self;
}

static void *open_spool(const char *spool, struct outcome *why)
{
	const struct outcome keeper = *why;
	void *self = source_spool_new(spool, why);
	struct outcome detail = *why;

	if (self) {
		fprintf(stderr,
		    "outpost-queue: the keeper is not running (%s); reading "
		    "the spool %s itself\n",
		    keeper.detail, spool);
		return self;
	}
	outcome_temp(why, "4.3.0",
	    "the keeper is not running (%s; outpost start), and the spool "
	    "cannot be read (%s)",
	    keeper.detail, detail.detail);
	return NULL;
}

struct source *source_open(const struct conf *conf, struct outcome *why)
{
	struct source *source = calloc(1, sizeof(*source));

	if (!source) {
		outcome_temp(why, "4.3.0", "out of memory");
		return NULL;
	}
	source->kind = &source_keeper;
	source->self = open_keeper(conf->runtime, why);
	if (!source->self) {
		source->kind = &source_spool;
		source->self = open_spool(conf->spool, why);
	}
	if (source->self)
		return source;
	free(source);
	return NULL;
}

void source_free(struct source *source)
{
	if (!source)
		return;
	source->kind->free(source->self);
	free(source);
}

bool source_is_keeper(const struct source *source)
{
	return source->kind == &source_keeper;
}

/* Counts what passes, and remembers that it was told to stop. */
struct passing {
	const struct source_visitor *visitor;
	uint64_t count;
	bool is_stopped;
};

static bool pass_item(const struct item *item, void *arg)
{
	struct passing *passing = arg;

	if (passing->is_stopped)
		return false;
	passing->count++;
	if (passing->visitor->item &&
	    !passing->visitor->item(item, passing->visitor->arg))
		passing->is_stopped = true;
	return !passing->is_stopped;
}

int source_list(struct source *source, const struct filter *filter,
    uint64_t limit, const struct source_visitor *visitor, struct outcome *why)
{
	struct list_query query = { .filter = *filter };
	struct passing passing = { .visitor = visitor };
	const struct source_visitor through = { .item = pass_item,
		.arg = &passing };
	bool has_more = true;

	while (has_more && !passing.is_stopped &&
	       (limit == 0 || passing.count < limit)) {
		uint64_t left = limit - passing.count, unused = 0;

		query.max = limit > 0 && left < PAGE ? (uint32_t)left : PAGE;
		if (source->kind->list(source->self, &query, &unused, &through,
			&has_more, why) < 0)
			return -1;
	}
	return 0;
}

int source_count(struct source *source, const struct filter *filter,
    uint64_t *count, struct outcome *why)
{
	struct list_query query = {
		.filter = *filter, .max = PAGE, .count_only = true
	};
	const struct source_visitor none = { 0 };
	bool has_more = true;

	*count = 0;
	while (has_more)
		if (source->kind->list(
			source->self, &query, count, &none, &has_more, why) < 0)
			return -1;
	return 0;
}

int source_show(struct source *source, uint64_t id,
    const struct source_visitor *visitor, struct outcome *why)
{
	return source->kind->show(source->self, id, visitor, why);
}

int source_body(struct source *source, uint64_t id,
    const struct source_visitor *visitor, struct outcome *why)
{
	return source->kind->body(source->self, id, visitor, why);
}

int source_stats(
    struct source *source, struct spool_stats *stats, struct outcome *why)
{
	return source->kind->stats(source->self, stats, why);
}

int source_change(struct source *source, const struct change *change,
    uint64_t *count, struct outcome *why)
{
	struct change page = *change;
	bool has_more = true;

	*count = 0;
	page.max = PAGE;
	while (has_more)
		if (source->kind->change(
			source->self, &page, count, &has_more, why) < 0)
			return -1;
	return 0;
}
