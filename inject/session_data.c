/* DATA and BDAT: the text of a message, passed on as it comes. */
#include "inject/session_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum { RCPTS_AT_HAND = 16, TRACE_MAX = 2048 };

static const struct answer no_mail = { 503, "5.5.1",
	"MAIL and RCPT come first" };
static const struct answer no_rcpts = { 554, "5.5.1",
	"no recipient was accepted" };
static const struct answer mixed = { 503, "5.5.1",
	"BDAT was begun: DATA cannot follow" };
static const struct answer go_on = { 354, NULL,
	"send the text, end with a dot alone on a line" };
static const struct answer too_big = { 552, "5.3.4",
	"the message is larger than SIZE allows" };
static const struct answer endless = { 552, "5.3.4",
	"far larger than SIZE allows" };
static const struct answer loops = { 554, "5.4.6",
	"the message has been received too often: a mail loop" };
static const struct answer no_chunking = { 502, "5.5.1",
	"BDAT is not available here" };

/* --- on to the queue
 * ----------------------------------------------------------*/

static struct span text_at(const struct transaction *t, size_t at, size_t n)
{
	return (struct span){ t->text.data + at, n };
}

static void fill_recipients(
    const struct transaction *t, struct recipient *recipients)
{
	for (size_t i = 0; i < t->nrcpts; i++) {
		const struct rcpt *r = &t->rcpts[i];

		recipients[i].address =
		    text_at(t, r->address, r->address_bytes);
		recipients[i].orcpt = text_at(t, r->orcpt, r->orcpt_bytes);
		recipients[i].notify = r->notify;
	}
}

static void fill_envelope(const struct smtp_session *s, struct envelope *e)
{
	const struct transaction *t = &s->t;

	*e = (struct envelope){ .sender = text_at(t, 0, t->sender_bytes),
		.origin = s->client.address ? ORIGIN_SMTP : ORIGIN_LOCAL,
		.body = t->body,
		.ret = t->ret,
		.smtputf8 = t->is_utf8,
		.requiretls = t->requires_tls,
		.hold_until = t->hold_until,
		.expires_at = t->expires_at,
		.priority = t->priority,
		.uid = s->client.uid,
		.envid = text_at(t, t->envid, t->envid_bytes),
		.nrecipients = t->nrcpts };
}

/* No queue, or no memory: told at the end, and the text is swallowed. */
static void cannot_begin(struct smtp_session *s)
{
	s->t.refusal = calloc(1, sizeof(*s->t.refusal));
	if (s->t.refusal)
		outcome_temp(s->t.refusal, "4.3.0", "%s", smtp_no_queue.text);
	else
		smtp_cut(s, &smtp_no_queue);
}

static void begin(struct smtp_session *s)
{
	struct transaction *t = &s->t;
	struct recipient at_hand[RCPTS_AT_HAND], *recipients = at_hand;
	struct envelope e;
	struct buf trace;
	size_t head, tail;

	if (t->nrcpts > RCPTS_AT_HAND)
		recipients = calloc(t->nrcpts, sizeof(*recipients));
	if (!recipients) {
		cannot_begin(s);
		return;
	}
	fill_recipients(t, recipients);
	fill_envelope(s, &e);
	e.recipients = recipients;
	buf_init(&trace, TRACE_MAX);
	head = smtp_trace(s, &trace);
	tail = trace.len - head;
	buf_printf(&trace, "[%s] %s",
	    s->client.address ? s->client.address : "local", s->helo);
	e.trace_head = (struct span){ trace.data, head };
	e.trace_tail = (struct span){ trace.data + head, tail };
	e.client = span_from(buf_span(&trace), head + tail);
	t->number = trace.overflow ? 0 : s->hooks->begin(&e, s->arg);
	if (!t->number)
		cannot_begin(s);
	buf_clear(&trace);
	if (recipients != at_hand)
		free(recipients);
}

static bool is_lost(const struct transaction *t)
{
	return t->datain.bad || t->is_too_big || t->refusal || t->is_spoiled ||
	       t->hops.count > HOPS_MAX;
}

/* What is refused is still read, up to a bound, and forgotten at once. */
static void swallow(struct smtp_session *s, size_t n)
{
	struct transaction *t = &s->t;

	if (t->number)
		s->hooks->abort(t->number, s->arg);
	t->number = 0;
	t->swallowed += n;
	if (t->swallowed > SWALLOW_MAX)
		smtp_cut(s, &endless);
}

