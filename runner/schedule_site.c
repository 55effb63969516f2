/* The schedule's destinations: hosts, limits learned, health, memory. */
#include "runner/schedule_parts.h"

#include <stdlib.h>

uint64_t schedule_random(struct schedule *s)
{
	s->random += 0x9e3779b97f4a7c15u;
	return table_mix(s->random, 1);
}

static struct destination *find(
    const struct schedule *s, uint64_t key, struct span name)
{
	struct table_link *link = table_find(&s->destinations, key);

	for (; link; link = table_again(link)) {
		struct destination *d =
		    TABLE_OF(link, struct destination, link);

		if (span_is_equal(span_of(d->name), name))
			return d;
	}
	return NULL;
}

bool schedule_is_destination_off(const struct schedule *s, struct span name)
{
	const struct destination *d =
	    s->noff > 0 ? find(s, table_key(s->options.seed, name), name)
			: NULL;

	return d && d->is_off;
}

static struct destination *make(
    struct schedule *s, uint64_t key, const char *name)
{
	struct destination *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->name = strdup(name);
	if (!d->name || table_add(&s->destinations, &d->link, key) < 0) {
		free(d->name);
		free(d);
		return NULL;
	}
	gate_init(&d->gate, SCOPE_DESTINATION);
	LIST_INIT(&d->flows);
	return d;
}

struct destination *schedule_destination(
    struct schedule *s, const char *name, unsigned limit_max, bool *is_new)
{
	struct span text = span_of(name);
	uint64_t key = table_key(s->options.seed, text);
	struct destination *d = find(s, key, text);

	*is_new = !d;
	if (!d)
		d = make(s, key, name);
	if (!d)
		return NULL;
	d->limit_max = limit_max > 0 ? limit_max : 1;
	if (d->site && d->limit_max > d->site->sessions_max) {
		site_limit_changed(d->site, d->limit_max);
		site_update(s, s->now, d->site);
	}
	return d;
}

void destination_free(struct schedule *s, struct destination *d)
{
	struct flow *flow;

	site_leave(s, d);
	gate_leave(s, &d->gate);
	while ((flow = LIST_FIRST(&d->flows))) {
		LIST_REMOVE(flow, of_destination);
		free(flow);
	}
	if (s->refilling == d)
		s->refilling = NULL;
	heap_remove(&s->destination_timers, &d->timer);
	table_remove(&s->destinations, &d->link);
	if (s->options.drop && d->owned)
		s->options.drop(d, d->owned);
	free(d->name);
	free(d);
}

/* Without mail or session it is only remembered, and the longest unused goes
 * when there are too many. */
void destination_check_idle(struct schedule *s, struct destination *d)
{
	bool is_idle = d->nheld == 0 && d->nsessions == 0 && !d->is_shed &&
		       !d->is_refilling && !d->is_off && !d->is_marked_wake &&
		       !d->is_wanting_hosts && d->hosts != HOSTS_ASKED;

	if (is_idle == d->is_idle)
		return;
	d->is_idle = is_idle;
	if (!is_idle) {
		TAILQ_REMOVE(&s->idle, d, idle);
		s->nidle--;
		return;
	}
	TAILQ_INSERT_TAIL(&s->idle, d, idle);
	if (++s->nidle <= DESTINATIONS_IDLE_MAX)
		return;
	d = TAILQ_FIRST(&s->idle);
	TAILQ_REMOVE(&s->idle, d, idle);
	s->nidle--;
	destination_free(s, d);
}

/* A mail that is tried again should come from the address that was seen before
 * (greylisting): the choice depends on the destination alone. */
static uint32_t choice_of(struct span name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * 16777619u;
	return h ^ h >> 15;
}

struct flow *destination_flow(
    struct schedule *s, struct destination *d, struct group *group)
{
	struct flow *flow;

	(void)s;
	LIST_FOREACH(flow, &d->flows, of_destination)
	if (flow->group == group)
		return flow;
	flow = calloc(1, sizeof(*flow));
	if (!flow)
		return NULL;
	flow->destination = d;
	flow->group = group;
	flow->window = WINDOW_START;
	flow->choice = choice_of(span_of(d->name));
	TAILQ_INIT(&flow->suspects);
	TAILQ_INIT(&flow->room);
	LIST_INSERT_HEAD(&d->flows, flow, of_destination);
	return flow;
}

unsigned destination_limit(const struct destination *d)
{
	if (d->health == HEALTH_PROBE)
		return 1;
	return d->limit_max;
}

