/* Journal records: heads, checksums and the short contents. */
#include "queue/record.h"

#include <endian.h>

#include "common/crc32c.h"

enum { MAGIC = (int)0x894f5554, CRC_AT = 12 };

const char *record_type_name(uint8_t type)
{
	static const char *const names[RECORD_TYPE_END] = {
		[RECORD_BATCH] = "batch",
		[RECORD_MESSAGE] = "message",
		[RECORD_MOVE] = "move",
		[RECORD_CLAIM] = "claim",
		[RECORD_UNCLAIM] = "unclaim",
		[RECORD_ATTEMPT] = "attempt",
		[RECORD_UNCERTAIN] = "uncertain",
		[RECORD_CHANGE] = "change",
		[RECORD_GONE] = "gone",
	};

	return type < RECORD_TYPE_END && names[type] ? names[type] : "unknown";
}

void record_head_put(struct buf *b, const struct record_head *h)
{
	put_u32(b, (uint32_t)MAGIC);
	put_u8(b, h->type);
	put_u8(b, h->version);
	put_u16(b, 0);
	put_u32(b, h->bytes);
	put_u32(b, 0);
	put_u64(b, h->message);
	put_u64(b, h->session);
}

int record_head_get(struct span at, struct record_head *h)
{
	struct reader r = reader_of(at);

	if (at.n < RECORD_HEAD_BYTES || get_u32(&r) != (uint32_t)MAGIC)
		return -1;
	h->type = get_u8(&r);
	h->version = get_u8(&r);
	get_u16(&r);
	h->bytes = get_u32(&r);
	h->crc = get_u32(&r);
	h->message = get_u64(&r);
	h->session = get_u64(&r);
	if (h->type == 0 || h->bytes < RECORD_HEAD_BYTES ||
	    h->bytes > RECORD_BYTES_MAX)
		return -1;
	return 0;
}

uint32_t record_crc(struct span head, struct span body)
{
	uint32_t crc = crc32c(0, head.p, CRC_AT);

	crc = crc32c(crc, head.p + CRC_AT + 4, head.n - CRC_AT - 4);
	return body.n > 0 ? crc32c(crc, body.p, body.n) : crc;
}

uint32_t record_seal(uint32_t crc, uint64_t generation, uint64_t offset)
{
	uint64_t place[2] = { htobe64(generation), htobe64(offset) };

	return crc32c(crc, place, sizeof(place));
}

void record_set_crc(char *head, uint32_t sealed)
{
	sealed = htobe32(sealed);
	memcpy(head + CRC_AT, &sealed, sizeof(sealed));
}

bool record_is_valid(struct span bytes, uint64_t generation, uint64_t offset,
    struct record_head *h)
{
	if (record_head_get(bytes, h) < 0 || h->bytes > bytes.n)
		return false;
	bytes.n = h->bytes;
	return h->crc ==
	       record_seal(record_crc(bytes, (struct span){ NULL, 0 }),
		   generation, offset);
}

void ledger_put(struct buf *b, const struct ledger *l)
{
	put_u64(b, l->accepted);
	put_u64(b, l->delivered);
	put_u64(b, l->failed);
	put_u64(b, l->retracted);
	put_u64(b, l->uncertain);
	put_u64(b, l->accepted_messages);
}

void ledger_get(struct reader *r, struct ledger *l)
{
	l->accepted = get_u64(r);
	l->delivered = get_u64(r);
	l->failed = get_u64(r);
	l->retracted = get_u64(r);
	l->uncertain = get_u64(r);
	l->accepted_messages = get_u64(r);
}

void record_batch_put(struct buf *b, const struct record_batch *x)
{
	put_u64(b, x->generation);
	put_u64(b, x->offset);
	put_u32(b, x->segment);
	put_u32(b, x->records);
	put_u64(b, x->number);
	put_u64(b, x->bytes);
	put_u64(b, x->at_ms);
	put_u64(b, x->last_id);
	ledger_put(b, &x->ledger);
	put_u64(b, 0);
}

int record_batch_get(struct span contents, struct record_batch *x)
{
	struct reader r = reader_of(contents);

	x->generation = get_u64(&r);
	x->offset = get_u64(&r);
	x->segment = get_u32(&r);
	x->records = get_u32(&r);
	x->number = get_u64(&r);
	x->bytes = get_u64(&r);
	x->at_ms = get_u64(&r);
	x->last_id = get_u64(&r);
	ledger_get(&r, &x->ledger);
	get_u64(&r);
	return reader_is_done(&r) ? 0 : -1;
}

void record_claim_put(struct buf *b, const struct record_claim *x)
{
	put_u64(b, x->at_ms);
	put_u16(b, x->delivery);
	put_u8(b, x->claim_for);
}

int record_claim_get(struct span contents, struct record_claim *x)
{
	struct reader r = reader_of(contents);

	x->at_ms = get_u64(&r);
	x->delivery = get_u16(&r);
	x->claim_for = get_u8(&r);
	return reader_is_done(&r) && x->claim_for <= CLAIM_REPORT ? 0 : -1;
}

void record_change_put(struct buf *b, const struct record_change *x)
{
	put_u64(b, x->at_ms);
	put_u8(b, x->action);
	put_u64(b, x->until);
	put_u32(b, x->ntargets);
}

void change_target_put(struct buf *b, const struct change_target *t)
{
	put_u64(b, t->message);
	put_u16(b, t->delivery);
	put_u16(b, t->recipient);
}

int record_change_get(struct span contents, struct record_change *x)
{
	struct reader r = reader_of(contents);

	x->at_ms = get_u64(&r);
	x->action = get_u8(&r);
	x->until = get_u64(&r);
	x->ntargets = get_u32(&r);
	x->targets = r;
	if (r.bad || r.rest.n != (uint64_t)x->ntargets * 12 ||
	    x->action < CHANGE_HOLD || x->action > CHANGE_RETRACT)
		return -1;
	return 0;
}

bool change_target_next(struct record_change *x, struct change_target *t)
{
	if (x->ntargets == 0)
		return false;
	x->ntargets--;
	t->message = get_u64(&x->targets);
	t->delivery = get_u16(&x->targets);
	t->recipient = get_u16(&x->targets);
	return !x->targets.bad;
}

void put_text16(struct buf *b, struct span s)
{
	if (s.n > UINT16_MAX) {
		b->overflow = true;
		return;
	}
	put_u16(b, (uint16_t)s.n);
	buf_put(b, s.p, s.n);
}

struct span get_text16(struct reader *r)
{
	uint16_t n = get_u16(r);
	struct span s = { r->rest.p, n };

	if (r->bad || n > r->rest.n) {
		r->bad = true;
		return (struct span){ NULL, 0 };
	}
	r->rest = span_from(r->rest, n);
	return s;
}

void buf_set_length(struct buf *b, size_t at)
{
	uint32_t n = htobe32((uint32_t)(b->len - at - 4));

	if (!b->overflow)
		memcpy(b->data + at, &n, sizeof(n));
}
