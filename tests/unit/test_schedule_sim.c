/* A seeded simulation of the schedule, its intake and the retry rules: hours
 * of mail, destinations that fail, lines that die, a keeper that answers late.
 * After every step the promises are checked. */
#include "runner/intake.h"
#include "runner/retry.h"
#include "runner/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	LINES = 12,
	DOMAINS = 40,
	MAIL = 4000,
	LIMIT = 4,
	WINDOW = 300,
	PER_CONNECTION = 30,
	START_MS = 1000000000,
};

enum mail_state { NEW, QUEUED, CLAIMED, DONE, FAILED };

struct mail {
	uint64_t due, accepted_ms, done_ms;
	unsigned attempts, deaths, domain, sender, deliveries;
	uint8_t state;
	bool awaits_report, is_claimed_for_report, is_given, was_hit;
	int cause;
};

enum kind {
	EV_INJECT,
	EV_WAITING,
	EV_DUE_END,
	EV_MORE,
	EV_CHANGED,
	EV_CLAIM,
	EV_JOB,
	EV_GONE,
	EV_OUTCOME,
	EV_RECORDED,
	EV_DUE,
	EV_WINDOW,
	EV_WAKE,
	EV_UNCLAIM,
	EV_STARTED,
	EV_LINE_LOST,
	EV_HOSTS,
	EV_WORK,
	EV_DONE_SESSION,
};

struct event {
	struct heap_node node;
	uint8_t kind;
	bool flag;
	uint8_t claim_for;
	unsigned mail, page;
	uint64_t a, b;
	struct line *line;
	char domain[24];
	struct due_query query;
};

struct model_line {
	unsigned jobs[WINDOW_MAX + 1], njobs;
	int domain;
	uint64_t session, incarnation;
	bool is_working, is_ending, is_bad;
};

struct world {
	uint64_t now, random, to_keeper, to_runner;
	struct heap events;
	struct schedule *s;
	struct intake in;
	struct mail mail[MAIL];
	struct model_line lines[LINES];
	unsigned sessions[DOMAINS];
	uint32_t window;
	bool more_told;
	unsigned finished, deliveries, failed, uncertain, steps, sheds, reports;
	uint64_t longest_good;
	struct conf_retry retry;
};

static uint64_t rnd(struct world *w, uint64_t n)
{
	w->random += 0x9e3779b97f4a7c15u;
	return table_mix(w->random, 7) % n;
}

static struct event *post(struct world *w, uint8_t kind, uint64_t at)
{
	struct event *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->kind = kind;
	assert_int_equal(heap_set(&w->events, &e->node, at), 0);
	return e;
}

/* Two streams: later messages never overtake earlier ones. */
static struct event *to_keeper(struct world *w, uint8_t kind)
{
	uint64_t at = w->now + rnd(w, 15);

	/* heap ties are unordered: keep times apart */
	w->to_keeper = at > w->to_keeper ? at : w->to_keeper + 1;
	return post(w, kind, w->to_keeper);
}

static struct event *to_runner(struct world *w, uint8_t kind)
{
	uint64_t at = w->now + rnd(w, 15);

	w->to_runner = at > w->to_runner ? at : w->to_runner + 1;
	return post(w, kind, w->to_runner);
}

/* What the destinations are like. */
static bool is_down(unsigned domain, uint64_t now)
{
	if (domain % 10 == 3) /* two hours of every six */
		return now / 1000 % 21600 < 7200;
	if (domain % 10 == 4) /* forever */
		return true;
	return false;
}

static bool is_dead(unsigned domain)
{
	return domain == 5;
}

static bool is_good(unsigned domain)
{
	return domain % 10 < 3;
}

static int domain_of(const char *name)
{
	return atoi(name + 1);
}

static void describe(
    struct world *w, unsigned i, struct waiting *x, char sender[16])
{
	const struct mail *m = &w->mail[i];

