/* What the index keeps of a message and of a delivery: values that begin with
 * a version byte. */
#ifndef QUEUE_DELIVERY_H
#define QUEUE_DELIVERY_H

#include "queue/record.h"

/* Where a record stands in the journal. */
struct place {
	uint32_t segment, bytes;
	uint64_t offset;
};

struct message_info {
	struct place place;
	uint32_t body_offset; /* in the record; large: of no use */
	uint32_t body_crc;    /* of a large body */
	bool is_large, smtputf8, requiretls;
	bool was_sent; /* some recipient got it, or may have */
	uint8_t body, ret, origin;
	int8_t priority;
	uint64_t size_bytes, accepted_ms, expires_at;
	uint32_t uid;
	uint32_t nrecipients; /* as accepted */
	uint32_t open;	      /* deliveries still here */
	struct span sender, envid, line;
};
void message_info_put(struct buf *b, const struct message_info *m);
int message_info_get(struct span value, struct message_info *m);

enum recipient_state {
	RECIPIENT_PENDING = 0,
	RECIPIENT_FAILED = 1,	 /* only its report keeps it here */
	RECIPIENT_DELIVERED = 2, /* the same */
};

struct delivery_recipient {
	uint16_t index;
	uint8_t notify;
	uint8_t state;	/* enum recipient_state */
	uint8_t report; /* enum report_kind awaited */
	struct span address, orcpt;
	struct span reply, status, host; /* the last attempt's */
};

#define NEVER_MS UINT64_MAX

struct delivery {
	uint8_t state;	    /* enum delivery_state, as stored: never ACTIVE or
			     * REPORTING, which follow from claim and recipients */
	bool warned;	    /* the delay notice has been made */
	uint64_t due_ms;    /* next try; NEVER_MS: not by time */
	uint64_t report_ms; /* a report is due; NEVER_MS: none */
	uint64_t scheduled_ms; /* its key in the schedule; NEVER_MS: none */
	uint16_t attempts, uncertain, line_deaths;
	uint32_t nlogged; /* attempts recorded so far */
	struct span domain, line, cause;
	uint16_t n;
	struct delivery_recipient recipients[RCPTS_PER_DELIVERY];
};
void delivery_put(struct buf *b, const struct delivery *d);
int delivery_get(struct span value, struct delivery *d);

unsigned delivery_npending(const struct delivery *d);
bool delivery_has_report(const struct delivery *d);
/* What an operator sees; claim: 0 or enum claim_for + 1. */
uint8_t delivery_visible_state(
    const struct delivery *d, uint8_t claim, uint64_t now_ms);
/* The time it belongs into the schedule with, NEVER_MS for not at all. */
uint64_t delivery_when(const struct delivery *d);
struct delivery_recipient *delivery_find(struct delivery *d, uint16_t index);
/* Take out the recipient at this place of the array. */
void delivery_remove(struct delivery *d, struct delivery_recipient *r);

#endif
