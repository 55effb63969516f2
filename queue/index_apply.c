/* Records applied to the index: one function a type. The same code runs when
 * a record is staged and when it is replayed. */
#include "queue/index.h"

static int apply_claim(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	struct record_claim x;
	struct held_delivery h;

	(void)place;
	if (record_claim_get(contents, &x) < 0)
		return -1;
	if (!held_load(ix, head->message, x.delivery, &h))
		return 0;
	h.claim = (uint8_t)(x.claim_for + 1);
	held_save(ix, &h);
	return 0;
}

static int apply_unclaim(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	struct record_claim x;
	struct held_delivery h;

	(void)place;
	if (record_claim_get(contents, &x) < 0)
		return -1;
	if (!held_load(ix, head->message, x.delivery, &h))
		return 0;
	h.claim = 0;
	held_save(ix, &h);
	return 0;
}

/* Remembered for as long as something of the message is here: it may not be
 * retracted any more. */
static void mark_sent(struct index *ix, uint64_t id)
{
	struct message_info m;

	if (!message_read(ix, ix->write, id, &m) || m.was_sent)
		return;
	m.was_sent = true;
	message_save(ix, id, &m, ROW_CHANGED);
}

static void count_up(uint16_t *n)
{
	*n += *n < UINT16_MAX;
}

static int apply_uncertain(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	struct record_claim x;
	struct held_delivery h;

	(void)place;
	if (record_claim_get(contents, &x) < 0)
		return -1;
	ix->staged.ledger.uncertain++;
	if (!held_load(ix, head->message, x.delivery, &h))
		return 0;
	h.claim = 0;
	h.d.state = STATE_UNCERTAIN;
	h.d.due_ms = x.at_ms;
	count_up(&h.d.uncertain);
	h.is_changed = true;
	held_save(ix, &h);
	mark_sent(ix, head->message);
	return 0;
}

static int apply_gone(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	(void)contents;
	(void)place;
	message_drop(ix, head->message);
	return 0;
}

/* --- ATTEMPT -------------------------------------------------------------- */

struct tried {
	bool is_touched, is_uncertain, is_sent, has_report;
};

static void recipient_final(struct index *ix, struct delivery *d,
    struct delivery_recipient *r, uint8_t state, uint8_t report)
{
	struct ledger *ledger = &ix->staged.ledger;

	if (report != REPORT_NONE) {
		r->state = state;
		r->report = report;
		return;
	}
	if (state == RECIPIENT_FAILED)
		ledger->failed++;
	else
		ledger->delivered++;
	delivery_remove(d, r);
}

/* The report that fits the result, whatever was asked for. */
static uint8_t report_for(uint8_t result, uint8_t asked)
{
	bool is_success = asked == REPORT_RELAYED || asked == REPORT_DELIVERED;

	if (result == RCPT_DELIVERED)
		return is_success ? asked : REPORT_NONE;
	if (result == RCPT_FAILED)
		return asked ? REPORT_FAILED : REPORT_NONE;
	return asked == REPORT_DELAYED ? asked : REPORT_NONE;
}

static void recipient_tried(struct index *ix, struct delivery *d,
    struct delivery_recipient *r, uint8_t result, uint8_t asked,
    struct tried *tried)
{
	uint8_t report = report_for(result, asked);

	tried->is_touched = true;
	tried->is_sent |= result == RCPT_DELIVERED || result == RCPT_UNCERTAIN;
	tried->is_uncertain |= result == RCPT_UNCERTAIN;
	tried->has_report |= report != REPORT_NONE;
	if (result == RCPT_DELIVERED)
		recipient_final(ix, d, r, RECIPIENT_DELIVERED, report);
	else if (result == RCPT_FAILED)
		recipient_final(ix, d, r, RECIPIENT_FAILED, report);
	else if (report)
		r->report = report;
}

static void recipients_tried(struct index *ix, struct delivery *d,
    struct record_attempt *x, struct tried *tried)
{
	struct rcpt_outcome outcome;
	struct span status;
	uint8_t report;

	while (record_attempt_next(x, &outcome, &report, &status)) {
		struct delivery_recipient *r = delivery_find(d, outcome.index);

		if (!r || r->state != RECIPIENT_PENDING ||
		    outcome.result == RCPT_UNTOUCHED)
			continue;
		r->reply = outcome.reply;
		r->status = status;
		r->host = x->attempt.result.host;
		recipient_tried(ix, d, r, outcome.result, report, tried);
	}
}

static void delivery_tried(struct delivery *d, const struct record_attempt *x,
    const struct tried *tried)
{
	const struct attempt *a = &x->attempt;

	if (a->counts)
		count_up(&d->attempts);
	if (a->line_died)
		count_up(&d->line_deaths);
	if (tried->is_uncertain)
		count_up(&d->uncertain);
	d->line = a->line;
	d->cause = a->cause;
	d->due_ms = a->next_try_ms ? a->next_try_ms : x->at_ms;
	if (tried->has_report)
		d->report_ms = x->at_ms;
	else if (!delivery_has_report(d))
		d->report_ms = NEVER_MS;
	if (tried->is_uncertain)
		d->state = STATE_UNCERTAIN;
	else if (tried->is_touched || a->counts ||
		 (d->state != STATE_UNCERTAIN && d->due_ms > x->at_ms))
		d->state = STATE_DEFERRED;
	else if (d->state == STATE_HELD)
		d->state = STATE_READY;
	if (a->line_died && d->line_deaths >= LINE_DEATHS_MAX) {
		d->state = STATE_SUSPENDED;
		d->due_ms = NEVER_MS;
	}
}

