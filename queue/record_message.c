/* Journal records: messages and attempts, the long contents.
 *
 * Their layout is the spool's own and does not follow the messages between
 * programs, which may change from one version to the next.
 */
#include "queue/record.h"

enum { FLAG_LARGE = 1, FLAG_SMTPUTF8 = 2, FLAG_REQUIRETLS = 4 };
enum { ATTEMPT_COUNTS = 1, ATTEMPT_DIED = 2, ATTEMPT_DSN = 4 };

static uint8_t message_flags(const struct stored_message *m)
{
	return (uint8_t)((m->is_large ? FLAG_LARGE : 0) |
			 (m->envelope.smtputf8 ? FLAG_SMTPUTF8 : 0) |
			 (m->envelope.requiretls ? FLAG_REQUIRETLS : 0));
}

/* The fixed fields and texts; refs and deliveries follow by their own puts. */
void stored_message_put(struct buf *b, const struct stored_message *m)
{
	const struct envelope *e = &m->envelope;

	put_u64(b, m->at_ms);
	put_u8(b, message_flags(m));
	put_u8(b, e->origin);
	put_u8(b, e->body);
	put_u8(b, e->ret);
	put_u8(b, (uint8_t)e->priority);
	put_u64(b, m->body_bytes);
	put_u32(b, m->body_crc);
	put_u32(b, e->uid);
	put_u64(b, e->hold_until);
	put_u64(b, e->expires_at);
	put_u64(b, e->about);
	put_text16(b, e->sender);
	put_text16(b, e->login);
	put_text16(b, e->client);
	put_text16(b, e->envid);
	put_text16(b, e->line);
	put_u32(b, m->nrefs);
	put_u32(b, m->ndeliveries);
	put_u32(b, m->nrecipients);
}

void stored_ref_put(struct buf *b, const struct report_ref *ref)
{
	put_u16(b, ref->delivery);
	put_u16(b, ref->recipient);
	put_u8(b, ref->kind);
}

void stored_delivery_put(struct buf *b, struct span domain, uint16_t n)
{
	put_text16(b, domain);
	put_u16(b, n);
}

void stored_recipient_put(
    struct buf *b, const struct recipient *r, uint32_t order)
{
	put_u32(b, order);
	put_u8(b, r->notify);
	put_text16(b, r->address);
	put_text16(b, r->orcpt);
}

static void envelope_texts_get(struct reader *r, struct envelope *e)
{
	e->sender = get_text16(r);
	e->login = get_text16(r);
	e->client = get_text16(r);
	e->envid = get_text16(r);
	e->line = get_text16(r);
}

int stored_message_get(struct span stored, struct stored_message *m)
{
	struct reader r = reader_of(stored);
	struct envelope *e = &m->envelope;
	uint8_t flags;

	memset(m, 0, sizeof(*m));
	m->at_ms = get_u64(&r);
	flags = get_u8(&r);
	m->is_large = flags & FLAG_LARGE;
	e->smtputf8 = flags & FLAG_SMTPUTF8;
	e->requiretls = flags & FLAG_REQUIRETLS;
	e->origin = get_u8(&r);
	e->body = get_u8(&r);
	e->ret = get_u8(&r);
	e->priority = (int8_t)get_u8(&r);
	m->body_bytes = get_u64(&r);
	m->body_crc = get_u32(&r);
	e->uid = get_u32(&r);
	e->hold_until = get_u64(&r);
	e->expires_at = get_u64(&r);
	e->about = get_u64(&r);
	envelope_texts_get(&r, e);
	m->nrefs = get_u32(&r);
	m->ndeliveries = get_u32(&r);
	m->nrecipients = get_u32(&r);
	if (r.bad || (uint64_t)m->nrefs * 5 > r.rest.n)
		return -1;
	m->refs = reader_of((struct span){ r.rest.p, (size_t)m->nrefs * 5 });
	m->deliveries = reader_of(span_from(r.rest, (size_t)m->nrefs * 5));
	return 0;
}

bool stored_ref_next(struct stored_message *m, struct report_ref *ref)
{
	if (m->refs.rest.n == 0)
		return false;
	ref->delivery = get_u16(&m->refs);
	ref->recipient = get_u16(&m->refs);
	ref->kind = get_u8(&m->refs);
	return !m->refs.bad;
}

static void skip_recipients(struct reader *r, unsigned n)
{
	while (n-- > 0 && !r->bad) {
		get_u32(r);
		get_u8(r);
		get_text16(r);
		get_text16(r);
	}
}

bool stored_delivery_next(struct stored_message *m, struct stored_delivery *d)
{
	if (m->ndeliveries == 0)
		return false;
	m->ndeliveries--;
	d->domain = get_text16(&m->deliveries);
	d->nrecipients = get_u16(&m->deliveries);
	d->recipients = m->deliveries;
	skip_recipients(&m->deliveries, d->nrecipients);
	return !m->deliveries.bad;
}

