/* Providers with known limits around the schedule: so many sessions, messages a
 * session, messages a minute, counted as a fixed window, a sliding one or a
 * leaking bucket. Included by its test. */
#include "runner/schedule.h"
#include "runner/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum counting { BY_NOTHING, BY_WINDOW, SLIDING, LEAKING };

enum { PROVIDERS_MAX = 16, LINES_MAX = 100, LOG_MAX = 100000 };

struct provider {
	const char *name;
	unsigned domains; /* at this site */
	unsigned sessions_max, session_messages;
	unsigned rate, per_ms; /* messages in so long */
	uint8_t counting;
	bool says_421; /* for the rate; else 450 */
	unsigned latency_ms;
	/* by the configuration */
	struct limits limits, site_limits;
	int group;
	/* state */
	unsigned sessions, most_sessions, most_in_flight, in_flight;
	uint64_t taken, deferred, refused;
	uint64_t log[LOG_MAX]; /* when it took what: a ring */
	unsigned log_at;
	uint64_t window_at, in_window;
	double level;
	uint64_t level_at;
};

struct job_line {
	struct heap_node node; /* what it does next */
	struct line *line;
	struct provider *at;
	struct delivery *jobs[WINDOW_MAX + 1];
	unsigned njobs, answered;
	bool is_open, is_refused, is_cut, is_ending, is_off;
};

struct play {
	struct schedule *s;
	struct provider *providers;
	unsigned n;
	uint64_t now, next_message, decisions, wakes, fill_at;
	struct heap alarms;
	struct job_line lines[LINES_MAX];
	unsigned nlines, backlog;
};

/* --- the provider ----------------------------------------------------------*/

static bool takes(struct provider *p, uint64_t now)
{
	switch (p->counting) {
	case BY_WINDOW:
		if (now / p->per_ms != p->window_at) {
			p->window_at = now / p->per_ms;
			p->in_window = 0;
		}
		return p->in_window++ < p->rate;
	case SLIDING:
		if (p->log[(p->log_at + LOG_MAX - p->rate) % LOG_MAX] +
			    p->per_ms >
			now &&
		    p->taken >= p->rate)
			return false;
		return true;
	case LEAKING:
		p->level -= (double)(now - p->level_at) * p->rate / p->per_ms;
		p->level_at = now;
		if (p->level < 0)
			p->level = 0;
		if (p->level + 1 > p->rate)
			return false;
		p->level += 1;
		return true;
	default:
		return true;
	}
}

static void take(struct provider *p, uint64_t now)
{
	p->taken++;
	p->log[p->log_at] = now;
	p->log_at = (p->log_at + 1) % LOG_MAX;
}

/* --- lines -----------------------------------------------------------------*/

static void alarm_in(struct play *p, struct job_line *l, uint64_t ms)
{
	assert_int_equal(heap_set(&p->alarms, &l->node, p->now + ms), 0);
}

static struct provider *provider_of(struct play *p, const struct destination *d)
{
	return &p->providers[atoi(d->name + 1)];
}

static void forget_first(struct play *p, struct job_line *l)
{
	schedule_forget(p->s, p->now, l->jobs[0]);
	l->njobs--;
	memmove(l->jobs, l->jobs + 1, l->njobs * sizeof(l->jobs[0]));
	l->at->in_flight--;
}

static void put_back_all(struct play *p, struct job_line *l)
{
	for (unsigned i = 0; i < l->njobs; i++) {
		l->at->in_flight--;
		schedule_put_back(p->s, p->now, l->jobs[i], true);
	}
	l->njobs = 0;
}

static void session_over(
    struct play *p, struct job_line *l, bool is_refused, bool is_overloaded)
{
	struct outcome why;

	outcome_ok(&why);
	if (is_refused)
		outcome_temp(&why, "4.3.2", "421 too many sessions");
	l->at->sessions -= !l->is_refused;
	l->at = NULL;
	l->is_open = l->is_ending = false;
	schedule_session_done(p->s, p->now, l->line, &why, is_overloaded);
}

/* Too many sessions: the first job is put off, the others were not begun. */
static void refuse_session(struct play *p, struct job_line *l)
{
	if (l->njobs > 0) {
		l->at->deferred++;
		schedule_result(p->s, p->now, l->jobs[0], RESULT_UNREACHED);
		forget_first(p, l);
	}
	put_back_all(p, l);
	l->at->refused++;
	session_over(p, l, true, true);
}

static void cut_session(struct play *p, struct job_line *l)
{
	l->at->deferred++;
	schedule_result(p->s, p->now, l->jobs[0], RESULT_PUSHED);
	forget_first(p, l);
	put_back_all(p, l);
	session_over(p, l, false, true);
}

static void one_message(struct play *p, struct job_line *l)
{
	const struct provider *at = l->at;

	if (at->session_messages && l->answered >= at->session_messages) {
		cut_session(p, l);
		return;
	}
	if (takes(l->at, p->now)) {
		take(l->at, p->now);
		l->answered++;
		schedule_result(p->s, p->now, l->jobs[0], RESULT_DELIVERED);
		forget_first(p, l);
	} else if (at->says_421) {
		cut_session(p, l);
		return;
	} else {
		l->at->deferred++;
		schedule_pushback(p->s, p->now, l->jobs[0],
		    SPAN_LITERAL("450 4.7.1 rate limit exceeded"));
		schedule_result(p->s, p->now, l->jobs[0], RESULT_PUSHED);
		forget_first(p, l);
	}
	if (l->njobs > 0)
		alarm_in(p, l, at->latency_ms);
	else if (l->is_ending)
		session_over(p, l, false, false);
}