static void set_refusing(struct schedule *s, struct destination *d, bool on)
{
	if (d->is_refusing == on)
		return;
	d->is_refusing = on;
	if (on)
		TAILQ_INSERT_TAIL(&s->refusing, d, refusing);
	else
		TAILQ_REMOVE(&s->refusing, d, refusing);
}

/* One delivery is kept for the probe of a destination that is down, while there
 * is plenty of memory: any number of destinations may be down. But what a
 * look-up was made for has had its attempt, and what waits for an operator is
 * to say so. */
static size_t stock_of(const struct schedule *s, const struct destination *d)
{
	return d->health == HEALTH_DOWN && !d->has_no_stock &&
	       !d->is_login_refused &&
	       s->deliveries.count * 2 < s->options.window;
}

/* Bring the lists that d is in up to date with its state. */
void destination_update(struct schedule *s, struct destination *d)
{
	struct flow *flow;

	d->has_no_stock &= d->health == HEALTH_DOWN && d->nwaiting > 0;
	LIST_FOREACH(flow, &d->flows, of_destination)
	flow_update(s, flow);
	/* stopped mail is not put off or failed either */
	set_refusing(s, d,
	    !s->is_off && !d->is_off &&
		(d->health == HEALTH_DOWN || d->health == HEALTH_DEAD) &&
		d->nwaiting > stock_of(s, d));
}

void destination_mark_wake(struct schedule *s, struct destination *d)
{
	struct destination **grown;

	if (d->is_marked_wake)
		return;
	if (s->nwakes == s->wakes_room) {
		size_t room = s->wakes_room ? s->wakes_room * 2 : 16;

		grown =
		    reallocarray(s->wakes, room, sizeof(struct destination *));
		if (!grown)
			return; /* its mail comes at its own time then */
		s->wakes = grown;
		s->wakes_room = room;
	}
	d->is_marked_wake = true;
	s->wakes[s->nwakes++] = d;
}

void destination_set_up(struct schedule *s, struct destination *d)
{
	d->is_suspended = d->is_following = d->has_refused = false;
	d->health = HEALTH_UP;
	d->is_login_refused = false;
	d->probe_wait_ms = 0;
	heap_remove(&s->destination_timers, &d->timer);
	destination_update(s, d);
	site_up(s, d);
}

void schedule_destination_moved(struct schedule *s, struct destination *d)
{
	if (d->hosts == HOSTS_KNOWN)
		d->hosts = HOSTS_UNKNOWN;
	d->stale_until = 0;
	d->has_no_stock = false;
	d->left_at = 0;
	destination_set_up(s, d);
}

void destination_good(struct schedule *s, struct destination *d)
{
	if (d->is_suspended)
		return;
	if (d->health == HEALTH_DEAD ||
	    (!d->is_awake && (d->has_retried || d->down_at > 0))) {
		d->is_awake = true;
		destination_mark_wake(s, d);
	}
	if (d->health != HEALTH_UP)
		destination_set_up(s, d);
}

void destination_accepted(
    struct schedule *s, uint64_t now, struct destination *d)
{
	struct site *site = d->site;
	unsigned max;

	if (!site)
		return;
	max = site->gate.limits.connections;
	learned_accepted(&site->learned, now, max ? max : site->sessions_max);
	site_update(s, now, site);
}

void destination_end_sessions(struct schedule *s, struct destination *d)
{
	for (size_t i = 0; i < s->ngroups && d->nsessions > 0; i++) {
		struct line *line;

		TAILQ_FOREACH(line, &s->groups[i]->sessions, entry)
		if (line->flow->destination == d)
			line_end(s, line);
	}
}

/* Until a probe, first_ms from now or twice the last wait. */
static void set_down(struct schedule *s, uint64_t now, struct destination *d,
    uint64_t first_ms, uint64_t max_ms)
{
	uint64_t wait = d->probe_wait_ms * 2;

	if (wait < first_ms)
		wait = first_ms;
	if (wait > max_ms)
		wait = max_ms;
	d->probe_wait_ms = wait;
	d->probe_at = now + wait + schedule_random(s) % (wait / 10 + 1);
	d->health = HEALTH_DOWN;
	d->down_at = now;
	d->is_awake = d->has_refused = false;
	heap_set(&s->destination_timers, &d->timer, d->probe_at);
	destination_end_sessions(s, d);
	destination_update(s, d);
}

