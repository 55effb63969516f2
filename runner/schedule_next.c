/* The schedule: what each flow of mail needs, and the next decision. */
#include "runner/schedule_parts.h"

enum { LOOKS_MAX = 8 };

static bool flow_has_mail(const struct flow *flow)
{
	return flow->turns.count > 0 || flow->nsuspects > 0;
}

static struct line *line_for_suspect(const struct flow *flow)
{
	struct line *line;

	TAILQ_FOREACH(line, &flow->room, room)
	if (line->in_flight == 0)
		return line;
	return NULL;
}

static bool can_give(const struct flow *flow)
{
	if (TAILQ_EMPTY(&flow->room))
		return false;
	return flow->turns.count > 0 || line_for_suspect(flow);
}

static bool is_open(const struct schedule *s, const struct flow *flow)
{
	const struct destination *d = flow->destination;

	return !s->is_off && !s->is_stopping && !d->is_off &&
	       !flow->group->is_off && !flow->group->is_closed &&
	       (d->health == HEALTH_UP || d->health == HEALTH_PROBE);
}

static enum flow_list_kind list_for(struct schedule *s, struct flow *flow)
{
	struct destination *d = flow->destination;

	if (!flow_has_mail(flow) || !is_open(s, flow))
		return FLOW_NOWHERE;
	if (flow->listed == FLOW_PARKED && flow->need == NEED_GIVE)
		return FLOW_PARKED;
	if (can_give(flow))
		return FLOW_GIVING;
	if (d->nsessions >= destination_limit(d))
		return FLOW_NOWHERE;
	if (d->hosts != HOSTS_KNOWN) {
		if (d->hosts == HOSTS_UNKNOWN)
			destination_want_hosts(s, d);
		return FLOW_NOWHERE;
	}
	if (flow->listed == FLOW_PARKED)
		return FLOW_PARKED;
	return flow->nsessions == 0 ? FLOW_STARVED : FLOW_READY;
}

static void unlist(struct schedule *s, struct flow *flow)
{
	struct group *group = flow->group;

	switch (flow->listed) {
	case FLOW_GIVING:
		TAILQ_REMOVE(&group->giving, flow, entry);
		break;
	case FLOW_STARVED:
		TAILQ_REMOVE(&group->starved, flow, entry);
		group->nstarved--;
		break;
	case FLOW_READY:
		TAILQ_REMOVE(&group->ready, flow, entry);
		group->nready--;
		break;
	case FLOW_PARKED:
		flow_unpark(s, flow);
		break;
	}
	flow->listed = FLOW_NOWHERE;
}

/* Put the flow into the list of what it needs now. */
void flow_update(struct schedule *s, struct flow *flow)
{
	struct group *group = flow->group;
	enum flow_list_kind kind = list_for(s, flow);
	enum limit_kind limit;
	struct gate *gate;
	uint64_t until;

	if (kind == flow->listed)
		return;
	unlist(s, flow);
	if (kind == FLOW_STARVED || kind == FLOW_READY) {
		gate = flow_blocked(flow, NEED_SESSION, s->now, &limit, &until);
		if (gate) {
			flow_park(s, s->now, flow, gate, NEED_SESSION, limit,
			    UINT64_MAX);
			return;
		}
	}
	flow->listed = kind;
	switch (kind) {
	case FLOW_GIVING:
		TAILQ_INSERT_TAIL(&group->giving, flow, entry);
		break;
	case FLOW_STARVED:
		TAILQ_INSERT_TAIL(&group->starved, flow, entry);
		group->nstarved++;
		break;
	case FLOW_READY:
		TAILQ_INSERT_TAIL(&group->ready, flow, entry);
		group->nready++;
		break;
	case FLOW_NOWHERE:
	case FLOW_PARKED:
		break;
	}
}

static struct delivery *item_delivery(struct turn_item *item)
{
	return item ? TABLE_OF(item, struct delivery, item) : NULL;
}

static bool next_end(struct schedule *s, struct decision *out)
{
	struct line *line = TAILQ_FIRST(&s->to_end);

	if (!line)
		return false;
	TAILQ_REMOVE(&s->to_end, line, end);
	line->phase = LINE_ENDING;
	*out = (struct decision){ DECIDE_END, .line = line };
	return true;
}

static bool next_close(struct schedule *s, struct decision *out)
{
	struct line *line = TAILQ_FIRST(&s->to_close);

	if (!line)
		return false;
	TAILQ_REMOVE(&s->to_close, line, entry);
	line->is_to_close = false;
	*out = (struct decision){ DECIDE_CLOSE, .line = line };
	return true;
}

static bool next_wake(struct schedule *s, struct decision *out)
{
	struct destination *d;

	if (s->nwakes == 0)
		return false;
	d = s->wakes[--s->nwakes];
	d->is_marked_wake = false;
	destination_check_idle(s, d);
	*out = (struct decision){ DECIDE_WAKE, .destination = d };
	return true;
}

