/* What the runner_tlsrpt*.c share. */
#ifndef RUNNER_TLSRPT_PARTS_H
#define RUNNER_TLSRPT_PARTS_H

#include "runner/runner.h"
#include "runner/tlsrpt_count.h"

/* Reports are made one at a time; this is what is waited for. */
enum tlsrpt_step {
	TLSRPT_IDLE,
	TLSRPT_SEEK,   /* the keeper: which domain is next? */
	TLSRPT_RECORD, /* the resolver: where does its report go? */
	TLSRPT_ROWS,   /* the keeper: what was counted? */
	TLSRPT_SEND,   /* the keeper or the resolver: one place */
};

struct tlsrpt_walk {
	enum tlsrpt_step step;
	uint64_t id; /* of the message that is waited for */
	uint32_t day, last_day;
	bool is_ordered; /* by an operator: all that is there, now */
	bool is_dry;
	bool is_single;		/* the domain below alone */
	uint64_t next_due;	/* of those that were too early */
	struct control *client; /* who wants to hear of it; NULL: nobody */
	uint64_t client_id;
	struct tls_domain found; /* its domain is the one below */
	char domain[TLS_DOMAIN_MAX + 1];
	struct buf lines; /* places */
	struct span rest; /* those not yet served */
	unsigned place;	  /* number of the one being served, from 0 */
	struct buf rows;  /* tls_count each, as put */
	unsigned nrows;
	struct buf gzip; /* the report */
	char uri[ADDRESS_MAX];
};

struct tlsrpt {
	struct tlsrpt_counts *counts;
	struct timer flush_timer;
	uint64_t lost; /* sessions not counted, for want of room */
	struct tlsrpt_walk walk;
	struct timer walk_timer;
	uint64_t last_id;
};

enum { TLSRPT_ROWS_BYTES = 2 << 20 };

/* runner_tlsrpt_send.c: the walk. A new id for what is asked now. */
uint64_t walk_step(struct runner *runner, enum tlsrpt_step step);
bool walk_awaits(
    const struct runner *runner, uint64_t id, enum tlsrpt_step step);
/* To whoever ordered it. why: NULL or words. */
void walk_say(struct runner *runner, const char *result, const char *why);
/* One place: it has it (why NULL), or not. */
void walk_log(struct runner *runner, const char *why);
/* Tell the keeper where the report stands. */
void walk_mark(struct runner *runner);
/* The same, some place does not have it: what becomes of it, in words. */
const char *walk_failed(struct runner *runner);
void walk_next(struct runner *runner);

/* runner_tlsrpt_serve.c: all rows are there; one place was served, or not. */
void tlsrpt_report(struct runner *runner);
void tlsrpt_served(struct runner *runner, const char *why);

/* Tell the keeper all that was counted. */
void tlsrpt_flush(struct runner *runner);

#endif
