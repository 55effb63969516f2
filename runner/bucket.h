/* A rate as a bucket: so many events in a period, spread evenly rather than
 * spent at once (the generic cell rate algorithm). What was not used is not
 * saved up, so that no window of a period sees more than the rate but for one
 * event. Pure; times are milliseconds of any one clock. */
#ifndef RUNNER_BUCKET_H
#define RUNNER_BUCKET_H

#include "common/conf.h"

struct bucket {
	uint64_t interval_ns; /* 0: no limit */
	uint64_t next_ns;     /* when the next event is due */
};

/* Zeroed memory is a bucket without limit. What was used stays used, but no
 * longer than the new rate wants. */
void bucket_set(struct bucket *b, uint64_t now_ms, const struct rate *rate);
/* The same for a rate that was measured; 0: no limit. */
void bucket_set_pace(
    struct bucket *b, uint64_t now_ms, uint64_t events_per_hour);
/* When an event may happen: at or before now_ms at once. */
uint64_t bucket_at(const struct bucket *b);
/* How many may happen now. */
unsigned bucket_count(const struct bucket *b, uint64_t now_ms);
void bucket_take(struct bucket *b, uint64_t now_ms);
/* It did not happen after all. */
void bucket_give_back(struct bucket *b);
/* Nothing before that. Of a time far ahead (a clock was set) one interval is
 * believed. */
void bucket_not_before(struct bucket *b, uint64_t now_ms, uint64_t at_ms);

#endif
