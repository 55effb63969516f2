/* What the index says of itself: how far in the journal it is, and sums. */
#include "queue/index_parts.h"

static void state_put(struct buf *b, const struct index_state *s)
{
	put_u8(b, INDEX_FORMAT);
	put_u32(b, s->next.segment);
	put_u64(b, s->next.offset);
	put_u32(b, s->batch.segment);
	put_u64(b, s->batch.offset);
	put_u64(b, s->batch_number);
	put_u64(b, s->last_id);
	ledger_put(b, &s->ledger);
	put_u64(b, s->messages);
	put_u64(b, s->recipients);
	put_u64(b, s->bytes);
	put_u64(b, s->large_files);
	put_u64(b, s->large_bytes);
	for (int i = 0; i < STATE_COUNT; i++)
		put_u64(b, s->by_state[i]);
}

static int state_get(struct span value, struct index_state *s)
{
	struct reader r = reader_of(value);

	if (get_u8(&r) != INDEX_FORMAT)
		return -1;
	s->next.segment = get_u32(&r);
	s->next.offset = get_u64(&r);
	s->batch.segment = get_u32(&r);
	s->batch.offset = get_u64(&r);
	s->batch_number = get_u64(&r);
	s->last_id = get_u64(&r);
	ledger_get(&r, &s->ledger);
	s->messages = get_u64(&r);
	s->recipients = get_u64(&r);
	s->bytes = get_u64(&r);
	s->large_files = get_u64(&r);
	s->large_bytes = get_u64(&r);
	for (int i = 0; i < STATE_COUNT; i++)
		s->by_state[i] = get_u64(&r);
	return reader_is_done(&r) ? 0 : -1;
}

static const struct span key_state = { "state", 5 };

int index_save_state(struct index *ix)
{
	usage_save(ix);
	buf_reset(&ix->value);
	state_put(&ix->value, &ix->staged);
	index_put(ix, DB_META, key_state, buf_span(&ix->value), 0);
	return ix->error;
}

int index_state_load(struct index *ix, MDB_txn *txn)
{
	struct span value;
	int rc = index_get(ix, txn, DB_META, key_state, &value);

	memset(&ix->now, 0, sizeof(ix->now));
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == 0 ? state_get(value, &ix->now) : -1;
}
