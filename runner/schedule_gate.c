/* The schedule: what mail has to pass, and where it waits for that.
 *
 * A flow that is not let through is parked at the first gate in its way, and is
 * in no group's list meanwhile. When the gate has room again, as many as there
 * is room for are let go, in order; they are put into the lists and asked
 * again. A gate is looked at when something was given back, passed it, or its
 * time has come: never all of them. */
#include "runner/schedule_parts.h"

#include <stdlib.h>

enum { GATES_MAX = 4, WAY_MS = 100 };

struct bind *flow_bind(const struct flow *flow, bool is_v6)
{
	const struct group *group = flow->group;
	unsigned n = 0, at;

	for (size_t i = 0; i < group->nbinds; i++)
		n +=
		    group->binds[i]->is_used && group->binds[i]->is_v6 == is_v6;
	if (n == 0)
		return NULL;
	at = flow->choice % n;
	for (size_t i = 0; i < group->nbinds; i++)
		if (group->binds[i]->is_used &&
		    group->binds[i]->is_v6 == is_v6 && at-- == 0)
			return group->binds[i];
	return NULL;
}

/* binds: those that were chosen. */
static size_t gates_of(const struct flow *flow, struct site *site,
    struct bind *const binds[2], struct gate *out[GATES_MAX])
{
	size_t n = 0;

	out[n++] = &flow->destination->gate;
	if (site)
		out[n++] = &site->gate;
	for (int i = 0; i < 2; i++)
		if (binds[i])
			out[n++] = &binds[i]->gate;
	return n;
}

static void choose_binds(const struct flow *flow, struct bind *binds[2])
{
	binds[0] = binds[1] = NULL;
	if (flow->group->nbinds == 0)
		return;
	binds[0] = flow_bind(flow, false);
	binds[1] = flow_bind(flow, true);
}

/* Those that wait there go before it; but what one gate has let go no other
 * holds back for the sake of order, or they would for ever in turns. */
static bool has_others_first(
    const struct flow *flow, const struct gate *gate, enum gate_need need)
{
	return need == NEED_GIVE && !flow->is_let_go &&
	       !TAILQ_EMPTY(&gate->parked[need]);
}

struct gate *flow_blocked(const struct flow *flow, enum gate_need need,
    uint64_t now, enum limit_kind *kind, uint64_t *until)
{
	struct gate *gates[GATES_MAX];
	struct bind *binds[2];
	size_t n;

	choose_binds(flow, binds);
	n = gates_of(flow, flow->destination->site, binds, gates);
	for (size_t i = 0; i < n; i++) {
		*kind = gate_blocks(gates[i], need, now, until);
		if (*kind != LIMIT_NONE)
			return gates[i];
		if (has_others_first(flow, gates[i], need)) {
			const struct flow *first =
			    TAILQ_FIRST(&gates[i]->parked[need]);

			*kind = (enum limit_kind)first->waited;
			*until = now + LOOK_MS;
			return gates[i];
		}
	}
	return NULL;
}

/* --- parking ---------------------------------------------------------------*/

void gate_look(struct schedule *s, struct gate *gate)
{
	if (gate->is_marked || !gate_has_parked(gate))
		return;
	gate->is_marked = true;
	TAILQ_INSERT_TAIL(&s->marked, gate, entry);
}

void flow_unpark(struct schedule *s, struct flow *flow)
{
	TAILQ_REMOVE(&flow->gate->parked[flow->need], flow, entry);
	flow->listed = FLOW_NOWHERE;
	s->nparked--;
}

void flow_park(struct schedule *s, uint64_t now, struct flow *flow,
    struct gate *gate, enum gate_need need, enum limit_kind kind,
    uint64_t until)
{
	flow->listed = FLOW_PARKED;
	flow->gate = gate;
	flow->need = (uint8_t)need;
	flow->is_let_go = false;
	flow->waited = (uint8_t)kind;
	TAILQ_INSERT_TAIL(&gate->parked[need], flow, entry);
	s->nparked++;
	if (need == NEED_SESSION || gate_room(gate, need, now) > 0)
		gate_look(s, gate);
	if (until == UINT64_MAX)
		return;
	if (gate->timer.place > 0 && gate->timer.at <= until)
		return;
	if (heap_set(&s->gate_timers, &gate->timer, until) < 0)
		gate_look(s, gate); /* without memory: again and again */
}

