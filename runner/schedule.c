/* The schedule: deliveries through their phases. */
#include "runner/schedule.h"

#include "runner/schedule_parts.h"

#include <stdlib.h>

struct schedule *schedule_new(const struct schedule_options *options)
{
	struct schedule *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->options = *options;
	s->random = options->seed;
	s->is_usable = true;
	TAILQ_INIT(&s->wants_hosts);
	TAILQ_INIT(&s->refusing);
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->refill);
	TAILQ_INIT(&s->to_end);
	TAILQ_INIT(&s->to_close);
	TAILQ_INIT(&s->marked);
	TAILQ_INIT(&s->idle_sites);
	return s;
}

static uint64_t delivery_key(uint64_t message, uint16_t number)
{
	return table_mix(message, number);
}

struct delivery *schedule_find(
    const struct schedule *s, uint64_t message, uint16_t number)
{
	struct table_link *link =
	    table_find(&s->deliveries, delivery_key(message, number));

	for (; link; link = table_again(link)) {
		struct delivery *d = TABLE_OF(link, struct delivery, link);

		if (d->message == message && d->number == number)
			return d;
	}
	return NULL;
}

/* Deliveries in and out of PHASE_WAITING. */

static int wait_in_flow(struct schedule *s, struct delivery *d, bool in_front)
{
	struct destination *to = d->flow->destination;

	if (d->line_deaths > 0) {
		TAILQ_INSERT_TAIL(&d->flow->suspects, d, entry);
		d->flow->nsuspects++;
	} else if (turns_add(&d->flow->turns, &d->item, d->priority,
		       d->sender_key, in_front) < 0) {
		return -1;
	}
	d->phase = PHASE_WAITING;
	s->nwaiting++;
	to->nwaiting++;
	if (to->is_following && !to->is_off &&
	    to->site->leader->health == HEALTH_PROBE &&
	    to->site->leader->nwaiting == 0 && to->site->leader->nsessions == 0)
		site_take_lead(s, to);
	if (to->health == HEALTH_DOWN || to->health == HEALTH_DEAD)
		destination_update(s, to);
	else
		flow_update(s, d->flow);
	return 0;
}

void delivery_left_flow(struct schedule *s, struct delivery *d)
{
	struct destination *to = d->flow->destination;

	s->nwaiting--;
	to->nwaiting--;
	destination_check_refill(s, to);
	if (to->is_refusing)
		destination_update(s, to);
	else
		flow_update(s, d->flow);
}

static void leave_flow(struct schedule *s, struct delivery *d)
{
	if (d->item.turn) {
		turns_remove(&d->flow->turns, &d->item);
	} else {
		TAILQ_REMOVE(&d->flow->suspects, d, entry);
		d->flow->nsuspects--;
	}
	delivery_left_flow(s, d);
}

static void shed(struct destination *to, const struct waiting *w)
{
	struct due_key key = { w->due_ms, w->message, w->delivery };

	if (key.delivery > 0)
		key.delivery--;
	else if (key.message > 0)
		key.message--, key.delivery = UINT16_MAX;
	if (!to->is_shed || key.due_ms < to->shed_at.due_ms ||
	    (key.due_ms == to->shed_at.due_ms &&
		key.message < to->shed_at.message))
		to->shed_at = key;
	to->is_shed = true;
}

/* A destination may have as much of the memory as is still free, so that any
 * number of slow ones leave room for the others. */
static bool is_over_share(
    const struct schedule *s, const struct destination *to)
{
	size_t in_memory = s->deliveries.count, window = s->options.window;
	size_t room = window > in_memory ? window - in_memory : 0;

	if (in_memory >= 2 * window)
		return true;
	return to->is_shed ||
	       to->nwaiting >= (room > SHARE_MIN ? room : SHARE_MIN);
}

/* A sender without mail in memory gets one in all the same, so that a single
 * message need not wait in the index behind a bulk job; but there is an end to
 * it, for bulk mail may come from a new sender each time. */
static bool is_alone(const struct schedule *s, const struct destination *to,
    const struct group *group, const struct waiting *w)
{
	const struct flow *flow;

	if (s->deliveries.count * 8 >= s->options.window * 5)
		return false;
	LIST_FOREACH(flow, &to->flows, of_destination)
	if (flow->group == group)
		return !turns_has(&flow->turns, w->priority,
		    table_key(s->options.seed, w->sender));
	return true;
}

static void count_phase(struct schedule *s, uint8_t phase, int change)
{
	size_t *counts[] = {
		[PHASE_GIVEN] = &s->ngiven,
		[PHASE_REFUSED] = &s->nrefusing,
		[PHASE_RECORDING] = &s->nrecording,
		[PHASE_AWAITING] = &s->nawaiting,
		[PHASE_REPORTING] = &s->nreporting,
	};

	if (phase != PHASE_WAITING)
		*counts[phase] += (size_t)change;
}

