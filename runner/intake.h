/* What is fetched from the keeper's index, and when: credit for new mail, and
 * pages of what is due. Pure, like the schedule.
 *
 * The index is read in order of due time. A cursor stands where reading has
 * come to; mail that became due, was announced too late or changed lies behind
 * it but for a margin, so reading goes on from a little before the cursor.
 * Now and then all of it is read again, so that no mistake lasts.
 *
 * Times are UTC milliseconds, as in the index.
 */
#ifndef RUNNER_INTAKE_H
#define RUNNER_INTAKE_H

#include "runner/schedule.h"

enum {
	PAGE_MAX = 500,	      /* deliveries asked for at once */
	MARGIN_MS = 5000,     /* read again before the cursor */
	READ_PAUSE_MS = 200,  /* between reads for due times */
	SWEEP_MS = 900000,    /* all is read again */
	SWEEP_SOON_MS = 5000, /* after a surprise */
};

struct intake {
	size_t window;
	uint32_t credit;       /* announcements the keeper may still send */
	struct due_key cursor; /* of the main reading */
	struct due_key at;     /* of the page being read */
	bool is_reading, is_refill;
	bool has_more;	 /* of the main reading */
	bool is_wanted;	 /* something behind the cursor */
	uint64_t due_at; /* the next due time; UINT64_MAX: none */
	uint64_t sweep_at, read_at;
	uint64_t seen_at; /* the clock, last time */
};

void intake_init(struct intake *in, size_t window);
/* A new keeper: everything is unknown. */
void intake_start(struct intake *in, uint64_t now);

/* The page to ask for now. False: none. */
bool intake_read(struct intake *in, uint64_t now, size_t in_memory,
    struct schedule *s, struct due_query *query);
/* MSG_WAITING: is_new: announced, else from the page. */
void intake_waiting(struct intake *in, const struct waiting *w, bool is_new);
void intake_end(struct intake *in, uint64_t next_due_ms, bool has_more);
/* MSG_MORE_DUE, MSG_CHANGED. */
void intake_want(struct intake *in);
/* All is to be read again at once. */
void intake_sweep_now(struct intake *in);
/* A claim was not to be had though the index said so: look at all again. */
void intake_sweep_soon(struct intake *in, uint64_t now);
/* Something comes due then. */
void intake_due_at(struct intake *in, uint64_t at);
/* Credit to give now; 0: none. It counts as given. */
uint32_t intake_grant(struct intake *in, size_t in_memory);
uint64_t intake_wake(const struct intake *in, size_t in_memory);

#endif
