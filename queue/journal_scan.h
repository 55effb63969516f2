/* Reading the journal in order: for recovery, rebuilding and checking.
 *
 * A batch is only written after the one before it was synced. So whatever does
 * not read well before a later batch, or before the end that the next segment's
 * header gives, is damage: reported, and what can still be read around it is
 * visited. What does not read well at the very end is a torn tail: a batch that
 * was never acknowledged, cut off as a whole.
 */
#ifndef QUEUE_JOURNAL_SCAN_H
#define QUEUE_JOURNAL_SCAN_H

#include "queue/index.h"
#include "queue/journal.h"

struct journal_visitor {
	/* Each returns 0 to go on, or -1 to stop the scan. May be NULL. */
	int (*record)(const struct record_head *head, struct span contents,
	    const struct place *place, void *arg);
	/* after the records of a batch */
	int (*batch)(const struct record_batch *batch, void *arg);
	void (*damage)(const char *where, const char *what, void *arg);
	void *arg;
	/* the last batch is not whole: never acknowledged, or damaged */
	void (*torn)(const char *where, const char *what, void *arg);
};

/* Visit everything from a position on; last_number: of the batch before it.
 * *end: where the next batch belongs. Returns 0, 1 when a visitor stopped it,
 * -1 with *why (the disk cannot be read, memory). */
int journal_scan(struct journal *j, struct position from, uint64_t last_number,
    const struct journal_visitor *visitor, struct position *end,
    struct outcome *why);

/* The same within one segment, at most up to an offset where a batch ends; 0:
 * all of it. */
int journal_scan_segment(struct journal *j, struct position from,
    uint64_t limit, const struct journal_visitor *visitor, struct position *end,
    struct outcome *why);

/* Is that batch there? */
bool journal_has_batch(struct journal *j, struct position at, uint64_t number);

#endif