static bool next_hosts(struct schedule *s, struct decision *out)
{
	struct destination *d = TAILQ_FIRST(&s->wants_hosts);

	if (!d || s->is_stopping)
		return false;
	TAILQ_REMOVE(&s->wants_hosts, d, wants_hosts);
	d->is_wanting_hosts = false;
	d->hosts = HOSTS_ASKED;
	*out = (struct decision){ DECIDE_RESOLVE, .destination = d };
	return true;
}

static struct delivery *take_last(struct destination *to)
{
	struct flow *flow;
	struct delivery *d;

	LIST_FOREACH(flow, &to->flows, of_destination)
	{
		d = item_delivery(turns_last(&flow->turns));
		if (d)
			return d;
		d = TAILQ_FIRST(&flow->suspects);
		if (!d)
			continue;
		TAILQ_REMOVE(&flow->suspects, d, entry);
		flow->nsuspects--;
		return d;
	}
	return NULL;
}

static bool next_refusal(struct schedule *s, struct decision *out)
{
	struct destination *to = TAILQ_FIRST(&s->refusing);
	struct delivery *d;

	if (!to || s->nrefusing >= REFUSALS_AT_ONCE || s->is_stopping)
		return false;
	d = take_last(to);
	delivery_left_flow(s, d);
	delivery_set_phase(s, d, PHASE_REFUSED);
	to->has_refused = true;
	destination_update(s, to);
	*out = (struct decision){ DECIDE_REFUSE, .destination = to,
		.delivery = d };
	return true;
}

static struct line *take_job(struct flow *flow, struct delivery **d)
{
	struct line *line = NULL;

	if (flow->nsuspects > 0)
		line = line_for_suspect(flow);
	if (line) {
		*d = TAILQ_FIRST(&flow->suspects);
		TAILQ_REMOVE(&flow->suspects, *d, entry);
		flow->nsuspects--;
		return line;
	}
	line = TAILQ_FIRST(&flow->room);
	TAILQ_REMOVE(&flow->room, line, room);
	TAILQ_INSERT_TAIL(&flow->room, line, room);
	*d = item_delivery(turns_next(&flow->turns));
	return line;
}

/* True: it has to wait, and does so elsewhere. */
static bool must_wait(
    struct schedule *s, uint64_t now, struct flow *flow, enum gate_need need)
{
	enum limit_kind kind;
	uint64_t until;
	struct gate *gate = flow_blocked(flow, need, now, &kind, &until);

	if (!gate)
		return false;
	unlist(s, flow);
	flow_park(s, now, flow, gate, need, kind, until);
	return true;
}

static bool next_give(
    struct schedule *s, uint64_t now, struct group *group, struct decision *out)
{
	struct flow *flow;
	struct delivery *d;
	struct line *line;

	while ((flow = TAILQ_FIRST(&group->giving)) &&
	       must_wait(s, now, flow, NEED_GIVE))
		;
	if (!flow)
		return false;
	TAILQ_REMOVE(&group->giving, flow, entry);
	TAILQ_INSERT_TAIL(&group->giving, flow, entry);
	line = take_job(flow, &d);
	delivery_set_phase(s, d, PHASE_GIVEN);
	line_gave(s, now, line, d);
	gates_gave(s, now, d);
	delivery_left_flow(s, d);
	*out = (struct decision){ DECIDE_GIVE, .line = line, .delivery = d };
	return true;
}

/* Hosts that are too old are asked for again. */
static bool has_fresh_hosts(struct schedule *s, uint64_t now, struct flow *flow)
{
	struct destination *d = flow->destination;

	if (now < d->hosts_until)
		return true;
	d->hosts = HOSTS_UNKNOWN;
	destination_update(s, d);
	return false;
}

static bool next_session(
    struct schedule *s, uint64_t now, struct group *group, struct decision *out)
{
	struct line *line = TAILQ_FIRST(&group->free);
	struct flow *flow;

	if (!line)
		return false;
	while ((flow = TAILQ_FIRST(&group->starved)) ||
	       (flow = TAILQ_FIRST(&group->ready))) {
		if (!has_fresh_hosts(s, now, flow) ||
		    must_wait(s, now, flow, NEED_GIVE) ||
		    must_wait(s, now, flow, NEED_SESSION))
			continue;
		line_open_session(s, now, line, flow);
		*out = (struct decision){ DECIDE_SESSION, .line = line,
			.destination = flow->destination };
		return true;
	}
	return false;
}

static bool next_start(
    struct schedule *s, struct group *group, struct decision *out)
{
	struct line *line = TAILQ_FIRST(&group->off);

