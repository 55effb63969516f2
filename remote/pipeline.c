/* Messages over one open connection: its life, how long to wait, replies read.
 */
#include "remote/pipeline.h"

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

bool pipeline_wants_to_leave(const struct pipeline *p)
{
	return p->is_leaving && p->nawaited == 0 && !p->current;
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

/* --- timing ------------------------------------------------------------- */

void pipeline_note_head(struct pipeline *p, uint64_t now_ms)
{
	p->since_ms = now_ms;
	p->since_sent = p->d->stream.sent;
	p->is_head_out =
	    p->nawaited > 0 && p->awaited[p->from].end <= p->d->stream.sent;
}

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
	pipeline_note_head(p, now_ms);
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
		dialogue_log(p->d, TALK_REPLY,
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
