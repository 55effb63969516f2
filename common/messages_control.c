/* Contents of messages: inspection and control of the queue. */
#include "common/messages.h"

#include "common/messages_get.h"

const char *delivery_state_name(uint8_t state)
{
	static const char *const names[STATE_COUNT] = { "ready", "active",
		"deferred", "held", "suspended", "uncertain", "reporting" };

	return state < STATE_COUNT ? names[state] : "unknown";
}

void cursor_put(struct buf *b, const struct cursor *c)
{
	put_u64(b, c->message);
	put_u16(b, c->delivery);
	put_u16(b, c->recipient);
}

void cursor_get(struct reader *r, struct cursor *c)
{
	c->message = get_u64(r);
	c->delivery = get_u16(r);
	c->recipient = get_u16(r);
}

void filter_put(struct buf *b, const struct filter *f)
{
	put_u64(b, f->id);
	put_u8(b, (uint8_t)f->state);
	put_span(b, f->sender);
	put_span(b, f->recipient);
	put_span(b, f->destination);
	put_span(b, f->line);
	put_span(b, f->cause);
	put_u64(b, f->older_than);
	put_u64(b, f->newer_than);
	put_u32(b, f->uid);
}

void filter_get(struct reader *r, struct filter *f)
{
	f->id = get_u64(r);
	f->state = (int8_t)get_u8(r);
	f->sender = get_line(r, ADDRESS_MAX);
	f->recipient = get_line(r, ADDRESS_MAX);
	f->destination = get_line(r, ADDRESS_MAX);
	f->line = get_line(r, 255);
	f->cause = get_line(r, 255);
	f->older_than = get_u64(r);
	f->newer_than = get_u64(r);
	f->uid = get_u32(r);
	if (f->state < -1 || f->state >= STATE_COUNT)
		r->bad = true;
}

void list_query_put(struct buf *b, const struct list_query *q)
{
	filter_put(b, &q->filter);
	cursor_put(b, &q->after);
	put_u32(b, q->max);
	put_u8(b, q->count_only);
}

void list_query_get(struct reader *r, struct list_query *q)
{
	filter_get(r, &q->filter);
	cursor_get(r, &q->after);
	q->max = get_u32(r);
	q->count_only = get_bool(r);
}

void item_put(struct buf *b, const struct item *i)
{
	put_u64(b, i->message);
	put_u16(b, i->delivery);
	put_u16(b, i->recipient);
	put_u8(b, i->state);
	put_u8(b, i->report);
	put_u64(b, i->accepted_at);
	put_u64(b, i->next_try_ms);
	put_u64(b, i->expires_at);
	put_u64(b, i->size_bytes);
	put_u16(b, i->attempts);
	put_u16(b, i->uncertain);
	put_u32(b, i->uid);
	put_span(b, i->sender);
	put_span(b, i->address);
	put_span(b, i->domain);
	put_span(b, i->line);
	put_span(b, i->reply);
	put_span(b, i->status);
	put_span(b, i->cause);
}

void item_get(struct reader *r, struct item *i)
{
	i->message = get_u64(r);
	i->delivery = get_u16(r);
	i->recipient = get_u16(r);
	i->state = get_u8(r);
	i->report = get_u8(r);
	i->accepted_at = get_u64(r);
	i->next_try_ms = get_u64(r);
	i->expires_at = get_u64(r);
	i->size_bytes = get_u64(r);
	i->attempts = get_u16(r);
	i->uncertain = get_u16(r);
	i->uid = get_u32(r);
	i->sender = get_span(r);
	i->address = get_span(r);
	i->domain = get_span(r);
	i->line = get_span(r);
	i->reply = get_span(r);
	i->status = get_span(r);
	i->cause = get_span(r);
	if (i->state >= STATE_COUNT)
		r->bad = true;
}

void change_put(struct buf *b, const struct change *c)
{
	put_u8(b, c->action);
	put_u64(b, c->until);
	put_u8(b, c->is_dry_run);
	filter_put(b, &c->filter);
	cursor_put(b, &c->after);
	put_u32(b, c->max);
}

void change_get(struct reader *r, struct change *c)
{
	c->action = get_u8(r);
	c->until = get_u64(r);
	c->is_dry_run = get_bool(r);
	filter_get(r, &c->filter);
	cursor_get(r, &c->after);
	c->max = get_u32(r);
	if (c->action < CHANGE_HOLD || c->action > CHANGE_RETRACT)
		r->bad = true;
}

/* All fields of the ledger are 64-bit numbers in one order. */
static void stats_fields(struct spool_stats *s, uint64_t **fields)
{
	size_t n = 0;

	fields[n++] = &s->messages;
	fields[n++] = &s->recipients;
	fields[n++] = &s->bytes;
	for (int i = 0; i < STATE_COUNT; i++)
		fields[n++] = &s->by_state[i];
	fields[n++] = &s->accepted;
	fields[n++] = &s->delivered;
	fields[n++] = &s->failed;
	fields[n++] = &s->retracted;
	fields[n++] = &s->uncertain;
	fields[n++] = &s->accepted_messages;
	fields[n++] = &s->oldest_accepted_at;
	fields[n++] = &s->journal_bytes;
	fields[n++] = &s->free_bytes;
	fields[n++] = &s->large_files;
	fields[n++] = &s->syncs;
	fields[n++] = &s->bytes_written;
}

enum { STATS_FIELDS = 15 + STATE_COUNT };

void spool_stats_put(struct buf *b, const struct spool_stats *s)
{
	uint64_t *fields[STATS_FIELDS];
	struct spool_stats copy = *s;

	stats_fields(&copy, fields);
	for (size_t i = 0; i < STATS_FIELDS; i++)
		put_u64(b, *fields[i]);
}

void spool_stats_get(struct reader *r, struct spool_stats *s)
{
	uint64_t *fields[STATS_FIELDS];

	memset(s, 0, sizeof(*s));
	stats_fields(s, fields);
	for (size_t i = 0; i < STATS_FIELDS; i++)
		*fields[i] = get_u64(r);
}
