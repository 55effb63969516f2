/* Replies applied to what they answer, and the end of a connection: what each
 * begun message has come to.
 *
 * features.md, "One attempt": 4xx and 5xx to MAIL, RCPT, DATA and the final
 * dot end the attempt of this message; 421 anywhere and a lost connection
 * leave it open for the next host, unless its last octet was sent.
 */
#include "remote/pipeline.h"

enum { LOSSES_MAX = 3 };

static int bad_reply(struct pipeline *p, const char *step)
{
	p->is_bad = true;
	return dialogue_refused(p->d, step, false, &p->why);
}

/* 552 to RCPT means "too many" on many servers (RFC 5321 4.5.3.1.10). */
static enum rcpt_result result_of(const struct reply *r, enum await kind)
{
	if (r->code < 500 || (kind == AWAIT_RCPT && r->code == 552))
		return RCPT_DEFERRED;
	return RCPT_FAILED;
}

struct reply_verdict pipeline_find_rule(
    const struct dialogue *d, const struct transaction *t, struct span text)
{
	struct reply_verdict verdict = { 0 };
	struct buf domain;

	if (!d->rules)
		return verdict;
	buf_init(&domain, ADDRESS_MAX);
	transaction_domain(t, &domain);
	verdict = replyrules_find(d->rules, text, buf_span(&domain));
	buf_clear(&domain);
	return verdict;
}

static enum reply_stage stage_of(uint8_t kind)
{
	static const enum reply_stage stages[] = { [AWAIT_RSET] =
						       REPLY_TO_NOTHING,
		[AWAIT_MAIL] = REPLY_TO_MAIL,
		[AWAIT_RCPT] = REPLY_TO_RCPT,
		[AWAIT_DATA] = REPLY_TO_DATA,
		[AWAIT_CONTENT] = REPLY_TO_CONTENT };

	return stages[kind];
}

/* No more messages are begun here. */
static void leave(struct pipeline *p, const struct reply_verdict *verdict)
{
	if (!p->is_leaving)
		dialogue_refused(p->d, "by a reply rule", false, &p->why);
	p->is_leaving = true;
	p->is_suspended |= verdict->action == REPLY_SUSPEND;
}

/* What a rule makes of the refusal, for all recipients or the one. */
static void refuse_by(struct pipeline *p, const struct awaited *a,
    struct refusal *refusal, int rcpt)
{
	const struct reply_verdict *verdict = &refusal->verdict;

	if (refusal->result == RCPT_DEFERRED && refusal->code >= 500 &&
	    verdict->action == REPLY_AS_IS)
		refusal->status = "4.5.3";
	if (verdict->action == REPLY_NEXT_HOST && p->has_next)
		transaction_pass(a->t, rcpt);
	else
		transaction_refuse(a->t, rcpt, refusal);
	if ((verdict->action == REPLY_NEXT_HOST && p->has_next) ||
	    verdict->action == REPLY_SUSPEND)
		leave(p, verdict);
}

static void refuse(struct pipeline *p, const struct awaited *a)
{
	const struct reply *r = &p->d->reply;
	struct refusal refusal = { .result = result_of(r, a->kind),
		.code = r->code,
		.status = r->status,
		.stage = stage_of(a->kind) };
	struct buf text;

	buf_init(&text, REPLY_MAX);
	reply_print(r, &text);
	refusal.text = buf_span(&text);
	refusal.verdict = pipeline_find_rule(p->d, a->t, refusal.text);
	if (p->has_family && reply_is_ours(&refusal.verdict)) {
		refusal.verdict.action = REPLY_NEXT_HOST;
		p->leaves_family = true;
	}
	refuse_by(p, a, &refusal, a->kind == AWAIT_RCPT ? a->rcpt : EVERY_RCPT);
	buf_clear(&text);
}

/* 421: nothing is decided here, the next host is asked; unless a rule says
 * what to do with the message. */
static void note_closing(struct pipeline *p, const struct awaited *a)
{
	struct reply_verdict verdict = { 0 };
	struct buf text;

	p->d->is_closing = true;
	dialogue_refused(p->d, "the server closes", false, &p->why);
	if (!a->t)
		return;
	if (a->kind == AWAIT_MAIL)
		a->t->is_mail_refused = true;
	buf_init(&text, REPLY_MAX);
	reply_print(&p->d->reply, &text);
	verdict = pipeline_find_rule(p->d, a->t, buf_span(&text));
	if (verdict.action != REPLY_AS_IS &&
	    verdict.action != REPLY_NEXT_HOST) {
		struct refusal refusal = { RCPT_DEFERRED, 421,
			p->d->reply.status, buf_span(&text), stage_of(a->kind),
			verdict };

		transaction_refuse(a->t, EVERY_RCPT, &refusal);
		p->is_suspended |= verdict.action == REPLY_SUSPEND;
	}
	buf_clear(&text);
}

static int apply_reset(struct pipeline *p, const struct awaited *a)
{
	if (p->d->reply.code == 421)
		note_closing(p, a);
	else if (p->d->reply.code / 100 != 2)
		return bad_reply(p, "RSET");
	return 0;
}

static int apply_mail(struct pipeline *p, const struct awaited *a)
{
	uint16_t code = p->d->reply.code;

	if (code / 100 == 2)
		return 0;
	/* Out of step: not a verdict on the message. */
	if (code / 100 == 3 || (code == 503 && p->is_ahead))
		return bad_reply(p, "MAIL");
	a->t->is_mail_refused = true;
	refuse(p, a);
	return 0;
}

