/* Contents of messages: what is queued (envelope, schedule, job). */
#include "common/messages.h"

#include <stdlib.h>

#include "common/messages_get.h"

/* --- envelope ------------------------------------------------------------- */

static void put_recipients(struct buf *b, const struct envelope *e)
{
	put_u32(b, (uint32_t)e->nrecipients);
	for (size_t i = 0; i < e->nrecipients; i++) {
		put_u8(b, e->recipients[i].notify);
		put_span(b, e->recipients[i].address);
		put_span(b, e->recipients[i].orcpt);
	}
}

static void put_refs(struct buf *b, const struct envelope *e)
{
	put_u32(b, (uint32_t)e->nrefs);
	for (size_t i = 0; i < e->nrefs; i++) {
		put_u16(b, e->refs[i].delivery);
		put_u16(b, e->refs[i].recipient);
		put_u8(b, e->refs[i].kind);
	}
}

void envelope_put(struct buf *b, const struct envelope *e)
{
	put_span(b, e->sender);
	put_u8(b, e->origin);
	put_u8(b, e->body);
	put_u8(b, e->ret);
	put_u8(b, e->smtputf8);
	put_u8(b, e->requiretls);
	put_u8(b, (uint8_t)e->priority);
	put_u32(b, e->uid);
	put_span(b, e->login);
	put_span(b, e->client);
	put_span(b, e->envid);
	put_span(b, e->line);
	put_u64(b, e->hold_until);
	put_u64(b, e->expires_at);
	put_span(b, e->trace_head);
	put_span(b, e->trace_tail);
	put_u64(b, e->about);
	put_refs(b, e);
	put_recipients(b, e);
}

static void get_refs(struct reader *r, struct envelope *e)
{
	uint32_t n = get_u32(r);
	struct report_ref *refs = get_array(r, n, 5, sizeof(*refs));

	e->refs = refs;
	for (uint32_t i = 0; refs && i < n; i++) {
		refs[i].delivery = get_u16(r);
		refs[i].recipient = get_u16(r);
		refs[i].kind = get_u8(r);
		if (refs[i].kind > REPORT_DELIVERED)
			r->bad = true;
		e->nrefs++;
	}
}

static void get_recipients(struct reader *r, struct envelope *e)
{
	uint32_t n = get_u32(r);
	struct recipient *to = NULL;

	if (n > RCPTS_PER_MESSAGE_MAX)
		r->bad = true;
	to = get_array(r, n, 9, sizeof(*to));
	e->recipients = to;
	for (uint32_t i = 0; to && i < n; i++) {
		to[i].notify = get_u8(r);
		to[i].address = get_line(r, ADDRESS_MAX);
		to[i].orcpt = get_line(r, ADDRESS_MAX);
		if (to[i].notify > 15 || to[i].address.n == 0)
			r->bad = true;
		e->nrecipients++;
	}
}

static void check_envelope(struct reader *r, const struct envelope *e)
{
	if (e->body > BODY_BINARY || e->ret > RET_HDRS || e->origin == 0 ||
	    e->origin > ORIGIN_IMPORT || e->priority < -9 || e->priority > 9 ||
	    e->trace_head.n + e->trace_tail.n > 8192)
		r->bad = true;
}

int envelope_get(struct reader *r, struct envelope *e)
{
	memset(e, 0, sizeof(*e));
	e->sender = get_line(r, ADDRESS_MAX);
	e->origin = get_u8(r);
	e->body = get_u8(r);
	e->ret = get_u8(r);
	e->smtputf8 = get_bool(r);
	e->requiretls = get_bool(r);
	e->priority = (int8_t)get_u8(r);
	e->uid = get_u32(r);
	e->login = get_line(r, ADDRESS_MAX);
	e->client = get_line(r, ADDRESS_MAX);
	e->envid = get_line(r, ADDRESS_MAX);
	e->line = get_line(r, 255);
	e->hold_until = get_u64(r);
	e->expires_at = get_u64(r);
	e->trace_head = get_span(r);
	e->trace_tail = get_span(r);
	e->about = get_u64(r);
	get_refs(r, e);
	get_recipients(r, e);
	check_envelope(r, e);
	if (!r->bad)
		return 0;
	envelope_free(e);
	return -1;
}

void envelope_free(struct envelope *e)
{
	free((void *)e->refs);
	free((void *)e->recipients);
	memset(e, 0, sizeof(*e));
}

/* --- schedule ------------------------------------------------------------- */

void due_query_put(struct buf *b, const struct due_query *q)
{
	put_u64(b, q->after_due_ms);
	put_u64(b, q->after_message);
	put_u16(b, q->after_delivery);
	put_u64(b, q->until_ms);
	put_u32(b, q->max);
}

