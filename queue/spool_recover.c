/* Recovery: the index brought up to the journal's end, or made anew; what was
 * handed out when the keeper died. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/log.h"
#include "queue/index_home.h"
#include "queue/spool_parts.h"

enum { CLAIMS_IN_BATCH = 1000 };

static void index_path(const struct spool *s, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.4000s/index", s->path);
}

/* --- Replay --------------------------------------------------------------- */

struct replay {
	struct spool *spool;
	struct outcome *why;
	unsigned batches;  /* in this transaction */
	uint64_t done, of; /* bytes */
	int rc;		   /* LMDB's, when it stopped the scan */
};

static void replay_torn(const char *where, const char *what, void *arg)
{
	(void)arg;
	log_warn("spool-damage", "where", where, "what", what, NULL);
}

static void replay_damage(const char *where, const char *what, void *arg)
{
	struct replay *r = arg;

	r->spool->is_damaged = true;
	replay_torn(where, what, arg);
}

static int replay_record(const struct record_head *head, struct span contents,
    const struct place *place, void *arg)
{
	struct replay *r = arg;
	struct index *ix = r->spool->index;

	if (head->version > RECORD_VERSION || head->type >= RECORD_TYPE_END) {
		outcome_temp(r->why, "4.3.0",
		    "journal %08x: record of a newer Outpost at %llu",
		    place->segment, (unsigned long long)place->offset);
		return -1;
	}
	r->rc = index_begin(ix);
	if (r->rc != 0)
		return -1;
	if (index_apply(ix, head, contents, place) < 0)
		log_warn("spool-damage", "where",
		    log_text("journal %08x:%llu", place->segment,
			(unsigned long long)place->offset),
		    "what", "a record that does not parse", "type",
		    record_type_name(head->type), NULL);
	r->rc = ix->error;
	return r->rc ? -1 : 0;
}

static int replay_batch(const struct record_batch *b, void *arg)
{
	struct replay *r = arg;
	struct spool *s = r->spool;
	struct index *ix = s->index;

	r->rc = index_begin(ix);
	if (r->rc != 0)
		return -1;
	/* a record may speak of a message whose segment is long gone: what it
	 * settled is in the sums only */
	ix->staged.ledger = b->ledger;
	ix->staged.batch = (struct position){ b->segment, b->offset };
	ix->staged.next = ix->staged.batch;
	ix->staged.next.offset += batch_padded(b->bytes);
	ix->staged.batch_number = b->number;
	if (b->last_id > ix->staged.last_id)
		ix->staged.last_id = b->last_id;
	r->done += batch_padded(b->bytes);
	if (++r->batches < REPLAY_BATCHES)
		return 0;
	r->batches = 0;
	if (s->progress)
		s->progress("reading the journal", r->done, r->of);
	r->rc = index_save_state(ix);
	if (r->rc == 0)
		r->rc = index_commit(ix);
	return r->rc ? -1 : 0;
}

/* The last part, with the end as the place of the next batch. */
static int replay_finish(struct spool *s, struct position end)
{
	int rc = index_begin(s->index);

	if (rc != 0)
		return rc;
	if (end.segment)
		s->index->staged.next = end;
	rc = index_save_state(s->index);
	return rc == 0 ? index_commit(s->index) : rc;
}

static int replay_once(struct spool *s, struct position *end, struct replay *r)
{
	const struct journal_visitor visitor = {
		.record = replay_record,
		.batch = replay_batch,
		.damage = replay_damage,
		.torn = replay_torn,
		.arg = r,
	};
	struct index *ix = s->index;
	int result;

	r->batches = 0;
	r->rc = 0;
	result = journal_scan(s->journal, ix->now.next, ix->now.batch_number,
	    &visitor, end, r->why);
	if (result == 0)
		r->rc = replay_finish(s, *end);
	index_abort(ix);
	return result != 0 && r->rc == 0 ? -1 : r->rc;
}

static int replay(struct spool *s, struct position *end, struct outcome *why)
{
	struct replay r = {
		.spool = s, .why = why, .of = journal_bytes(s->journal)
	};
	int rc;

	s->index->is_replaying = true;
	do {
		rc = replay_once(s, end, &r);
		if (rc == MDB_MAP_FULL)
			rc = index_grow(s->index) == 0 ? MDB_MAP_FULL : ENOMEM;
	} while (rc == MDB_MAP_FULL);
	s->index->is_replaying = false;
	buf_reset(&s->index->gone_large); /* see orphans_remove */
	if (rc == -1)
		return -1;
	return rc == 0 ? 0 : outcome_index(why, rc);
}

/* --- The index, old or new ------------------------------------------------ */