/* It alone. False: it was, or another matter goes first. */
static bool go_down(struct schedule *s, uint64_t now, struct destination *d,
    const struct outcome *why)
{
	if (d->health == HEALTH_DEAD || d->is_suspended ||
	    (d->health == HEALTH_DOWN && d->is_login_refused))
		return false;
	if (why && why->verdict != VERDICT_OK)
		d->why = *why;
	else
		outcome_temp(&d->why, "4.4.2", "the connection was lost");
	if (d->health == HEALTH_DOWN)
		return false;
	if (d->is_login_refused)
		d->probe_wait_ms = 0;
	d->is_login_refused = false;
	set_down(s, now, d, s->options.probe_first_ms, s->options.probe_max_ms);
	return true;
}

/* TLS that cannot be had as it must: the policy of one domain says nothing of
 * others that share its hosts. */
bool destination_is_down_alone(const struct destination *d)
{
	return memcmp(d->why.status + 1, ".7.", 3) == 0;
}

void destination_down(struct schedule *s, uint64_t now, struct destination *d,
    const struct outcome *why)
{
	if (go_down(s, now, d, why) && !destination_is_down_alone(d))
		site_follow(s, d);
}

void schedule_suspend(struct schedule *s, uint64_t now, struct destination *d,
    const struct outcome *why, uint64_t for_ms)
{
	if (d->health == HEALTH_DEAD ||
	    (d->is_suspended && d->probe_at >= now + for_ms))
		return;
	d->why = *why;
	d->is_suspended = true;
	d->has_no_stock = false;
	d->probe_at = now + for_ms;
	if (d->health != HEALTH_DOWN)
		d->down_at = now;
	d->health = HEALTH_DOWN;
	d->is_awake = d->has_refused = false;
	heap_set(&s->destination_timers, &d->timer, d->probe_at);
	destination_end_sessions(s, d);
	destination_update(s, d);
	site_follow(s, d);
}

void destination_want_hosts(struct schedule *s, struct destination *d)
{
	if (d->is_wanting_hosts)
		return;
	d->is_wanting_hosts = true;
	TAILQ_INSERT_TAIL(&s->wants_hosts, d, wants_hosts);
}

static void set_dead(struct schedule *s, struct destination *d,
    const struct outcome *why, uint64_t until)
{
	d->why = *why;
	d->health = HEALTH_DEAD;
	d->hosts = HOSTS_UNKNOWN;
	heap_set(&s->destination_timers, &d->timer, until);
	site_leave(s, d);
	destination_end_sessions(s, d);
	destination_update(s, d);
}

/* Without a set of hosts of its own kind it is a site by itself. */
static void find_site(struct schedule *s, uint64_t now, struct destination *d)
{
	struct site *site =
	    d->site ? NULL : site_find(s, span_of(d->name), true);

	if (site)
		site_join(s, now, d, site);
}

void schedule_set_site(struct schedule *s, uint64_t now, struct destination *d,
    struct span name, const struct limits *limits)
{
	struct site *site = site_find(s, name, true);

	if (!site)
		return; /* without memory: as it was */
	gate_set(&site->gate, now, limits);
	if (d->site == site)
		site_update(s, now, site);
	else
		site_join(s, now, d, site);
}

void schedule_hosts(struct schedule *s, uint64_t now, struct destination *d,
    const struct outcome *outcome, uint64_t ttl_ms)
{
	if (d->hosts != HOSTS_ASKED)
		return;
	if (ttl_ms < HOSTS_MIN_MS)
		ttl_ms = HOSTS_MIN_MS;
	d->hosts = HOSTS_KNOWN;
	if (outcome->verdict == VERDICT_PERM) {
		d->stale_until = 0;
		set_dead(s, d, outcome, now + ttl_ms);
	} else if (outcome->verdict == VERDICT_OK) {
		d->hosts_until = now + ttl_ms;
		d->stale_until = d->hosts_until + HOSTS_STALE_MS;
		find_site(s, now, d);
		destination_update(s, d);
	} else if (now < d->stale_until) {
		/* what was known serves on; ask again in a while */
		d->hosts_until = now + HOSTS_MIN_MS;
		destination_update(s, d);
	} else {
		d->hosts = HOSTS_UNKNOWN;
		site_leave(s, d);
		go_down(s, now, d, outcome);
		d->has_no_stock = true;
		destination_update(s, d);
	}
	destination_check_idle(s, d);
}

void destination_timer_passed(struct schedule *s, struct destination *d)
{
	d->is_suspended = false;
	if (d->health == HEALTH_DEAD) {
		d->health = HEALTH_UP;
		d->hosts = HOSTS_UNKNOWN;
	} else if (d->health == HEALTH_DOWN) {
		d->health = HEALTH_PROBE;
	}
	destination_update(s, d);
	if (d->health == HEALTH_PROBE && d->nwaiting == 0)
		site_find_prober(s, d);
}