	if (!line || !s->is_usable || !TAILQ_EMPTY(&group->free) ||
	    group->nstarting >= group->nstarved + group->nready)
		return false;
	TAILQ_REMOVE(&group->off, line, entry);
	line->phase = LINE_STARTING;
	group->nstarting++;
	*out = (struct decision){ DECIDE_START_LINE, .line = line };
	return true;
}

static bool next_report(struct schedule *s, uint64_t now, struct decision *out)
{
	struct heap_node *node;

	if (s->is_stopping)
		return false;
	while (s->nreporting < REPORTS_AT_ONCE &&
	       (node = heap_first(&s->awaiting)) && node->at <= now) {
		struct delivery *d =
		    TABLE_OF(node, struct delivery, report_timer);

		delivery_unawait(s, d);
		if (!delivery_begin_report(s, d)) {
			delivery_await(s, d, now + REPORT_GATHER_MS);
			continue;
		}
		delivery_set_phase(s, d, PHASE_REPORTING);
		*out = (struct decision){ DECIDE_REPORT, .delivery = d };
		return true;
	}
	return false;
}

static bool has_work(const struct group *group)
{
	return !TAILQ_EMPTY(&group->giving) || group->nstarved > 0 ||
	       group->nready > 0;
}

/* All of it, for a limit of its own. */
static bool has_to_wait(struct group *group, uint64_t now)
{
	enum limit_kind kind;
	uint64_t until;

	if (!has_work(group))
		return true;
	kind = group_blocks(group, now, &until);
	if (kind != LIMIT_NONE)
		group->waited = (uint8_t)kind;
	return kind != LIMIT_NONE;
}

static bool next_in_groups(
    struct schedule *s, uint64_t now, struct decision *out)
{
	for (size_t i = 0; i < s->ngroups; i++) {
		struct group *group = s->groups[(s->turn + i) % s->ngroups];

		if (has_to_wait(group, now))
			continue;
		if (next_give(s, now, group, out) ||
		    next_session(s, now, group, out) ||
		    next_start(s, group, out)) {
			s->turn = (s->turn + 1) % s->ngroups;
			return true;
		}
	}
	return false;
}

static bool next_of_all(struct schedule *s, uint64_t now, struct decision *out)
{
	return next_end(s, out) || next_close(s, out) || next_wake(s, out) ||
	       next_hosts(s, out) || next_refusal(s, out) ||
	       next_in_groups(s, now, out) || next_report(s, now, out);
}

bool schedule_next(struct schedule *s, uint64_t now, struct decision *out)
{
	unsigned n = 0;

	s->now = now;
	destination_timers_run(s, now);
	line_timers_run(s, now);
	do {
		gates_run(s, now);
		if (next_of_all(s, now, out))
			return true;
	} while (!TAILQ_EMPTY(&s->marked) && ++n < LOOKS_MAX);
	for (size_t i = 0; i < s->ngroups; i++)
		if (!has_to_wait(s->groups[i], now))
			lines_make_way(s, now, s->groups[i]);
	/* way was made, or hosts turned out to be too old */
	return next_end(s, out) || next_hosts(s, out);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When the next session has had its turn, if somebody waits for that. */
static uint64_t way_wake(const struct schedule *s, const struct group *group)
{
	const struct line *line;
	uint64_t until = UINT64_MAX;

	if (has_work(group) &&
	    group_blocks(group, s->now, &until) != LIMIT_NONE)
		return until;
	if (group->nstarved <= group->nending + group->nstarting)
		return UINT64_MAX;
	TAILQ_FOREACH(line, &group->sessions, entry)
	if (line->phase == LINE_BUSY && !line->is_to_end)
		return line->session_at + TURN_MS > group->looked_at
			   ? line->session_at + TURN_MS
			   : group->looked_at + 1;
	return UINT64_MAX;
}

uint64_t schedule_wake(const struct schedule *s)
{
	const struct heap_node *node = heap_first(&s->destination_timers);
	const struct heap_node *report = heap_first(&s->awaiting);
	uint64_t at = node ? node->at : UINT64_MAX;

	node = heap_first(&s->line_timers);
	if (node)
		at = earlier(at, node->at);
	node = heap_first(&s->gate_timers);
	if (node)
		at = earlier(at, node->at);
	if (!TAILQ_EMPTY(&s->marked))
		at = earlier(at, s->now);
	if (report && s->nreporting < REPORTS_AT_ONCE && !s->is_stopping)
		at = earlier(at, report->at);
	for (size_t i = 0; i < s->ngroups; i++) {
		const struct line *idle = TAILQ_FIRST(&s->groups[i]->idle);

		if (idle)
			at = earlier(at, idle->idle_at + IDLE_MS);
		at = earlier(at, way_wake(s, s->groups[i]));
	}
	return at;
}
