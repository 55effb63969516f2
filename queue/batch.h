/* What is staged for one commit: records in memory with their places, and the
 * bodies they borrow. */
#ifndef QUEUE_BATCH_H
#define QUEUE_BATCH_H

#include <sys/uio.h>

#include "queue/record.h"

struct incoming;

struct batch_entry {
	size_t at;	 /* of its head in the arena */
	uint32_t nhead;	 /* head and contents there, unpadded when no body */
	uint32_t bytes;	 /* of the record */
	uint64_t offset; /* from the batch's begin */
	uint32_t crc;	 /* not yet sealed */
	struct span body;
	struct incoming *incoming; /* owned; NULL: none */
};

struct batch {
	struct buf arena; /* begins with room for the BATCH record */
	struct batch_entry *entries;
	size_t n, cap;
	uint64_t bytes; /* with the BATCH record */
	struct iovec *iov;
	size_t niov, iov_cap;
	size_t open_at; /* head of the record being put */
};

void batch_init(struct batch *b);
void batch_clear(struct batch *b);
/* Forget all entries; incoming bodies are freed. Keeps some memory. */
void batch_reset(struct batch *b);

/* Begin a record: returns the buffer that its contents are put into. */
struct buf *batch_begin(
    struct batch *b, uint8_t type, uint64_t message, uint64_t session);
/* Its size as it stands now, with a body of so many bytes. */
uint64_t batch_open_bytes(const struct batch *b, size_t body);
/* End it. body is borrowed until the commit. NULL when memory is short or the
 * record too long: nothing was added. */
struct batch_entry *batch_end(
    struct batch *b, struct span body, struct incoming *incoming);
/* Forget the record being put. */
void batch_cancel(struct batch *b);
/* Forget the last one ended; its incoming stays the caller's. */
void batch_drop_last(struct batch *b);

/* Head and contents of an ended record, without the body. */
struct span batch_contents(const struct batch *b, const struct batch_entry *e,
    struct record_head *head);

/* Seal all records for their place and return what to write; NULL without
 * memory. head: the BATCH record's fields, offset and generation set. */
struct iovec *batch_finish(
    struct batch *b, struct record_batch *head, uint64_t session, size_t *n);

#endif
