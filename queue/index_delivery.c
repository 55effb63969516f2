/* Rows that belong together: a delivery with its schedule, destination, claim
 * and attempts; a message with its deliveries. Counts are kept on the way. */
#include <errno.h>

#include "queue/index.h"

static const struct span version_only = { "\1", 1 };

uint8_t claim_read(struct index *ix, MDB_txn *txn, uint64_t id, uint16_t number)
{
	struct span value;
	struct key key;

	key_delivery(&key, id, number);
	if (index_get(ix, txn, DB_CLAIM, key_span(&key), &value) != 0 ||
	    value.n != 2)
		return 0;
	return (uint8_t)(value.p[1] + 1);
}

bool delivery_read(struct index *ix, MDB_txn *txn, uint64_t id, uint16_t number,
    struct delivery *d, uint8_t *claim)
{
	struct span value;
	struct key key;

	key_delivery(&key, id, number);
	if (index_get(ix, txn, DB_DELIVERY, key_span(&key), &value) != 0)
		return false;
	if (delivery_get(value, d) < 0) {
		index_note(ix, MDB_CORRUPTED);
		return false;
	}
	*claim = claim_read(ix, txn, id, number);
	return true;
}

bool held_load(
    struct index *ix, uint64_t id, uint16_t number, struct held_delivery *h)
{
	struct span value;
	struct key key;

	key_delivery(&key, id, number);
	if (ix->error ||
	    index_get(ix, ix->write, DB_DELIVERY, key_span(&key), &value) != 0)
		return false;
	buf_reset(&ix->scratch);
	buf_put_raw(&ix->scratch, value);
	if (ix->scratch.overflow) {
		index_note(ix, ENOMEM);
		return false;
	}
	if (delivery_get(buf_span(&ix->scratch), &h->d) < 0) {
		index_note(ix, MDB_CORRUPTED);
		return false;
	}
	h->id = id;
	h->number = number;
	h->claim = h->was_claim = claim_read(ix, ix->write, id, number);
	h->was_state = delivery_visible_state(&h->d, h->claim, 0);
	h->was_scheduled = h->d.scheduled_ms;
	h->was_n = h->d.n;
	h->is_new = h->is_appended = h->is_changed = false;
	return true;
}

void held_new(
    struct held_delivery *h, uint64_t id, uint16_t number, bool is_appended)
{
	/* all but the recipients, which are many and of no value yet */
	memset(h, 0, offsetof(struct held_delivery, d.recipients));
	h->id = id;
	h->number = number;
	h->is_new = h->is_changed = true;
	h->is_appended = is_appended;
	h->was_scheduled = NEVER_MS;
	h->d.report_ms = NEVER_MS;
}

static void schedule_save(struct index *ix, struct held_delivery *h)
{
	uint64_t when = h->d.n > 0 ? delivery_when(&h->d) : NEVER_MS;
	bool had = !h->was_claim && h->was_scheduled != NEVER_MS;
	bool has = !h->claim && when != NEVER_MS;
	struct key key;

	if (had && (!has || when != h->was_scheduled)) {
		key_schedule(&key, h->was_scheduled, h->id, h->number);
		index_del(ix, DB_SCHEDULE, key_span(&key));
	}
	if (has && (!had || when != h->was_scheduled)) {
		key_schedule(&key, when, h->id, h->number);
		index_put(ix, DB_SCHEDULE, key_span(&key), version_only, 0);
	}
	h->is_changed |= when != h->was_scheduled;
	h->d.scheduled_ms = when;
}

static void claim_save(struct index *ix, const struct held_delivery *h)
{
	struct key key;
	char value[2] = { 1, (char)(h->claim - 1) };

	if (h->claim == h->was_claim)
		return;
	key_delivery(&key, h->id, h->number);
	if (h->claim)
		index_put(ix, DB_CLAIM, key_span(&key),
		    (struct span){ value, sizeof(value) }, 0);
	else
		index_del(ix, DB_CLAIM, key_span(&key));
}

void attempts_drop(struct index *ix, uint64_t id, uint16_t number,
    uint32_t first, uint32_t end)
{
	struct key key;

	if (end - first > ATTEMPTS_KEPT)
		first = end - ATTEMPTS_KEPT;
	for (; first < end; first++) {
		key_attempt(&key, id, number, first);
		index_del(ix, DB_ATTEMPT, key_span(&key));
	}
}

void attempt_save(struct index *ix, uint64_t id, uint16_t number,
    uint32_t count, struct span contents)
{
	struct key key;

	buf_reset(&ix->value);
	put_u8(&ix->value, 1);
	buf_put_raw(&ix->value, contents);
	key_attempt(&key, id, number, count);
	index_put(ix, DB_ATTEMPT, key_span(&key), buf_span(&ix->value), 0);
	if (count < ATTEMPTS_KEPT)
		return;
	key_attempt(&key, id, number, count - ATTEMPTS_KEPT);
	index_del(ix, DB_ATTEMPT, key_span(&key));
}

