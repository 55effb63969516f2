/* Reading everything and comparing: journal, large bodies, index, sums. */
#include <stdio.h>

#include "common/id.h"
#include "queue/spool_parts.h"

struct verify {
	struct spool *spool;
	void (*report)(const char *where, const char *what, void *arg);
	void *arg;
	void (*progress)(const char *what, uint64_t done, uint64_t of);
	uint64_t problems, done, of;
	struct index_state sums; /* counted anew */
};

static void problem(struct verify *v, const char *where, const char *what)
{
	v->problems++;
	if (v->report)
		v->report(where, what, v->arg);
}

static void progress(struct verify *v, const char *what, uint64_t more)
{
	v->done += more;
	if (v->progress)
		v->progress(what, v->done, v->of);
}

/* --- The journal ---------------------------------------------------------- */

static void verify_damage(const char *where, const char *what, void *arg)
{
	problem(arg, where, what);
}

static bool message_parses(struct span contents)
{
	struct record_message x;
	struct stored_message m;
	struct stored_delivery d;
	struct report_ref ref;

	if (record_message_get(contents, &x) < 0 ||
	    stored_message_get(x.stored, &m) < 0)
		return false;
	while (stored_ref_next(&m, &ref))
		;
	while (stored_delivery_next(&m, &d))
		;
	return !m.refs.bad && reader_is_done(&m.deliveries) &&
	       (m.is_large || x.body.n == m.body_bytes);
}

static bool contents_parse(const struct record_head *head, struct span contents)
{
	struct record_attempt attempt;
	struct record_change change;
	struct record_claim claim;

	switch (head->type) {
	case RECORD_MESSAGE:
	case RECORD_MOVE:
		return message_parses(contents);
	case RECORD_CLAIM:
	case RECORD_UNCLAIM:
	case RECORD_UNCERTAIN:
		return record_claim_get(contents, &claim) == 0;
	case RECORD_ATTEMPT:
		return record_attempt_get(contents, &attempt) == 0;
	case RECORD_CHANGE:
		return record_change_get(contents, &change) == 0;
	default:
		return head->type == RECORD_GONE;
	}
}

static int verify_record(const struct record_head *head, struct span contents,
    const struct place *place, void *arg)
{
	char where[64];

	if (contents_parse(head, contents))
		return 0;
	snprintf(where, sizeof(where), "journal %08x:%llu", place->segment,
	    (unsigned long long)place->offset);
	problem(arg, where, "a record that does not parse");
	return 0;
}

static int verify_batch(const struct record_batch *b, void *arg)
{
	progress(arg, "journal", batch_padded(b->bytes));
	return 0;
}

static void verify_journal(struct verify *v)
{
	const struct journal_visitor visitor = {
		.record = verify_record,
		.batch = verify_batch,
		.damage = verify_damage,
		.arg = v,
	};
	struct journal *j = v->spool->journal;
	struct position from = { 0, SEGMENT_DATA }, end;
	struct outcome why;

	if (journal_nsegments(j) == 0)
		return;
	from.segment = journal_segment(j, 0)->number;
	v->of = journal_bytes(j);
	if (journal_scan(j, from, 0, &visitor, &end, &why) < 0)
		problem(v, "journal", why.detail);
}

/* --- The index ------------------------------------------------------------ */

static bool has_key(struct verify *v, enum index_db db, const struct key *key)
{
	struct index *ix = v->spool->index;
	struct span value;

	return index_get(ix, ix->read, db, key_span(key), &value) == 0;
}

static void verify_delivery(struct verify *v, uint64_t id, uint16_t number,
    const struct delivery *d, uint8_t claim)
{
	bool is_scheduled = !claim && delivery_when(d) != NEVER_MS;
	char where[64];
	struct key key;

	snprintf(where, sizeof(where), "delivery %s/%u", id_text(id), number);
	if (d->n == 0)
		problem(v, where, "has no recipients");
	if (d->scheduled_ms != delivery_when(d))
		problem(v, where, "has another time than its state says");
	key_schedule(&key, d->scheduled_ms, id, number);
	if (has_key(v, DB_SCHEDULE, &key) != is_scheduled)
		problem(v, where, "is wrongly in the schedule, or not in it");
	key_destination(&key, d->domain, id, number);
	if (!has_key(v, DB_DESTINATION, &key))
		problem(v, where, "is not listed under its destination");
	v->sums.recipients += d->n;
	v->sums.by_state[delivery_visible_state(d, claim, 0)]++;
}

