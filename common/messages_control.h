/* Contents of messages: inspection and control of the queue. Included by
 * common/messages.h.
 */
#ifndef COMMON_MESSAGES_CONTROL_H
#define COMMON_MESSAGES_CONTROL_H

#include "common/messages.h"

/* Queue inspection and control. */
enum delivery_state {
	STATE_READY = 0,
	STATE_ACTIVE = 1,
	STATE_DEFERRED = 2,
	STATE_HELD = 3,
	STATE_SUSPENDED = 4, /* quarantined: its line died too often */
	STATE_UNCERTAIN = 5, /* waits for another try after an uncertain one */
	STATE_REPORTING = 6, /* final; its report is being made */
	STATE_COUNT
};
const char *delivery_state_name(uint8_t state); /* "ready"... */

struct cursor {
	uint64_t message;
	uint16_t delivery, recipient;
};
void cursor_put(struct buf *b, const struct cursor *c);
void cursor_get(struct reader *r, struct cursor *c);

/* Empty or zero fields do not filter. Texts match without regard to case;
 * "@domain" matches a domain, "*" any run of characters. */
struct filter {
	uint64_t id;  /* one message */
	int8_t state; /* enum delivery_state, -1: any */
	struct span sender, recipient, destination, line;
	struct span cause; /* why it waits: the word in struct attempt */
	uint64_t older_than, newer_than; /* accepted before/after; UTC s */
	uint32_t uid;			 /* submitter; UINT32_MAX: any */
};
void filter_put(struct buf *b, const struct filter *f);
void filter_get(struct reader *r, struct filter *f);

struct list_query {
	struct filter filter;
	struct cursor after; /* zeros: from the start */
	uint32_t max;	     /* items in this answer, at most 1000 */
	bool count_only;     /* no items, only MSG_LIST_END with u32 count
			      * behind has_more */
};
void list_query_put(struct buf *b, const struct list_query *q);
void list_query_get(struct reader *r, struct list_query *q);

struct item {
	uint64_t message;
	uint16_t delivery, recipient; /* indexes */
	uint8_t state;
	uint8_t report; /* enum report_kind awaited */
	uint64_t accepted_at, next_try_ms, expires_at, size_bytes;
	uint16_t attempts, uncertain; /* counts */
	uint32_t uid;
	struct span sender, address, domain, line, reply, status, cause;
};
void item_put(struct buf *b, const struct item *i);
void item_get(struct reader *r, struct item *i);

enum change_action {
	CHANGE_HOLD = 1,
	CHANGE_RELEASE,
	CHANGE_RETRY,	/* due now; with until set: history cleared (--reset) */
	CHANGE_DELETE,	/* gone, nobody is told; recorded as retracted */
	CHANGE_BOUNCE,	/* fails now, with a report */
	CHANGE_RETRACT, /* as delete, if nothing of it has been sent */
};
struct change {
	uint8_t action;	 /* enum change_action */
	uint64_t until;	 /* HOLD: release time, UINT64_MAX: never */
	bool is_dry_run; /* count only */
	struct filter filter;
	struct cursor after; /* large changes go in pages */
	uint32_t max;
};
void change_put(struct buf *b, const struct change *c);
void change_get(struct reader *r, struct change *c);

/* The ledger: accepted = delivered + failed + retracted + queued, counted in
 * recipients; uncertain counts attempts, not recipients. */
struct spool_stats {
	uint64_t messages, recipients, bytes; /* in the queue now */
	uint64_t by_state[STATE_COUNT];	      /* deliveries */
	uint64_t accepted, delivered, failed, retracted, uncertain; /* ever */
	uint64_t accepted_messages;
	uint64_t oldest_accepted_at; /* 0: empty */
	uint64_t journal_bytes, free_bytes, large_files;
	uint64_t syncs, bytes_written; /* since start */
};
void spool_stats_put(struct buf *b, const struct spool_stats *s);
void spool_stats_get(struct reader *r, struct spool_stats *s);

#endif
