/* What the spool's files share. */
#ifndef QUEUE_SPOOL_PARTS_H
#define QUEUE_SPOOL_PARTS_H

#include <limits.h>

#include "queue/batch.h"
#include "queue/incoming.h"
#include "queue/index.h"
#include "queue/journal.h"
#include "queue/journal_scan.h"
#include "queue/spool.h"

enum {
	INCOMING_KEPT = 64, /* their buffers, for use again */
	SEGMENT_BYTES = 64 << 20,
	SEGMENT_BYTES_SMALL = 4 << 20,
	BATCH_BYTES_MAX = 4 << 20,
	REPLAY_BATCHES = 256,  /* in one index transaction */
	CLAIM_SLACK_MS = 1000, /* clocks of keeper and runner differ a bit */
	CHANGE_MAX = 1000,     /* deliveries in one page of a change */
	CHANGE_EXAMINED = 10000,
	AGAIN_MS = 1000, /* after the index could not be read */
	MANY_ROWS = 500, /* whose pages are let go of after reading */
	IDLE_MS = 60,	 /* without a commit */
	MAINTAIN_BYTES = 256 << 10,
	INDEX_AHEAD = 4 << 20, /* file space kept for it on a full disk */
};

struct spool {
	const struct disk *disk;
	char path[PATH_MAX];
	bool read_only, is_open;
	int lock_fd;
	uint64_t max_bytes;
	struct journal *journal;
	struct index *index;
	struct large large;
	struct batch batch;
	bool has_large_staged;
	bool is_doomed;	  /* the index failed while staging: commit refuses */
	uint64_t last_id; /* given, also to what is not staged yet */
	struct incoming *spare;
	unsigned nspare;
	struct buf record, joined, scratch; /* what calls return points here */
	struct position move_at; /* how far the oldest segment is moved */
	uint32_t moved_segment;	 /* all was moved that can be */
	uint64_t committed_ms;
	uint64_t readers_checked_ms, index_file_bytes;
	bool is_index_tight; /* no space for the index to grow */
	int list_error;	     /* what ended the last list early */
	bool must_reindex;   /* the index gave an error: make it anew */
	bool must_repair;    /* a write failed: look at the closed segment */
	bool is_damaged;     /* the journal, found when it was read */
	bool is_repairing;
	uint32_t repair_segment;
	uint64_t repair_end;
	void (*progress)(const char *what, uint64_t done, uint64_t of);
};

static inline uint64_t spool_now_ms(const struct spool *s)
{
	return s->disk->utc_us(s->disk->arg) / 1000;
}

/* Let go of everything as a process that is killed does; for tests. */
void spool_abandon(struct spool *s);

/* spool_stage.c: begin a write transaction; put records (contents into
 * stage_begin's buffer), then stage_end applies them. -1: nothing was staged;
 * *why says why. needs_spare: it may be refused when space is short. */
int stage_ready(struct spool *s, struct outcome *why);
struct buf *stage_begin(struct spool *s, uint8_t type, uint64_t message);
int stage_end(struct spool *s, struct span body, struct incoming *in,
    bool is_refusable, struct outcome *why);
void stage_cancel(struct spool *s);
/* Forget everything staged. */
void stage_abort(struct spool *s);
/* Apply all staged records anew, after the map grew or the place changed. */
int stage_redo(struct spool *s);
int outcome_index(struct outcome *why, int rc);
/* A claim found at recovery: uncertain, or (a report's) simply given back. */
int stage_uncertain(struct spool *s, uint64_t message, uint16_t delivery,
    uint8_t claim_for, struct outcome *why);

/* spool_commit.c */
void index_space_keep(struct spool *s);

/* spool_recover.c */
int spool_recover(struct spool *s, struct outcome *why);
/* Throw the index away and make it from the journal. */
int spool_reindex(struct spool *s, struct outcome *why);
/* After a failed write: see that all acknowledged is still to be read. */
void spool_repair(struct spool *s);

/* spool_move.c: stage a live message copied forward, with its state. 1: it is
 * not there; -1 with *why. */
int stage_move(struct spool *s, uint64_t id, struct outcome *why);

/* spool_read.c: the record of a message, checked; *body: within it when not
 * large. Both point into s->record. 0, or -1 with *why. */
int record_load(struct spool *s, uint64_t id, const struct message_info *m,
    struct span *contents, struct span *body, struct outcome *why);

/* spool_filter.c */
struct matched {
	const struct message_info *message;
	const struct delivery *delivery;
	uint8_t claim;
	uint64_t now_ms;
};
bool filter_has_recipient(const struct filter *f);
bool filter_is_match(const struct filter *f, uint64_t id,
    const struct matched *m, const struct delivery_recipient *r);

/* spool_walk.c: deliveries after a cursor, in order of id or destination. */
struct walk {
	struct spool *spool;
	MDB_txn *txn;
	MDB_cursor *cursor;
	const struct filter *filter;
	struct cursor at; /* the delivery found */
	int error;	  /* LMDB's, that ended it early */
	bool by_destination, is_begun;
	struct key prefix, from;
	struct message_info message;
	struct delivery delivery;
	uint8_t claim;
};
int walk_begin(struct walk *w, struct spool *s, MDB_txn *txn,
    const struct filter *filter, const struct cursor *after);
bool walk_next(struct walk *w);
void walk_end(struct walk *w);

#endif
