/* Staging: records put into the batch and applied to the index at once, so
 * that what is staged later sees them. */
#include <errno.h>

#include "common/log.h"
#include "queue/spool_parts.h"

enum { REDO_MAX = 24 }; /* each time the map doubles */

int outcome_index(struct outcome *why, int rc)
{
	return outcome_temp(why, rc == ENOSPC ? "4.3.1" : "4.3.0", "index: %s",
	    mdb_strerror(rc));
}

int stage_ready(struct spool *s, struct outcome *why)
{
	int rc;

	if (s->read_only)
		return outcome_temp(
		    why, "4.3.0", "the spool is open for reading");
	if (s->is_doomed)
		return outcome_temp(why, "4.3.0", "the index failed");
	/* what others have staged goes first, or is refused by its commit */
	if (s->must_reindex && s->batch.n == 0 && spool_reindex(s, why) < 0)
		return -1;
	rc = index_begin(s->index);
	return rc == 0 ? 0 : outcome_index(why, rc);
}

struct buf *stage_begin(struct spool *s, uint8_t type, uint64_t message)
{
	return batch_begin(
	    &s->batch, type, message, journal_session(s->journal));
}

void stage_cancel(struct spool *s)
{
	batch_cancel(&s->batch);
}

void stage_abort(struct spool *s)
{
	index_abort(s->index);
	batch_reset(&s->batch);
	s->has_large_staged = false;
	s->is_doomed = false;
}

static int entry_apply(struct spool *s, const struct batch_entry *e)
{
	struct record_head head;
	struct span contents = batch_contents(&s->batch, e, &head);
	struct place place = {
		.segment = journal_current(s->journal)->number,
		.bytes = e->bytes,
		.offset = journal_at(s->journal) + e->offset,
	};

	if (index_apply(s->index, &head, contents, &place) < 0)
		BUG("a staged record does not parse");
	return s->index->error;
}

int stage_redo(struct spool *s)
{
	int rc = s->index->error;

	for (int tries = 0; tries < REDO_MAX; tries++) {
		index_abort(s->index);
		if (rc == MDB_MAP_FULL)
			rc = index_grow(s->index);
		else
			rc = 0;
		if (rc == 0)
			rc = index_begin(s->index);
		for (size_t i = 0; i < s->batch.n && rc == 0; i++)
			rc = entry_apply(s, &s->batch.entries[i]);
		if (rc != MDB_MAP_FULL)
			return rc;
	}
	return MDB_MAP_FULL;
}

/* The index cannot be used any more; what is staged will be refused. */
static int stage_doom(struct spool *s, int rc, struct outcome *why)
{
	log_warn("spool-index-error", "error", mdb_strerror(rc), NULL);
	s->is_doomed = true;
	s->must_reindex |= rc < 0 && rc != MDB_MAP_FULL;
	return outcome_index(why, rc);
}

/* Everything staged goes to the next segment instead. */
static int stage_next_segment(
    struct spool *s, bool is_refusable, struct outcome *why)
{
	if (batch_padded(s->batch.bytes) > journal_room_max(s->journal))
		return outcome_temp(
		    why, "4.3.1", "too much for one journal segment");
	if (journal_advance(s->journal, &s->index->now, is_refusable, why) < 0)
		return -1;
	return journal_has_room(s->journal, s->batch.bytes)
		   ? 0
		   : outcome_temp(
			 why, "4.3.1", "too much for one journal segment");
}

int stage_end(struct spool *s, struct span body, struct incoming *in,
    bool is_refusable, struct outcome *why)
{
	const struct batch_entry *e = batch_end(&s->batch, body, in);
	int rc = 0, result = 0;
	uint32_t before;

	if (!e)
		return outcome_temp(
		    why, "4.3.0", "record too long or out of memory");
	before = journal_current(s->journal)->number;
	if (!journal_has_room(s->journal, s->batch.bytes) &&
	    stage_next_segment(s, is_refusable, why) < 0) {
		batch_drop_last(&s->batch);
		result = -1;
	}
	/* even when this one is refused, the others may have a new place */
	if (journal_current(s->journal)->number != before)
		rc = stage_redo(s);
	else if (result == 0)
		rc = entry_apply(s, e);
	if (rc == MDB_MAP_FULL)
		rc = stage_redo(s);
	if (rc == 0)
		return result;
	if (result == 0)
		batch_drop_last(&s->batch);
	return stage_doom(s, rc, why);
}

