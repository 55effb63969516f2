/* How many lines are useful: more while more gets through for it, and back to
 * where that stopped. Pure; times are milliseconds of the schedule's clock. */
#ifndef RUNNER_KNEE_H
#define RUNNER_KNEE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	KNEE_START = 20,
	KNEE_MAX = 200,
	KNEE_LOOK_MS = 5000,
	KNEE_HOLD_MS = 60000, /* before the next trial; doubled each time */
	KNEE_HOLD_MAX_MS = 3600000,
	KNEE_GAIN_PERCENT = 5, /* less is not worth a step */
};

enum knee_phase { KNEE_MEASURE, KNEE_SETTLE, KNEE_TRY, KNEE_HOLD };

struct knee {
	unsigned count, before; /* lines; before the trial */
	uint8_t phase;
	bool is_short; /* since the last look mail waited for lines */
	uint64_t at, looked_at, results;
	uint64_t base; /* results an hour, at before */
	uint64_t hold_ms, hold_until;
};

void knee_init(struct knee *k, uint64_t now);
void knee_result(struct knee *k);
/* All lines were busy and mail waited. */
void knee_short(struct knee *k);
/* The number of lines from now on. */
unsigned knee_look(struct knee *k, uint64_t now);

#endif
