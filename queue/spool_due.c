/* Reading: what is due, and what of one message waits. */
#include "common/cause.h"
#include "queue/spool_parts.h"

static void waiting_fill(
    struct waiting *w, const struct message_info *m, const struct delivery *d)
{
	w->accepted_at = m->accepted_ms / 1000;
	w->expires_at = m->expires_at;
	w->size_bytes = m->size_bytes;
	w->nrecipients = (uint16_t)delivery_npending(d);
	w->attempts = d->attempts;
	w->line_deaths = d->line_deaths;
	w->priority = m->priority;
	w->flags = (uint8_t)((delivery_has_report(d) ? WAITING_REPORT : 0) |
			     (d->uncertain ? WAITING_UNCERTAIN : 0) |
			     (d->warned ? WAITING_WARNED : 0) |
			     (m->requiretls ? WAITING_REQUIRETLS : 0));
	w->origin = m->origin;
	w->uid = m->uid;
	w->domain = d->domain;
	w->sender = m->sender;
	w->line = m->line;
	w->relay = cause_part(d->cause, "relay");
}

static bool due_visit(struct spool *s, struct span key,
    bool (*visit)(const struct waiting *w, void *arg), void *arg)
{
	struct index *ix = s->index;
	struct message_info m;
	struct waiting w;
	struct delivery d;
	uint8_t claim;

	w.due_ms = get_be64(key.p);
	key_tail(key, &w.message, &w.delivery);
	if (!delivery_read(ix, ix->read, w.message, w.delivery, &d, &claim) ||
	    !message_read(ix, ix->read, w.message, &m)) {
		s->must_reindex = true;
		return true;
	}
	waiting_fill(&w, &m, &d);
	return visit(&w, arg);
}

/* The first key after the query's. */
static int due_first(struct spool *s, const struct due_query *q, MDB_val *k)
{
	MDB_cursor *cursor = s->index->cursor[DB_SCHEDULE];
	struct key after;
	MDB_val v;
	int rc;

	key_schedule(
	    &after, q->after_due_ms, q->after_message, q->after_delivery);
	*k = (MDB_val){ after.n, after.bytes };
	rc = mdb_cursor_get(cursor, k, &v, MDB_SET_RANGE);
	if (rc == 0 && k->mv_size == after.n &&
	    memcmp(k->mv_data, after.bytes, after.n) == 0)
		rc = mdb_cursor_get(cursor, k, &v, MDB_NEXT);
	return rc;
}

static size_t due_walk(struct spool *s, const struct due_query *q,
    bool (*visit)(const struct waiting *w, void *arg), void *arg, MDB_val *k,
    int *rc)
{
	size_t n = 0;

	for (*rc = due_first(s, q, k); *rc == 0;) {
		struct span key = { k->mv_data, k->mv_size };
		bool goes_on;
		MDB_val v;

		if (get_be64(key.p) > q->until_ms || n >= q->max)
			break;
		goes_on = due_visit(s, key, visit, arg);
		n++;
		*rc = mdb_cursor_get(
		    s->index->cursor[DB_SCHEDULE], k, &v, MDB_NEXT);
		if (!goes_on)
			break;
	}
	return n;
}

size_t spool_due(struct spool *s, const struct due_query *q,
    bool (*visit)(const struct waiting *w, void *arg), void *arg,
    uint64_t *next_due_ms, bool *has_more)
{
	MDB_val k;
	size_t n;
	int rc;

	*next_due_ms = 0;
	*has_more = false;
	if (index_read_begin(s->index) != 0) {
		*next_due_ms = spool_now_ms(s) + AGAIN_MS;
		return 0;
	}
	n = due_walk(s, q, visit, arg, &k, &rc);
	if (rc != 0 && rc != MDB_NOTFOUND)
		*next_due_ms = spool_now_ms(s) + AGAIN_MS;
	if (rc == 0) {
		*next_due_ms = get_be64(k.mv_data);
		*has_more = *next_due_ms <= q->until_ms;
	}
	index_read_end(s->index);
	if (n > MANY_ROWS)
		index_let_go(s->index);
	return n;
}

size_t spool_waiting(struct spool *s, uint64_t message,
    bool (*visit)(const struct waiting *w, void *arg), void *arg)
{
	struct index *ix = s->index;
	struct waiting w = { .message = message };
	struct message_info m;
	struct delivery d;
	size_t n = 0;
	uint8_t claim;

	if (index_read_begin(ix) != 0)
		return 0;
	if (!message_read(ix, ix->read, message, &m))
		goto done;
	/* Deliveries are numbered from 0; the first that is missing ends a
	 * new message's. */
	for (; delivery_read(ix, ix->read, message, w.delivery, &d, &claim);
	     w.delivery++) {
		if (claim)
			continue;
		w.due_ms = d.scheduled_ms;
		waiting_fill(&w, &m, &d);
		n++;
		if (!visit(&w, arg))
			break;
	}
done:
	index_read_end(ix);
	return n;
}