bool spool_has_staged(const struct spool *s)
{
	return s->batch.n > 0 || s->is_doomed;
}

size_t spool_staged_bytes(const struct spool *s)
{
	return s->batch.n > 0 ? s->batch.bytes : 0;
}

size_t spool_batch_bytes(const struct spool *s)
{
	uint64_t quarter = journal_room_max(s->journal) / 4;

	return quarter < BATCH_BYTES_MAX ? quarter : BATCH_BYTES_MAX;
}

/* --- Claims and attempts -------------------------------------------------- */

static bool is_claimable(const struct spool *s, const struct held_delivery *h,
    enum claim_for claim_for)
{
	uint64_t now = spool_now_ms(s);
	uint64_t slack = h->d.state == STATE_HELD ? 0 : CLAIM_SLACK_MS;

	if (h->claim)
		return false;
	if (claim_for == CLAIM_REPORT)
		return delivery_has_report(&h->d);
	return delivery_npending(&h->d) > 0 && h->d.state != STATE_SUSPENDED &&
	       h->d.due_ms <= now + slack;
}

static int stage_claim_record(struct spool *s, uint8_t type, uint64_t message,
    uint16_t delivery, uint8_t claim_for, struct outcome *why)
{
	struct record_claim x = {
		.at_ms = spool_now_ms(s),
		.delivery = delivery,
		.claim_for = claim_for,
	};

	record_claim_put(stage_begin(s, type, message), &x);
	return stage_end(s, (struct span){ NULL, 0 }, NULL, false, why);
}

int spool_stage_claim(struct spool *s, uint64_t message, uint16_t delivery,
    enum claim_for claim_for)
{
	struct held_delivery h;

	if (claim_for != CLAIM_DELIVER && claim_for != CLAIM_REPORT)
		return -1;
	if (stage_ready(s, NULL) < 0 ||
	    !held_load(s->index, message, delivery, &h) ||
	    !is_claimable(s, &h, claim_for))
		return -1;
	return stage_claim_record(
	    s, RECORD_CLAIM, message, delivery, (uint8_t)claim_for, NULL);
}

int spool_stage_unclaim(struct spool *s, uint64_t message, uint16_t delivery)
{
	uint8_t claim;

	if (stage_ready(s, NULL) < 0)
		return -1;
	claim = claim_read(s->index, s->index->write, message, delivery);
	if (claim == 0)
		return -1;
	return stage_claim_record(
	    s, RECORD_UNCLAIM, message, delivery, (uint8_t)(claim - 1), NULL);
}

int spool_stage_attempt(struct spool *s, const struct attempt *a)
{
	uint8_t claim;

	if (a->result.nrecipients > RCPTS_PER_DELIVERY ||
	    stage_ready(s, NULL) < 0)
		return -1;
	claim = claim_read(s->index, s->index->write, a->message, a->delivery);
	if (claim != CLAIM_DELIVER + 1)
		return -1;
	record_attempt_put(
	    stage_begin(s, RECORD_ATTEMPT, a->message), spool_now_ms(s), a);
	return stage_end(s, (struct span){ NULL, 0 }, NULL, false, NULL);
}

int stage_uncertain(struct spool *s, uint64_t message, uint16_t delivery,
    uint8_t claim_for, struct outcome *why)
{
	return stage_claim_record(s,
	    claim_for == CLAIM_DELIVER ? RECORD_UNCERTAIN : RECORD_UNCLAIM,
	    message, delivery, claim_for, why);
}