	snprintf(sender, 16, "s%u", m->sender);
	*x = (struct waiting){
		.message = i + 1,
		.due_ms = m->due,
		.accepted_at = m->accepted_ms / 1000,
		.size_bytes = 4000 + (i % 50 == 0 ? 2000000 : 0),
		.nrecipients = 1,
		.attempts = (uint16_t)m->attempts,
		.line_deaths = (uint16_t)m->deaths,
		.flags = m->awaits_report ? WAITING_REPORT : 0,
		.priority = (int8_t)(i % 97 == 0 ? 3 : 0),
		.sender = span_of(sender),
	};
}

/* --- the keeper --- */

static void announce(struct world *w, unsigned i)
{
	if (w->window == 0) {
		if (!w->more_told)
			to_runner(w, EV_MORE);
		w->more_told = true;
		return;
	}
	w->window--;
	to_runner(w, EV_WAITING)->mail = i;
}

static int by_due(const void *a, const void *b)
{
	const struct due_key *x = a, *y = b;

	if (x->due_ms != y->due_ms)
		return x->due_ms < y->due_ms ? -1 : 1;
	return x->message < y->message ? -1 : x->message > y->message;
}

static void keeper_due(struct world *w, const struct due_query *q)
{
	static struct due_key keys[MAIL];
	struct due_key after = { q->after_due_ms, q->after_message,
		q->after_delivery };
	struct event *e;
	size_t n = 0, sent = 0;
	uint64_t next = 0;

	for (unsigned i = 0; i < MAIL; i++) {
		struct due_key key = { w->mail[i].due, i + 1, 0 };

		if (w->mail[i].state != QUEUED)
			continue;
		if (key.due_ms > q->until_ms) {
			if (next == 0 || key.due_ms < next)
				next = key.due_ms;
			continue;
		}
		if (key.due_ms < after.due_ms ||
		    (key.due_ms == after.due_ms &&
			(key.message < after.message ||
			    (key.message == after.message &&
				after.delivery >= key.delivery))))
			continue;
		keys[n++] = key;
	}
	qsort(keys, n, sizeof(keys[0]), by_due);
	for (; sent < n && sent < q->max; sent++) {
		e = to_runner(w, EV_WAITING);
		e->mail = (unsigned)keys[sent].message - 1;
		e->page = 1;
	}
	e = to_runner(w, EV_DUE_END);
	e->a = next;
	e->flag = sent < n;
	w->more_told = false;
}

static void keeper_claim(struct world *w, const struct event *e)
{
	struct mail *m = &w->mail[e->mail];
	bool may = m->state == QUEUED &&
		   m->awaits_report == (e->claim_for == CLAIM_REPORT) &&
		   m->due <= w->now;
	struct event *answer = to_runner(w, may ? EV_JOB : EV_GONE);

	answer->mail = e->mail;
	answer->claim_for = e->claim_for;
	answer->line = e->line;
	answer->b = e->b;
	if (may)
		m->state = CLAIMED;
}

static void finish(struct world *w, struct mail *m, uint8_t state)
{
	m->state = state;
	m->done_ms = w->now;
	w->finished++;
}

/* a: 0 delivered, 1 deferred, 2 failed, 3 report made; b: next try */
static void keeper_outcome(struct world *w, const struct event *e)
{
	struct mail *m = &w->mail[e->mail];

	assert_int_equal(m->state, CLAIMED);
	if (e->a == 0) {
		finish(w, m, DONE);
	} else if (e->a == 1) {
		m->state = QUEUED;
		m->due = e->b;
	} else if (e->a == 2) {
		m->state = QUEUED;
		m->awaits_report = true;
		m->due = w->now;
	} else {
		finish(w, m, FAILED);
	}
	to_runner(w, EV_RECORDED)->mail = e->mail;
}

static void keeper_wake(struct world *w, unsigned domain)
{
	for (unsigned i = 0; i < MAIL; i++) {
		struct mail *m = &w->mail[i];

		if (m->state != QUEUED || m->domain != domain ||
		    m->due <= w->now || m->awaits_report)
			continue;
		if (m->cause != CAUSE_CONNECT && m->cause != CAUSE_SUSPENDED)
			continue;
		m->due = w->now;
		to_runner(w, EV_CHANGED)->mail = i;
	}
}

/* --- the lines --- */

static unsigned line_index(const struct line *line)
{
	return line->number - 1;
}

