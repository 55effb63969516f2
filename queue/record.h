/* The journal's records: how they look on disk. All numbers are big-endian.
 *
 *   batch  = BATCH record *record, padded with zeros to BATCH_ALIGN
 *   record = head contents, padded with zeros to RECORD_ALIGN
 *   head   = magic "\x89OUT" | type u8 | version u8 | 0 u16 | bytes u32 |
 *            crc u32 | message u64 | session u64
 *
 * bytes counts head and contents. The CRC-32C covers both (without itself)
 * and then the segment's generation and the record's offset, so that what an
 * earlier use of the segment left behind, or what stands in a wrong place, is
 * never taken for a record. session is drawn anew whenever the keeper opens
 * the spool and stands in all records of a batch: leftovers of a torn batch do
 * not fit into a later one.
 */
#ifndef QUEUE_RECORD_H
#define QUEUE_RECORD_H

#include "common/messages.h"

enum {
	RECORD_HEAD_BYTES = 32,
	RECORD_ALIGN = 8,
	RECORD_VERSION = 1,
	BATCH_ALIGN = 4096, /* so an acknowledged page is never rewritten */
	RECORD_BYTES_MAX = 16 << 20,
};

enum record_type {
	RECORD_BATCH = 1, /* heads what one commit wrote */
	RECORD_MESSAGE,	  /* accepted: envelope, deliveries, body */
	RECORD_MOVE,	  /* a live message copied forward, with its state */
	RECORD_CLAIM,	  /* handed out */
	RECORD_UNCLAIM,	  /* given back without an attempt */
	RECORD_ATTEMPT,	  /* what came of it */
	RECORD_UNCERTAIN, /* found handed out when the keeper started */
	RECORD_CHANGE,	  /* hold, release, retry, delete, retract, bounce */
	RECORD_GONE,	  /* no longer there: stands in for a lost record */
	RECORD_TYPE_END
};
const char *record_type_name(uint8_t type);

struct record_head {
	uint8_t type, version;
	uint32_t bytes, crc;
	uint64_t message, session;
};
/* Puts RECORD_HEAD_BYTES with crc 0. */
void record_head_put(struct buf *b, const struct record_head *h);
/* -1: no head (magic, type, length), whatever follows. */
int record_head_get(struct span at, struct record_head *h);