static int apply_rcpt(struct pipeline *p, const struct awaited *a)
{
	uint16_t code = p->d->reply.code;

	if (a->t->is_mail_refused)
		return 0;
	if (code / 100 == 2) {
		transaction_take_rcpt(a->t, a->rcpt);
		return 0;
	}
	if (code / 100 == 3 || (code == 503 && p->is_ahead))
		return bad_reply(p, "RCPT");
	refuse(p, a);
	return 0;
}

static int apply_data(struct pipeline *p, const struct awaited *a)
{
	uint16_t code = p->d->reply.code;

	if (code == 354) {
		a->t->has_go_ahead = true;
		return 0;
	}
	if (code < 400 || (code == 503 && p->is_ahead && a->t->ntaken > 0))
		return bad_reply(p, "DATA");
	if (a->t->ntaken > 0)
		refuse(p, a);
	return 0;
}

static int apply_content(struct pipeline *p, const struct awaited *a)
{
	const struct reply *r = &p->d->reply;
	struct buf text;

	if (a->t->ntaken == 0) {
		p->needs_reset = p->is_bdat;
		return 0;
	}
	if (r->code / 100 == 3)
		return bad_reply(p, "end of data");
	if (p->is_bdat && r->code >= 500 && r->code <= 504) {
		p->is_bdat_bad = true;
		return bad_reply(p, "BDAT");
	}
	if (r->code >= 400) {
		refuse(p, a);
		p->needs_reset = p->is_bdat;
		return 0;
	}
	buf_init(&text, REPLY_MAX);
	reply_print(r, &text);
	transaction_decide_taken(
	    a->t, RCPT_DELIVERED, r->code, r->status, buf_span(&text));
	buf_clear(&text);
	return 0;
}

int pipeline_apply(struct pipeline *p, const struct awaited *a)
{
	int status = 0;

	if (!a->t)
		return apply_reset(p, a);
	a->t->nawaited--;
	if (p->d->reply.code == 421)
		note_closing(p, a);
	else if (a->kind == AWAIT_MAIL)
		status = apply_mail(p, a);
	else if (a->kind == AWAIT_RCPT)
		status = apply_rcpt(p, a);
	else if (a->kind == AWAIT_DATA)
		status = apply_data(p, a);
	else if (a->kind == AWAIT_CONTENT)
		status = apply_content(p, a);
	if (status == 0)
		pipeline_settle(p);
	return status;
}

void pipeline_settle(struct pipeline *p)
{
	struct transaction *t;

	/* One that a 421 left open stays: pipeline_break finds it. */
	while ((t = p->flight.first) != NULL && t->is_put && t->nawaited == 0 &&
	       transaction_is_decided(t)) {
		p->completed++;
		p->on_done(backlog_take(&p->flight), p->arg);
	}
}

/* --- the end of a connection --------------------------------------------- */

static bool is_uncertain(const struct pipeline *p, const struct transaction *t)
{
	return t->is_put && t->end > 0 && t->end <= p->d->stream.sent &&
	       !t->is_mail_refused && !transaction_is_decided(t) &&
	       !transaction_is_passed(t) && !p->d->is_closing &&
	       !p->is_bdat_bad;
}

static void decide_uncertain(struct pipeline *p, struct transaction *t)
{
	struct outcome why;

	outcome_temp(
	    &why, "4.4.2", "sent whole, no final reply: %s", p->why.detail);
	transaction_decide_uncertain(t, &why);
}

/* The message that the server was at: after some losses it may be the cause.*/
static void note_loss(struct pipeline *p, struct transaction *t)
{
	if (++t->losses >= LOSSES_MAX)
		transaction_decide_why(t, RCPT_DEFERRED, &p->why);
}

static bool sort_out(struct pipeline *p, struct backlog *again)
{
	struct transaction *t;
	bool is_first = true;
	unsigned uncertain = 0;

	while ((t = backlog_take(&p->flight)) != NULL) {
		if (is_uncertain(p, t)) {
			decide_uncertain(p, t);
			uncertain++;
		} else if (is_first && !transaction_is_decided(t) &&
			   !transaction_is_passed(t)) {
			note_loss(p, t);
		}
		is_first = false;
		if (transaction_is_decided(t)) {
			p->on_done(t, p->arg);
			continue;
		}
		transaction_restart(t);
		backlog_put(again, t);
	}
	return uncertain > 1;
}

static void give_back(struct pipeline *p, struct backlog *again)
{
	struct transaction *t;

	while ((t = backlog_take(p->waiting)) != NULL)
		backlog_put(again, t);
	backlog_init(p->waiting);
	while ((t = backlog_take(again)) != NULL)
		backlog_put(p->waiting, t);
}

bool pipeline_break(struct pipeline *p)
{
	bool was_ahead = p->is_ahead && p->nawaited > 1;
	struct backlog again;
	bool many_lost;

	backlog_init(&again);
	many_lost = sort_out(p, &again);
	give_back(p, &again);
	p->nawaited = 0;
	p->current = NULL;
	return p->is_bad || (p->is_ahead && many_lost) ||
	       (was_ahead && p->completed == 0 && !p->d->is_closing);
}
