/* Limits that mail has to pass: the counting. */
#include "runner/gate.h"

#include <limits.h>
#include <stdlib.h>

const char *limit_name(enum limit_kind kind)
{
	static const char *const names[] = {
		[LIMIT_NONE] = "none",
		[LIMIT_OFF] = "outbound-off",
		[LIMIT_WINDOW] = "window",
		[LIMIT_SUSPENDED] = "suspended",
		[LIMIT_HOSTS] = "dns",
		[LIMIT_RATE] = "rate",
		[LIMIT_PACE] = "rate-learned",
		[LIMIT_IN_FLIGHT] = "in-flight",
		[LIMIT_CONNECTIONS] = "connections",
		[LIMIT_CONCURRENCY] = "connections-learned",
		[LIMIT_LINES] = "line-busy",
	};

	return kind < LIMIT_COUNT ? names[kind] : "?";
}

const char *scope_name(enum limit_scope scope)
{
	static const char *const names[] = { "", "destination", "site", "line",
		"address" };

	return scope <= SCOPE_ADDRESS ? names[scope] : "?";
}

void gate_init(struct gate *g, enum limit_scope scope)
{
	*g = (struct gate){ .scope = (uint8_t)scope };
	TAILQ_INIT(&g->parked[NEED_GIVE]);
	TAILQ_INIT(&g->parked[NEED_SESSION]);
}

void gate_clear(struct gate *g)
{
	free((char *)g->limits.from);
	g->limits.from = NULL;
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

int gate_set(struct gate *g, uint64_t now, const struct limits *limits)
{
	char *from = (char *)g->limits.from;

	if (!is_same_text(from, limits->from)) {
		free(from);
		from = limits->from ? strdup(limits->from) : NULL;
	}
	g->limits = *limits;
	g->limits.from = from;
	bucket_set(&g->rate, now, &limits->rate);
	return limits->from && !from ? -1 : 0;
}

static unsigned in_flight_max(const struct gate *g)
{
	if (g->is_one_by_one)
		return 1;
	return g->limits.in_flight ? g->limits.in_flight : UINT_MAX;
}

static unsigned left(unsigned max, unsigned used)
{
	return max > used ? max - used : 0;
}

static unsigned less(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned gate_room(const struct gate *g, enum gate_need need, uint64_t now)
{
	unsigned room;

	if (need == NEED_SESSION)
		return g->sessions_max > 0 ? left(g->sessions_max, g->nsessions)
					   : UINT_MAX;
	if (now < g->hold_until)
		return 0;
	room = left(in_flight_max(g), g->in_flight);
	room = less(room, bucket_count(&g->rate, now));
	return less(room, bucket_count(&g->pace, now));
}

enum limit_kind gate_blocks(
    const struct gate *g, enum gate_need need, uint64_t now, uint64_t *until)
{
	*until = UINT64_MAX;
	if (gate_room(g, need, now) > 0)
		return LIMIT_NONE;
	if (need == NEED_SESSION)
		return g->is_sessions_found ? LIMIT_CONCURRENCY
					    : LIMIT_CONNECTIONS;
	if (g->in_flight >= in_flight_max(g))
		return g->is_one_by_one ? LIMIT_PACE : LIMIT_IN_FLIGHT;
	*until = bucket_at(&g->rate);
	if (*until > now && *until >= g->hold_until &&
	    *until >= bucket_at(&g->pace))
		return LIMIT_RATE;
	*until = bucket_at(&g->pace);
	if (*until < g->hold_until)
		*until = g->hold_until;
	return LIMIT_PACE;
}

bool gate_has_parked(const struct gate *g)
{
	return !TAILQ_EMPTY(&g->parked[NEED_GIVE]) ||
	       !TAILQ_EMPTY(&g->parked[NEED_SESSION]);
}

void gate_gave(struct gate *g, uint64_t now)
{
	g->in_flight++;
	bucket_take(&g->rate, now);
	bucket_take(&g->pace, now);
}

void gate_took_back(struct gate *g, bool was_begun)
{
	g->in_flight--;
	if (was_begun)
		return;
	bucket_give_back(&g->rate);
	bucket_give_back(&g->pace);
}
