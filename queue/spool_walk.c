/* Walking over deliveries: by id, or by destination when that is asked for. */
#include <ctype.h>

#include "queue/spool_parts.h"

static bool is_exact(struct span destination)
{
	return destination.n > 0 && span_find(destination, '*') < 0 &&
	       destination.n < INDEX_KEY_MAX - 11;
}

/* Where to begin, and what all keys of interest begin with. */
static void walk_keys(
    struct walk *w, struct key *from, const struct cursor *after)
{
	char domain[INDEX_KEY_MAX];
	struct span d = w->filter->destination;

	if (d.n > 0 && d.p[0] == '@')
		d = span_from(d, 1);
	w->by_destination = !w->filter->id && is_exact(d);
	if (!w->by_destination) {
		key_delivery(from, after->message, after->delivery);
		w->prefix.n = 0;
		if (!w->filter->id)
			return;
		key_message(&w->prefix, w->filter->id);
		if (after->message != w->filter->id)
			key_delivery(from, w->filter->id, 0);
		return;
	}
	for (size_t i = 0; i < d.n; i++)
		domain[i] = (char)tolower((unsigned char)d.p[i]);
	d.p = domain;
	key_destination(from, d, after->message, after->delivery);
	w->prefix = *from;
	w->prefix.n = d.n + 1;
}

int walk_begin(struct walk *w, struct spool *s, MDB_txn *txn,
    const struct filter *filter, const struct cursor *after)
{
	enum index_db db;

	memset(w, 0, offsetof(struct walk, delivery));
	w->spool = s;
	w->txn = txn;
	w->filter = filter;
	walk_keys(w, &w->from, after);
	db = w->by_destination ? DB_DESTINATION : DB_DELIVERY;
	w->error = mdb_cursor_open(txn, s->index->db[db], &w->cursor);
	if (w->error == 0)
		return 0;
	w->cursor = NULL;
	return -1;
}

void walk_end(struct walk *w)
{
	if (w->cursor)
		mdb_cursor_close(w->cursor);
	w->cursor = NULL;
}

static bool walk_load(struct walk *w)
{
	struct index *ix = w->spool->index;

	if (!delivery_read(ix, w->txn, w->at.message, w->at.delivery,
		&w->delivery, &w->claim))
		return false;
	/* read again each time: a value may move in a write transaction */
	return message_read(ix, w->txn, w->at.message, &w->message);
}

bool walk_next(struct walk *w)
{
	MDB_val k = { w->from.n, w->from.bytes }, v;
	int rc = mdb_cursor_get(
	    w->cursor, &k, &v, w->is_begun ? MDB_NEXT : MDB_SET_RANGE);

	w->is_begun = true;
	for (; rc == 0; rc = mdb_cursor_get(w->cursor, &k, &v, MDB_NEXT)) {
		if (w->prefix.n > k.mv_size ||
		    memcmp(k.mv_data, w->prefix.bytes, w->prefix.n) != 0)
			return false;
		key_tail((struct span){ k.mv_data, k.mv_size }, &w->at.message,
		    &w->at.delivery);
		if (walk_load(w))
			return true;
		w->spool->must_reindex = !w->spool->read_only;
	}
	if (rc != MDB_NOTFOUND)
		w->error = rc;
	return false;
}
