/* How many lines are useful. */
#include "runner/knee.h"

void knee_init(struct knee *k, uint64_t now)
{
	*k = (struct knee){
		.count = KNEE_START, .at = now + KNEE_LOOK_MS, .looked_at = now
	};
}

void knee_result(struct knee *k)
{
	k->results++;
}

void knee_short(struct knee *k)
{
	k->is_short = true;
}

static void try_more(struct knee *k, uint64_t rate)
{
	k->base = rate;
	k->before = k->count;
	k->count += k->count / 4 > 0 ? k->count / 4 : 1;
	if (k->count > KNEE_MAX)
		k->count = KNEE_MAX;
	k->phase = KNEE_SETTLE;
}

static void go_back(struct knee *k, uint64_t now)
{
	k->count = k->before;
	k->phase = KNEE_HOLD;
	k->hold_ms = k->hold_ms ? k->hold_ms * 2 : KNEE_HOLD_MS;
	if (k->hold_ms > KNEE_HOLD_MAX_MS)
		k->hold_ms = KNEE_HOLD_MAX_MS;
	k->hold_until = now + k->hold_ms;
}

static void judge(struct knee *k, uint64_t now, uint64_t rate)
{
	switch (k->phase) {
	case KNEE_SETTLE:
		k->phase = KNEE_TRY;
		break;
	case KNEE_TRY:
		if (rate * 100 < k->base * (100 + KNEE_GAIN_PERCENT)) {
			go_back(k, now);
		} else {
			k->hold_ms = 0;
			try_more(k, rate);
		}
		break;
	case KNEE_HOLD:
		if (now >= k->hold_until)
			try_more(k, rate);
		break;
	default:
		try_more(k, rate);
	}
}

unsigned knee_look(struct knee *k, uint64_t now)
{
	uint64_t took = now - k->looked_at;

	if (now < k->at)
		return k->count;
	/* without mail for more there is nothing to be seen */
	if (k->is_short && took < 3 * (uint64_t)KNEE_LOOK_MS)
		judge(k, now, k->results * 3600000 / took);
	else if (k->phase == KNEE_TRY || k->phase == KNEE_SETTLE) {
		k->count = k->before;
		k->phase = KNEE_MEASURE;
	}
	if (k->count >= KNEE_MAX && k->phase == KNEE_MEASURE)
		k->phase = KNEE_HOLD;
	k->is_short = false;
	k->results = 0;
	k->looked_at = now;
	k->at = now + KNEE_LOOK_MS;
	return k->count;
}
