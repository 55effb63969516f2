/* Records applied to the index: messages as accepted or moved, and the
 * recipients that a report settles. */
#include "queue/index.h"

static void info_fill(struct message_info *m, const struct stored_message *s,
    const struct place *place)
{
	const struct envelope *e = &s->envelope;

	*m = (struct message_info){
		.place = *place,
		.body_crc = s->body_crc,
		.is_large = s->is_large,
		.smtputf8 = e->smtputf8,
		.requiretls = e->requiretls,
		.body = e->body,
		.ret = e->ret,
		.origin = e->origin,
		.priority = e->priority,
		.size_bytes = s->body_bytes,
		.accepted_ms = s->at_ms,
		.expires_at = e->expires_at,
		.uid = e->uid,
		.nrecipients = s->nrecipients,
		.open = s->ndeliveries,
		.sender = e->sender,
		.envid = e->envid,
		.line = e->line,
	};
	if (!s->is_large)
		m->body_offset = place->bytes - (uint32_t)s->body_bytes;
}

static uint64_t first_due(const struct stored_message *s)
{
	uint64_t hold = s->envelope.hold_until;

	if (hold == 0)
		return s->at_ms;
	return hold > UINT64_MAX / 1000 ? NEVER_MS : hold * 1000;
}

static void delivery_fill(struct delivery *d, struct stored_delivery *s)
{
	struct recipient r;
	uint32_t order;

	d->domain = s->domain;
	while (
	    d->n < RCPTS_PER_DELIVERY && stored_recipient_next(s, &r, &order)) {
		d->recipients[d->n] = (struct delivery_recipient){
			.index = d->n,
			.notify = r.notify,
			.address = r.address,
			.orcpt = r.orcpt,
		};
		d->n++;
	}
}

static void deliveries_make(
    struct index *ix, uint64_t id, struct stored_message *s, bool is_appended)
{
	struct stored_delivery stored;
	struct held_delivery h;

	for (uint16_t number = 0; stored_delivery_next(s, &stored); number++) {
		held_new(&h, id, number, is_appended);
		h.d.state = s->envelope.hold_until ? STATE_HELD : STATE_READY;
		h.d.due_ms = first_due(s);
		delivery_fill(&h.d, &stored);
		held_save(ix, &h);
	}
}

/* --- What a report settles ------------------------------------------------ */

/* That recipient's report has been made: true when there was one to make. */
static bool recipient_settle(
    struct index *ix, struct delivery *d, const struct report_ref *ref)
{
	struct delivery_recipient *r = delivery_find(d, ref->recipient);
	struct ledger *ledger = &ix->staged.ledger;

	if (!r || r->report == REPORT_NONE || r->report != ref->kind)
		return false;
	r->report = REPORT_NONE;
	if (ref->kind == REPORT_DELAYED) {
		d->warned = true;
		return true;
	}
	if (r->state == RECIPIENT_FAILED)
		ledger->failed++;
	else
		ledger->delivered++;
	delivery_remove(d, r);
	return true;
}

static void held_settled(struct index *ix, struct held_delivery *h)
{
	if (!delivery_has_report(&h->d))
		h->d.report_ms = NEVER_MS;
	if (h->claim == CLAIM_REPORT + 1)
		h->claim = 0;
	h->is_changed = true;
	held_save(ix, h);
}

static void refs_settle(struct index *ix, struct stored_message *s)
{
	struct held_delivery h;
	struct report_ref ref;
	bool is_loaded = false, is_settled = false;

	while (stored_ref_next(s, &ref)) {
		if (!is_loaded || h.number != ref.delivery) {
			if (is_settled)
				held_settled(ix, &h);
			is_loaded =
			    held_load(ix, s->envelope.about, ref.delivery, &h);
			is_settled = false;
		}
		if (is_loaded)
			is_settled |= recipient_settle(ix, &h.d, &ref);
	}
	if (is_settled)
		held_settled(ix, &h);
}

/* --- MESSAGE, MOVE -------------------------------------------------------- */

static bool id_note(struct index *ix, uint64_t id)
{
	if (id <= ix->staged.last_id)
		return false;
	ix->staged.last_id = id;
	return true;
}

/* contents may end before the body: its length follows from the place. */
static int message_parse(struct span contents, const struct place *place,
    struct record_message *x, struct stored_message *s)
{
	uint64_t before;

	if (record_message_get(contents, x) < 0 ||
	    stored_message_get(x->stored, s) < 0)
		return -1;
	before = RECORD_HEAD_BYTES + 8 + x->stored.n + x->states.n;
	return place->bytes == before + (s->is_large ? 0 : s->body_bytes) ? 0
									  : -1;
}

int apply_message(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	bool is_last = id_note(ix, head->message);
	struct record_message x;
	struct stored_message s;
	struct message_info m;

	if (message_parse(contents, place, &x, &s) < 0)
		return -1;
	if (!is_last)
		message_drop(ix, head->message);
	info_fill(&m, &s, place);
	message_save(ix, head->message, &m, is_last ? ROW_APPENDED : ROW_NEW);
	ix->staged.ledger.accepted += s.nrecipients;
	ix->staged.ledger.accepted_messages++;
	deliveries_make(ix, head->message, &s, is_last);
	if (s.nrefs > 0)
		refs_settle(ix, &s);
	return 0;
}

static uint32_t count_states(struct reader states)
{
	struct moved_delivery d;
	uint32_t n = 0;

	while (moved_delivery_next(&states, &d))
		n++;
	return n;
}

static int delivery_restore(
    struct index *ix, uint64_t id, struct moved_delivery *moved)
{
	struct held_delivery h;
	struct span attempt;
	uint32_t number;

	held_new(&h, id, moved->delivery, false);
	if (delivery_get(moved->value, &h.d) < 0)
		return -1;
	h.claim = moved->claim;
	held_save(ix, &h);
	while (moved_attempt_next(moved, &number, &attempt))
		attempt_save(
		    ix, id, moved->delivery, number, span_from(attempt, 1));
	return 0;
}

static int message_restore(struct index *ix, uint64_t id,
    const struct stored_message *s, struct span states,
    const struct place *place)
{
	struct reader r = reader_of(states);
	size_t gone = ix->gone_large.len;
	struct moved_delivery moved;
	struct message_info m;

	message_drop(ix, id);
	/* the file stays: it belongs to the message that comes back */
	ix->gone_large.len = gone;
	info_fill(&m, s, place);
	m.was_sent = get_u8(&r);
	m.open = count_states(r);
	if (m.open == 0)
		return -1;
	message_save(ix, id, &m, ROW_NEW);
	while (moved_delivery_next(&r, &moved))
		if (delivery_restore(ix, id, &moved) < 0)
			return -1;
	return 0;
}

int apply_move(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place)
{
	struct record_message x;
	struct stored_message s;
	struct message_info m;

	id_note(ix, head->message);
	if (message_parse(contents, place, &x, &s) < 0)
		return -1;
	if (ix->is_replaying)
		return message_restore(ix, head->message, &s, x.states, place);
	if (!message_read(ix, ix->write, head->message, &m))
		return 0;
	usage_sub(ix, &m.place);
	m.place = *place;
	if (!m.is_large)
		m.body_offset = place->bytes - (uint32_t)m.size_bytes;
	message_save(ix, head->message, &m, ROW_CHANGED);
	usage_add(ix, place);
	return 0;
}