static void line_work(struct world *w, struct line *line)
{
	struct model_line *m = &w->lines[line_index(line)];
	struct event *e;

	if (m->is_working || (m->njobs == 0 && !m->is_ending))
		return;
	m->is_working = true;
	e = post(
	    w, EV_WORK, w->now + 1 + rnd(w, m->domain % 10 == 9 ? 900 : 60));
	e->line = line;
	e->b = m->incarnation;
}

static void record(struct world *w, unsigned i, uint64_t verdict, uint64_t next)
{
	struct event *e = to_keeper(w, EV_OUTCOME);

	e->mail = i;
	e->a = verdict;
	e->b = next;
}

/* Deferred for a cause, or given up. */
static void defer(struct world *w, unsigned i, enum cause cause)
{
	struct mail *m = &w->mail[i];
	struct retry_case c = { .cause = cause,
		.now_ms = w->now,
		.accepted_at = m->accepted_ms / 1000,
		.attempts = m->attempts + (cause_counts(cause) ? 1 : 0),
		.random = rnd(w, UINT32_MAX) };
	struct retry_plan plan = retry_plan(&w->retry, &c);

	m->attempts = c.attempts;
	m->cause = cause;
	if (plan.gives_up) {
		/* nothing temporary fails before its lifetime */
		assert_true(
		    w->now >=
		    (m->accepted_ms / 1000 + w->retry.lifetime_s) * 1000);
		record(w, i, 2, 0);
	} else {
		assert_true(plan.next_try_ms > w->now);
		record(w, i, 1, plan.next_try_ms);
		intake_due_at(&w->in, plan.next_try_ms);
	}
}

static struct delivery *known(struct world *w, unsigned i)
{
	struct delivery *d = schedule_find(w->s, i + 1, 0);

	assert_non_null(d);
	return d;
}

static void took(struct world *w, unsigned i)
{
	assert_true(w->mail[i].is_given);
	w->mail[i].is_given = false;
}

static void line_dies(struct world *w, struct line *line)
{
	struct model_line *m = &w->lines[line_index(line)];

	for (unsigned k = 0; k < m->njobs; k++) {
		unsigned i = m->jobs[k];

		took(w, i);
		w->mail[i].deaths++;
		w->uncertain++;
		schedule_result(w->s, w->now, known(w, i), RESULT_UNREACHED);
		defer(w, i, CAUSE_LINE_DIED);
	}
	m->njobs = 0;
	m->incarnation++;
	if (m->domain >= 0)
		w->sessions[m->domain]--;
	m->domain = -1;
	m->is_working = m->is_ending = false;
	/* claims under way find no line when they come */
	schedule_line_lost(w->s, w->now, line);
}

static void session_over(struct world *w, struct line *line)
{
	struct model_line *m = &w->lines[line_index(line)];
	struct outcome why;

	if (m->is_bad)
		outcome_temp(&why, "4.4.1", "no host could be reached");
	else
		outcome_ok(&why);
	w->sessions[m->domain]--;
	m->domain = -1;
	m->is_ending = false;
	schedule_session_done(w->s, w->now, line, &why, m->is_bad);
}

static void one_job(struct world *w, struct line *line, unsigned i)
{
	struct model_line *m = &w->lines[line_index(line)];
	struct mail *mail = &w->mail[i];
	uint64_t dice = rnd(w, 1000);

	took(w, i);
	if (is_down(mail->domain, w->now) || m->is_bad) {
		m->is_bad = true;
		mail->was_hit = true;
		if (dice < 300) {
			schedule_put_back(w->s, w->now, known(w, i), true);
			to_keeper(w, EV_UNCLAIM)->mail = i;
			return;
		}
		schedule_result(w->s, w->now, known(w, i), RESULT_UNREACHED);
		defer(w, i, CAUSE_CONNECT);
	} else if (dice < 900 || is_good(mail->domain)) {
		assert_int_equal(mail->deliveries, 0);
		mail->deliveries++;
		w->deliveries++;
		schedule_result(w->s, w->now, known(w, i), RESULT_DELIVERED);
		record(w, i, 0, 0);
	} else if (dice < 960) {
		schedule_result(w->s, w->now, known(w, i), RESULT_ANSWERED);
		defer(w, i, CAUSE_RETRY);
	} else {
		w->failed++;
		schedule_result(w->s, w->now, known(w, i), RESULT_ANSWERED);
		record(w, i, 2, 0);
	}
}