void delivery_set_phase(struct schedule *s, struct delivery *d, uint8_t phase)
{
	count_phase(s, d->phase, -1);
	d->phase = phase;
	count_phase(s, d->phase, 1);
}

bool delivery_begin_report(struct schedule *s, struct delivery *d)
{
	uint64_t *free_place = NULL;

	for (size_t i = 0; i < REPORTS_AT_ONCE; i++) {
		if (s->reporting[i] == d->message)
			return false;
		if (s->reporting[i] == 0)
			free_place = &s->reporting[i];
	}
	if (free_place)
		*free_place = d->message;
	return free_place != NULL;
}

static void end_report(struct schedule *s, const struct delivery *d)
{
	for (size_t i = 0; i < REPORTS_AT_ONCE; i++)
		if (s->reporting[i] == d->message)
			s->reporting[i] = 0;
}

static struct delivery *remember(struct schedule *s, const struct waiting *w)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->message = w->message;
	d->number = w->delivery;
	d->sender_key = table_key(s->options.seed, w->sender);
	d->due_ms = w->due_ms;
	d->accepted_at = w->accepted_at;
	d->expires_at = w->expires_at;
	d->size_bytes = w->size_bytes;
	d->attempts = w->attempts;
	d->line_deaths = w->line_deaths;
	d->flags = w->flags;
	d->origin = w->origin;
	d->priority = w->priority;
	d->epoch = s->epoch;
	if (table_add(&s->deliveries, &d->link,
		delivery_key(w->message, w->delivery)) < 0) {
		free(d);
		return NULL;
	}
	return d;
}

static void drop(struct schedule *s, struct delivery *d)
{
	table_remove(&s->deliveries, &d->link);
	free(d);
}

void delivery_await(struct schedule *s, struct delivery *d, uint64_t at)
{
	if (d->phase == PHASE_REPORTING)
		end_report(s, d);
	delivery_set_phase(s, d, PHASE_AWAITING);
	if (heap_set(&s->awaiting, &d->report_timer, at) < 0) {
		schedule_forget(s, at, d); /* the index has it */
		return;
	}
	d->is_listed = table_add(&s->awaited, &d->awaited, d->message) == 0;
}

void delivery_unawait(struct schedule *s, struct delivery *d)
{
	heap_remove(&s->awaiting, &d->report_timer);
	if (d->is_listed)
		table_remove(&s->awaited, &d->awaited);
	d->is_listed = false;
}

static enum added add_report(
    struct schedule *s, uint64_t now, const struct waiting *w)
{
	struct delivery *d;

	if (s->deliveries.count >= 2 * s->options.window ||
	    table_find(&s->awaited, w->message))
		return ADDED_SHED; /* one report is about all of it */
	d = remember(s, w);
	if (!d)
		return ADDED_FAILED;
	delivery_await(s, d, now);
	return ADDED;
}

enum added schedule_add(struct schedule *s, uint64_t now,
    const struct waiting *w, struct destination *to, int group)
{
	struct delivery *d;

	if (schedule_find(s, w->message, w->delivery))
		return ADDED_BEFORE;
	if (w->flags & WAITING_REPORT)
		return add_report(s, now, w);
	if (to->is_off || s->groups[group]->is_off ||
	    s->groups[group]->is_closed) {
		s->has_left = true;
		destination_check_idle(s, to);
		return ADDED_SHED;
	}
	if (is_over_share(s, to) && !is_alone(s, to, s->groups[group], w)) {
		shed(to, w);
		destination_check_refill(s, to);
		destination_check_idle(s, to);
		return ADDED_SHED;
	}
	destination_check_careful(s, now, to);
	d = remember(s, w);
	if (!d)
		return ADDED_FAILED;
	d->flow = destination_flow(s, to, s->groups[group]);
	if (!d->flow || wait_in_flow(s, d, false) < 0) {
		drop(s, d);
		return ADDED_FAILED;
	}
	to->nheld++;
	to->has_retried |= d->attempts > 0;
	destination_check_idle(s, to);
	return ADDED;
}

void schedule_forget(struct schedule *s, uint64_t now, struct delivery *d)
{
	struct destination *to = d->flow ? d->flow->destination : NULL;

	gates_took_back(s, d, false);
	if (d->line) {
		line_took_back(s, now, d->line, d, false);
		d->line = NULL;
	}
	if (d->phase == PHASE_WAITING)
		leave_flow(s, d);
	if (d->phase == PHASE_AWAITING)
		delivery_unawait(s, d);
	if (d->phase == PHASE_REPORTING)
		end_report(s, d);
	count_phase(s, d->phase, -1);
	drop(s, d);
	if (!to)
		return;
	to->nheld--;
	destination_check_refill(s, to);
	destination_check_idle(s, to);
}