static void let_go(struct schedule *s, struct gate *gate, enum gate_need need)
{
	struct flow *flow = TAILQ_FIRST(&gate->parked[need]);

	flow_unpark(s, flow);
	flow->is_let_go = true;
	flow_update(s, flow);
}

/* When there is nothing to come that makes room, and none is used: look again
 * in a while, for those let go may be unable to use it. */
static void set_timer(struct schedule *s, uint64_t now, struct gate *gate)
{
	uint64_t at = UINT64_MAX;

	if (!TAILQ_EMPTY(&gate->parked[NEED_GIVE]) &&
	    gate_blocks(gate, NEED_GIVE, now, &at) == LIMIT_NONE)
		at = now + LOOK_MS;
	if (!TAILQ_EMPTY(&gate->parked[NEED_SESSION]) && at > now + LOOK_MS)
		at = now + LOOK_MS;
	if (at == UINT64_MAX)
		heap_remove(&s->gate_timers, &gate->timer);
	else if (heap_set(&s->gate_timers, &gate->timer, at) < 0)
		gate_look(s, gate);
}

static void look(struct schedule *s, uint64_t now, struct gate *gate)
{
	for (int need = 0; need < NEEDS; need++) {
		unsigned room = gate_room(gate, (enum gate_need)need, now);

		while (room-- > 0 && !TAILQ_EMPTY(&gate->parked[need]))
			let_go(s, gate, (enum gate_need)need);
	}
	if (!TAILQ_EMPTY(&gate->parked[NEED_SESSION]) &&
	    now >= gate->way_at + WAY_MS) {
		gate->way_at = now;
		lines_make_way_at(s, now, gate);
	}
	set_timer(s, now, gate);
}

void gates_run(struct schedule *s, uint64_t now)
{
	struct heap_node *node;
	struct gate *gate, *last;

	while ((node = heap_first(&s->gate_timers)) && node->at <= now) {
		heap_remove(&s->gate_timers, node);
		gate_look(s, TABLE_OF(node, struct gate, timer));
	}
	last = TAILQ_LAST(&s->marked, gate_list);
	while (last && (gate = TAILQ_FIRST(&s->marked))) {
		TAILQ_REMOVE(&s->marked, gate, entry);
		gate->is_marked = false;
		look(s, now, gate);
		if (gate == last)
			break;
	}
}

void gate_leave(struct schedule *s, struct gate *gate)
{
	heap_remove(&s->gate_timers, &gate->timer);
	if (gate->is_marked)
		TAILQ_REMOVE(&s->marked, gate, entry);
	gate->is_marked = false;
	gate_clear(gate);
}

/* --- counting --------------------------------------------------------------*/

static void count_wait(struct schedule *s, uint8_t *waited)
{
	if (*waited != LIMIT_NONE)
		s->limited[*waited]++;
	*waited = LIMIT_NONE;
}

void gates_gave(struct schedule *s, uint64_t now, struct delivery *d)
{
	struct gate *gates[GATES_MAX];
	struct flow *flow = d->flow;
	size_t n;

	d->site = flow->destination->site;
	d->is_counted = true;
	memcpy(d->binds, d->line->binds, sizeof(d->binds));
	n = gates_of(flow, d->site, d->binds, gates);
	gate_gave(&flow->group->gate, now);
	for (size_t i = 0; i < n; i++) {
		gate_gave(gates[i], now);
		gate_look(s, gates[i]);
	}
	flow->is_let_go = false;
	count_wait(s, &flow->waited);
	count_wait(s, &flow->group->waited);
}

