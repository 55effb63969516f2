/* Messages over one open connection: commands and content put ahead of their
 * replies, as far as the way and the window allow. */
#include "remote/pipeline.h"

#include "common/log.h"

#include <stdio.h>

enum { LARGE_BYTES = 131072, BATCH_MAX = 4 + RCPTS_PER_DELIVERY };

static void expect(struct pipeline *p, enum await kind, size_t rcpt)
{
	struct transaction *t = kind == AWAIT_RSET ? NULL : p->current;

	if (p->nawaited == AWAITED_MAX)
		BUG("more commands than the window holds");
	if (p->nawaited == 0) {
		p->since_ms = now_monotonic_ms();
		p->since_sent = p->d->stream.sent;
		p->is_head_out = false;
	}
	p->awaited[(p->from + p->nawaited++) % AWAITED_MAX] = (struct awaited){
		.t = t,
		.end = stream_queued(&p->d->stream),
		.rcpt = (uint16_t)rcpt,
		.kind = (uint8_t)kind,
	};
	if (t)
		t->nawaited++;
	if (!p->is_ahead)
		p->must_drain = true;
}

/* The text behind `before` is the command just put. */
static void log_command(struct pipeline *p, size_t before)
{
	dialogue_log(
	    p->d, TALK_COMMAND, span_from(buf_span(&p->d->stream.out), before));
}

static void put_command(struct pipeline *p, const char *command)
{
	struct buf *out = stream_out(&p->d->stream);
	size_t before = out->len;

	buf_puts(out, command);
	log_command(p, before);
}

/* No more commands for the current message. */
static void end_message(struct pipeline *p)
{
	struct transaction *t = p->current;

	p->current = NULL;
	p->step = STEP_MAIL;
	t->is_put = true;
	pipeline_settle(p);
}

static bool window_has_room(const struct pipeline *p)
{
	uint64_t unanswered = stream_queued(&p->d->stream) - p->answered;

	return p->flight.count == 0 ||
	       (p->flight.count < WINDOW_MESSAGES &&
		   unanswered < WINDOW_BYTES &&
		   p->nawaited + BATCH_MAX <= AWAITED_MAX);
}

/* What cannot be sent here is decided without a word to the server. */
static bool is_fit(struct pipeline *p, struct transaction *t)
{
	struct outcome why;

	if (dialogue_fits(p->d, t, &why) == 0)
		return true;
	transaction_decide_why(
	    t, why.verdict == VERDICT_PERM ? RCPT_FAILED : RCPT_DEFERRED, &why);
	p->on_done(t, p->arg);
	return false;
}

static void put_reset(struct pipeline *p)
{
	bool is_unsure = p->is_bdat && p->is_ahead && p->nawaited > 0;

	if (!p->needs_reset && !is_unsure)
		return;
	p->needs_reset = false;
	put_command(p, "RSET\r\n");
	expect(p, AWAIT_RSET, 0);
}

static void put_mail(struct pipeline *p, struct transaction *t)
{
	struct buf *out = stream_out(&p->d->stream);
	size_t before = out->len;
	struct outcome why;

	if (dialogue_put_mail(p->d, t, out, &why) < 0) {
		out->len = before;
		transaction_decide_why(t, RCPT_FAILED, &why);
		end_message(p);
		return;
	}
	log_command(p, before);
	expect(p, AWAIT_MAIL, 0);
}

/* Each step_* returns whether the next may follow at once. */
static bool step_mail(struct pipeline *p)
{
	struct transaction *t;

	if (!p->waiting->first || p->is_leaving || pipeline_is_used_up(p) ||
	    !window_has_room(p))
		return false;
	if (p->needs_reset && !p->is_ahead) {
		put_reset(p);
		return true;
	}
	t = backlog_take(p->waiting);
	if (!is_fit(p, t))
		return true;
	put_reset(p);
	if (t->began_ms == 0)
		t->began_ms = now_monotonic_ms();
	backlog_put(&p->flight, t);
	p->current = t;
	p->begun++;
	p->rcpt_at = 0;
	p->step = STEP_RCPT;
	put_mail(p, t);
	return true;
}

static void put_rcpt(struct pipeline *p, size_t i)
{
	struct transaction *t = p->current;
	struct buf *out = stream_out(&p->d->stream);
	size_t before = out->len;
	struct outcome why;

	if (dialogue_put_rcpt(p->d, t, i, out, &why) < 0) {
		out->len = before;
		transaction_decide_rcpt(
		    t, i, RCPT_FAILED, 0, why.status, span_of(why.detail));
		return;
	}
	log_command(p, before);
	expect(p, AWAIT_RCPT, i);
}