static void line_alarm(struct play *p, struct job_line *l)
{
	if (!l->at)
		return;
	if (!l->is_open) {
		l->is_open = true;
		l->is_refused = l->at->sessions_max &&
				l->at->sessions >= l->at->sessions_max;
		l->at->sessions += !l->is_refused;
		if (l->at->sessions > l->at->most_sessions)
			l->at->most_sessions = l->at->sessions;
		if (l->is_refused) {
			refuse_session(p, l);
			return;
		}
		if (l->njobs > 0)
			alarm_in(p, l, l->at->latency_ms);
		else if (l->is_ending)
			session_over(p, l, false, false);
		return;
	}
	if (l->njobs > 0)
		one_message(p, l);
	else if (l->is_ending)
		session_over(p, l, false, false);
}

/* --- decisions -------------------------------------------------------------*/

static void found(struct play *p, struct destination *d)
{
	struct provider *at = provider_of(p, d);
	struct outcome ok;

	outcome_ok(&ok);
	if (at->domains > 1)
		schedule_set_site(
		    p->s, p->now, d, span_of(at->name), &at->site_limits);
	schedule_hosts(p->s, p->now, d, &ok, 3600000);
}

static void decide(struct play *p, const struct decision *x)
{
	struct job_line *l = x->line ? x->line->peer : NULL;

	switch (x->kind) {
	case DECIDE_START_LINE:
		schedule_line_started(p->s, p->now, x->line);
		break;
	case DECIDE_RESOLVE:
		found(p, x->destination);
		break;
	case DECIDE_SESSION:
		assert_null(l->at);
		l->at = provider_of(p, x->destination);
		l->is_open = l->is_ending = false;
		l->njobs = l->answered = 0;
		alarm_in(p, l, l->at->latency_ms);
		break;
	case DECIDE_GIVE:
		l->jobs[l->njobs++] = x->delivery;
		if (++l->at->in_flight > l->at->most_in_flight)
			l->at->most_in_flight = l->at->in_flight;
		if (l->is_open && l->njobs == 1)
			alarm_in(p, l, l->at->latency_ms);
		break;
	case DECIDE_END:
		l->is_ending = true;
		if (l->is_open && l->njobs == 0)
			session_over(p, l, false, false);
		break;
	case DECIDE_REFUSE:
		provider_of(p, x->destination)->deferred++;
		schedule_refused(p->s, x->delivery);
		schedule_forget(p->s, p->now, x->delivery);
		break;
	default:
		break;
	}
}

/* There is always mail. */
static void fill(struct play *p)
{
	struct waiting w = { .size_bytes = 1000,
		.sender = SPAN_LITERAL("a@b.c") };
	char name[24];
	bool is_new;

	for (unsigned i = 0; i < p->n; i++)
		for (unsigned k = 0; k < p->providers[i].domains; k++) {
			struct destination *d;

			snprintf(name, sizeof(name), "d%u.%u", i, k);
			d = schedule_destination(p->s, name, 50, &is_new);
			assert_non_null(d);
			if (is_new)
				schedule_destination_limits(
				    p->s, p->now, d, &p->providers[i].limits);
			while (d->nwaiting < p->backlog) {
				w.message = p->next_message++;
				assert_int_equal(schedule_add(p->s, p->now, &w,
						     d, p->providers[i].group),
				    ADDED);
			}
		}
}

static void name_line(struct line *line, void *arg)
{
	struct play *p = arg;

	if (line->peer)
		return;
	line->peer = &p->lines[p->nlines];
	p->lines[p->nlines++].line = line;
}

static struct play *play_new(struct provider *providers, unsigned n,
    const unsigned *lines, unsigned groups)
{
	static const char *const names[] = { "default", "second" };
	struct schedule_options options = { .seed = 1,
		.window = 100000,
		.probe_first_ms = 60000,
		.probe_max_ms = 1800000 };
	struct play *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->s = schedule_new(&options);
	p->now = 1000000;
	p->next_message = 1;
	p->backlog = 200;
	p->providers = providers;
	p->n = n;
	for (unsigned i = 0; i < groups; i++)
		assert_int_equal(
		    schedule_add_group(p->s, names[i], lines[i], 1000), (int)i);
	schedule_each_line(p->s, name_line, p);
	return p;
}

static void play_run(struct play *p, uint64_t ms)
{
	uint64_t end = p->now + ms;
	struct heap_node *node;
	struct decision x;

	while (p->now < end) {
		uint64_t at, wake;

		if (p->now >= p->fill_at) {
			fill(p);
			p->fill_at = p->now + 500;
		}
		while (schedule_next(p->s, p->now, &x)) {
			decide(p, &x);
			p->decisions++;
		}
		node = heap_first(&p->alarms);
		at = node ? node->at : UINT64_MAX;
		wake = schedule_wake(p->s);
		if (wake < at) {
			at = wake;
			p->wakes++;
		}
		if (at > p->now)
			p->now = at < end ? at : end;
		while ((node = heap_first(&p->alarms)) && node->at <= p->now) {
			heap_remove(&p->alarms, node);
			line_alarm(p, (struct job_line *)(void *)node);
		}
	}
}

static void play_free(struct play *p)
{
	heap_clear(&p->alarms);
	schedule_free(p->s);
	free(p);
}