static void on_work(struct world *w, const struct event *e)
{
	struct model_line *m = &w->lines[line_index(e->line)];
	unsigned i;

	if (m->incarnation != e->b)
		return;
	m->is_working = false;
	if (m->njobs > 0 && m->domain % 10 == 7 && rnd(w, 15) == 0) {
		line_dies(w, e->line);
		return;
	}
	if (m->njobs > 0) {
		i = m->jobs[0];
		m->njobs--;
		memmove(m->jobs, m->jobs + 1, m->njobs * sizeof(m->jobs[0]));
		one_job(w, e->line, i);
	}
	if (m->njobs == 0 && m->is_ending && e->line->in_flight == 0)
		session_over(w, e->line);
	else
		line_work(w, e->line);
}

/* --- the runner's side --- */

static void on_waiting(struct world *w, const struct event *e)
{
	char sender[16], name[24];
	struct destination *d;
	struct waiting x;
	bool is_new;

	describe(w, e->mail, &x, sender);
	intake_waiting(&w->in, &x, e->page == 0);
	if (x.due_ms > w->now) {
		intake_due_at(&w->in, x.due_ms);
		return;
	}
	/* in flight while it changed: a claim would fail; skip what is done */
	snprintf(name, sizeof(name), "d%u", w->mail[e->mail].domain);
	d = schedule_destination(w->s, name, LIMIT, &is_new);
	assert_non_null(d);
	if (schedule_add(w->s, w->now, &x, d, 0) == ADDED_SHED)
		w->sheds++;
}

static void claim(struct world *w, const struct decision *x, uint8_t claim_for)
{
	struct event *e = to_keeper(w, EV_CLAIM);

	e->mail = (unsigned)x->delivery->message - 1;
	e->claim_for = claim_for;
	e->line = x->line;
	if (x->line)
		e->b = w->lines[line_index(x->line)].incarnation;
}

static void no_job(struct world *w, const struct event *e)
{
	struct model_line *m;

	if (!e->line)
		return;
	m = &w->lines[line_index(e->line)];
	if (m->incarnation == e->b && m->is_ending && m->njobs == 0)
		line_work(w, e->line);
}

static void on_job(struct world *w, const struct event *e)
{
	struct delivery *d = known(w, e->mail);
	struct model_line *m;

	if (e->claim_for == CLAIM_REPORT) {
		assert_int_equal(d->phase, PHASE_REPORTING);
		w->reports++;
		record(w, e->mail, 3, 0);
		return;
	}
	if (d->phase == PHASE_REFUSED) {
		schedule_refused(w->s, d);
		if (is_dead(w->mail[e->mail].domain))
			record(w, e->mail, 2, 0);
		else
			defer(w, e->mail, CAUSE_SUSPENDED);
		return;
	}
	m = &w->lines[line_index(e->line)];
	if (m->incarnation != e->b || !d->line) {
		if (d->phase == PHASE_GIVEN)
			schedule_put_back(w->s, w->now, d, false);
		to_keeper(w, EV_UNCLAIM)->mail = e->mail;
		return;
	}
	assert_false(w->mail[e->mail].is_given);
	w->mail[e->mail].is_given = true;
	assert_int_equal(m->domain, (int)w->mail[e->mail].domain);
	m->jobs[m->njobs++] = e->mail;
	assert_true(m->njobs <= WINDOW_MAX);
	line_work(w, e->line);
}

static void on_gone(struct world *w, const struct event *e)
{
	schedule_forget(w->s, w->now, known(w, e->mail));
	intake_sweep_soon(&w->in, w->now);
	no_job(w, e);
}

static void open_session(struct world *w, const struct decision *x)
{
	struct model_line *m = &w->lines[line_index(x->line)];

	assert_int_equal(m->domain, -1);
	m->domain = domain_of(x->destination->name);
	m->is_bad = false;
	m->is_ending = false;
	m->njobs = 0;
	assert_true(++w->sessions[m->domain] <= LIMIT);
}