static void take_text(struct smtp_session *s, struct span text)
{
	struct transaction *t = &s->t;

	/* the limit may have been lowered meanwhile */
	if (t->sent > s->settings->message_size ||
	    text.n > s->settings->message_size - t->sent)
		t->is_too_big = true;
	hops_take(&t->hops, text);
	if (!is_lost(t) && !t->number)
		begin(s);
	if (is_lost(t)) {
		swallow(s, text.n);
		return;
	}
	if (text.n > 0)
		s->hooks->data(t->number, text, s->arg);
	t->sent += text.n;
}

/* --- the end
 * ------------------------------------------------------------------*/

static void refuse_message(struct smtp_session *s)
{
	struct transaction *t = &s->t;
	char text[200];

	if (t->datain.bad) {
		snprintf(text, sizeof(text),
		    "the text has %s; lines must end with CRLF "
		    "(RFC 5321 section 2.3.8)",
		    t->datain.bad);
		smtp_refuse(s, &(struct answer){ 550, "5.6.0", text });
	} else if (t->is_spoiled) {
		smtp_refuse_order(s, &no_mail);
	} else if (t->is_too_big) {
		smtp_refuse(s, &too_big);
	} else if (t->hops.count > HOPS_MAX) {
		smtp_refuse(s, &loops);
	} else {
		smtp_say_outcome(s, t->refusal);
	}
}

static void message_end(struct smtp_session *s)
{
	struct transaction *t = &s->t;
	uint64_t number;

	take_text(s, (struct span){ 0 }); /* begins an empty message */
	s->phase = PHASE_COMMAND;
	s->must_reset = true;
	if (s->is_ending)
		return;
	if (is_lost(t)) {
		refuse_message(s);
		return;
	}
	number = t->number;
	t->number = 0;
	smtp_wait_for(s, number);
	s->hooks->end(number, t->sent, s->arg);
}

/* --- DATA
 * ---------------------------------------------------------------------*/

void smtp_data(struct smtp_session *s)
{
	struct transaction *t = &s->t;

	if (t->is_chunked) {
		smtp_refuse(s, &mixed);
	} else if (t->nrcpts == 0) {
		smtp_refuse_order(s,
		    t->has_sender && t->refused_rcpts ? &no_rcpts : &no_mail);
	} else if (!s->hooks->has_queue(s->arg)) {
		smtp_say(s, &smtp_no_queue);
		s->must_reset = true;
	} else {
		datain_init(&t->datain);
		s->phase = PHASE_DATA;
		smtp_say(s, &go_on);
	}
}

size_t smtp_take_data(struct smtp_session *s, char *in, size_t n)
{
	struct span text;
	bool is_end;
	size_t used = datain_dotted(&s->t.datain, in, n, &text, &is_end);

	take_text(s, text);
	if (is_end)
		message_end(s);
	return used;
}

/* --- BDAT
 * ---------------------------------------------------------------------*/

static void chunk_end(struct smtp_session *s)
{
	struct transaction *t = &s->t;

	s->phase = PHASE_COMMAND;
	if (t->is_last_chunk && !is_lost(t) &&
	    datain_needs_line_end(&t->datain))
		take_text(s, SPAN_LITERAL("\r\n"));
	if (t->is_last_chunk || is_lost(t))
		message_end(s);
	else
		smtp_sayf(s, 250, "2.0.0", "chunk taken");
}

void smtp_bdat(struct smtp_session *s, const struct command *c)
{
	struct transaction *t = &s->t;

	if (!s->settings->has_chunking) {
		smtp_cut(s, &no_chunking);
		return;
	}
	if (c->chunk > SWALLOW_MAX) {
		smtp_cut(s, &endless);
		return;
	}
	if (!t->is_chunked)
		datain_init(&t->datain);
	t->is_chunked = true;
	t->is_spoiled = t->nrcpts == 0;
	t->is_last_chunk = c->is_last;
	t->chunk_left = c->chunk;
	s->phase = PHASE_CHUNK;
	if (c->chunk == 0)
		chunk_end(s);
}

size_t smtp_take_chunk(struct smtp_session *s, char *in, size_t n)
{
	struct transaction *t = &s->t;
	struct span part = { in, n < t->chunk_left ? n : t->chunk_left };

	if (!is_lost(t))
		datain_chunk(&t->datain, part);
	take_text(s, part);
	t->chunk_left -= part.n;
	if (t->chunk_left == 0 && !s->is_ending)
		chunk_end(s);
	return part.n;
}
