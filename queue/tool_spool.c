/* The spool itself as the queue tool's source, read only: while the keeper is
 * not running.
 */
#include "queue/tool_source.h"

#include "common/id.h"
#include "queue/index_home.h"
#include "queue/spool.h"

void *source_spool_new(const char *spool_path, struct outcome *why)
{
	const struct spool_options options = { .path = spool_path,
		.read_only = true };

	index_explain_crash();
	return spool_open(&options, NULL, why);
}

static void local_free(void *self)
{
	spool_close(self);
}

struct page {
	const struct source_visitor *visitor;
	uint64_t count;
	uint32_t max;
};

static bool give_item(const struct item *item, void *arg)
{
	struct page *page = arg;

	page->count++;
	if (page->visitor->item &&
	    !page->visitor->item(item, page->visitor->arg))
		return false;
	return page->count < page->max;
}

static int local_list(void *self, struct list_query *query, uint64_t *count,
    const struct source_visitor *visitor, bool *has_more, struct outcome *why)
{
	struct page page = { .visitor = visitor,
		.max = query->count_only ? UINT32_MAX : query->max };

	*has_more = spool_list(
	    self, &query->filter, &query->after, 100000, give_item, &page);
	*count += page.count;
	return spool_list_result(self, why);
}

static void give_attempt(uint64_t at, const struct attempt *attempt, void *arg)
{
	const struct source_visitor *visitor = arg;

	if (visitor->attempt)
		visitor->attempt(at, attempt, visitor->arg);
}

static int local_show(void *self, uint64_t id,
    const struct source_visitor *visitor, struct outcome *why)
{
	const struct filter filter = {
		.id = id, .state = -1, .uid = UINT32_MAX
	};
	struct page page = { .visitor = visitor, .max = UINT32_MAX };
	struct cursor after = { 0 };
	struct envelope envelope;
	uint64_t accepted_at;
	bool has_more = true;

	if (spool_envelope(self, id, &envelope, &accepted_at) < 0)
		return outcome_perm(
		    why, "5.2.0", "%s is not in the queue", id_text(id));
	if (visitor->envelope)
		visitor->envelope(accepted_at, &envelope, visitor->arg);
	envelope_free(&envelope);
	while (has_more)
		has_more =
		    spool_list(self, &filter, &after, 100000, give_item, &page);
	if (spool_list_result(self, why) < 0)
		return -1;
	spool_attempts(self, id, give_attempt, (void *)visitor);
	return 0;
}

static int local_body(void *self, uint64_t id,
    const struct source_visitor *visitor, struct outcome *why)
{
	uint64_t offset = 0;
	struct buf chunk;
	ptrdiff_t n;

	buf_init(&chunk, DATA_CHUNK_MAX);
	do {
		buf_reset(&chunk);
		n = spool_body(self, id, offset, DATA_CHUNK_MAX, &chunk, why);
		if (n > 0 && visitor->body)
			visitor->body(buf_span(&chunk), visitor->arg);
		offset += n > 0 ? (uint64_t)n : 0;
	} while (n > 0);
	buf_clear(&chunk);
	return n < 0 ? -1 : 0;
}

static int local_stats(
    void *self, struct spool_stats *stats, struct outcome *why)
{
	(void)why;
	spool_stats(self, stats);
	return 0;
}

static int local_change(void *self, struct change *change, uint64_t *count,
    bool *has_more, struct outcome *why)
{
	(void)self;
	(void)change;
	(void)count;
	(void)has_more;
	return outcome_temp(why, "4.3.0",
	    "only the keeper changes the queue, and it is not running: "
	    "outpost start");
}

const struct source_kind source_spool = {
	local_free,
	local_list,
	local_show,
	local_body,
	local_stats,
	local_change,
};