static void decide(struct world *w, const struct decision *x)
{
	struct event *e;

	switch (x->kind) {
	case DECIDE_START_LINE:
		e = post(w, EV_STARTED, w->now + 1 + rnd(w, 5));
		e->line = x->line;
		e->flag = rnd(w, 50) != 0;
		break;
	case DECIDE_RESOLVE:
		e = post(w, EV_HOSTS, w->now + rnd(w, 300));
		snprintf(
		    e->domain, sizeof(e->domain), "%s", x->destination->name);
		break;
	case DECIDE_SESSION:
		open_session(w, x);
		break;
	case DECIDE_GIVE:
		assert_true(x->line->in_flight <= WINDOW_MAX);
		assert_true(x->line->given <= PER_CONNECTION);
		claim(w, x, CLAIM_DELIVER);
		break;
	case DECIDE_REFUSE:
		claim(w, x, CLAIM_DELIVER);
		break;
	case DECIDE_REPORT:
		claim(w, x, CLAIM_REPORT);
		break;
	case DECIDE_END:
		w->lines[line_index(x->line)].is_ending = true;
		if (x->line->in_flight == 0)
			line_work(w, x->line);
		break;
	case DECIDE_WAKE:
		to_keeper(w, EV_WAKE)->mail =
		    (unsigned)domain_of(x->destination->name);
		break;
	}
}

static void on_hosts(struct world *w, const struct event *e)
{
	bool is_new;
	struct destination *d =
	    schedule_destination(w->s, e->domain, LIMIT, &is_new);
	struct outcome o;

	assert_false(is_new);
	if (is_dead((unsigned)domain_of(e->domain)))
		outcome_perm(&o, "5.1.2", "no such domain");
	else if (rnd(w, 20) == 0 && !is_good((unsigned)domain_of(e->domain)))
		outcome_temp(&o, "4.4.3", "DNS does not answer");
	else
		outcome_ok(&o);
	schedule_hosts(w->s, w->now, d, &o, 60000 + rnd(w, 600000));
}

static void on_event(struct world *w, const struct event *e)
{
	struct mail *m = &w->mail[e->mail];
	struct delivery *d;

	switch (e->kind) {
	case EV_INJECT:
		m->state = QUEUED;
		m->due = m->accepted_ms = w->now;
		announce(w, e->mail);
		break;
	case EV_WAITING:
		on_waiting(w, e);
		break;
	case EV_DUE_END:
		intake_end(&w->in, e->a, e->flag);
		break;
	case EV_MORE:
		intake_want(&w->in);
		break;
	case EV_CHANGED:
		schedule_remove(w->s, e->mail + 1, 0);
		intake_want(&w->in);
		break;
	case EV_CLAIM:
		keeper_claim(w, e);
		break;
	case EV_JOB:
		on_job(w, e);
		no_job(w, e);
		break;
	case EV_GONE:
		on_gone(w, e);
		break;
	case EV_OUTCOME:
		keeper_outcome(w, e);
		break;
	case EV_RECORDED:
		d = known(w, e->mail);
		if (m->awaits_report && d->phase != PHASE_REPORTING)
			schedule_await_report(w->s, w->now, d);
		else
			schedule_forget(w->s, w->now, d);
		break;
	case EV_DUE:
		keeper_due(w, &e->query);
		break;
	case EV_WINDOW:
		w->window += (uint32_t)e->a;
		w->more_told = false;
		break;
	case EV_WAKE:
		keeper_wake(w, e->mail);
		break;
	case EV_UNCLAIM:
		assert_int_equal(m->state, CLAIMED);
		m->state = QUEUED;
		break;
	case EV_STARTED:
		if (e->flag)
			schedule_line_started(w->s, w->now, e->line);
		else
			schedule_line_lost(w->s, w->now, e->line);
		break;
	case EV_HOSTS:
		on_hosts(w, e);
		break;
	case EV_WORK:
		on_work(w, e);
		break;
	}
}

