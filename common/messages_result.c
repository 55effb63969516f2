/* Contents of messages: what came of it (result, attempt). */
#include "common/messages.h"

#include <stdlib.h>

#include "common/messages_get.h"

void result_put(struct buf *b, const struct result *x)
{
	put_span(b, x->host);
	put_span(b, x->address);
	put_span(b, x->tls);
	put_u32(b, x->took_ms);
	put_u8(b, x->peer_has_dsn);
	put_u16(b, (uint16_t)x->nrecipients);
	for (size_t i = 0; i < x->nrecipients; i++) {
		const struct rcpt_outcome *o = &x->recipients[i];

		put_u16(b, o->index);
		put_u8(b, o->result);
		put_u16(b, o->code);
		put_span(b, span_of(o->status));
		put_span(b, o->reply);
		put_u8(b, o->action);
		put_u32(b, o->after_s);
		put_u16(b, o->rule);
		put_u8(b, o->stage);
	}
}

static void get_rcpt_outcome(struct reader *r, struct rcpt_outcome *o)
{
	o->index = get_u16(r);
	o->result = get_u8(r);
	o->code = get_u16(r);
	get_status(r, o->status);
	o->reply = get_line(r, REPLY_MAX);
	o->action = get_u8(r);
	o->after_s = get_u32(r);
	o->rule = get_u16(r);
	o->stage = get_u8(r);
	if (o->result > RCPT_UNCERTAIN || o->action > REPLY_RELAY ||
	    o->stage > REPLY_TO_CONTENT)
		r->bad = true;
}

int result_get(struct reader *r, struct result *x)
{
	struct rcpt_outcome *to;
	size_t n;

	memset(x, 0, sizeof(*x));
	x->host = get_line(r, ADDRESS_MAX);
	x->address = get_line(r, 255);
	x->tls = get_line(r, TLS_TEXT_MAX);
	x->took_ms = get_u32(r);
	x->peer_has_dsn = get_bool(r);
	n = get_u16(r);
	to = get_array(r, n, 21, sizeof(*to));
	x->recipients = to;
	for (size_t i = 0; to && i < n; i++) {
		get_rcpt_outcome(r, &to[i]);
		x->nrecipients++;
	}
	if (!r->bad)
		return 0;
	result_free(x);
	return -1;
}

void result_free(struct result *x)
{
	free((void *)x->recipients);
	memset(x, 0, sizeof(*x));
}

void attempt_put(struct buf *b, const struct attempt *a)
{
	put_u64(b, a->message);
	put_u16(b, a->delivery);
	put_u64(b, a->next_try_ms);
	put_u8(b, a->counts);
	put_u8(b, a->line_died);
	put_span(b, a->line);
	put_span(b, a->cause);
	result_put(b, &a->result);
	for (size_t i = 0; i < a->result.nrecipients; i++)
		put_u8(b, a->reports ? a->reports[i] : REPORT_NONE);
}

int attempt_get(struct reader *r, struct attempt *a)
{
	uint8_t *reports;

	memset(a, 0, sizeof(*a));
	a->message = get_u64(r);
	a->delivery = get_u16(r);
	a->next_try_ms = get_u64(r);
	a->counts = get_bool(r);
	a->line_died = get_bool(r);
	a->line = get_line(r, 255);
	a->cause = get_line(r, 255);
	if (result_get(r, &a->result) < 0)
		return -1;
	reports = get_array(r, a->result.nrecipients, 1, 1);
	a->reports = reports;
	for (size_t i = 0; reports && i < a->result.nrecipients; i++) {
		reports[i] = get_u8(r);
		if (reports[i] > REPORT_DELIVERED)
			r->bad = true;
	}
	if (!r->bad)
		return 0;
	attempt_free(a);
	return -1;
}

void attempt_free(struct attempt *a)
{
	result_free(&a->result);
	free((void *)a->reports);
	memset(a, 0, sizeof(*a));
}

void transcript_put(struct buf *b, const struct transcript *t)
{
	put_u64(b, t->began_ms);
	put_span(b, t->line);
	put_span(b, t->host);
	put_span(b, t->address);
	put_span(b, t->text);
	put_u16(b, t->nmessages);
	for (unsigned i = 0; i < t->nmessages; i++)
		put_u64(b, t->messages[i]);
}

void transcript_get(struct reader *r, struct transcript *t)
{
	uint16_t n;

	memset(t, 0, sizeof(*t));
	t->began_ms = get_u64(r);
	t->line = get_line(r, 255);
	t->host = get_line(r, ADDRESS_MAX);
	t->address = get_line(r, 255);
	t->text = get_bytes(r, TRANSCRIPT_MAX);
	n = get_u16(r);
	if (n > TRANSCRIPT_MESSAGES_MAX)
		r->bad = true;
	while (!r->bad && t->nmessages < n)
		t->messages[t->nmessages++] = get_u64(r);
}
