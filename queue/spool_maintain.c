/* Space: spares prepared, stragglers copied forward, segments given back. */
#include "common/id.h"
#include "common/log.h"
#include "queue/spool_parts.h"

enum { READERS_CHECK_MS = 60000, EXTRA_SEGMENTS = 4 };

static uint64_t live_bytes(const struct spool *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->index->nusage; i++)
		sum += s->index->usage[i].bytes;
	return sum;
}

/* The oldest segment, when it may be worked on: neither the current one nor
 * the one the index's position is in. */
static const struct segment *oldest(const struct spool *s)
{
	const struct segment *first;

	if (journal_nsegments(s->journal) < 2)
		return NULL;
	first = journal_segment(s->journal, 0);
	return first->number < s->index->now.batch.segment ? first : NULL;
}

static bool is_empty(const struct spool *s, uint32_t segment)
{
	const struct usage *u = usage_of(s->index, segment);

	return !u || u->messages == 0;
}

/* Only the oldest is ever given back, so that no record outlives the message
 * it speaks of, and none is older than it. */
static bool free_one(struct spool *s)
{
	const struct segment *first = oldest(s);
	uint32_t number;

	if (!first || !is_empty(s, first->number))
		return false;
	number = first->number;
	s->move_at = (struct position){ 0 };
	if (journal_free_oldest(s->journal) == 0)
		return true;
	log_warn("spool-segment-not-freed", "segment", log_text("%08x", number),
	    NULL);
	return false;
}

static bool is_sparse(const struct spool *s)
{
	const struct segment *current = journal_current(s->journal);

	return journal_bytes(s->journal) >
	       2 * live_bytes(s) + EXTRA_SEGMENTS * current->bytes;
}

struct moving {
	struct spool *spool;
	uint64_t bytes; /* staged by this call */
	unsigned records;
	bool failed;
	struct position at;
};

static int move_record(const struct record_head *head, struct span contents,
    const struct place *place, void *arg)
{
	struct moving *m = arg;
	struct spool *s = m->spool;
	struct message_info info;
	struct outcome why;

	(void)contents;
	if ((head->type != RECORD_MESSAGE && head->type != RECORD_MOVE) ||
	    !message_read(s->index, s->index->write, head->message, &info) ||
	    info.place.segment != place->segment ||
	    info.place.offset != place->offset)
		return 0;
	if (stage_move(s, head->message, &why) == 0) {
		m->bytes += place->bytes;
		return 0;
	}
	/* it keeps the segment until it is delivered or given up */
	log_warn("spool-move-failed", "id", id_text(head->message), "why",
	    why.detail, NULL);
	m->failed = s->is_doomed;
	return m->failed ? -1 : 0;
}

static int move_batch(const struct record_batch *b, void *arg)
{
	struct moving *m = arg;

	m->at.offset = b->offset + batch_padded(b->bytes);
	/* batches of dead records only cost reading, but not without end */
	return m->bytes >= MAINTAIN_BYTES || ++m->records >= 1000 ? -1 : 0;
}

/* Stage a piece of the oldest segment. True: more is to be done soon. */
static bool move_some(struct spool *s)
{
	const struct segment *first = oldest(s);
	struct moving m = { .spool = s };
	const struct journal_visitor visitor = {
		.record = move_record,
		.batch = move_batch,
		.arg = &m,
	};
	struct position end;
	struct outcome why;
	uint32_t segment;

	if (!first || first->number == s->moved_segment || s->must_repair ||
	    stage_ready(s, &why) < 0)
		return false;
	if (s->move_at.segment != first->number)
		s->move_at = (struct position){ first->number, SEGMENT_DATA };
	m.at = s->move_at;
	segment = first->number;
	if (journal_scan_segment(
		s->journal, s->move_at, 0, &visitor, &end, &why) != 1)
		s->moved_segment = segment;
	s->move_at = m.at;
	return !m.failed;
}

static void readers_check(struct spool *s)
{
	uint64_t now = spool_now_ms(s);
	int dead = 0;

	if (now - s->readers_checked_ms < READERS_CHECK_MS)
		return;
	s->readers_checked_ms = now;
	mdb_reader_check(s->index->env, &dead);
	if (dead > 0)
		log_event("spool-dead-readers", "cleared", log_text("%d", dead),
		    NULL);
}

bool spool_maintain(struct spool *s)
{
	bool is_idle = !spool_has_staged(s);
	bool is_more;
	bool is_busy = spool_now_ms(s) - s->committed_ms < IDLE_MS;

	if (s->read_only)
		return false;
	readers_check(s);
	if (!is_busy && s->index->is_touched)
		index_let_go(s->index);
	if (s->is_index_tight)
		index_space_keep(s);
	if (s->must_repair && is_idle)
		spool_repair(s);
	/* what is staged may still be undone: count on what is committed */
	if (is_idle && free_one(s))
		return true;
	is_more = journal_prepare(s->journal, is_busy);
	return (is_idle && is_sparse(s) && move_some(s)) || is_more;
}
