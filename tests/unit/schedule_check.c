/* The schedule looked through from inside: lists, counts and states agree. */
#include "runner/schedule_parts.h"
#include "tests/unit/schedule_world.h"

struct found {
	const struct schedule *s;
	size_t nwaiting, nsessions, nheld, ndeliveries, phases[6];
};

static bool may_send(const struct schedule *s, const struct flow *flow)
{
	const struct destination *d = flow->destination;

	return !s->is_off && !s->is_stopping && !d->is_off &&
	       !flow->group->is_off && !flow->group->is_closed &&
	       (d->health == HEALTH_UP || d->health == HEALTH_PROBE);
}

static void check_flow(const struct found *found, const struct flow *flow)
{
	const struct destination *d = flow->destination;
	bool has_mail = flow->turns.count + flow->nsuspects > 0;
	const struct delivery *x;
	const struct line *line;
	size_t n = 0;

	TAILQ_FOREACH(x, &flow->suspects, entry)
	n++;
	assert_int_equal(n, flow->nsuspects);
	TAILQ_FOREACH(line, &flow->room, room)
	{
		assert_ptr_equal(line->flow, flow);
		assert_true(line->has_room);
	}
	if (!has_mail || !may_send(found->s, flow)) {
		assert_int_equal(flow->listed, FLOW_NOWHERE);
		return;
	}
	/* what could go is not forgotten */
	if (flow->turns.count > 0 && !TAILQ_EMPTY(&flow->room))
		assert_true(
		    flow->listed == FLOW_GIVING ||
		    (flow->listed == FLOW_PARKED && flow->need == NEED_GIVE));
	else if (d->nsessions < destination_limit(d) && d->hosts == HOSTS_KNOWN)
		assert_int_not_equal(flow->listed, FLOW_NOWHERE);
	else if (d->nsessions == 0)
		assert_true(d->is_wanting_hosts || d->hosts == HOSTS_ASKED);
}

static void check_destination(struct table_link *link, void *arg)
{
	struct destination *d = TABLE_OF(link, struct destination, link);
	size_t nwaiting = 0, nsessions = 0;
	struct found *found = arg;
	struct flow *flow;

	LIST_FOREACH(flow, &d->flows, of_destination)
	{
		check_flow(found, flow);
		nwaiting += flow->turns.count + flow->nsuspects;
		nsessions += flow->nsessions;
	}
	assert_int_equal(nwaiting, d->nwaiting);
	assert_int_equal(nsessions, d->nsessions);
	assert_true(d->nheld >= d->nwaiting);
	if (d->health == HEALTH_DEAD ||
	    (d->health == HEALTH_DOWN && !d->is_following))
		assert_int_not_equal(d->timer.place, 0);
	if (d->health == HEALTH_PROBE)
		assert_true(d->nsessions <= 1 || !d->is_idle);
	/* what was left in the index is found again */
	if (d->is_shed && d->nwaiting == 0)
		assert_true(d->is_refilling);
	found->nwaiting += nwaiting;
	found->nsessions += nsessions;
	found->nheld += d->nheld;
}

static void check_delivery(struct table_link *link, void *arg)
{
	const struct delivery *d = TABLE_OF(link, struct delivery, link);
	struct found *found = arg;

	found->phases[d->phase]++;
	found->ndeliveries += d->flow != NULL;
	if (d->phase == PHASE_GIVEN)
		assert_non_null(d->line);
	else
		assert_null(d->line);
}

static void check_group(const struct group *group, size_t *nsessions)
{
	size_t nstarved = 0, nready = 0, nlines = 0;
	const struct flow *flow;
	const struct line *line;

	TAILQ_FOREACH(flow, &group->starved, entry)
	nstarved++;
	TAILQ_FOREACH(flow, &group->ready, entry)
	nready++;
	assert_int_equal(nstarved, group->nstarved);
	assert_int_equal(nready, group->nready);
	TAILQ_FOREACH(line, &group->off, entry)
	nlines++;
	TAILQ_FOREACH(line, &group->free, entry)
	nlines++;
	TAILQ_FOREACH(line, &group->sessions, entry)
	{
		nlines++;
		++*nsessions;
	}
	for (unsigned i = 0; i < group->nlines; i++)
		nlines += group->lines[i]->phase == LINE_STARTING ||
			  group->lines[i]->phase == LINE_BROKEN ||
			  group->lines[i]->phase == LINE_LEAVING ||
			  group->lines[i]->phase == LINE_RETIRED;
	assert_int_equal(nlines, group->nlines);
}

static void say_destination(struct table_link *link, void *arg)
{
	const struct destination *d = TABLE_OF(link, struct destination, link);
	const struct world *w = arg;

	if (d->nheld == 0)
		return;
	print_error("%s nature %u health %u hosts %u%s%s%s%s: %zu waiting of "
		    "%zu, %u sessions of %u\n",
	    d->name, w->domains[atoi(d->name + 1)].nature, d->health, d->hosts,
	    d->is_off ? " off" : "", d->is_shed ? " shed" : "",
	    d->is_refilling ? " refilling" : "",
	    d->is_refusing ? " refusing" : "", d->nwaiting, d->nheld,
	    d->nsessions, d->site ? d->site->learned.limit : 0);
}

/* What is in memory, for who has to find out why a promise was broken. */
static void say_inside(struct world *w)
{
	struct schedule *s = w->s;

	print_error("off %u, groups off %u %u, lines not startable %u\n",
	    w->is_off, w->is_group_off[0], w->is_group_off[1], w->is_unusable);
	print_error("waiting %zu given %zu refusing %zu recording %zu "
		    "awaiting %zu reporting %zu\n",
	    s->nwaiting, s->ngiven, s->nrefusing, s->nrecording, s->nawaiting,
	    s->nreporting);
	table_each(&s->destinations, say_destination, w);
}

/* All of it; and its memory is bounded whatever the queue is. */
static void check_inside(struct world *w)
{
	struct schedule *s = w->s;
	struct found found = { .s = s };
	size_t nsessions = 0, window = w->shape->window;

	table_each(&s->destinations, check_destination, &found);
	table_each(&s->deliveries, check_delivery, &found);
	for (size_t i = 0; i < s->ngroups; i++)
		check_group(s->groups[i], &nsessions);
	assert_int_equal(found.nwaiting, s->nwaiting);
	assert_int_equal(found.nwaiting, found.phases[PHASE_WAITING]);
	assert_int_equal(found.nsessions, nsessions);
	assert_int_equal(found.nheld, found.ndeliveries);
	assert_int_equal(s->ngiven, found.phases[PHASE_GIVEN]);
	assert_int_equal(s->nrefusing, found.phases[PHASE_REFUSED]);
	assert_int_equal(s->nrecording, found.phases[PHASE_RECORDING]);
	assert_int_equal(s->nawaiting, found.phases[PHASE_AWAITING]);
	assert_int_equal(s->nreporting, found.phases[PHASE_REPORTING]);
	assert_true(s->deliveries.count <= 3 * window);
	assert_true(s->deliveries.nheads <= 8 * window);
	assert_true(s->destinations.count <=
		    2 * window + DESTINATIONS_IDLE_MAX + s->noff +
			(size_t)w->shape->groups * w->shape->lines);
	assert_int_equal(s->awaiting.count, s->nawaiting);
}