bool stored_recipient_next(
    struct stored_delivery *d, struct recipient *r, uint32_t *order)
{
	if (d->nrecipients == 0)
		return false;
	d->nrecipients--;
	*order = get_u32(&d->recipients);
	r->notify = get_u8(&d->recipients);
	r->address = get_text16(&d->recipients);
	r->orcpt = get_text16(&d->recipients);
	return !d->recipients.bad;
}

int record_message_get(struct span contents, struct record_message *x)
{
	struct reader r = reader_of(contents);

	x->stored = get_span(&r);
	x->states = get_span(&r);
	x->body = r.rest;
	return r.bad ? -1 : 0;
}

void moved_delivery_put(struct buf *b, const struct moved_delivery *d)
{
	put_u16(b, d->delivery);
	put_u8(b, d->claim);
	put_span(b, d->value);
	put_u16(b, d->nattempts);
}

void moved_attempt_put(struct buf *b, uint32_t number, struct span value)
{
	put_u32(b, number);
	put_span(b, value);
}

bool moved_delivery_next(struct reader *states, struct moved_delivery *d)
{
	if (states->rest.n == 0 || states->bad)
		return false;
	d->delivery = get_u16(states);
	d->claim = get_u8(states);
	d->value = get_span(states);
	d->nattempts = get_u16(states);
	d->attempts = *states;
	for (unsigned i = 0; i < d->nattempts && !states->bad; i++) {
		get_u32(states);
		get_span(states);
	}
	return !states->bad;
}

bool moved_attempt_next(
    struct moved_delivery *d, uint32_t *number, struct span *value)
{
	if (d->nattempts == 0)
		return false;
	d->nattempts--;
	*number = get_u32(&d->attempts);
	*value = get_span(&d->attempts);
	return !d->attempts.bad;
}

/* --- Attempts ------------------------------------------------------------- */

static void outcome16_put(
    struct buf *b, const struct rcpt_outcome *r, uint8_t report)
{
	put_u16(b, r->index);
	put_u8(b, r->result);
	put_u8(b, report);
	put_u16(b, r->code);
	put_text16(b, (struct span){ r->status,
			  strnlen(r->status, sizeof(r->status) - 1) });
	put_text16(b, r->reply);
}

void record_attempt_put(struct buf *b, uint64_t at_ms, const struct attempt *a)
{
	const struct result *x = &a->result;

	put_u64(b, at_ms);
	put_u16(b, a->delivery);
	put_u64(b, a->next_try_ms);
	put_u8(b, (uint8_t)((a->counts ? ATTEMPT_COUNTS : 0) |
			    (a->line_died ? ATTEMPT_DIED : 0) |
			    (x->peer_has_dsn ? ATTEMPT_DSN : 0)));
	put_text16(b, a->line);
	put_text16(b, a->cause);
	put_text16(b, x->host);
	put_text16(b, x->address);
	put_text16(b, x->tls);
	put_u32(b, x->took_ms);
	put_u16(b, (uint16_t)x->nrecipients);
	for (size_t i = 0; i < x->nrecipients; i++)
		outcome16_put(b, &x->recipients[i],
		    a->reports ? a->reports[i] : REPORT_NONE);
}

int record_attempt_get(struct span contents, struct record_attempt *x)
{
	struct reader r = reader_of(contents);
	struct attempt *a = &x->attempt;
	uint8_t flags;

	memset(x, 0, sizeof(*x));
	x->at_ms = get_u64(&r);
	a->delivery = get_u16(&r);
	a->next_try_ms = get_u64(&r);
	flags = get_u8(&r);
	a->counts = flags & ATTEMPT_COUNTS;
	a->line_died = flags & ATTEMPT_DIED;
	a->result.peer_has_dsn = flags & ATTEMPT_DSN;
	a->line = get_text16(&r);
	a->cause = get_text16(&r);
	a->result.host = get_text16(&r);
	a->result.address = get_text16(&r);
	a->result.tls = get_text16(&r);
	a->result.took_ms = get_u32(&r);
	x->nrecipients = get_u16(&r);
	a->result.nrecipients = x->nrecipients;
	x->recipients = r;
	return r.bad ? -1 : 0;
}

bool record_attempt_next(struct record_attempt *x, struct rcpt_outcome *r,
    uint8_t *report, struct span *status)
{
	size_t n;

	if (x->nrecipients == 0)
		return false;
	x->nrecipients--;
	*r = (struct rcpt_outcome){ 0 }; /* not all of it is recorded */
	r->index = get_u16(&x->recipients);
	r->result = get_u8(&x->recipients);
	*report = get_u8(&x->recipients);
	r->code = get_u16(&x->recipients);
	*status = get_text16(&x->recipients);
	n = status->n < sizeof(r->status) ? status->n : sizeof(r->status) - 1;
	if (n > 0)
		memcpy(r->status, status->p, n);
	r->reply = get_text16(&x->recipients);
	return !x->recipients.bad;
}