void schedule_nudge(struct schedule *s, uint64_t now, struct destination *d)
{
	if (d->is_following)
		d = d->site->leader;
	if ((d->health != HEALTH_DOWN && d->health != HEALTH_DEAD) ||
	    now < d->down_at + NUDGE_MS)
		return;
	heap_remove(&s->destination_timers, &d->timer);
	destination_timer_passed(s, d);
}

/* --- logins --------------------------------------------------------------- */

/* The hosts are found again with the next probe, and with them the login. */
static void forget_hosts(struct destination *d)
{
	if (d->hosts == HOSTS_KNOWN)
		d->hosts = HOSTS_UNKNOWN;
}

static void login_down(struct schedule *s, uint64_t now, struct destination *d,
    const struct outcome *why, uint64_t first_ms, uint64_t max_ms)
{
	if (d->health == HEALTH_DEAD)
		return;
	d->why = *why;
	forget_hosts(d);
	if (d->health == HEALTH_DOWN && d->is_login_refused)
		return;
	if (!d->is_login_refused)
		d->probe_wait_ms = 0;
	d->is_login_refused = true;
	set_down(s, now, d, first_ms, max_ms);
}

void destination_login_refused(struct schedule *s, uint64_t now,
    struct destination *d, const struct outcome *why)
{
	login_down(s, now, d, why, LOGIN_FIRST_MS, LOGIN_MAX_MS);
}

void schedule_login_missing(struct schedule *s, uint64_t now,
    struct destination *d, const struct outcome *why)
{
	login_down(
	    s, now, d, why, s->options.probe_first_ms, s->options.probe_max_ms);
	destination_check_idle(s, d);
}

void schedule_login_changed(struct schedule *s, struct destination *d)
{
	forget_hosts(d);
	d->probe_wait_ms = 0;
	d->is_login_refused = false;
	destination_mark_wake(s, d);
	if (d->health == HEALTH_DOWN) {
		heap_remove(&s->destination_timers, &d->timer);
		destination_timer_passed(s, d);
	} else {
		destination_update(s, d);
	}
}

void schedule_set_careful(struct schedule *s, struct destination *d, bool on)
{
	d->is_careful = on;
	destination_check_careful(s, CAREFUL_MS, d);
}

void destination_check_careful(
    struct schedule *s, uint64_t now, struct destination *d)
{
	if (!d->is_careful || d->health != HEALTH_UP || d->nsessions > 0 ||
	    now < d->left_at + CAREFUL_MS)
		return;
	d->health = HEALTH_PROBE;
	destination_update(s, d);
}

struct visitor {
	void (*visit)(struct destination *d, void *arg);
	void *arg;
};

static void visit_one(struct table_link *link, void *arg)
{
	const struct visitor *v = arg;

	v->visit(TABLE_OF(link, struct destination, link), v->arg);
}

void schedule_each_destination(struct schedule *s,
    void (*visit)(struct destination *d, void *arg), void *arg)
{
	struct visitor v = { visit, arg };

	table_each(&s->destinations, visit_one, &v);
}

void destination_timers_run(struct schedule *s, uint64_t now)
{
	struct heap_node *node;

	while ((node = heap_first(&s->destination_timers)) && node->at <= now) {
		heap_remove(&s->destination_timers, node);
		destination_timer_passed(
		    s, TABLE_OF(node, struct destination, timer));
	}
}

/* Mail of d was left in the index, and now there is room for it. */
void destination_check_refill(struct schedule *s, struct destination *d)
{
	size_t in_memory = s->deliveries.count;
	size_t room =
	    s->options.window > in_memory ? s->options.window - in_memory : 0;

	if (!d->is_shed || d->is_refilling)
		return;
	if (d->nwaiting > 0 && d->nwaiting * 4 >= room)
		return;
	d->is_refilling = true;
	TAILQ_INSERT_TAIL(&s->refill, d, refill);
}

bool schedule_refill(struct schedule *s, struct due_key *from)
{
	struct destination *first = TAILQ_FIRST(&s->refill);

	if (!first || s->deliveries.count * 2 >= s->options.window * 3)
		return false;
	TAILQ_REMOVE(&s->refill, first, refill);
	first->is_refilling = false;
	first->is_shed = false;
	*from = first->shed_at;
	s->refilling = first;
	return true;
}

bool schedule_refill_more(const struct schedule *s)
{
	return s->refilling && !s->refilling->is_shed;
}