void schedule_remove(struct schedule *s, uint64_t message, uint16_t number)
{
	struct delivery *d = schedule_find(s, message, number);

	if (d && (d->phase == PHASE_WAITING || d->phase == PHASE_AWAITING))
		schedule_forget(s, 0, d);
}

void schedule_result(
    struct schedule *s, uint64_t now, struct delivery *d, enum result_kind kind)
{
	struct line *line = d->line;
	struct destination *to = d->flow->destination;

	if (d->phase != PHASE_GIVEN)
		return;
	gates_took_back(s, d, kind != RESULT_UNREACHED);
	knee_result(&d->flow->group->knee);
	delivery_set_phase(s, d, PHASE_RECORDING);
	d->line = NULL;
	if (line->session == d->session) {
		line->is_unreached |= kind == RESULT_UNREACHED;
		if (kind != RESULT_UNREACHED)
			line_proven(line, kind != RESULT_PUSHED);
		if (kind == RESULT_UNREACHED)
			line_end(s, line);
	}
	line_took_back(s, now, line, d, true);
	if (kind == RESULT_DELIVERED) {
		line->backoff_ms = 0;
		destination_accepted(s, now, to);
	}
	if (kind == RESULT_DELIVERED || to->health == HEALTH_PROBE)
		if (kind != RESULT_UNREACHED)
			destination_good(s, to);
}

void schedule_refused(struct schedule *s, struct delivery *d)
{
	if (d->phase == PHASE_REFUSED)
		delivery_set_phase(s, d, PHASE_RECORDING);
}

bool schedule_put_back(
    struct schedule *s, uint64_t now, struct delivery *d, bool ends_session)
{
	if (d->line && ends_session && d->line->session == d->session)
		line_end(s, d->line);
	if (d->epoch != s->epoch) {
		schedule_forget(s, now, d);
		return false;
	}
	gates_took_back(s, d, false);
	if (d->line) {
		line_took_back(s, now, d->line, d, false);
		d->line = NULL;
	}
	d->put_backs++;
	delivery_set_phase(s, d, PHASE_WAITING);
	if (wait_in_flow(s, d, true) == 0)
		return true;
	d->flow->destination->nheld--;
	drop(s, d); /* without memory: the index has it */
	return false;
}

void schedule_await_report(struct schedule *s, uint64_t now, struct delivery *d)
{
	if (table_find(&s->awaited, d->message))
		schedule_forget(s, now, d);
	else
		delivery_await(s, d, now + REPORT_GATHER_MS);
}

void schedule_report_later(struct schedule *s, uint64_t at, struct delivery *d)
{
	delivery_await(s, d, at);
}

void schedule_set_usable(struct schedule *s, bool is_usable)
{
	s->is_usable = is_usable;
}

static void drop_one(struct table_link *link, void *arg)
{
	struct schedule *s = arg;
	struct delivery *d = TABLE_OF(link, struct delivery, link);

	if (d->flow)
		d->flow->destination->is_shed = false;
	schedule_forget(s, 0, d);
}

void schedule_drop_all(struct schedule *s, uint64_t now)
{
	(void)now;
	table_each(&s->deliveries, drop_one, s);
}

static void forget_if_waiting(struct table_link *link, void *arg)
{
	struct delivery *d = TABLE_OF(link, struct delivery, link);

	if (d->phase == PHASE_WAITING)
		schedule_forget(arg, 0, d);
}

void schedule_forget_waiting(struct schedule *s)
{
	table_each(&s->deliveries, forget_if_waiting, s);
}

static void forget_if_stopped(struct table_link *link, void *arg)
{
	struct delivery *d = TABLE_OF(link, struct delivery, link);
	struct schedule *s = arg;

	if (d->phase != PHASE_WAITING ||
	    (!d->flow->group->is_off && !d->flow->group->is_closed &&
		!d->flow->destination->is_off))
		return;
	s->has_left = true;
	schedule_forget(s, 0, d);
}

void deliveries_leave_stopped(struct schedule *s)
{
	table_each(&s->deliveries, forget_if_stopped, s);
}

static void free_site(struct table_link *link, void *arg)
{
	site_free(arg, TABLE_OF(link, struct site, link));
}

static void free_destination(struct table_link *link, void *arg)
{
	destination_free(arg, TABLE_OF(link, struct destination, link));
}

void schedule_free(struct schedule *s)
{
	if (!s)
		return;
	schedule_drop_all(s, 0);
	table_each(&s->destinations, free_destination, s);
	for (size_t i = 0; i < s->ngroups; i++)
		group_free(s, s->groups[i]);
	table_each(&s->sites, free_site, s);
	free(s->groups);
	free(s->wakes);
	heap_clear(&s->destination_timers);
	heap_clear(&s->line_timers);
	heap_clear(&s->awaiting);
	heap_clear(&s->gate_timers);
	table_clear(&s->deliveries);
	table_clear(&s->destinations);
	table_clear(&s->sites);
	table_clear(&s->awaited);
	free(s);
}
