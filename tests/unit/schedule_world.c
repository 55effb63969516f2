/* The simulated world from beginning to end: time, mail that comes in, and the
 * promises at the end. */
#include "tests/unit/schedule_world.h"

/* --- time --- */

static uint64_t inject_at(const struct world *w)
{
	const struct shape *shape = w->shape;
	uint64_t number = message_of(w, w->next_mail) - 1;

	if (w->next_mail > shape->mail)
		return NEVER;
	return START_MS + number / shape->burst * shape->burst_gap_ms +
	       number % shape->burst / shape->burst_a_ms;
}

static uint64_t stream_at(const struct stream *s)
{
	return s->count ? s->ring[s->first].at : NEVER;
}

static struct event stream_take(struct stream *s)
{
	struct event e = s->ring[s->first];

	s->first = (s->first + 1) & (s->size - 1);
	s->count--;
	return e;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_event_at(const struct world *w)
{
	struct heap_node *node = heap_first(&w->alarms);
	uint64_t at = node ? node->at : NEVER;

	at = least(
	    at, least(stream_at(&w->to_keeper), stream_at(&w->to_runner)));
	at = least(at, inject_at(w));
	return least(at, w->chaos_at);
}

static bool run_alarm(struct world *w)
{
	struct heap_node *node = heap_first(&w->alarms);
	struct alarm *alarm = (struct alarm *)(void *)node;
	struct event e;

	if (!node || node->at > w->now)
		return false;
	assert_int_equal(node->at, w->now);
	heap_remove(&w->alarms, node);
	e = alarm->e;
	alarm->next = w->unused;
	w->unused = alarm;
	runner_event(w, &e);
	return true;
}

/* All that happens until now, as it came. */
static void run_events(struct world *w)
{
	uint64_t before = w->events;
	struct event e;

	while (inject_at(w) <= w->now) {
		inject(w, w->next_mail++);
		w->events++;
	}
	if (w->chaos_at <= w->now)
		chaos(w);
	while (stream_at(&w->to_keeper) <= w->now) {
		e = stream_take(&w->to_keeper);
		keeper_event(w, &e);
		w->events++;
	}
	while (stream_at(&w->to_runner) <= w->now) {
		e = stream_take(&w->to_runner);
		runner_event(w, &e);
		w->events++;
	}
	while (run_alarm(w))
		w->events++;
	assert_true(w->events - before < 1000000);
}

static uint64_t wake_at(const struct world *w)
{
	uint64_t at = schedule_wake(w->s), due;

	due = intake_wake(&w->in, schedule_in_memory(w->s));
	if (due != NEVER)
		due = due > utc(w) ? w->now + (due - utc(w)) : w->now;
	return least(at, due);
}

/* One step; what wakes up for nothing again and again would spin. */
static void step(struct world *w)
{
	uint64_t event = next_event_at(w), wake = wake_at(w);
	uint64_t at = least(event, wake), before = w->now, done;

	assert_true(at != NEVER);
	if (at > w->now)
		w->now = at;
	w->steps++;
	if (event <= w->now)
		run_events(w);
	else
		w->wakes++;
	done = think(w);
	w->idle_wakes += done == 0 && event > w->now;
	if (done > 0 || event <= w->now || w->now > before + 100) {
		w->idle_streak = 0;
		return;
	}
	if (++w->idle_streak < 10)
		return;
	print_error("spins at %.3f h: the schedule wakes in %lld ms, the "
		    "intake in %lld ms\n",
	    hours(w->now), (long long)(schedule_wake(w->s) - w->now),
	    (long long)(intake_wake(&w->in, schedule_in_memory(w->s)) -
			utc(w)));
	fail();
}

static void check_bounds(struct world *w)
{
	/* nothing is decided or looked at without a cause */
	assert_true(w->decisions < w->events + 1000);
	assert_true(w->wakes < w->events + 1000);
	assert_true(w->to_runner.count + w->to_keeper.count <
		    8 * w->shape->window + 2000);
	check_inside(w);
}

/* --- from beginning to end --- */

static void name_line(struct line *line, void *arg)
{
	struct world *w = arg;
	size_t group =
	    strcmp(schedule_group_name(line), group_name(0)) == 0 ? 0 : 1;
	struct model_line *l = &w->lines[group * LINES_MAX + line->number - 1];

	line->peer = l;
	l->line = line;
}

static void on_drop(struct destination *d, void *owned)
{
	struct world *w = owned;

	w->domains[atoi(d->name + 1)].not_before = 0;
}

static struct world *world_new(const struct shape *shape)
{
	struct world *w = calloc(1, sizeof(*w));
	struct schedule_options options = { .seed = shape->seed,
		.window = shape->window,
		.probe_first_ms = retry_probe_first_ms(&shape->retry),
		.probe_max_ms = retry_probe_max_ms(&shape->retry),
		.drop = on_drop };

