/* Rates as buckets. */
#include "runner/bucket.h"

#include <limits.h>

enum {
	NS_A_MS = 1000000,
	LATE_NS = 20 * NS_A_MS, /* who comes late may catch up that much, or
				 * one event: our own clock has ticks, and
				 * sessions take time to begin */
	SLOW_NS = 1000000000,	/* but not with slow rates */
};

static void set_interval(struct bucket *b, uint64_t now_ms, uint64_t interval)
{
	uint64_t latest = now_ms * NS_A_MS + interval;

	b->interval_ns = interval;
	if (b->next_ns > latest)
		b->next_ns = latest;
}

void bucket_set(struct bucket *b, uint64_t now_ms, const struct rate *rate)
{
	uint64_t interval = 0;

	if (rate->events > 0)
		interval = (uint64_t)rate->per_seconds * SLOW_NS / rate->events;
	if (rate->events > 0 && interval == 0)
		interval = 1;
	if (interval != b->interval_ns)
		set_interval(b, now_ms, interval);
}

void bucket_set_pace(
    struct bucket *b, uint64_t now_ms, uint64_t events_per_hour)
{
	uint64_t hour_ns = (uint64_t)3600 * SLOW_NS;

	set_interval(
	    b, now_ms, events_per_hour > 0 ? hour_ns / events_per_hour : 0);
}

static uint64_t slack(const struct bucket *b)
{
	if (b->interval_ns >= SLOW_NS)
		return 0;
	return b->interval_ns > LATE_NS ? b->interval_ns : LATE_NS;
}

uint64_t bucket_at(const struct bucket *b)
{
	if (b->interval_ns == 0)
		return 0;
	return (b->next_ns + NS_A_MS - 1) / NS_A_MS;
}

unsigned bucket_count(const struct bucket *b, uint64_t now_ms)
{
	uint64_t now = now_ms * NS_A_MS, first = b->next_ns, n;

	if (b->interval_ns == 0)
		return UINT_MAX;
	if (now < first)
		return 0;
	if (now - first > slack(b))
		first = now - slack(b);
	n = 1 + (now - first) / b->interval_ns;
	return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

void bucket_take(struct bucket *b, uint64_t now_ms)
{
	uint64_t now = now_ms * NS_A_MS;

	if (b->interval_ns == 0)
		return;
	if (now > b->next_ns + slack(b))
		b->next_ns = now - slack(b);
	b->next_ns += b->interval_ns;
}

void bucket_give_back(struct bucket *b)
{
	if (b->next_ns >= b->interval_ns)
		b->next_ns -= b->interval_ns;
}

void bucket_not_before(struct bucket *b, uint64_t now_ms, uint64_t at_ms)
{
	uint64_t latest = now_ms * NS_A_MS + b->interval_ns;

	if (at_ms > latest / NS_A_MS)
		at_ms = latest / NS_A_MS;
	if (at_ms * NS_A_MS > b->next_ns)
		b->next_ns = at_ms * NS_A_MS;
}
