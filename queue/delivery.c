/* The index's values for messages and deliveries. */
#include "queue/delivery.h"

enum { VALUE_VERSION = 1 };
enum {
	INFO_LARGE = 1,
	INFO_SMTPUTF8 = 2,
	INFO_REQUIRETLS = 4,
	INFO_SENT = 8,
	DELIVERY_WARNED = 1,
};

void message_info_put(struct buf *b, const struct message_info *m)
{
	put_u8(b, VALUE_VERSION);
	put_u8(b, (uint8_t)((m->is_large ? INFO_LARGE : 0) |
			    (m->smtputf8 ? INFO_SMTPUTF8 : 0) |
			    (m->requiretls ? INFO_REQUIRETLS : 0) |
			    (m->was_sent ? INFO_SENT : 0)));
	put_u32(b, m->place.segment);
	put_u64(b, m->place.offset);
	put_u32(b, m->place.bytes);
	put_u32(b, m->body_offset);
	put_u32(b, m->body_crc);
	put_u8(b, m->body);
	put_u8(b, m->ret);
	put_u8(b, m->origin);
	put_u8(b, (uint8_t)m->priority);
	put_u64(b, m->size_bytes);
	put_u64(b, m->accepted_ms);
	put_u64(b, m->expires_at);
	put_u32(b, m->uid);
	put_u32(b, m->nrecipients);
	put_u32(b, m->open);
	put_text16(b, m->sender);
	put_text16(b, m->envid);
	put_text16(b, m->line);
}

int message_info_get(struct span value, struct message_info *m)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r), flags = get_u8(&r);

	m->is_large = flags & INFO_LARGE;
	m->smtputf8 = flags & INFO_SMTPUTF8;
	m->requiretls = flags & INFO_REQUIRETLS;
	m->was_sent = flags & INFO_SENT;
	m->place.segment = get_u32(&r);
	m->place.offset = get_u64(&r);
	m->place.bytes = get_u32(&r);
	m->body_offset = get_u32(&r);
	m->body_crc = get_u32(&r);
	m->body = get_u8(&r);
	m->ret = get_u8(&r);
	m->origin = get_u8(&r);
	m->priority = (int8_t)get_u8(&r);
	m->size_bytes = get_u64(&r);
	m->accepted_ms = get_u64(&r);
	m->expires_at = get_u64(&r);
	m->uid = get_u32(&r);
	m->nrecipients = get_u32(&r);
	m->open = get_u32(&r);
	m->sender = get_text16(&r);
	m->envid = get_text16(&r);
	m->line = get_text16(&r);
	return reader_is_done(&r) && version == VALUE_VERSION ? 0 : -1;
}

static void recipient_put16(struct buf *b, const struct delivery_recipient *r)
{
	put_u16(b, r->index);
	put_u8(b, r->notify);
	put_u8(b, r->state);
	put_u8(b, r->report);
	put_text16(b, r->address);
	put_text16(b, r->orcpt);
	put_text16(b, r->reply);
	put_text16(b, r->status);
	put_text16(b, r->host);
}

static void recipient_get16(struct reader *r, struct delivery_recipient *x)
{
	x->index = get_u16(r);
	x->notify = get_u8(r);
	x->state = get_u8(r);
	x->report = get_u8(r);
	x->address = get_text16(r);
	x->orcpt = get_text16(r);
	x->reply = get_text16(r);
	x->status = get_text16(r);
	x->host = get_text16(r);
}

void delivery_put(struct buf *b, const struct delivery *d)
{
	put_u8(b, VALUE_VERSION);
	put_u8(b, d->state);
	put_u8(b, d->warned ? DELIVERY_WARNED : 0);
	put_u64(b, d->due_ms);
	put_u64(b, d->report_ms);
	put_u64(b, d->scheduled_ms);
	put_u16(b, d->attempts);
	put_u16(b, d->uncertain);
	put_u16(b, d->line_deaths);
	put_u32(b, d->nlogged);
	put_text16(b, d->domain);
	put_text16(b, d->line);
	put_text16(b, d->cause);
	put_u16(b, d->n);
	for (unsigned i = 0; i < d->n; i++)
		recipient_put16(b, &d->recipients[i]);
}

int delivery_get(struct span value, struct delivery *d)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r);

	d->state = get_u8(&r);
	d->warned = get_u8(&r) & DELIVERY_WARNED;
	d->due_ms = get_u64(&r);
	d->report_ms = get_u64(&r);
	d->scheduled_ms = get_u64(&r);
	d->attempts = get_u16(&r);
	d->uncertain = get_u16(&r);
	d->line_deaths = get_u16(&r);
	d->nlogged = get_u32(&r);
	d->domain = get_text16(&r);
	d->line = get_text16(&r);
	d->cause = get_text16(&r);
	d->n = get_u16(&r);
	if (r.bad || version != VALUE_VERSION || d->n > RCPTS_PER_DELIVERY ||
	    d->state >= STATE_COUNT)
		return -1;
	for (unsigned i = 0; i < d->n; i++)
		recipient_get16(&r, &d->recipients[i]);
	return reader_is_done(&r) ? 0 : -1;
}

unsigned delivery_npending(const struct delivery *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n; i++)
		n += d->recipients[i].state == RECIPIENT_PENDING;
	return n;
}

bool delivery_has_report(const struct delivery *d)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->recipients[i].report != REPORT_NONE)
			return true;
	return false;
}

uint8_t delivery_visible_state(
    const struct delivery *d, uint8_t claim, uint64_t now_ms)
{
	if (claim == CLAIM_DELIVER + 1)
		return STATE_ACTIVE;
	if (delivery_npending(d) == 0)
		return STATE_REPORTING;
	if (d->state == STATE_HELD && d->due_ms <= now_ms)
		return STATE_READY;
	return d->state;
}

uint64_t delivery_when(const struct delivery *d)
{
	uint64_t when = NEVER_MS;

	if (d->state != STATE_SUSPENDED && delivery_npending(d) > 0)
		when = d->due_ms;
	if (d->report_ms < when && delivery_has_report(d))
		when = d->report_ms;
	return when;
}

struct delivery_recipient *delivery_find(struct delivery *d, uint16_t index)
{
	/* usually none is gone and it stands at its own place */
	if (index < d->n && d->recipients[index].index == index)
		return &d->recipients[index];
	for (unsigned i = 0; i < d->n; i++)
		if (d->recipients[i].index == index)
			return &d->recipients[i];
	return NULL;
}

void delivery_remove(struct delivery *d, struct delivery_recipient *r)
{
	size_t at = (size_t)(r - d->recipients);

	d->n--;
	memmove(r, r + 1, (d->n - at) * sizeof(*r));
}