void gates_took_back(struct schedule *s, struct delivery *d, bool was_begun)
{
	struct gate *gates[GATES_MAX];
	struct site *site = d->site;
	size_t n;

	if (!d->is_counted)
		return;
	n = gates_of(d->flow, site, d->binds, gates);
	d->is_counted = false;
	d->site = NULL;
	gate_took_back(&d->flow->group->gate, was_begun);
	for (size_t i = 0; i < n; i++) {
		gate_took_back(gates[i], was_begun);
		gate_look(s, gates[i]);
	}
	if (site)
		site_check_idle(s, site);
}

void gates_session(struct schedule *s, struct line *line, int change)
{
	struct gate *gates[GATES_MAX];
	size_t n;

	if (change > 0)
		choose_binds(line->flow, line->binds);
	n = gates_of(line->flow, line->site, line->binds, gates);
	for (size_t i = 0; i < n; i++) {
		gates[i]->nsessions += (unsigned)change;
		gate_look(s, gates[i]);
	}
}

unsigned flow_messages(const struct flow *flow, uint64_t now)
{
	const struct destination *d = flow->destination;
	const unsigned all[] = { flow->group->messages, d->gate.limits.messages,
		d->site ? d->site->gate.limits.messages : 0,
		d->site ? learned_messages(&d->site->learned, now) : 0 };
	unsigned least = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i] > 0 && (least == 0 || all[i] < least))
			least = all[i];
	return least;
}

/* --- groups ----------------------------------------------------------------*/

enum limit_kind group_blocks(
    const struct group *group, uint64_t now, uint64_t *until)
{
	return gate_blocks(&group->gate, NEED_GIVE, now, until);
}

int schedule_group_limits(
    struct schedule *s, uint64_t now, int group, const struct limits *limits)
{
	return gate_set(&s->groups[group]->gate, now, limits);
}

static struct bind *make_bind(struct group *group, const char *address)
{
	struct bind *bind;

	for (size_t i = 0; i < group->nbinds; i++)
		if (strcmp(group->binds[i]->address, address) == 0)
			return group->binds[i];
	if (group->nbinds == BINDS_KNOWN_MAX)
		return NULL;
	bind = calloc(1, sizeof(*bind));
	if (!bind || !(bind->address = strdup(address))) {
		free(bind);
		return NULL;
	}
	gate_init(&bind->gate, SCOPE_ADDRESS);
	bind->is_v6 = strchr(address, ':') != NULL;
	group->binds[group->nbinds++] = bind;
	return bind;
}

int schedule_group_binds(struct schedule *s, uint64_t now, int at,
    const char *const *addresses, size_t n, const struct limits *limits)
{
	struct group *group = s->groups[at];

	for (size_t i = 0; i < group->nbinds; i++)
		group->binds[i]->is_used = false;
	for (size_t i = 0; i < n && i < BINDS_MAX; i++) {
		struct bind *bind = make_bind(group, addresses[i]);

		if (!bind || gate_set(&bind->gate, now, limits) < 0)
			return -1;
		bind->gate.sessions_max = limits->connections;
		bind->is_used = true;
		gate_look(s, &bind->gate);
	}
	return 0;
}

size_t schedule_sources(
    const struct line *line, const char *addresses[BINDS_MAX])
{
	size_t n = 0;

	for (int i = 0; i < 2; i++)
		if (line->binds[i])
			addresses[n++] = line->binds[i]->address;
	return n;
}

void group_clear_gates(struct schedule *s, struct group *group)
{
	for (size_t i = 0; i < group->nbinds; i++) {
		gate_leave(s, &group->binds[i]->gate);
		free(group->binds[i]->address);
		free(group->binds[i]);
	}
	gate_leave(s, &group->gate);
}

/* --- destinations ----------------------------------------------------------*/

void schedule_destination_limits(struct schedule *s, uint64_t now,
    struct destination *d, const struct limits *limits)
{
	gate_set(&d->gate, now, limits);
	gate_look(s, &d->gate);
}

void schedule_pushback(
    struct schedule *s, uint64_t now, struct delivery *d, struct span reply)
{
	struct site *site = d->site;

	if (!site || d->phase != PHASE_GIVEN)
		return;
	learned_rate(&site->learned, now);
	learned_say(&site->learned, now, reply);
	site->is_changed = true;
	site_update(s, now, site);
}