static void message_remove(
    struct index *ix, uint64_t id, const struct message_info *m)
{
	struct index_state *s = &ix->staged;
	struct key key;

	s->messages--;
	s->bytes -= m->size_bytes;
	if (m->is_large) {
		s->large_files--;
		s->large_bytes -= m->size_bytes;
		put_u64(&ix->gone_large, id);
	}
	usage_sub(ix, &m->place);
	key_message(&key, id);
	index_del(ix, DB_MESSAGE, key_span(&key));
}

static void delivery_drop(struct index *ix, struct held_delivery *h)
{
	struct message_info m;
	struct key key;

	key_destination(&key, h->d.domain, h->id, h->number);
	index_del(ix, DB_DESTINATION, key_span(&key));
	key_delivery(&key, h->id, h->number);
	index_del(ix, DB_DELIVERY, key_span(&key));
	attempts_drop(ix, h->id, h->number, 0, h->d.nlogged);
	if (!message_read(ix, ix->write, h->id, &m))
		return;
	if (m.open > 1) {
		m.open--;
		message_save(ix, h->id, &m, ROW_CHANGED);
	} else {
		message_remove(ix, h->id, &m);
	}
}

static void delivery_save(struct index *ix, const struct held_delivery *h)
{
	struct key key;

	if (h->is_new) {
		key_destination(&key, h->d.domain, h->id, h->number);
		index_put(ix, DB_DESTINATION, key_span(&key), version_only, 0);
	}
	buf_reset(&ix->value);
	delivery_put(&ix->value, &h->d);
	if (ix->value.overflow)
		index_note(ix, ENOMEM);
	key_delivery(&key, h->id, h->number);
	index_put(ix, DB_DELIVERY, key_span(&key), buf_span(&ix->value),
	    h->is_appended ? MDB_APPEND : 0);
}

void held_save(struct index *ix, struct held_delivery *h)
{
	struct index_state *s = &ix->staged;

	if (h->d.n == 0)
		h->claim = 0;
	schedule_save(ix, h);
	claim_save(ix, h);
	s->recipients += h->d.n;
	s->recipients -= h->was_n;
	if (!h->is_new)
		s->by_state[h->was_state]--;
	if (h->d.n == 0) {
		delivery_drop(ix, h);
		return;
	}
	s->by_state[delivery_visible_state(&h->d, h->claim, 0)]++;
	if (h->is_changed)
		delivery_save(ix, h);
}

bool message_read(
    struct index *ix, MDB_txn *txn, uint64_t id, struct message_info *m)
{
	struct span value;
	struct key key;

	key_message(&key, id);
	if (index_get(ix, txn, DB_MESSAGE, key_span(&key), &value) != 0)
		return false;
	if (message_info_get(value, m) == 0)
		return true;
	index_note(ix, MDB_CORRUPTED);
	return false;
}

void message_save(
    struct index *ix, uint64_t id, const struct message_info *m, enum row row)
{
	struct index_state *s = &ix->staged;
	struct key key;

	buf_reset(&ix->value);
	message_info_put(&ix->value, m);
	if (ix->value.overflow)
		index_note(ix, ENOMEM);
	key_message(&key, id);
	index_put(ix, DB_MESSAGE, key_span(&key), buf_span(&ix->value),
	    row == ROW_APPENDED ? MDB_APPEND : 0);
	if (row == ROW_CHANGED)
		return;
	s->messages++;
	s->bytes += m->size_bytes;
	if (m->is_large) {
		s->large_files++;
		s->large_bytes += m->size_bytes;
	}
	usage_add(ix, &m->place);
}

/* The number of the message's first delivery; -1: none. */
static int first_delivery(struct index *ix, uint64_t id)
{
	MDB_cursor *cursor;
	struct key key;
	MDB_val k, v;
	int number = -1;

	if (index_note(ix,
		mdb_cursor_open(ix->write, ix->db[DB_DELIVERY], &cursor)) != 0)
		return -1;
	key_message(&key, id);
	k = (MDB_val){ key.n, key.bytes };
	if (index_note(ix, mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE)) ==
		0 &&
	    k.mv_size == 10) {
		uint64_t found;
		uint16_t n;

		key_tail((struct span){ k.mv_data, k.mv_size }, &found, &n);
		number = found == id ? n : -1;
	}
	mdb_cursor_close(cursor);
	return number;
}

void message_drop(struct index *ix, uint64_t id)
{
	struct held_delivery h;
	struct message_info m;
	int number;

	while (!ix->error && (number = first_delivery(ix, id)) >= 0) {
		if (!held_load(ix, id, (uint16_t)number, &h))
			break;
		h.d.n = 0;
		held_save(ix, &h);
	}
	if (!ix->error && message_read(ix, ix->write, id, &m))
		message_remove(ix, id, &m);
}
