/* Listing recipients, and the sums. */
#include "queue/spool_parts.h"

static void item_fill(struct item *item, const struct walk *w,
    const struct delivery_recipient *r, uint64_t now_ms)
{
	const struct message_info *m = &w->message;
	const struct delivery *d = &w->delivery;

	*item = (struct item){
		.message = w->at.message,
		.delivery = w->at.delivery,
		.recipient = r->index,
		.state = r->state == RECIPIENT_PENDING
			     ? delivery_visible_state(d, w->claim, now_ms)
			     : STATE_REPORTING,
		.report = r->report,
		.accepted_at = m->accepted_ms / 1000,
		.next_try_ms = d->due_ms,
		.expires_at = m->expires_at,
		.size_bytes = m->size_bytes,
		.attempts = d->attempts,
		.uncertain = d->uncertain,
		.uid = m->uid,
		.sender = m->sender,
		.address = r->address,
		.domain = d->domain,
		.line = d->line.n > 0 ? d->line : m->line,
		.reply = r->reply,
		.status = r->status,
		.cause = d->cause,
	};
}

struct listing {
	const struct filter *filter;
	struct cursor *after;
	size_t left; /* recipients that may still be examined */
	bool (*visit)(const struct item *item, void *arg);
	void *arg;
	uint64_t now_ms;
};

/* False: stop here. */
static bool list_delivery(struct listing *l, const struct walk *w)
{
	struct matched m = { &w->message, &w->delivery, w->claim, l->now_ms };
	bool is_resumed = l->after->message == w->at.message &&
			  l->after->delivery == w->at.delivery;

	for (unsigned i = 0; i < w->delivery.n; i++) {
		const struct delivery_recipient *r = &w->delivery.recipients[i];
		struct item item;

		if (is_resumed && r->index <= l->after->recipient)
			continue;
		if (l->left-- == 0)
			return false;
		*l->after =
		    (struct cursor){ w->at.message, w->at.delivery, r->index };
		if (!filter_is_match(l->filter, w->at.message, &m, r))
			continue;
		item_fill(&item, w, r, l->now_ms);
		if (!l->visit(&item, l->arg))
			return false;
	}
	return true;
}

bool spool_list(struct spool *s, const struct filter *filter,
    struct cursor *after, size_t max_examined,
    bool (*visit)(const struct item *item, void *arg), void *arg)
{
	struct listing l = { filter, after, max_examined, visit, arg,
		spool_now_ms(s) };
	bool has_more = false;
	struct walk w;

	s->list_error = index_read_begin(s->index);
	if (s->list_error != 0)
		return false;
	if (walk_begin(&w, s, s->index->read, filter, after) == 0)
		while (!has_more && walk_next(&w))
			has_more = !list_delivery(&l, &w);
	s->list_error = w.error;
	walk_end(&w);
	index_read_end(s->index);
	if (max_examined - l.left > MANY_ROWS)
		index_let_go(s->index);
	return has_more;
}

int spool_list_result(const struct spool *s, struct outcome *why)
{
	return s->list_error ? outcome_index(why, s->list_error) : 0;
}

static uint64_t oldest_accepted(struct spool *s)
{
	struct message_info m;
	MDB_val k, v;

	if (mdb_cursor_get(s->index->cursor[DB_MESSAGE], &k, &v, MDB_FIRST) ||
	    message_info_get((struct span){ v.mv_data, v.mv_size }, &m) < 0)
		return 0;
	return m.accepted_ms / 1000;
}

void spool_stats(struct spool *s, struct spool_stats *stats)
{
	const struct index_state *now = &s->index->now;
	const struct journal_counts *counts = journal_counts(s->journal);

	memset(stats, 0, sizeof(*stats));
	if (index_read_begin(s->index) == 0) {
		stats->oldest_accepted_at = oldest_accepted(s);
		index_read_end(s->index);
	}
	stats->messages = now->messages;
	stats->recipients = now->recipients;
	stats->bytes = now->bytes;
	memcpy(stats->by_state, now->by_state, sizeof(stats->by_state));
	stats->accepted = now->ledger.accepted;
	stats->delivered = now->ledger.delivered;
	stats->failed = now->ledger.failed;
	stats->retracted = now->ledger.retracted;
	stats->uncertain = now->ledger.uncertain;
	stats->accepted_messages = now->ledger.accepted_messages;
	stats->journal_bytes = journal_bytes(s->journal);
	stats->free_bytes = journal_free_bytes(s->journal);
	stats->large_files = now->large_files;
	stats->syncs = counts->syncs;
	stats->bytes_written = counts->bytes_written;
}