static inline uint64_t record_padded(uint64_t bytes)
{
	return (bytes + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

static inline uint64_t batch_padded(uint64_t bytes)
{
	return (bytes + BATCH_ALIGN - 1) & ~(uint64_t)(BATCH_ALIGN - 1);
}

/* The sum in two steps: over a head and its contents (the first span begins
 * with the head), then with the place, which is known last. */
uint32_t record_crc(struct span head_and_contents, struct span body);
uint32_t record_seal(uint32_t crc, uint64_t generation, uint64_t offset);
void record_set_crc(char *head, uint32_t sealed);
/* A whole record stands at the front of bytes and belongs there. */
bool record_is_valid(struct span bytes, uint64_t generation, uint64_t offset,
    struct record_head *h);

/* --- Contents ------------------------------------------------------------- */

/* Recipients but for accepted_messages; ever. */
struct ledger {
	uint64_t accepted, delivered, failed, retracted, uncertain;
	uint64_t accepted_messages;
};
void ledger_put(struct buf *b, const struct ledger *l);
void ledger_get(struct reader *r, struct ledger *l);

/* A valid BATCH record proves that all before it was synced. */
struct record_batch {
	uint64_t generation, offset; /* its own place */
	uint32_t segment;
	uint64_t number;  /* grows by one with each batch */
	uint64_t bytes;	  /* of the batch before padding */
	uint32_t records; /* that follow */
	uint64_t at_ms, last_id;
	struct ledger ledger; /* after it */
};
enum { RECORD_BATCH_BYTES = RECORD_HEAD_BYTES + 112 };
void record_batch_put(struct buf *b, const struct record_batch *x);
int record_batch_get(struct span contents, struct record_batch *x);

/* MESSAGE and MOVE: u32 length and the stored message; u32 length and the
 * states (empty for MESSAGE); the body when it is not large. */
struct stored_message {
	uint64_t at_ms;
	bool is_large;
	uint64_t body_bytes;	  /* with the trace header */
	uint32_t body_crc;	  /* of a large body */
	struct envelope envelope; /* without trace, refs and recipients */
	uint32_t nrefs, ndeliveries, nrecipients;
	struct reader refs, deliveries;
};
struct stored_delivery {
	struct span domain;
	uint16_t nrecipients;
	struct reader recipients;
};
void stored_message_put(struct buf *b, const struct stored_message *m);
void stored_ref_put(struct buf *b, const struct report_ref *ref);
void stored_delivery_put(struct buf *b, struct span domain, uint16_t n);
/* order: in the envelope as it came */
void stored_recipient_put(
    struct buf *b, const struct recipient *r, uint32_t order);
int stored_message_get(struct span stored, struct stored_message *m);
bool stored_ref_next(struct stored_message *m, struct report_ref *ref);
bool stored_delivery_next(struct stored_message *m, struct stored_delivery *d);
bool stored_recipient_next(
    struct stored_delivery *d, struct recipient *r, uint32_t *order);

struct record_message {
	struct span stored, states, body;
};
int record_message_get(struct span contents, struct record_message *x);

/* MOVE's states: u8, 1 when some of it has been sent, then one an open
 * delivery. */
struct moved_delivery {
	uint16_t delivery;
	uint8_t claim;	   /* 0: none, else enum claim_for + 1 */
	struct span value; /* as in the index */
	uint16_t nattempts;
	struct reader attempts; /* u32 number, span value as in the index */
};
void moved_delivery_put(struct buf *b, const struct moved_delivery *d);
void moved_attempt_put(struct buf *b, uint32_t number, struct span value);
bool moved_delivery_next(struct reader *states, struct moved_delivery *d);
bool moved_attempt_next(
    struct moved_delivery *d, uint32_t *number, struct span *value);

/* CLAIM, UNCLAIM, UNCERTAIN. */
struct record_claim {
	uint64_t at_ms;
	uint16_t delivery;
	uint8_t claim_for; /* enum claim_for */
};
void record_claim_put(struct buf *b, const struct record_claim *x);
int record_claim_get(struct span contents, struct record_claim *x);

/* ATTEMPT. The message stands in the head. */
struct record_attempt {
	uint64_t at_ms;
	struct attempt attempt; /* without message and arrays */
	uint16_t nrecipients;
	struct reader recipients;
};
void record_attempt_put(struct buf *b, uint64_t at_ms, const struct attempt *a);
int record_attempt_get(struct span contents, struct record_attempt *x);
/* status: the same as in r, but borrowed from the record. */
bool record_attempt_next(struct record_attempt *x, struct rcpt_outcome *r,
    uint8_t *report, struct span *status);

/* CHANGE: one action on many. */
enum { EVERY_RECIPIENT = 0xffff };
struct change_target {
	uint64_t message;
	uint16_t delivery, recipient; /* or EVERY_RECIPIENT */
};
struct record_change {
	uint64_t at_ms, until;
	uint8_t action; /* enum change_action */
	uint32_t ntargets;
	struct reader targets;
};
void record_change_put(struct buf *b, const struct record_change *x);
void change_target_put(struct buf *b, const struct change_target *t);
int record_change_get(struct span contents, struct record_change *x);
bool change_target_next(struct record_change *x, struct change_target *t);

/* Short texts of records and index: u16 length and bytes. A longer one sets
 * overflow. */
void put_text16(struct buf *b, struct span s);
struct span get_text16(struct reader *r);
/* A span field whose length was put as 0 at this place: set it. */
void buf_set_length(struct buf *b, size_t at);

#endif
