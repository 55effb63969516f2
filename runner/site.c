/* Sites: destinations with the same hosts. */
#include "runner/site.h"

#include "runner/schedule_parts.h"

#include <stdlib.h>

static struct site *make(struct schedule *s, uint64_t key, struct span name)
{
	struct site *site = calloc(1, sizeof(*site));

	if (!site)
		return NULL;
	site->name = span_dup(name);
	if (!site->name || table_add(&s->sites, &site->link, key) < 0) {
		free(site->name);
		free(site);
		return NULL;
	}
	gate_init(&site->gate, SCOPE_SITE);
	learned_init(&site->learned);
	LIST_INIT(&site->members);
	return site;
}

struct site *site_find(struct schedule *s, struct span name, bool may_make)
{
	uint64_t key = table_key(s->options.seed, name);
	struct table_link *link = table_find(&s->sites, key);

	for (; link; link = table_again(link)) {
		struct site *site = TABLE_OF(link, struct site, link);

		if (span_is_equal(span_of(site->name), name))
			return site;
	}
	return may_make ? make(s, key, name) : NULL;
}

void site_free(struct schedule *s, struct site *site)
{
	if (site->is_idle) {
		TAILQ_REMOVE(&s->idle_sites, site, idle);
		s->nidle_sites--;
	}
	gate_leave(s, &site->gate);
	table_remove(&s->sites, &site->link);
	free(site->name);
	free(site);
}

/* What was learned is worth keeping a while, the rest is not. */
void site_check_idle(struct schedule *s, struct site *site)
{
	bool is_idle = site->nmembers == 0 && site->gate.nsessions == 0 &&
		       site->gate.in_flight == 0;

	if (is_idle != site->is_idle) {
		site->is_idle = is_idle;
		s->nidle_sites += is_idle ? 1 : (size_t)-1;
		if (is_idle)
			TAILQ_INSERT_TAIL(&s->idle_sites, site, idle);
		else
			TAILQ_REMOVE(&s->idle_sites, site, idle);
	}
	if (is_idle && !learned_has_evidence(&site->learned) &&
	    site->gate.limits.rate.events == 0)
		site_free(s, site);
	else if (s->nidle_sites > SITES_IDLE_MAX)
		site_free(s, TAILQ_FIRST(&s->idle_sites));
}

void site_update(struct schedule *s, uint64_t now, struct site *site)
{
	unsigned max = site->gate.limits.connections;
	struct gate *gate = &site->gate;

	if (max == 0)
		max = site->sessions_max;
	gate->sessions_max = learned_sessions(&site->learned, now, max);
	gate->is_sessions_found = gate->sessions_max < max;
	gate->is_one_by_one = site->learned.is_looking;
	gate->hold_until = site->learned.hold_until;
	bucket_set_pace(&gate->pace, now, site->learned.pace);
	gate_look(s, gate);
}

void site_limit_changed(struct site *site, unsigned connections)
{
	if (connections > site->sessions_max)
		site->sessions_max = connections;
}

bool site_has_proven_session(const struct schedule *s, const struct site *site)
{
	for (size_t i = 0; i < s->ngroups && site->gate.nsessions > 0; i++) {
		struct line *line;

		TAILQ_FOREACH(line, &s->groups[i]->sessions, entry)
		if (line->site == site && line->is_proven)
			return true;
	}
	return false;
}

/* --- members ---------------------------------------------------------------*/

static void unpark_all(struct schedule *s, struct destination *d)
{
	struct flow *flow;

	LIST_FOREACH(flow, &d->flows, of_destination)
	if (flow->listed == FLOW_PARKED)
		flow_unpark(s, flow);
}

/* Another one probes in its place. */
static void pass_lead(struct schedule *s, struct site *site)
{
	struct destination *old = site->leader, *heir;

	site->leader = NULL;
	LIST_FOREACH(heir, &site->members, of_site)
	if (heir->is_following) {
		heir->is_following = false;
		heir->probe_wait_ms = old->probe_wait_ms;
		heap_set(&s->destination_timers, &heir->timer, heir->probe_at);
		site->leader = heir;
		return;
	}
}

void site_leave(struct schedule *s, struct destination *d)
{
	struct site *site = d->site;

	if (!site)
		return;
	unpark_all(s, d);
	LIST_REMOVE(d, of_site);
	site->nmembers--;
	d->site = NULL;
	if (site->leader == d)
		pass_lead(s, site);
	if (d->is_following) {
		d->is_following = false;
		d->health = HEALTH_UP;
	}
	site_check_idle(s, site);
}

static void follow(
    struct schedule *s, struct destination *d, const struct destination *to)
{
	bool was_down = d->health == HEALTH_DOWN;

	if (d->health == HEALTH_DEAD)
		return;
	d->is_following = true;
	d->is_suspended = to->is_suspended;
	d->why = to->why;
	d->probe_at = to->probe_at;
	d->down_at = to->down_at;
	d->health = HEALTH_DOWN;
	heap_remove(&s->destination_timers, &d->timer);
	if (was_down)
		return;
	d->is_awake = false;
	d->has_refused = false;
	destination_end_sessions(s, d);
	destination_update(s, d);
}

void site_join(
    struct schedule *s, uint64_t now, struct destination *d, struct site *site)
{
	if (d->site == site)
		return;
	site_leave(s, d);
	d->site = site;
	LIST_INSERT_HEAD(&site->members, d, of_site);
	site->nmembers++;
	site_check_idle(s, site);
	site_limit_changed(site, d->limit_max);
	site_update(s, now, site);
	if (site->leader)
		follow(s, d, site->leader);
	else if ((d->health == HEALTH_DOWN || d->health == HEALTH_PROBE) &&
		 !destination_is_down_alone(d))
		site->leader = d;
	destination_update(s, d);
}

/* --- down and up -----------------------------------------------------------*/

void site_follow(struct schedule *s, struct destination *d)
{
	struct site *site = d->site;
	struct destination *other;

	if (!site)
		return;
	learned_down(&site->learned);
	site->leader = d;
	d->is_following = false;
	LIST_FOREACH(other, &site->members, of_site)
	if (other != d)
		follow(s, other, d);
}

void site_up(struct schedule *s, struct destination *d)
{
	struct site *site = d->site;
	struct destination *other;

	if (!site || !site->leader)
		return;
	site->leader = NULL;
	LIST_FOREACH(other, &site->members, of_site)
	{
		if (!other->is_following && other->health != HEALTH_DOWN &&
		    other->health != HEALTH_PROBE)
			continue;
		if (other == d)
			continue;
		if (other->has_refused)
			destination_mark_wake(s, other);
		other->is_awake = true;
		destination_set_up(s, other);
	}
}

void site_take_lead(struct schedule *s, struct destination *d)
{
	struct destination *old = d->site->leader;

	d->is_following = false;
	d->is_suspended = false;
	d->health = HEALTH_PROBE;
	d->probe_wait_ms = old->probe_wait_ms;
	d->site->leader = d;
	old->is_following = true;
	old->health = HEALTH_DOWN;
	destination_update(s, old);
}

void site_find_prober(struct schedule *s, struct destination *d)
{
	struct destination *other;

	if (!d->site || d->site->leader != d || d->nsessions > 0)
		return;
	LIST_FOREACH(other, &d->site->members, of_site)
	{
		if (!other->is_following || other->is_off ||
		    other->nwaiting == 0)
			continue;
		site_take_lead(s, other);
		destination_update(s, other);
		return;
	}
}
