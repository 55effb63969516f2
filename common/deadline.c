/* Time readings and deadlines. */
#include "common/deadline.h"

#include <limits.h>
#include <time.h>

static uint64_t read_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t now_monotonic_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t now_monotonic_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t now_utc(void)
{
	return (int64_t)(read_us(CLOCK_REALTIME) / 1000000);
}

uint64_t now_utc_us(void)
{
	return read_us(CLOCK_REALTIME);
}

struct deadline deadline_in_ms(uint64_t ms)
{
	return (struct deadline){ now_monotonic_ms() + ms };
}

int deadline_left_ms(struct deadline d)
{
	uint64_t now = now_monotonic_ms();

	if (d.at_ms <= now)
		return 0;
	return d.at_ms - now > INT_MAX ? INT_MAX : (int)(d.at_ms - now);
}

bool deadline_is_over(struct deadline d)
{
	return d.at_ms <= now_monotonic_ms();
}

struct deadline deadline_min(struct deadline a, struct deadline b)
{
	return a.at_ms < b.at_ms ? a : b;
}