static bool step_rcpt(struct pipeline *p)
{
	struct transaction *t = p->current;

	if (t->is_mail_refused) {
		end_message(p);
		return true;
	}
	while (p->rcpt_at < t->job.nrecipients &&
	       t->rcpts[p->rcpt_at].stage != RCPT_OPEN)
		p->rcpt_at++;
	if (p->rcpt_at < t->job.nrecipients) {
		put_rcpt(p, p->rcpt_at++);
		return true;
	}
	p->step = STEP_CALL;
	/* Worth a round trip to know that somebody takes it. */
	if (t->body_fd >= 0 || t->body_bytes > LARGE_BYTES)
		p->must_drain = true;
	return true;
}

/* All is answered and nobody takes the message. */
static void abandon_envelope(struct pipeline *p)
{
	p->needs_reset = !p->current->is_mail_refused;
	end_message(p);
}

static void put_bdat(struct pipeline *p)
{
	char command[48];

	snprintf(command, sizeof(command), "BDAT %llu LAST\r\n",
	    (unsigned long long)fit_bytes(p->current));
	put_command(p, command);
	content_init(&p->content, p->current, false);
	p->step = STEP_CONTENT;
}

static bool step_call(struct pipeline *p)
{
	if (p->nawaited == 0 && p->current->ntaken == 0) {
		abandon_envelope(p);
		return true;
	}
	/* An address that must not be sent was the only one. */
	if (transaction_is_decided(p->current)) {
		p->must_drain = true;
		return p->nawaited == 0;
	}
	if (p->is_bdat) {
		put_bdat(p);
		return true;
	}
	put_command(p, "DATA\r\n");
	expect(p, AWAIT_DATA, 0);
	p->must_drain = true;
	p->step = STEP_GO_AHEAD;
	return true;
}

static bool step_go_ahead(struct pipeline *p)
{
	struct transaction *t = p->current;

	if (!t->has_go_ahead) {
		abandon_envelope(p);
		return true;
	}
	if (t->ntaken > 0) {
		content_init(&p->content, t, true);
		p->step = STEP_CONTENT;
		return true;
	}
	/* Nobody takes it, yet the server waits for it: nothing but the end.*/
	put_command(p, ".\r\n");
	expect(p, AWAIT_CONTENT, 0);
	t->end = stream_queued(&p->d->stream);
	end_message(p);
	return true;
}

/* Half a message cannot be taken back: break off. All before it is answered,
 * because it was drained for a body in a file. */
static bool body_failed(struct pipeline *p)
{
	p->d->stream.is_write_dead = true;
	p->d->stream.is_read_dead = true;
	transaction_decide_why(p->current, RCPT_DEFERRED, &p->why);
	return false;
}

static bool step_content(struct pipeline *p)
{
	struct transaction *t = p->current;
	struct awaited *last;
	int more;

	if (!p->content.has_begun) {
		expect(p, AWAIT_CONTENT, 0);
		p->must_drain = false;
	}
	more = content_put(&p->content, t, stream_out(&p->d->stream), &p->why);
	if (more < 0)
		return body_failed(p);
	t->end = stream_queued(&p->d->stream);
	last = &p->awaited[(p->from + p->nawaited - 1) % AWAITED_MAX];
	last->end = t->end;
	if (more > 0)
		return true;
	if (p->d->talk)
		talk_note_octets(p->d->talk, fit_bytes(t));
	p->must_drain = !p->is_ahead;
	end_message(p);
	return true;
}

static bool put_next(struct pipeline *p)
{
	if (p->must_drain && p->nawaited > 0)
		return false;
	p->must_drain = false;
	switch (p->step) {
	case STEP_MAIL:
		return step_mail(p);
	case STEP_RCPT:
		return step_rcpt(p);
	case STEP_CALL:
		return step_call(p);
	case STEP_GO_AHEAD:
		return step_go_ahead(p);
	case STEP_CONTENT:
		return step_content(p);
	}
	return false;
}

int pipeline_send(struct pipeline *p)
{
	struct stream *s = &p->d->stream;
	uint64_t before = s->sent;
	bool has_put;

	if (s->is_write_dead || p->d->is_closing)
		return s->is_read_dead ? -1 : 0;
	do {
		has_put = false;
		while (stream_waiting(s) < STREAM_OUT_HIGH && put_next(p))
			has_put = true;
		if (!s->is_write_dead)
			(void)stream_push(s, &p->why);
	} while (has_put && !s->is_write_dead && stream_waiting(s) == 0);
	if (s->sent > before)
		p->write_ms = now_monotonic_ms();
	/* Replies that came before the socket broke can still be read. */
	if (s->is_write_dead || (p->nawaited > 0 && !p->is_head_out &&
				    p->awaited[p->from].end <= s->sent))
		pipeline_note_head(p, now_monotonic_ms());
	return s->is_read_dead ? -1 : 0;
}
