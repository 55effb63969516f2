/* A simulated world around the schedule: a keeper with an index, lines, hosts
 * of every nature, an operator, two clocks. What happens is drawn from a seed.
 * Included by test_schedule_sim.c together with its .c files. */
#ifndef TESTS_SCHEDULE_WORLD_H
#define TESTS_SCHEDULE_WORLD_H

#include "runner/intake.h"
#include "runner/retry.h"
#include "runner/schedule.h"
#include "runner/settle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NEVER UINT64_MAX

enum {
	GROUPS_MAX = 2,
	LINES_MAX = 100,
	RCPTS_MAX = 3,
	DEATHS_MAX = 3,
	NOBODY = 0, /* index of no mail: mail counts from 1 */
	MINUTE = 60000,
	HOUR = 60 * MINUTE,
};
#define DAY ((uint64_t)24 * HOUR)
#define START_MS ((uint64_t)1000000000)
#define START_UTC ((uint64_t)1700000000000)

/* What a destination is like. */
enum nature {
	GOOD,	/* takes everything */
	GREY,	/* defers what it has not seen, takes the rest */
	FLAKY,	/* now and then 4xx, 5xx, untouched, no connection */
	OUTAGE, /* down two hours of every six */
	FLAP,	/* down four minutes of every ten */
	HOLE,	/* never reached */
	FULL,	/* always 4xx */
	DEAD,	/* no such domain */
	MUTE,	/* its DNS answers seldom */
	KILLER, /* lines die of it */
	SLOW,	/* 900 ms a message */
	CROWDED /* 421 for a third session */
};

struct shape {
	uint64_t seed;
	unsigned mail, per_message, recipients;
	unsigned domains, ndomains_hog; /* a third goes to these */
	enum nature (*nature)(unsigned domain);
	unsigned (*domain)(unsigned mail, uint64_t random); /* may be NULL */
	unsigned lone_every; /* mail of senders that send nothing else; only
			      * that is measured then */
	unsigned groups, lines, limit, window, per_connection;
	unsigned batch;		    /* answers that come together */
	uint64_t hop_ms, work_ms;   /* at most */
	unsigned burst, burst_a_ms; /* mail that comes together */
	uint64_t burst_gap_ms;
	uint64_t chaos_ms; /* something happens about so often; 0: nothing */
	uint64_t calm_at;  /* after that nothing happens any more */
	uint64_t late_ms;  /* good mail may wait that long for a line */
	unsigned check_every;
	struct conf_retry retry;
};

enum rcpt_state { R_PENDING, R_GONE, R_KEPT }; /* KEPT: for its report */

struct rcpt {
	uint8_t state, report; /* enum report_kind awaited */
	uint8_t sent, uncertain, told_failed, told_delayed;
	bool is_failed, wants_no_report;
};

enum mail_state { M_NEW, M_QUEUED, M_HELD, M_SUSPENDED, M_DONE };

struct mail {
	uint64_t due, report_at, key; /* UTC; NEVER */
	uint64_t accepted_ms;	      /* UTC */
	uint64_t open_ms;	      /* monotonic: could be tried since */
	unsigned left, right;	      /* in the index */
	unsigned next, before;	      /* of its domain */
	unsigned domain, expires_s;
	uint16_t attempts;
	uint8_t deaths, state, claim, cause, group, sender, n;
	bool is_warned, is_uncertain, is_at_line, was_sent;
	struct rcpt r[RCPTS_MAX];
};

enum kind {
	/* to the keeper */
	K_DUE,
	K_WINDOW,
	K_CLAIM,
	K_UNCLAIM,
	K_OUTCOME,
	K_REPORT,
	K_WAKE,
	/* to the runner */
	R_WAITING,
	R_DUE_END,
	R_MORE,
	R_CHANGED,
	R_JOB,
	R_NO_JOB,
	R_RECORDED,
	R_ACCEPTED,
	R_REFUSED,
	/* at their time */
	T_STARTED,
	T_HOSTS,
	T_WORK
};

struct event {
	uint64_t at, a, b;
	unsigned mail, line;
	uint8_t kind, claim_for, cause, counts, died;
	bool flag;
	uint8_t result[RCPTS_MAX], report[RCPTS_MAX];
};

/* A stream of messages: none overtakes another. */
struct stream {
	struct event *ring;
	size_t size, first, count;
	uint64_t last_at;
};

struct alarm { /* a T_ event */
	struct heap_node node;
	struct alarm *next; /* unused ones */
	struct event e;
};

struct domain {
	unsigned first; /* its mail that is not done */
	unsigned sessions;
	uint64_t not_before; /* suspended until then */
	uint8_t nature;
	bool is_off, is_owed_wake;
};

struct model_line {
	struct line *line;
	unsigned jobs[WINDOW_MAX + 1], njobs, nclaims;
	int domain; /* -1: no session */
	uint64_t incarnation;
	bool is_working, is_ending, is_bad, is_crowded, has_suspect;
};

struct world {
	const struct shape *shape;
	uint64_t now, random, utc_offset;
	uint64_t disturbed_at; /* the operator or a clock came between */
	struct schedule *s;
	struct intake in;
	struct stream to_keeper, to_runner;
	struct heap alarms;
	struct alarm *unused;
	struct mail *mail; /* 1..shape->mail */
	struct domain *domains;
	struct model_line lines[GROUPS_MAX * LINES_MAX];
	unsigned root; /* of the index */
	unsigned next_mail, done, disturbed_by;
	uint64_t window, chaos_at;
	bool is_more_told, is_off, is_group_off[GROUPS_MAX], is_unusable;
	bool has_fewer_lines;
	/* for the bounds and the summary */
	uint64_t steps, events, decisions, wakes, idle_wakes, idle_streak;
	uint64_t queries, attempts, sheds, refusals, reports, uncertain, early;
	uint64_t owed_wakes, failed, most_in_memory, longest_late, chaos,
	    probes;
};

static inline double hours(uint64_t at)
{
	return at > START_MS ? (double)(at - START_MS) / HOUR : 0;
}

static inline uint64_t utc(const struct world *w)
{
	return w->now + w->utc_offset;
}

static inline uint64_t rnd(struct world *w, uint64_t n)
{
	w->random += 0x9e3779b97f4a7c15u;
	return table_mix(w->random, 7) % n;
}

static inline uint64_t message_of(const struct world *w, unsigned mail)
{
	return (mail - 1) / w->shape->per_message + 1;
}

static inline uint16_t number_of(const struct world *w, unsigned mail)
{
	return (uint16_t)((mail - 1) % w->shape->per_message);
}

static inline unsigned mail_of(
    const struct world *w, uint64_t message, uint16_t number)
{
	return (unsigned)(message - 1) * w->shape->per_message + number + 1;
}

static inline bool is_lone(const struct world *w, unsigned mail)
{
	return w->shape->lone_every && mail % w->shape->lone_every == 0;
}

static inline bool has_report(const struct mail *m)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->r[i].report != REPORT_NONE)
			return true;
	return false;
}

static inline unsigned npending(const struct mail *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n; i++)
		n += m->r[i].state == R_PENDING;
	return n;
}

#endif
