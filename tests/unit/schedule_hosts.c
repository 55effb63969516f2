/* The simulated lines and the hosts they speak to. */
#include "tests/unit/schedule_world.h"

static void on_result(struct world *w, unsigned i, unsigned line,
    const struct result *result, bool has_died);

/* --- what happens at its time --- */

static struct event *post(struct world *w, uint8_t kind, uint64_t wait_ms)
{
	struct alarm *alarm = w->unused;

	if (alarm)
		w->unused = alarm->next;
	else
		alarm = calloc(1, sizeof(*alarm));
	assert_non_null(alarm);
	alarm->node.place = 0;
	alarm->e = (struct event){ .kind = kind };
	assert_int_equal(
	    heap_set(&w->alarms, &alarm->node, w->now + wait_ms), 0);
	return &alarm->e;
}

/* --- the hosts --- */

static bool is_reachable(const struct world *w, unsigned domain)
{
	uint64_t at = w->now / 1000 + domain * 997;

	switch (w->domains[domain].nature) {
	case OUTAGE:
		return at % 21600 >= 7200;
	case FLAP:
		return at % 600 >= 240;
	case HOLE:
		return false;
	default:
		return true;
	}
}

static void say(struct rcpt_outcome *o, uint8_t result, uint16_t code)
{
	o->result = result;
	o->code = code;
	snprintf(o->status, sizeof(o->status), "%c.0.0",
	    result == RCPT_DELIVERED ? '2'
	    : result == RCPT_FAILED  ? '5'
				     : '4');
}

/* The host takes it: that may happen twice only if it may have before. */
static void accept(struct rcpt *r)
{
	assert_true(r->sent <= r->uncertain);
	assert_int_equal(r->state, R_PENDING);
	r->sent++;
}

static void answer(
    struct world *w, struct mail *m, struct rcpt *r, struct rcpt_outcome *o)
{
	uint64_t dice = rnd(w, 1000);
	uint8_t nature = w->domains[m->domain].nature;

	if (nature == FULL || (nature == GREY && m->attempts == 0) ||
	    (nature == FLAKY && dice < 60))
		say(o, RCPT_DEFERRED, 451);
	else if (nature == FLAKY && dice < 80)
		say(o, RCPT_FAILED, 550);
	else if (nature == FLAKY && dice < 90) {
		say(o, RCPT_UNCERTAIN, 0);
		if (dice & 1)
			accept(r);
	} else {
		accept(r);
		say(o, RCPT_DELIVERED, 250);
	}
}

/* One job done: an answer for each recipient that is pending. */
static void one_job(struct world *w, struct model_line *l, unsigned i)
{
	struct mail *m = &w->mail[i];
	struct rcpt_outcome outcomes[RCPTS_MAX];
	struct result result = { .recipients = outcomes };
	uint8_t nature = w->domains[m->domain].nature;
	bool is_lost, is_untouched;

	if (l->njobs == 0 && nature == FLAKY && rnd(w, 30) == 0)
		l->is_bad = true;
	l->is_bad |= !is_reachable(w, m->domain);
	l->is_crowded |=
	    nature == CROWDED && w->domains[m->domain].sessions > 2;
	is_lost = l->is_bad || l->is_crowded;
	is_untouched = is_lost && rnd(w, 3) == 0;
	for (unsigned k = 0; k < m->n; k++) {
		struct rcpt_outcome *o = &outcomes[result.nrecipients];

		if (m->r[k].state != R_PENDING)
			continue;
		*o = (struct rcpt_outcome){ .index = (uint16_t)k };
		if (is_untouched)
			say(o, RCPT_UNTOUCHED, 0);
		else if (is_lost)
			say(o, RCPT_DEFERRED, l->is_crowded ? 421 : 0);
		else
			answer(w, m, &m->r[k], o);
		result.nrecipients++;
	}
	m->is_at_line = false;
	on_result(w, i, l->line->number, &result, false);
}

/* --- the lines --- */

static void line_work(struct world *w, struct model_line *l)
{
	bool is_slow;
	struct event *e;

	if (l->is_working || l->domain < 0 ||
	    (l->njobs == 0 && (!l->is_ending || l->nclaims > 0)))
		return;
	l->is_working = true;
	is_slow = w->domains[l->domain].nature == SLOW || l->is_bad;
	e = post(w, T_WORK, 1 + rnd(w, is_slow ? 900 : w->shape->work_ms));
	e->line = (unsigned)(l - w->lines);
	e->b = l->incarnation;
}

static void leave(struct world *w, struct model_line *l)
{
	if (l->domain >= 0)
		w->domains[l->domain].sessions--;
	l->domain = -1;
	l->is_working = l->is_ending = false;
}

/* Whether the end of a message was sent is not known. */
static void line_dies(struct world *w, struct model_line *l)
{
	unsigned njobs = l->njobs;

	for (unsigned n = 0; n < njobs; n++) {
		struct mail *m = &w->mail[l->jobs[n]];

		for (unsigned k = 0; k < m->n; k++)
			if (m->r[k].state == R_PENDING && rnd(w, 2))
				accept(&m->r[k]);
		m->is_at_line = false;
		on_result(w, l->jobs[n], l->line->number, NULL, true);
	}
	l->njobs = 0;
	l->incarnation++;
	l->nclaims = 0; /* what is under way finds no line */
	leave(w, l);
	schedule_line_lost(w->s, w->now, l->line);
}

static void watch_health(struct world *w, struct destination *d);

static void session_over(struct world *w, struct model_line *l)
{
	struct destination *d = schedule_line_destination(l->line);
	struct outcome why;

	if (l->is_bad)
		outcome_temp(&why, "4.4.1", "no host could be reached");
	else if (l->is_crowded)
		outcome_temp(&why, "4.7.0", "too many connections");
	else
		outcome_ok(&why);
	leave(w, l);
	schedule_session_done(w->s, w->now, l->line, &why, l->is_crowded);
	watch_health(w, d);
}

static void on_work(struct world *w, const struct event *e)
{
	struct model_line *l = &w->lines[e->line];
	unsigned n;

	if (l->incarnation != e->b)
		return;
	l->is_working = false;
	if (l->njobs > 0 && w->domains[l->domain].nature == KILLER &&
	    rnd(w, 15) == 0) {
		line_dies(w, l);
		return;
	}
	for (n = 0; n < l->njobs && n < w->shape->batch; n++)
		one_job(w, l, l->jobs[n]);
	l->njobs -= n;
	memmove(l->jobs, l->jobs + n, l->njobs * sizeof(l->jobs[0]));
	if (l->njobs == 0 && l->is_ending && l->nclaims == 0)
		session_over(w, l);
	else
		line_work(w, l);
}

static void open_session(struct world *w, const struct decision *x)
{
	struct model_line *l = x->line->peer;
	unsigned number = (unsigned)atoi(x->destination->name + 1);
	struct domain *d = &w->domains[number];

	assert_int_equal(l->domain, -1);
	assert_int_equal(l->nclaims, 0);
	l->domain = (int)number;
	l->is_bad = l->is_crowded = l->is_ending = l->is_working = false;
	assert_int_equal(l->njobs, 0);
	assert_true(++d->sessions <= w->shape->limit);
	if (x->destination->health != HEALTH_PROBE)
		return;
	/* a suspended one is probed by one session at a time, not too soon */
	w->probes++;
	assert_int_equal(d->sessions, 1);
	assert_true(w->now >= d->not_before);
}