/* Does what the index says of the journal fit what is there? */
static bool index_fits(const struct spool *s)
{
	const struct index_state *now = &s->index->now;

	if (now->batch_number == 0)
		return false;
	return journal_has_batch(s->journal, now->batch, now->batch_number) &&
	       journal_find(s->journal, now->next.segment);
}

static int index_start(struct spool *s, struct outcome *why)
{
	const struct segment *first;
	struct index_state *now;
	char path[PATH_MAX];
	bool is_damaged;

	index_path(s, path);
	index_close(s->index, false);
	s->index = NULL;
	if (index_remove(path) < 0)
		return outcome_temp(
		    why, "4.3.0", "%s: %s", path, strerror(errno));
	s->index = index_open(path, false, 0, &is_damaged, why);
	if (!s->index)
		return -1;
	now = &s->index->now;
	if (journal_nsegments(s->journal) == 0)
		return 0;
	first = journal_segment(s->journal, 0);
	now->ledger = first->ledger;
	now->last_id = first->last_id;
	now->batch_number = first->batch_number;
	now->next = (struct position){ first->number, SEGMENT_DATA };
	return 0;
}

static int index_load(
    struct spool *s, const char *home, bool *is_new, struct outcome *why)
{
	const char *reason = NULL;
	char path[PATH_MAX];
	bool is_damaged;

	index_path(s, path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return outcome_temp(
		    why, "4.3.0", "%s: %s", path, strerror(errno));
	s->index = index_open(path, false, 0, &is_damaged, why);
	if (!s->index && !is_damaged)
		return -1;
	if (s->index && s->index->now.batch_number > 0 &&
	    journal_nsegments(s->journal) == 0 && !journal_has_bad(s->journal))
		return outcome_temp(why, "4.3.0",
		    "the journal is gone, and %s knows of %llu messages: put "
		    "it back, or remove the whole spool to begin a new one",
		    path, (unsigned long long)s->index->now.messages);
	if (!s->index)
		reason = "it cannot be read";
	else if (!index_is_trusted(s->index, home))
		reason = "not closed before the machine or mount went away";
	else if (!index_fits(s))
		reason = "it does not fit the journal";
	*is_new = reason != NULL;
	if (!reason)
		return 0;
	if (journal_nsegments(s->journal) > 0)
		log_event("spool-index-rebuild", "why", reason, NULL);
	return index_start(s, why);
}

/* --- After the replay ----------------------------------------------------- */

/* A batch found whole may be in the page cache only: the keeper died before
 * its sync, or the sync failed and the kernel calls the pages clean. */
static int tail_secure(
    struct spool *s, struct position end, struct outcome *why)
{
	const struct segment *current = journal_current(s->journal);
	const struct position batch = s->index->now.batch;

