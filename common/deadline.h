/* Time: one monotonic deadline per wait, and wall-clock readings. */
#ifndef COMMON_DEADLINE_H
#define COMMON_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds of the monotonic clock; UTC seconds and microseconds. */
uint64_t now_monotonic_ms(void);
uint64_t now_monotonic_us(void);
int64_t now_utc(void);
uint64_t now_utc_us(void);

struct deadline {
	uint64_t at_ms; /* monotonic */
};

struct deadline deadline_in_ms(uint64_t ms);
/* Milliseconds left, 0 when passed, never more than INT_MAX: fit for poll. */
int deadline_left_ms(struct deadline d);
bool deadline_is_over(struct deadline d);
/* The earlier of two. */
struct deadline deadline_min(struct deadline a, struct deadline b);

#endif
