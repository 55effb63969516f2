/* What is staged for one commit. */
#include "queue/batch.h"

#include <stdlib.h>

#include "queue/incoming.h"

enum {
	ARENA_MAX = 256 << 20,
	ARENA_KEPT = 4 << 20,
	FIRST_RECORD =
	    (RECORD_BATCH_BYTES + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1),
};

static const char zeros[BATCH_ALIGN];

void batch_init(struct batch *b)
{
	memset(b, 0, sizeof(*b));
	buf_init(&b->arena, ARENA_MAX);
	batch_reset(b);
}

void batch_clear(struct batch *b)
{
	batch_reset(b);
	buf_clear(&b->arena);
	free(b->entries);
	free(b->iov);
	memset(b, 0, sizeof(*b));
}

void batch_reset(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		spool_incoming_free(b->entries[i].incoming);
	b->n = 0;
	if (b->arena.cap > ARENA_KEPT)
		buf_clear(&b->arena);
	buf_reset(&b->arena);
	buf_put(&b->arena, zeros, FIRST_RECORD);
	b->bytes = FIRST_RECORD;
}

struct buf *batch_begin(
    struct batch *b, uint8_t type, uint64_t message, uint64_t session)
{
	struct record_head head = {
		.type = type,
		.version = RECORD_VERSION,
		.message = message,
		.session = session,
	};

	b->open_at = b->arena.len;
	record_head_put(&b->arena, &head);
	return &b->arena;
}

uint64_t batch_open_bytes(const struct batch *b, size_t body)
{
	return record_padded(b->arena.len - b->open_at + body);
}

void batch_cancel(struct batch *b)
{
	b->arena.len = b->open_at;
	b->arena.overflow = false;
}

static int entries_grow(struct batch *b)
{
	size_t cap = b->cap ? b->cap * 2 : 64;
	struct batch_entry *grown;

	if (b->n < b->cap)
		return 0;
	grown = realloc(b->entries, cap * sizeof(*grown));
	if (!grown)
		return -1;
	b->entries = grown;
	b->cap = cap;
	return 0;
}

static void head_set_bytes(char *head, uint32_t bytes)
{
	for (int i = 0; i < 4; i++)
		head[8 + i] = (char)(bytes >> (24 - 8 * i));
}

struct batch_entry *batch_end(
    struct batch *b, struct span body, struct incoming *incoming)
{
	size_t nhead = b->arena.len - b->open_at;
	struct batch_entry *e;
	char *head;

	if (b->arena.overflow || nhead + body.n > RECORD_BYTES_MAX ||
	    entries_grow(b) < 0) {
		batch_cancel(b);
		return NULL;
	}
	head = b->arena.data + b->open_at;
	head_set_bytes(head, (uint32_t)(nhead + body.n));
	e = &b->entries[b->n];
	*e = (struct batch_entry){
		.at = b->open_at,
		.nhead = (uint32_t)nhead,
		.bytes = (uint32_t)(nhead + body.n),
		.offset = b->bytes,
		.crc = record_crc((struct span){ head, nhead }, body),
		.body = body,
		.incoming = incoming,
	};
	/* the arena stays aligned; a body's own padding comes from zeros */
	buf_put(&b->arena, zeros, record_padded(nhead) - nhead);
	if (b->arena.overflow) {
		batch_cancel(b);
		return NULL;
	}
	b->n++;
	b->bytes += record_padded(e->bytes);
	return e;
}

void batch_drop_last(struct batch *b)
{
	struct batch_entry *e = &b->entries[--b->n];

	b->bytes = e->offset;
	b->arena.len = e->at;
}

struct span batch_contents(const struct batch *b, const struct batch_entry *e,
    struct record_head *head)
{
	struct span record = { b->arena.data + e->at, e->nhead };

	record_head_get(record, head);
	return span_from(record, RECORD_HEAD_BYTES);
}

/* --- Writing -------------------------------------------------------------- */

static void iov_add(struct batch *b, const char *p, size_t n)
{
	struct iovec *last = b->niov ? &b->iov[b->niov - 1] : NULL;

	if (n == 0)
		return;
	if (last && (char *)last->iov_base + last->iov_len == p) {
		last->iov_len += n;
		return;
	}
	b->iov[b->niov++] = (struct iovec){ (void *)(uintptr_t)p, n };
}

static void head_finish(
    struct batch *b, struct record_batch *x, uint64_t session)
{
	struct record_head head = {
		.type = RECORD_BATCH,
		.version = RECORD_VERSION,
		.bytes = RECORD_BATCH_BYTES,
		.session = session,
	};
	struct buf front = { b->arena.data, 0, FIRST_RECORD, FIRST_RECORD,
		false };
	uint32_t crc;

	x->bytes = b->bytes;
	x->records = (uint32_t)b->n;
	record_head_put(&front, &head);
	record_batch_put(&front, x);
	crc = record_crc((struct span){ front.data, RECORD_BATCH_BYTES },
	    (struct span){ NULL, 0 });
	record_set_crc(front.data, record_seal(crc, x->generation, x->offset));
}

static void record_finish(
    struct batch *b, const struct batch_entry *e, const struct record_batch *x)
{
	char *head = b->arena.data + e->at;

	record_set_crc(
	    head, record_seal(e->crc, x->generation, x->offset + e->offset));
	if (e->body.n == 0) {
		iov_add(b, head, record_padded(e->nhead));
		return;
	}
	iov_add(b, head, e->nhead);
	iov_add(b, e->body.p, e->body.n);
	iov_add(b, zeros, record_padded(e->bytes) - e->bytes);
}

struct iovec *batch_finish(
    struct batch *b, struct record_batch *x, uint64_t session, size_t *n)
{
	size_t most = 3 * b->n + 2;

	if (b->iov_cap < most) {
		struct iovec *grown = realloc(b->iov, most * sizeof(*grown));

		if (!grown)
			return NULL;
		b->iov = grown;
		b->iov_cap = most;
	}
	b->niov = 0;
	head_finish(b, x, session);
	iov_add(b, b->arena.data, FIRST_RECORD);
	for (size_t i = 0; i < b->n; i++)
		record_finish(b, &b->entries[i], x);
	iov_add(b, zeros, batch_padded(b->bytes) - b->bytes);
	*n = b->niov;
	return b->iov;
}