	if (!current)
		return 0;
	if (end.segment != current->number)
		end.offset = SEGMENT_DATA;
	journal_set_at(s->journal, end.offset);
	if (batch.segment == current->number && batch.offset &&
	    journal_resync(s->journal, batch.offset, end.offset) < 0)
		return outcome_temp(
		    why, "4.3.0", "journal: %s", strerror(errno));
	return 0;
}

struct orphans {
	struct spool *spool;
	struct buf ids;
	uint64_t named; /* bodies that a message has */
};

static void orphan_find(uint64_t id, void *arg)
{
	struct orphans *o = arg;
	struct message_info m;

	/* a row that cannot be read is no reason to remove a body */
	if (!message_read(o->spool->index, o->spool->index->read, id, &m) &&
	    o->spool->index->error == 0)
		put_u64(&o->ids, id);
	else
		o->named += m.is_large;
}

/* Bodies that no message names any more: their removal, or the message's
 * record, was cut off by the crash. 1: the index counts more bodies than it
 * names, so it hides messages; nothing is removed. */
static int orphans_remove(struct spool *s, struct outcome *why)
{
	struct orphans o = { .spool = s };
	struct reader ids;
	int result;

	buf_init(&o.ids, (size_t)1 << 30);
	if (index_read_begin(s->index) != 0)
		return outcome_temp(why, "4.3.0", "index: cannot be read");
	result = large_list(&s->large, orphan_find, &o);
	index_read_end(s->index);
	if (result < 0)
		outcome_temp(why, "4.3.0", "large bodies: %s", strerror(errno));
	else if (o.ids.len > 0 && o.named != s->index->now.large_files)
		result = 1;
	ids = reader_of(buf_span(&o.ids));
	while (result == 0 && ids.rest.n > 0)
		large_remove(&s->large, get_u64(&ids));
	buf_clear(&o.ids);
	return result;
}

/* Up to n claims: u64 message, u16 delivery, u8 claim_for each. */
static size_t claims_collect(struct spool *s, size_t n, struct buf *out)
{
	struct index *ix = s->index;
	size_t found = 0;
	MDB_val k, v;
	int op = MDB_FIRST;

	if (index_read_begin(ix) != 0)
		return 0;
	for (;
	     found < n && mdb_cursor_get(ix->cursor[DB_CLAIM], &k, &v, op) == 0;
	     op = MDB_NEXT) {
		uint64_t id;
		uint16_t number;

		key_tail((struct span){ k.mv_data, k.mv_size }, &id, &number);
		put_u64(out, id);
		put_u16(out, number);
		put_u8(out, v.mv_size == 2 ? ((uint8_t *)v.mv_data)[1] : 0);
		found++;
	}
	index_read_end(ix);
	return found;
}

static int claims_release(struct spool *s, struct outcome *why)
{
	struct buf claims;
	int result = 0;

	buf_init(&claims, CLAIMS_IN_BATCH * 16);
	while (result == 0 && claims_collect(s, CLAIMS_IN_BATCH, &claims) > 0) {
		struct reader r = reader_of(buf_span(&claims));

		result = stage_ready(s, why);
		while (result == 0 && r.rest.n > 0) {
			uint64_t id = get_u64(&r);
			uint16_t number = get_u16(&r);

			result =
			    stage_uncertain(s, id, number, get_u8(&r), why);
		}
		if (result == 0)
			result = spool_commit(s, why);
		buf_reset(&claims);
	}
	buf_clear(&claims);
	return result;
}

/* --- All of it ------------------------------------------------------------ */

static int first_segment(struct spool *s, struct outcome *why)
{
	if (journal_nsegments(s->journal) > 0)
		return 0;
	return journal_advance(s->journal, &s->index->now, false, why);
}

static int index_catch_up(struct spool *s, struct outcome *why)
{
	struct position end = { 0, SEGMENT_DATA };

	if (journal_nsegments(s->journal) > 0 && replay(s, &end, why) < 0)
		return -1;
	return tail_secure(s, end, why);
}

/* What damage hides may have a body: none is removed then. */
static bool is_journal_whole(const struct spool *s)
{
	return !s->is_damaged && !journal_has_bad(s->journal) &&
	       journal_nsegments(s->journal) > 0;
}

/* The index was trusted, but the journal knows better. */
static int index_renew(struct spool *s, const char *home, struct outcome *why)
{
	if (index_start(s, why) < 0)
		return -1;
	if (index_claim_home(s->index, home) < 0)
		return outcome_temp(why, "4.3.0", "index: cannot be written");
	return index_catch_up(s, why);
}

static int bodies_tidy(struct spool *s, const char *home, struct outcome *why)
{
	int result;

	if (!is_journal_whole(s))
		return 0;
	result = orphans_remove(s, why);
	if (result != 1)
		return result;
	log_event("spool-index-rebuild", "why", "it hides messages", NULL);
	return index_renew(s, home, why) < 0 || orphans_remove(s, why) < 0 ? -1
									   : 0;
}

int spool_recover(struct spool *s, struct outcome *why)
{
	char home[HOME_TEXT_MAX];
	bool is_new = false, was_clean;

	index_home_print(s->path, home);
	if (index_load(s, home, &is_new, why) < 0)
		return -1;
	was_clean = !is_new && s->index->was_clean;
	if (index_claim_home(s->index, home) < 0)
		return outcome_temp(why, "4.3.0", "index: cannot be written");
	if (index_catch_up(s, why) < 0) {
		if (is_new || index_renew(s, home, why) < 0)
			return -1;
		was_clean = false;
	}
	if ((!was_clean && bodies_tidy(s, home, why) < 0) ||
	    first_segment(s, why) < 0)
		return -1;
	s->last_id = s->index->now.last_id;
	index_space_keep(s);
	return claims_release(s, why);
}

int spool_reindex(struct spool *s, struct outcome *why)
{
	uint64_t last_id = s->last_id, at = journal_at(s->journal);
	char home[HOME_TEXT_MAX];
	struct position end;

	log_warn("spool-index-rebuild", "why", "it gave an error", NULL);
	stage_abort(s);
	index_home_print(s->path, home);
	if (index_start(s, why) < 0 && !s->index)
		fatal(EXIT_TRY_LATER, "no new index: %s", why->detail);
	if (index_claim_home(s->index, home) < 0)
		return outcome_temp(why, "4.3.0", "index: cannot be written");
	if (replay(s, &end, why) < 0)
		return -1;
	journal_set_at(s->journal, at);
	s->last_id = last_id;
	s->must_reindex = false;
	return 0;
}
