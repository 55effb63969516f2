/* Commit: one write, one sync, one index transaction. */
#include <errno.h>
#include <fcntl.h>

#include "common/log.h"
#include "queue/spool_parts.h"

enum { COMMIT_TRIES = 24 };

static struct record_batch batch_head(const struct spool *s)
{
	const struct segment *segment = journal_current(s->journal);

	return (struct record_batch){
		.generation = segment->generation,
		.segment = segment->number,
		.offset = journal_at(s->journal),
		.number = s->index->now.batch_number + 1,
		.at_ms = spool_now_ms(s),
		.last_id = s->index->staged.last_id,
		.ledger = s->index->staged.ledger,
	};
}

/* Bring the index to the state after this batch, uncommitted. */
static int index_prepare(struct spool *s, const struct record_batch *head)
{
	struct index *ix = s->index;
	struct position at = { head->segment, head->offset };

	for (int i = 0; i < COMMIT_TRIES; i++) {
		int rc;

		ix->staged.batch = ix->staged.next = at;
		ix->staged.next.offset += batch_padded(s->batch.bytes);
		ix->staged.batch_number = head->number;
		rc = index_save_state(ix);
		if (rc != MDB_MAP_FULL)
			return rc;
		rc = stage_redo(s);
		if (rc != 0)
			return rc;
	}
	return MDB_MAP_FULL;
}

static int index_finish(struct spool *s, const struct record_batch *head)
{
	int rc = index_commit(s->index);

	/* LMDB may find out at the very end that its map is full */
	for (int i = 0; rc == MDB_MAP_FULL && i < COMMIT_TRIES; i++) {
		rc = index_grow(s->index);
		if (rc == 0)
			rc = stage_redo(s);
		if (rc == 0)
			rc = index_prepare(s, head);
		if (rc == 0)
			rc = index_commit(s->index);
	}
	return rc;
}

static int commit_failed(struct spool *s)
{
	stage_abort(s);
	/* what was moved forward has to be moved again */
	s->move_at = (struct position){ 0 };
	s->moved_segment = 0;
	return -1;
}

static int index_failed(struct spool *s, int rc, struct outcome *why)
{
	log_warn("spool-index-error", "error", mdb_strerror(rc), NULL);
	s->must_reindex |= rc < 0 && rc != MDB_MAP_FULL;
	s->is_index_tight |= rc == ENOSPC;
	outcome_index(why, rc);
	return commit_failed(s);
}

/* Some or all of the batch may be on the disk. It must not come back after a
 * crash, now that it is refused: the next segment's header cuts it off. */
static void batch_forget(struct spool *s)
{
	uint64_t at = journal_at(s->journal);
	struct outcome why;

	if (journal_advance(s->journal, &s->index->now, false, &why) < 0 &&
	    journal_revoke(s->journal, at) < 0)
		log_warn("spool-revoke-failed", "segment",
		    log_text("%08x", journal_current(s->journal)->number),
		    "why", why.detail, NULL);
}

static int journal_failed(struct spool *s, struct outcome *why)
{
	log_warn("spool-write-failed", "segment",
	    log_text("%08x", journal_current(s->journal)->number), "error",
	    why->detail, NULL);
	s->must_repair = true;
	if (!s->is_repairing) {
		s->repair_segment = journal_current(s->journal)->number;
		s->repair_end = journal_at(s->journal);
	}
	/* before its large bodies go */
	batch_forget(s);
	commit_failed(s);
	spool_repair(s);
	return -1;
}

static void large_finished(struct spool *s)
{
	struct reader gone = reader_of(buf_span(&s->index->gone_large));

	while (gone.rest.n > 0)
		large_remove(&s->large, get_u64(&gone));
	buf_reset(&s->index->gone_large);
	for (size_t i = 0; i < s->batch.n; i++)
		if (s->batch.entries[i].incoming)
			s->batch.entries[i].incoming->is_finished = false;
	s->has_large_staged = false;
}

/* Keep file space for the index to grow into, so that outcomes can still be
 * recorded when the disk is full; new mail is refused then. */
void index_space_keep(struct spool *s)
{
	MDB_envinfo info;
	uint64_t used, wanted;
	int fd;

	if (mdb_env_info(s->index->env, &info) != 0 ||
	    mdb_env_get_fd(s->index->env, &fd) != 0)
		return;
	used = (uint64_t)info.me_last_pgno * 4096;
	if (!s->is_index_tight && used + INDEX_AHEAD / 2 < s->index_file_bytes)
		return;
	wanted = used + INDEX_AHEAD;
	s->is_index_tight =
	    fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)wanted) < 0 &&
	    errno != EOPNOTSUPP;
	if (!s->is_index_tight)
		s->index_file_bytes = wanted;
}

static int commit_write(
    struct spool *s, struct record_batch *head, struct outcome *why)
{
	size_t n;
	struct iovec *iov =
	    batch_finish(&s->batch, head, journal_session(s->journal), &n);
	int rc;

	if (!iov) {
		outcome_temp(why, "4.3.0", "out of memory");
		return commit_failed(s);
	}
	if (journal_write(s->journal, iov, n, s->batch.bytes, why) < 0)
		return journal_failed(s, why);
	rc = index_finish(s, head);
	if (rc == 0)
		return 0;
	if (journal_revoke(s->journal, head->offset) < 0)
		batch_forget(s);
	return index_failed(s, rc, why);
}

int spool_commit(struct spool *s, struct outcome *why)
{
	struct record_batch head;
	struct outcome unused = { 0 };
	int rc;

	why = why ? why : &unused;
	if (s->is_doomed) {
		outcome_temp(why, "4.3.0", "the index failed");
		return commit_failed(s);
	}
	if (s->batch.n == 0) {
		index_abort(s->index);
		return 0;
	}
	if (s->has_large_staged && large_sync_folder(&s->large, why) < 0)
		return commit_failed(s);
	head = batch_head(s);
	rc = index_prepare(s, &head);
	if (rc != 0)
		return index_failed(s, rc, why);
	if (commit_write(s, &head, why) < 0)
		return -1;
	large_finished(s);
	batch_reset(&s->batch);
	s->committed_ms = head.at_ms;
	index_space_keep(s);
	return 0;
}
