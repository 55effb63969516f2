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

/* The refusal decides all recipients, or the one. */
static void refuse(struct pipeline *p, const struct awaited *a)
{
	const struct reply *r = &p->d->reply;
	enum rcpt_result result = result_of(r, a->kind);
	const char *status = r->status;
	struct buf text;

	if (result == RCPT_DEFERRED && r->code >= 500)
		status = "4.5.3";
	buf_init(&text, REPLY_MAX);
	reply_print(r, &text);
	if (a->kind == AWAIT_RCPT)
		transaction_decide_rcpt(
		    a->t, a->rcpt, result, r->code, status, buf_span(&text));
	else
		transaction_decide_all(
		    a->t, result, r->code, status, buf_span(&text));
	buf_clear(&text);
}

/* 421: nothing is decided here, the next host is asked. */
static void note_closing(
    struct pipeline *p, struct transaction *t, enum await kind)
{
	p->d->is_closing = true;
	dialogue_refused(p->d, "the server closes", false, &p->why);
	if (t && kind == AWAIT_MAIL)
		t->is_mail_refused = true;
}

static int apply_reset(struct pipeline *p)
{
	if (p->d->reply.code == 421)
		note_closing(p, NULL, AWAIT_RSET);
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
		return apply_reset(p);
	a->t->nawaited--;
	if (p->d->reply.code == 421)
		note_closing(p, a->t, a->kind);
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
	       !p->d->is_closing && !p->is_bdat_bad;
}

static void decide_uncertain(struct pipeline *p, struct transaction *t)
{
	struct outcome why;

	outcome_temp(
	    &why, "4.4.2", "sent whole, no final reply: %s", p->why.detail);
	transaction_decide_why(t, RCPT_UNCERTAIN, &why);
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
		} else if (is_first && !transaction_is_decided(t)) {
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