	assert_non_null(w);
	w->shape = shape;
	w->random = shape->seed;
	w->now = START_MS;
	w->utc_offset = START_UTC - START_MS;
	w->chaos_at = shape->chaos_ms ? START_MS + shape->chaos_ms : NEVER;
	w->next_mail = 1;
	w->mail = calloc(shape->mail + 2, sizeof(*w->mail));
	w->domains = calloc(shape->domains, sizeof(*w->domains));
	w->s = schedule_new(&options);
	assert_true(w->mail && w->domains && w->s);
	for (unsigned i = 0; i < shape->mail + 2; i++)
		w->mail[i].key = NEVER;
	for (unsigned i = 0; i < shape->domains; i++)
		w->domains[i].nature = (uint8_t)shape->nature(i);
	for (unsigned i = 0; i < GROUPS_MAX * LINES_MAX; i++) {
		w->lines[i].domain = -1;
		w->lines[i].incarnation = 1;
	}
	for (unsigned g = 0; g < shape->groups; g++)
		assert_int_equal(schedule_add_group(w->s, group_name(g),
				     shape->lines, shape->per_connection),
		    (int)g);
	schedule_each_line(w->s, name_line, w);
	intake_init(&w->in, shape->window);
	intake_start(&w->in, utc(w));
	return w;
}

/* Each recipient got it once, or once more for each time it was uncertain; or
 * its sender was told once. */
static void check_end(const struct world *w, const struct mail *m)
{
	assert_int_equal(m->state, M_DONE);
	for (unsigned k = 0; k < m->n; k++) {
		const struct rcpt *r = &m->r[k];
		bool is_told = r->is_failed && m->sender && !r->wants_no_report;

		assert_int_equal(r->told_failed, is_told ? 1 : 0);
		assert_true(r->told_delayed <= 1);
		assert_true(r->sent <= r->uncertain + 1);
		assert_true(r->is_failed || r->sent >= 1);
		if (w->domains[m->domain].nature == GOOD && !m->expires_s)
			assert_false(r->is_failed);
	}
}

static void world_run(struct world *w)
{
	while (w->done < w->shape->mail) {
		step(w);
		if (w->steps % w->shape->check_every == 0)
			check_bounds(w);
	}
	/* the last answers, then silence */
	while (schedule_in_memory(w->s) > 0 || next_event_at(w) < w->chaos_at)
		step(w);
	check_bounds(w);
	for (unsigned i = 1; i <= w->shape->mail; i++)
		check_end(w, &w->mail[i]);
}

static void world_free(struct world *w)
{
	struct heap_node *node;
	struct alarm *alarm;

	while ((node = heap_first(&w->alarms))) {
		heap_remove(&w->alarms, node);
		free(node);
	}
	while ((alarm = w->unused)) {
		w->unused = alarm->next;
		free(alarm);
	}
	heap_clear(&w->alarms);
	schedule_free(w->s);
	free(w->to_keeper.ring);
	free(w->to_runner.ring);
	free(w->mail);
	free(w->domains);
	free(w);
}

static void world_say(const struct world *w, const char *name)
{
	print_message("%s, seed %llu: %.1f h, %llu steps, %llu events, "
		      "%llu decisions, %llu wakes (%llu idle), %llu queries, "
		      "%llu attempts, %llu uncertain, %llu failed, "
		      "%llu reports, %llu shed, %llu refused, %llu probes, "
		      "%llu early, %llu chaos, at most %llu in memory, "
		      "latest %.1f s\n",
	    name, (unsigned long long)w->shape->seed, hours(w->now),
	    (unsigned long long)w->steps, (unsigned long long)w->events,
	    (unsigned long long)w->decisions, (unsigned long long)w->wakes,
	    (unsigned long long)w->idle_wakes, (unsigned long long)w->queries,
	    (unsigned long long)w->attempts, (unsigned long long)w->uncertain,
	    (unsigned long long)w->failed, (unsigned long long)w->reports,
	    (unsigned long long)w->sheds, (unsigned long long)w->refusals,
	    (unsigned long long)w->probes, (unsigned long long)w->early,
	    (unsigned long long)w->chaos, (unsigned long long)w->most_in_memory,
	    (double)w->longest_late / 1000);
}
