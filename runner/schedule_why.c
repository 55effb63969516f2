/* The schedule: what a delivery waits for, said for people. */
#include "runner/schedule_parts.h"

static void say_rate(
    struct waits_for *out, const struct bucket *bucket, const struct rate *rate)
{
	out->max = rate->events;
	out->per_seconds = rate->per_seconds;
	if (rate->events > 0 || bucket->interval_ns == 0)
		return;
	out->max = (uint64_t)3600000000000 / bucket->interval_ns;
	out->per_seconds = 3600;
}

static void say_gate(struct waits_for *out, const struct gate *gate)
{
	const struct rate none = { 0 };

	out->scope = gate->scope;
	out->from = gate->limits.from;
	switch (out->kind) {
	case LIMIT_RATE:
		say_rate(out, &gate->rate, &gate->limits.rate);
		break;
	case LIMIT_PACE:
		say_rate(out, &gate->pace, &none);
		out->from = NULL;
		break;
	case LIMIT_IN_FLIGHT:
		out->now = gate->in_flight;
		out->max = gate->limits.in_flight;
		break;
	case LIMIT_CONCURRENCY:
		out->from = NULL;
		/* fall through */
	default:
		out->now = gate->nsessions;
		out->max = gate->sessions_max;
		break;
	}
}

static const char *gate_name(const struct flow *flow, const struct gate *gate)
{
	const struct destination *d = flow->destination;

	if (gate == &d->gate)
		return d->name;
	if (d->site && gate == &d->site->gate)
		return d->site->name;
	for (size_t i = 0; i < flow->group->nbinds; i++)
		if (gate == &flow->group->binds[i]->gate)
			return flow->group->binds[i]->address;
	return flow->group->name;
}

static bool say_stop(
    const struct schedule *s, const struct flow *flow, struct waits_for *out)
{
	const struct destination *d = flow->destination;

	if (s->is_off || d->is_off || flow->group->is_off) {
		out->kind = LIMIT_OFF;
		out->scope = d->is_off		   ? SCOPE_DESTINATION
			     : flow->group->is_off ? SCOPE_LINE
						   : SCOPE_NONE;
		return true;
	}
	if (flow->group->is_closed) {
		out->kind = LIMIT_WINDOW;
		out->scope = SCOPE_LINE;
		out->name = flow->group->name;
		out->until = flow->group->closed_until;
		return true;
	}
	if (d->health == HEALTH_DOWN || d->health == HEALTH_DEAD) {
		out->kind = LIMIT_SUSPENDED;
		out->scope = SCOPE_DESTINATION;
		out->until = d->probe_at;
		out->why = &d->why;
		return true;
	}
	return false;
}

static bool say_limit(
    const struct flow *flow, uint64_t now, struct waits_for *out)
{
	enum limit_kind kind = group_blocks(flow->group, now, &out->until);
	const struct destination *d = flow->destination;
	struct gate *gate = &flow->group->gate;

	if (kind == LIMIT_NONE)
		gate = flow_blocked(flow, NEED_GIVE, now, &kind, &out->until);
	if (!gate && TAILQ_EMPTY(&flow->room))
		gate =
		    flow_blocked(flow, NEED_SESSION, now, &kind, &out->until);
	if (gate) {
		out->kind = kind;
		say_gate(out, gate);
		out->name = gate_name(flow, gate);
		return true;
	}
	if (!TAILQ_EMPTY(&flow->room) || d->nsessions < destination_limit(d))
		return false;
	out->kind = LIMIT_CONNECTIONS;
	out->scope = SCOPE_DESTINATION;
	out->from = d->gate.limits.from;
	out->now = d->nsessions;
	out->max = destination_limit(d);
	return true;
}

void schedule_why(struct schedule *s, uint64_t now, const struct delivery *d,
    struct waits_for *out)
{
	const struct flow *flow = d->flow;

	*out = (struct waits_for){ .until = UINT64_MAX };
	if (!flow || d->phase != PHASE_WAITING)
		return;
	out->name = flow->destination->name;
	if (say_stop(s, flow, out))
		return;
	if (flow->destination->hosts != HOSTS_KNOWN) {
		out->kind = LIMIT_HOSTS;
		out->scope = SCOPE_DESTINATION;
		return;
	}
	if (say_limit(flow, now, out) || !TAILQ_EMPTY(&flow->room) ||
	    !TAILQ_EMPTY(&flow->group->free))
		return;
	out->kind = LIMIT_LINES;
	out->scope = SCOPE_LINE;
	out->name = flow->group->name;
	out->max = out->now = flow->group->nwanted;
}
