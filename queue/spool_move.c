/* Copying a live message forward: its record as it stands, with the state and
 * the attempts of what is left of it. */
#include "queue/spool_parts.h"

static void attempts_put(struct index *ix, uint64_t id, uint16_t number,
    uint32_t nlogged, struct buf *b, uint16_t *n)
{
	uint32_t i = nlogged > ATTEMPTS_KEPT ? nlogged - ATTEMPTS_KEPT : 0;

	for (*n = 0; i < nlogged; i++) {
		struct span value;
		struct key key;

		key_attempt(&key, id, number, i);
		if (index_get(
			ix, ix->write, DB_ATTEMPT, key_span(&key), &value) != 0)
			continue;
		moved_attempt_put(b, i, value);
		++*n;
	}
}

static int delivery_states_put(
    struct spool *s, uint64_t id, uint16_t number, struct buf *b)
{
	struct index *ix = s->index;
	struct buf *attempts = &s->scratch;
	struct moved_delivery moved = { .delivery = number };
	struct delivery d;
	struct key key;

	key_delivery(&key, id, number);
	if (index_get(ix, ix->write, DB_DELIVERY, key_span(&key),
		&moved.value) != 0 ||
	    delivery_get(moved.value, &d) < 0)
		return -1;
	buf_reset(attempts);
	attempts_put(ix, id, number, d.nlogged, attempts, &moved.nattempts);
	moved.claim = claim_read(ix, ix->write, id, number);
	moved_delivery_put(b, &moved);
	buf_put_raw(b, buf_span(attempts));
	return attempts->overflow ? -1 : 0;
}

static int states_put(
    struct spool *s, uint64_t id, bool was_sent, struct buf *b)
{
	struct filter filter = { .id = id, .state = -1, .uid = UINT32_MAX };
	struct cursor start = { 0 };
	struct walk w;
	int result = 0;

	put_u8(b, was_sent);
	if (walk_begin(&w, s, s->index->write, &filter, &start) < 0)
		return -1;
	while (result == 0 && walk_next(&w))
		result = delivery_states_put(s, id, w.at.delivery, b);
	walk_end(&w);
	return result;
}

/* The record goes into joined: it must stay until the commit, so its body is
 * put into the batch itself. */
static int move_put(struct spool *s, uint64_t id, struct span stored,
    bool was_sent, struct span body)
{
	struct buf *b = stage_begin(s, RECORD_MOVE, id);
	size_t at;

	put_span(b, stored);
	at = b->len;
	put_u32(b, 0);
	if (states_put(s, id, was_sent, b) < 0 || b->overflow) {
		stage_cancel(s);
		return -1;
	}
	buf_set_length(b, at);
	buf_put_raw(b, body);
	return 0;
}

int stage_move(struct spool *s, uint64_t id, struct outcome *why)
{
	struct record_message x;
	struct record_head head;
	struct message_info m;

	if (stage_ready(s, why) < 0)
		return -1;
	if (!message_read(s->index, s->index->write, id, &m))
		return 1;
	if (m.place.segment == journal_current(s->journal)->number &&
	    m.place.offset >= journal_at(s->journal))
		return 0; /* staged already */
	if (journal_read(s->journal, &m.place, &s->record, &head, why) < 0)
		return -1;
	if (head.message != id ||
	    record_message_get(
		span_from(buf_span(&s->record), RECORD_HEAD_BYTES), &x) < 0)
		return outcome_temp(why, "4.3.0", "another record");
	if (move_put(s, id, x.stored, m.was_sent, x.body) < 0)
		return outcome_temp(why, "4.3.0", "out of memory");
	return stage_end(s, (struct span){ NULL, 0 }, NULL, false, why);
}