void due_query_get(struct reader *r, struct due_query *q)
{
	q->after_due_ms = get_u64(r);
	q->after_message = get_u64(r);
	q->after_delivery = get_u16(r);
	q->until_ms = get_u64(r);
	q->max = get_u32(r);
}

void waiting_put(struct buf *b, const struct waiting *w)
{
	put_u64(b, w->message);
	put_u16(b, w->delivery);
	put_u64(b, w->due_ms);
	put_u64(b, w->accepted_at);
	put_u64(b, w->expires_at);
	put_u64(b, w->size_bytes);
	put_u16(b, w->nrecipients);
	put_u16(b, w->attempts);
	put_u16(b, w->line_deaths);
	put_u8(b, (uint8_t)w->priority);
	put_u8(b, w->flags);
	put_u8(b, w->origin);
	put_u32(b, w->uid);
	put_span(b, w->domain);
	put_span(b, w->sender);
	put_span(b, w->line);
	put_span(b, w->relay);
}

void waiting_get(struct reader *r, struct waiting *w)
{
	w->message = get_u64(r);
	w->delivery = get_u16(r);
	w->due_ms = get_u64(r);
	w->accepted_at = get_u64(r);
	w->expires_at = get_u64(r);
	w->size_bytes = get_u64(r);
	w->nrecipients = get_u16(r);
	w->attempts = get_u16(r);
	w->line_deaths = get_u16(r);
	w->priority = (int8_t)get_u8(r);
	w->flags = get_u8(r);
	w->origin = get_u8(r);
	w->uid = get_u32(r);
	w->domain = get_line(r, ADDRESS_MAX);
	w->sender = get_line(r, ADDRESS_MAX);
	w->line = get_line(r, 255);
	w->relay = get_line(r, 255);
}

/* --- job ------------------------------------------------------------------ */

static void put_job_recipient(struct buf *b, const struct job_recipient *x)
{
	put_u16(b, x->index);
	put_u8(b, x->notify);
	put_u8(b, x->report);
	put_u16(b, x->delivery);
	put_span(b, x->address);
	put_span(b, x->orcpt);
	put_span(b, x->reply);
	put_span(b, x->status);
	put_span(b, x->host);
}

void job_put_head(struct buf *b, const struct job *j)
{
	put_u64(b, j->message);
	put_u16(b, j->delivery);
	put_u64(b, j->accepted_at);
	put_u64(b, j->size_bytes);
	put_u8(b, j->body);
	put_u8(b, j->ret);
	put_u8(b, j->origin);
	put_u8(b, j->smtputf8);
	put_u8(b, j->requiretls);
	put_u8(b, (uint8_t)j->priority);
	put_u8(b, j->is_large);
	put_span(b, j->sender);
	put_span(b, j->envid);
	put_u16(b, (uint16_t)j->nrecipients);
	for (size_t i = 0; i < j->nrecipients; i++)
		put_job_recipient(b, &j->recipients[i]);
	/* Length of the content, whose bytes the sender appends. */
	put_u32(b, (uint32_t)j->content.n);
}

static void get_job_recipient(struct reader *r, struct job_recipient *x)
{
	x->index = get_u16(r);
	x->notify = get_u8(r);
	x->report = get_u8(r);
	x->delivery = get_u16(r);
	x->address = get_line(r, ADDRESS_MAX);
	x->orcpt = get_line(r, ADDRESS_MAX);
	x->reply = get_span(r);
	x->status = get_line(r, 11);
	x->host = get_line(r, ADDRESS_MAX);
	if (x->notify > 15 || x->report > REPORT_DELIVERED)
		r->bad = true;
}

int job_get(struct reader *r, struct job *j)
{
	struct job_recipient *to;
	size_t n;

	memset(j, 0, sizeof(*j));
	j->message = get_u64(r);
	j->delivery = get_u16(r);
	j->accepted_at = get_u64(r);
	j->size_bytes = get_u64(r);
	j->body = get_u8(r);
	j->ret = get_u8(r);
	j->origin = get_u8(r);
	j->smtputf8 = get_bool(r);
	j->requiretls = get_bool(r);
	j->priority = (int8_t)get_u8(r);
	j->is_large = get_bool(r);
	j->sender = get_line(r, ADDRESS_MAX);
	j->envid = get_line(r, ADDRESS_MAX);
	n = get_u16(r);
	to = get_array(r, n, 26, sizeof(*to));
	j->recipients = to;
	for (size_t i = 0; to && i < n; i++) {
		get_job_recipient(r, &to[i]);
		j->nrecipients++;
	}
	j->content = get_span(r);
	if (!r->bad)
		return 0;
	job_free(j);
	return -1;
}

void job_free(struct job *j)
{
	free((void *)j->recipients);
	memset(j, 0, sizeof(*j));
}