static int apply_attempt(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	struct tried tried = { 0 };
	struct record_attempt x;
	struct held_delivery h;

	(void)place;
	if (record_attempt_get(contents, &x) < 0)
		return -1;
	if (!held_load(ix, head->message, x.attempt.delivery, &h))
		return 0;
	recipients_tried(ix, &h.d, &x, &tried);
	h.claim = 0;
	h.is_changed = true;
	delivery_tried(&h.d, &x, &tried);
	ix->staged.ledger.uncertain += tried.is_uncertain;
	if (h.d.n > 0 &&
	    (tried.is_touched || x.attempt.counts || x.attempt.line_died))
		attempt_save(ix, h.id, h.number, h.d.nlogged++, contents);
	held_save(ix, &h);
	if (tried.is_sent)
		mark_sent(ix, head->message);
	return 0;
}

/* --- CHANGE --------------------------------------------------------------- */

static void change_hold(struct index *ix, struct held_delivery *h,
    const struct record_change *x, uint16_t recipient)
{
	(void)ix;
	(void)recipient;
	h->d.state = STATE_HELD;
	h->d.due_ms = x->until > UINT64_MAX / 1000 ? NEVER_MS : x->until * 1000;
}

static void change_retry(struct index *ix, struct held_delivery *h,
    const struct record_change *x, uint16_t recipient)
{
	(void)recipient;
	if (h->d.state != STATE_UNCERTAIN)
		h->d.state = STATE_READY;
	h->d.due_ms = x->at_ms;
	h->d.line_deaths = 0;
	if (x->action != CHANGE_RETRY || x->until == 0)
		return;
	attempts_drop(ix, h->id, h->number, 0, h->d.nlogged);
	h->d.nlogged = 0;
	h->d.attempts = 0;
}

static bool is_target(const struct delivery_recipient *r, uint16_t recipient)
{
	return recipient == EVERY_RECIPIENT || r->index == recipient;
}

/* A recipient whose report is all that is left counts as what it was. */
static void change_delete(struct index *ix, struct held_delivery *h,
    const struct record_change *x, uint16_t recipient)
{
	struct ledger *ledger = &ix->staged.ledger;

	(void)x;
	for (unsigned i = h->d.n; i-- > 0;) {
		struct delivery_recipient *r = &h->d.recipients[i];

		if (!is_target(r, recipient))
			continue;
		if (r->state == RECIPIENT_PENDING)
			ledger->retracted++;
		else if (r->state == RECIPIENT_FAILED)
			ledger->failed++;
		else
			ledger->delivered++;
		delivery_remove(&h->d, r);
	}
}

/* RFC 3461 4.1: NOTIFY without FAILURE asks for silence; and nobody is told
 * about a message from the null sender. */
static bool wants_report(const struct delivery_recipient *r, bool has_sender)
{
	return has_sender && (!r->notify || r->notify & NOTIFY_FAILURE);
}

static void change_bounce(struct index *ix, struct held_delivery *h,
    const struct record_change *x, uint16_t recipient)
{
	struct message_info m;
	bool has_sender =
	    message_read(ix, ix->write, h->id, &m) && m.sender.n > 0;

	for (unsigned i = h->d.n; i-- > 0;) {
		struct delivery_recipient *r = &h->d.recipients[i];
		bool has_report = wants_report(r, has_sender);

		if (!is_target(r, recipient) || r->state != RECIPIENT_PENDING)
			continue;
		r->status = SPAN_LITERAL("5.7.0");
		r->reply = SPAN_LITERAL("bounced by the administrator");
		r->host = (struct span){ NULL, 0 };
		recipient_final(ix, &h->d, r, RECIPIENT_FAILED,
		    has_report ? REPORT_FAILED : REPORT_NONE);
		if (has_report)
			h->d.report_ms = x->at_ms;
	}
}

static int apply_change(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	static void (*const actions[])(struct index *, struct held_delivery *,
	    const struct record_change *, uint16_t) = {
		[CHANGE_HOLD] = change_hold,
		[CHANGE_RELEASE] = change_retry,
		[CHANGE_RETRY] = change_retry,
		[CHANGE_DELETE] = change_delete,
		[CHANGE_BOUNCE] = change_bounce,
		[CHANGE_RETRACT] = change_delete,
	};
	struct record_change x;
	struct change_target t;
	struct held_delivery h;

	(void)head;
	(void)place;
	if (record_change_get(contents, &x) < 0)
		return -1;
	while (change_target_next(&x, &t)) {
		if (!held_load(ix, t.message, t.delivery, &h))
			continue;
		actions[x.action](ix, &h, &x, t.recipient);
		if (!delivery_has_report(&h.d))
			h.d.report_ms = NEVER_MS;
		h.is_changed = true;
		held_save(ix, &h);
	}
	return 0;
}

int index_apply(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	static int (*const types[RECORD_TYPE_END])(struct index *,
	    const struct record_head *, struct span, const struct place *) = {
		[RECORD_MESSAGE] = apply_message,
		[RECORD_MOVE] = apply_move,
		[RECORD_CLAIM] = apply_claim,
		[RECORD_UNCLAIM] = apply_unclaim,
		[RECORD_ATTEMPT] = apply_attempt,
		[RECORD_UNCERTAIN] = apply_uncertain,
		[RECORD_CHANGE] = apply_change,
		[RECORD_GONE] = apply_gone,
	};

	if (head->type >= RECORD_TYPE_END || !types[head->type])
		return -1;
	return types[head->type](ix, head, contents, place);
}