static void run_decisions(struct world *w)
{
	struct schedule_counts counts;
	struct decision x;
	struct due_query q;
	uint32_t more;

	schedule_count(w->s, &counts);
	while (intake_read(&w->in, w->now, counts.in_memory, w->s, &q))
		to_keeper(w, EV_DUE)->query = q;
	more = intake_grant(&w->in, counts.in_memory);
	if (more > 0)
		to_keeper(w, EV_WINDOW)->a = more;
	for (unsigned n = 0; schedule_next(w->s, w->now, &x); n++) {
		assert_true(n < 5000);
		decide(w, &x);
	}
	assert_true(counts.in_memory <= 3 * WINDOW);
}

static void start(struct world *w, uint64_t seed)
{
	struct schedule_options options = { .seed = seed,
		.window = WINDOW,
		.probe_first_ms = 60000,
		.probe_max_ms = 1800000 };

	w->random = seed;
	w->now = START_MS;
	w->retry = (struct conf_retry){ .wait_s = 300,
		.factor = 2,
		.max_wait_s = 14400,
		.lifetime_s = 86400,
		.jitter_percent = 10 };
	w->s = schedule_new(&options);
	assert_non_null(w->s);
	assert_int_equal(
	    schedule_add_group(w->s, "default", LINES, PER_CONNECTION), 0);
	for (unsigned i = 0; i < LINES; i++)
		w->lines[i].domain = -1;
	intake_init(&w->in, WINDOW);
	intake_start(&w->in, w->now);
	for (unsigned i = 0; i < MAIL; i++) {
		uint64_t burst = rnd(w, 3) * 3 * 3600000;

		w->mail[i].domain =
		    (unsigned)(rnd(w, 3) ? rnd(w, DOMAINS) : 9); /* a hog */
		w->mail[i].sender = (unsigned)rnd(w, 5);
		post(w, EV_INJECT, w->now + burst + rnd(w, 5000))->mail = i;
	}
}

static void step_to(struct world *w, uint64_t at)
{
	if (at > w->now)
		w->now = at;
	w->steps++;
	run_decisions(w);
}

static void run(struct world *w)
{
	struct schedule_counts counts;

	run_decisions(w);
	while (w->finished < MAIL) {
		struct heap_node *node = heap_first(&w->events);
		uint64_t wake = schedule_wake(w->s), intake;

		schedule_count(w->s, &counts);
		intake = intake_wake(&w->in, counts.in_memory);
		wake = wake < intake ? wake : intake;
		/* every wait has a wake-up */
		assert_true(node || wake != UINT64_MAX);
		if (node && node->at <= wake) {
			struct event *e = (struct event *)(void *)node;

			heap_remove(&w->events, node);
			if (node->at > w->now)
				w->now = node->at;
			on_event(w, e);
			free(e);
			step_to(w, w->now);
		} else {
			assert_true(wake > w->now || w->steps < 1);
			step_to(w, wake);
		}
		assert_true(w->now < START_MS + (uint64_t)10 * 86400000);
	}
}

static void check(struct world *w)
{
	for (unsigned i = 0; i < MAIL; i++) {
		const struct mail *m = &w->mail[i];
		uint64_t took_ms = m->done_ms - m->accepted_ms;

		assert_true(m->state == DONE || m->state == FAILED);
		if (!is_good(m->domain))
			continue;
		assert_int_equal(m->state, DONE);
		if (took_ms > w->longest_good)
			w->longest_good = took_ms;
	}
	/* nobody's good mail waits long for others' troubles */
	assert_true(w->longest_good < 120000);
}

static void one_world(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	struct heap_node *node;

	assert_non_null(w);
	start(w, seed);
	run(w);
	check(w);
	print_message("seed %u: %u steps, %.1f h, delivered %u, uncertain %u, "
		      "reports %u, shed %u, longest %.1f s\n",
	    (unsigned)seed, w->steps, (double)(w->now - START_MS) / 3600000,
	    w->deliveries, w->uncertain, w->reports, w->sheds,
	    (double)w->longest_good / 1000);
	while ((node = heap_first(&w->events))) {
		heap_remove(&w->events, node);
		free(node);
	}
	heap_clear(&w->events);
	schedule_free(w->s);
	free(w);
}

static void test_worlds(void **state)
{
	const char *given = getenv("SEED");

	(void)state;
	if (given) {
		one_world(strtoull(given, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= 4; seed++)
		one_world(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worlds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
