/* Messages over one open connection: putting commands, timing, reading. */
#include "remote/pipeline.h"

#include "common/log.h"

#include <stdio.h>

enum { LARGE_BYTES = 131072, BATCH_MAX = 4 + RCPTS_PER_DELIVERY };

void pipeline_init(struct pipeline *p, struct dialogue *d,
    struct backlog *waiting, void (*on_done)(struct transaction *t, void *arg),
    void *arg)
{
	*p = (struct pipeline){
		.d = d, .waiting = waiting, .on_done = on_done, .arg = arg
	};
	backlog_init(&p->flight);
}

void pipeline_start(struct pipeline *p)
{
	const struct dialogue *d = p->d;

	pipeline_init(p, p->d, p->waiting, p->on_done, p->arg);
	p->is_ahead = d->ehlo.has_pipelining && !d->is_stepwise;
	p->is_bdat = d->ehlo.has_chunking && !d->is_stepwise;
	p->answered = p->mark = d->stream.sent;
	p->since_ms = p->write_ms = now_monotonic_ms();
}

bool pipeline_is_empty(const struct pipeline *p)
{
	return p->flight.count == 0 && p->nawaited == 0;
}

bool pipeline_is_used_up(const struct pipeline *p)
{
	unsigned most = p->d->session->messages;

	return most > 0 && p->begun >= most;
}

/* --- putting ------------------------------------------------------------ */

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
	if (p->d->session->is_detailed)
		dialogue_log(p->d, "smtp-command",
		    span_from(buf_span(&p->d->stream.out), before));
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

	if (!p->waiting->first || pipeline_is_used_up(p) || !window_has_room(p))
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
	    (unsigned long long)p->current->body_bytes);
	put_command(p, command);
	content_init(&p->content, false);
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
		content_init(&p->content, true);
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

	if (p->content.at == 0) {
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

static void note_head(struct pipeline *p, uint64_t now_ms)
{
	p->since_ms = now_ms;
	p->since_sent = p->d->stream.sent;
	p->is_head_out =
	    p->nawaited > 0 && p->awaited[p->from].end <= p->d->stream.sent;
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
		note_head(p, now_monotonic_ms());
	return s->is_read_dead ? -1 : 0;
}

/* --- timing ------------------------------------------------------------- */

static const struct awaited *head_of(const struct pipeline *p)
{
	return &p->awaited[p->from];
}

static uint32_t wait_of(const struct pipeline *p)
{
	const struct dialogue_waits *w = p->d->waits;

	if (p->d->is_closing || p->d->stream.is_write_dead)
		return w->closing;
	switch (head_of(p)->kind) {
	case AWAIT_DATA:
		return w->data;
	case AWAIT_CONTENT:
		return w->final;
	default:
		return w->envelope;
	}
}

uint64_t pipeline_deadline_ms(const struct pipeline *p)
{
	const struct dialogue_waits *w = p->d->waits;
	uint64_t stuck, slow;

	if (p->nawaited == 0)
		return 0;
	if (p->is_head_out || p->d->is_closing || p->d->stream.is_write_dead)
		return p->since_ms + wait_of(p);
	stuck =
	    (p->write_ms > p->since_ms ? p->write_ms : p->since_ms) + w->block;
	slow = p->since_ms + w->block +
	       (p->d->stream.sent - p->since_sent) * 1000 / w->lowest_rate;
	return stuck < slow ? stuck : slow;
}

static const char *const step_names[] = { [AWAIT_RSET] = "RSET",
	[AWAIT_MAIL] = "MAIL",
	[AWAIT_RCPT] = "RCPT",
	[AWAIT_DATA] = "DATA",
	[AWAIT_CONTENT] = "end of data" };

void pipeline_timed_out(struct pipeline *p)
{
	if (p->nawaited == 0)
		outcome_temp(&p->why, "4.4.2", "idle for too long");
	else if (p->is_head_out)
		outcome_temp(&p->why, "4.4.2", "%s: no reply in time",
		    step_names[head_of(p)->kind]);
	else
		outcome_temp(&p->why, "4.4.2",
		    "%s: the server takes the data too slowly",
		    step_names[head_of(p)->kind]);
}

/* --- reading ------------------------------------------------------------ */

static int unasked(struct pipeline *p)
{
	if (p->d->reply.code == 421) {
		p->d->is_closing = true;
		return dialogue_refused(p->d, "connection", false, &p->why);
	}
	p->is_bad = true;
	return dialogue_refused(
	    p->d, "more replies than commands", false, &p->why);
}

/* A refusal of the content may come before all of it has been sent; anything
 * else that answers what was not yet asked is not to be believed. */
static bool is_early(const struct pipeline *p, const struct awaited *a)
{
	uint16_t code = p->d->reply.code;

	if (a->end <= p->d->stream.sent || code == 421)
		return false;
	return code < 400 || a->kind != AWAIT_CONTENT;
}

static void note_round_trip(struct pipeline *p, const struct awaited *a)
{
	p->answered = a->end;
	if (a->end <= p->mark)
		return;
	p->d->round_trips++;
	p->mark = p->d->stream.sent;
}

static int take_reply(struct pipeline *p, uint64_t now_ms)
{
	struct awaited a;
	int status;

	if (p->nawaited == 0)
		return unasked(p);
	a = *head_of(p);
	if (is_early(p, &a)) {
		p->is_bad = true;
		return dialogue_refused(
		    p->d, "reply before the command", false, &p->why);
	}
	p->from = (p->from + 1) % AWAITED_MAX;
	p->nawaited--;
	note_head(p, now_ms);
	note_round_trip(p, &a);
	status = pipeline_apply(p, &a);
	/* The rest of the content has no place to go. */
	if (status == 0 && a.end > p->d->stream.sent)
		return dialogue_refused(
		    p->d, "refused before its end", false, &p->why);
	return status;
}

static int take_replies(struct pipeline *p)
{
	struct stream *s = &p->d->stream;
	uint64_t now_ms = now_monotonic_ms();
	ptrdiff_t n;

	while (stream_input(s).n > 0) {
		n = reply_parse(&p->d->reply, stream_input(s), &p->why);
		if (n == 0 && stream_input(s).n < STREAM_IN_MAX)
			return 0;
		if (n <= 0) {
			p->is_bad = true;
			return n < 0 ? -1
				     : outcome_temp(
					   &p->why, "4.5.0", "reply too long");
		}
		dialogue_log(p->d, "smtp-reply",
		    (struct span){ stream_input(s).p, (size_t)n });
		stream_take(s, (size_t)n);
		if (take_reply(p, now_ms) < 0)
			return -1;
	}
	return 0;
}

/* After a 421 only what the server may already have got whole can still be
 * answered. */
static bool is_over(const struct pipeline *p)
{
	if (!p->d->is_closing)
		return false;
	for (unsigned i = 0; i < p->nawaited; i++) {
		const struct awaited *a =
		    &p->awaited[(p->from + i) % AWAITED_MAX];

		if (a->kind == AWAIT_CONTENT && a->end <= p->d->stream.sent)
			return false;
	}
	return true;
}

int pipeline_receive(struct pipeline *p)
{
	struct stream *s = &p->d->stream;
	struct outcome why = { 0 };
	int got;

	do {
		got = stream_pull(s, &why);
		if (take_replies(p) < 0)
			return -1;
	} while (got > 0 && s->has_more);
	if (got < 0) {
		if (!p->d->is_closing)
			p->why = why;
		return -1;
	}
	return is_over(p) ? -1 : 0;
}