static uint32_t verify_deliveries(struct verify *v, uint64_t id)
{
	struct filter filter = { .id = id, .state = -1, .uid = UINT32_MAX };
	struct cursor start = { 0 };
	struct walk w;
	uint32_t n = 0;

	if (walk_begin(&w, v->spool, v->spool->index->read, &filter, &start) <
	    0)
		return 0;
	for (; walk_next(&w); n++)
		verify_delivery(v, id, w.at.delivery, &w.delivery, w.claim);
	walk_end(&w);
	return n;
}

static void verify_message(
    struct verify *v, uint64_t id, const struct message_info *m)
{
	struct spool *s = v->spool;
	struct record_head head;
	struct outcome why;
	char where[64];

	snprintf(where, sizeof(where), "message %s", id_text(id));
	if (journal_read(s->journal, &m->place, &s->record, &head, &why) < 0)
		problem(v, where, why.detail);
	else if (head.message != id)
		problem(v, where, "its record is another message's");
	if (m->is_large &&
	    large_check(&s->large, id, m->size_bytes, m->body_crc, &why) < 0)
		problem(v, where, why.detail);
	if (verify_deliveries(v, id) != m->open)
		problem(v, where, "has another number of deliveries");
	v->sums.messages++;
	v->sums.bytes += m->size_bytes;
	v->sums.large_files += m->is_large;
	progress(v, "messages", 1);
}

static void verify_messages(struct verify *v)
{
	MDB_cursor *cursor;
	MDB_val k, val;

	/* its own: what verify_message calls uses the index's */
	if (mdb_cursor_open(v->spool->index->read,
		v->spool->index->db[DB_MESSAGE], &cursor) != 0) {
		problem(v, "index", "cannot be read");
		return;
	}
	v->done = 0;
	v->of = v->spool->index->now.messages;
	while (mdb_cursor_get(cursor, &k, &val, MDB_NEXT) == 0) {
		struct message_info m;

		if (k.mv_size == 8 &&
		    message_info_get(
			(struct span){ val.mv_data, val.mv_size }, &m) == 0)
			verify_message(v, get_be64(k.mv_data), &m);
		else
			problem(v, "index", "a message that does not parse");
	}
	mdb_cursor_close(cursor);
}

/* Rows of a table that should have a delivery each. */
static void verify_table(struct verify *v, enum index_db db, const char *name)
{
	struct index *ix = v->spool->index;
	MDB_val k, val;
	int op = MDB_FIRST;

	for (; mdb_cursor_get(ix->cursor[db], &k, &val, op) == 0;
	     op = MDB_NEXT) {
		struct span row = { k.mv_data, k.mv_size };
		struct key key;
		uint64_t id;
		uint16_t number;

		if (db == DB_ATTEMPT)
			row.n -= row.n >= 14 ? 4 : 0;
		key_tail(row, &id, &number);
		key_delivery(&key, id, number);
		if (!has_key(v, DB_DELIVERY, &key))
			problem(v, name, "a row without its delivery");
	}
}

static void verify_sum(
    struct verify *v, const char *name, uint64_t counted, uint64_t kept)
{
	char what[96];

	if (counted == kept)
		return;
	snprintf(what, sizeof(what), "%s: %llu counted, %llu kept", name,
	    (unsigned long long)counted, (unsigned long long)kept);
	problem(v, "sums", what);
}

static void verify_sums(struct verify *v)
{
	const struct index_state *now = &v->spool->index->now;
	const struct ledger *l = &now->ledger;

	verify_sum(v, "messages", v->sums.messages, now->messages);
	verify_sum(v, "recipients", v->sums.recipients, now->recipients);
	verify_sum(v, "bytes", v->sums.bytes, now->bytes);
	verify_sum(v, "large files", v->sums.large_files, now->large_files);
	for (unsigned i = 0; i < STATE_COUNT; i++)
		verify_sum(v, delivery_state_name((uint8_t)i),
		    v->sums.by_state[i], now->by_state[i]);
	verify_sum(v, "accepted",
	    l->delivered + l->failed + l->retracted + v->sums.recipients,
	    l->accepted);
}

uint64_t spool_verify(struct spool *s,
    void (*report)(const char *where, const char *what, void *arg), void *arg,
    void (*progress_to)(const char *what, uint64_t done, uint64_t of))
{
	struct verify v = { .spool = s,
		.report = report,
		.arg = arg,
		.progress = progress_to };

	verify_journal(&v);
	if (index_read_begin(s->index) != 0) {
		problem(&v, "index", "cannot be read");
		return v.problems;
	}
	verify_messages(&v);
	verify_table(&v, DB_SCHEDULE, "schedule");
	verify_table(&v, DB_DESTINATION, "destinations");
	verify_table(&v, DB_ATTEMPT, "attempts");
	verify_table(&v, DB_CLAIM, "claims");
	verify_sums(&v);
	index_read_end(s->index);
	index_let_go(s->index);
	return v.problems;
}
