/* The simulated keeper: mail by domain, claims, outcomes and reports, as queue/
 * keeps them. */
#include "tests/unit/schedule_world.h"

static void say_inside(struct world *w);

enum { WAKE_PAGE = 1000, CLAIM_SLACK_MS = 1000, QUIET_MS = 2 * MINUTE };

/* --- a mail's life --- */

static void announce(struct world *w, unsigned i)
{
	if (w->window == 0) {
		if (!w->is_more_told)
			to_runner(w, R_MORE);
		w->is_more_told = true;
		return;
	}
	w->window--;
	to_runner(w, R_WAITING)->mail = i;
}

static void inject(struct world *w, unsigned i)
{
	const struct shape *shape = w->shape;
	struct mail *m = &w->mail[i];
	struct domain *d;

	m->domain = shape->domain ? shape->domain(i, rnd(w, UINT32_MAX))
		    : rnd(w, 3)	  ? (unsigned)rnd(w, shape->domains)
				  : (unsigned)rnd(w, shape->ndomains_hog);
	d = &w->domains[m->domain];
	/* 0: the null sender */
	m->sender = (uint8_t)(table_mix(message_of(w, i), 5) % 6);
	m->group = (uint8_t)(m->sender % shape->groups);
	m->n = (uint8_t)(1 + rnd(w, shape->recipients));
	for (unsigned k = 0; k < m->n; k++)
		m->r[k].wants_no_report = rnd(w, 10) == 0;
	m->accepted_ms = m->due = utc(w);
	m->open_ms = w->now;
	m->report_at = NEVER;
	m->state = M_QUEUED;
	if (shape->chaos_ms && rnd(w, 20) == 0)
		m->expires_s =
		    (unsigned)(m->accepted_ms / 1000 + 60 + rnd(w, 40000));
	if (shape->chaos_ms && rnd(w, 20) == 0) {
		m->state = M_HELD;
		m->due += rnd(w, 8 * HOUR);
		m->open_ms += m->due - utc(w);
	}
	m->next = d->first;
	if (d->first != NOBODY)
		w->mail[d->first].before = i;
	d->first = i;
	save(w, i);
	announce(w, i);
}

static void finish_if_done(struct world *w, unsigned i)
{
	struct mail *m = &w->mail[i];

	for (unsigned k = 0; k < m->n; k++)
		if (m->r[k].state != R_GONE)
			return;
	m->state = M_DONE;
	m->claim = 0;
	w->done++;
	if (m->before != NOBODY)
		w->mail[m->before].next = m->next;
	else
		w->domains[m->domain].first = m->next;
	if (m->next != NOBODY)
		w->mail[m->next].before = m->before;
}

static void set_due(struct world *w, unsigned i, uint64_t due)
{
	w->mail[i].due = due;
	w->mail[i].open_ms = due > utc(w) ? w->now + (due - utc(w)) : w->now;
}

/* --- claims --- */

/* Good mail is not kept waiting by what others do. */
static void check_late(struct world *w, const struct mail *m)
{
	const struct domain *d = &w->domains[m->domain];
	uint64_t since = m->open_ms;
	uint64_t quiet = w->disturbed_at ? w->disturbed_at + QUIET_MS : 0;

	if ((d->nature != GOOD && d->nature != GREY) || w->is_unusable ||
	    w->has_fewer_lines ||
	    (w->shape->lone_every && !is_lone(w, (unsigned)(m - w->mail))))
		return;
	if (since < quiet)
		since = quiet;
	if (w->now > since && w->now - since > w->longest_late)
		w->longest_late = w->now - since;
	if (w->now < since + w->shape->late_ms)
		return;
	print_error("at %.3f h mail %u to %u waits since %.3f h, disturbed at "
		    "%.3f h by %u, %zu in memory\n",
	    hours(w->now), (unsigned)(m - w->mail), m->domain,
	    hours(m->open_ms), hours(w->disturbed_at), w->disturbed_by,
	    schedule_in_memory(w->s));
	say_inside(w);
	fail();
}

static bool is_claimable(struct world *w, const struct mail *m, uint8_t what)
{
	uint64_t slack = m->state == M_HELD ? 0 : CLAIM_SLACK_MS;

	if (m->claim || m->state == M_DONE)
		return false;
	if (what == CLAIM_REPORT)
		return has_report(m);
	if (npending(m) == 0 || m->state == M_SUSPENDED)
		return false;
	if (m->due > utc(w) + slack) {
		w->early++;
		return false;
	}
	return true;
}

/* What a report would be about: two bits for each recipient of the message. */
static uint64_t message_reports(const struct world *w, unsigned mail)
{
	unsigned first = mail - number_of(w, mail);
	uint64_t refs = 0;

	for (unsigned i = 0; i < w->shape->per_message; i++)
		for (unsigned k = 0; k < RCPTS_MAX; k++)
			refs |= (uint64_t)w->mail[first + i].r[k].report
				<< 4 * (i * RCPTS_MAX + k);
	return refs;
}

static void keeper_claim(struct world *w, const struct event *e)
{
	struct mail *m = &w->mail[e->mail];
	bool may = is_claimable(w, m, e->claim_for);
	struct event *answer = to_runner(w, may ? R_JOB : R_NO_JOB);

	answer->mail = e->mail;
	answer->claim_for = e->claim_for;
	answer->line = e->line;
	answer->b = e->b;
	if (!may)
		return;
	if (e->claim_for == CLAIM_DELIVER)
		check_late(w, m);
	else
		answer->a = message_reports(w, e->mail);
	m->claim = (uint8_t)(e->claim_for + 1);
	save(w, e->mail);
}

/* --- outcomes --- */

static void recipient_final(struct rcpt *r, uint8_t report, bool has_failed)
{
	r->is_failed = has_failed;
	r->report = report;
	r->state = report == REPORT_NONE ? R_GONE : R_KEPT;
}

static void recipient_tried(
    struct world *w, struct rcpt *r, uint8_t result, uint8_t report)
{
	assert_int_equal(r->state, R_PENDING);
	switch (result) {
	case RCPT_DELIVERED:
		recipient_final(r, REPORT_NONE, false);
		break;
	case RCPT_FAILED:
		w->failed++;
		recipient_final(r, report, true);
		break;
	default:
		if (result == RCPT_UNCERTAIN) {
			w->uncertain++;
			r->uncertain++;
		}
		if (report)
			r->report = report;
	}
}

static void keeper_outcome(struct world *w, const struct event *e)
{
	struct mail *m = &w->mail[e->mail];
	bool is_uncertain = false;

	assert_int_equal(m->claim, CLAIM_DELIVER + 1);
	for (unsigned k = 0; k < m->n; k++) {
		if (e->result[k] == UINT8_MAX)
			continue;
		is_uncertain |= e->result[k] == RCPT_UNCERTAIN;
		recipient_tried(w, &m->r[k], e->result[k], e->report[k]);
	}
	m->claim = 0;
	m->attempts += e->counts;
	m->deaths += e->died;
	m->is_uncertain = is_uncertain;
	m->cause = e->cause;
	m->state = M_QUEUED;
	set_due(w, e->mail, e->a);
	m->report_at = has_report(m) ? utc(w) : NEVER;
	if (e->died && m->deaths >= DEATHS_MAX)
		m->state = M_SUSPENDED;
	finish_if_done(w, e->mail);
	save(w, e->mail);
	to_runner(w, R_RECORDED)->mail = e->mail;
}

static void tell(struct world *w, struct mail *m, struct rcpt *r, uint8_t kind)
{
	if (kind == REPORT_NONE || r->report != kind)
		return;
	r->report = REPORT_NONE;
	assert_true(m->sender != 0 && !r->wants_no_report);
	if (kind == REPORT_DELAYED) {
		r->told_delayed++;
		m->is_warned = true;
		/* has it come due meanwhile, it is read with all the rest */
		if (m->open_ms < w->now + SWEEP_MS)
			m->open_ms = w->now + SWEEP_MS;
		return;
	}
	assert_int_equal(kind, REPORT_FAILED);
	assert_true(r->is_failed);
	r->told_failed++;
	r->state = R_GONE;
}

static void keeper_report(struct world *w, const struct event *e)
{
	unsigned first = e->mail - number_of(w, e->mail);

	if (w->shape->chaos_ms && rnd(w, 50) == 0) { /* no space just now */
		to_runner(w, R_REFUSED)->mail = e->mail;
		return;
	}
	w->reports++;
	for (unsigned i = 0; i < w->shape->per_message; i++) {
		struct mail *m = &w->mail[first + i];
		bool was_done = m->state == M_DONE;

		for (unsigned k = 0; k < m->n; k++)
			tell(w, m, &m->r[k],
			    e->a >> 4 * (i * RCPTS_MAX + k) & 15);
		if (m->claim == CLAIM_REPORT + 1)
			m->claim = 0;
		if (!has_report(m))
			m->report_at = NEVER;
		if (!was_done && m->state != M_NEW) {
			finish_if_done(w, first + i);
			save(w, first + i);
		}
	}
	to_runner(w, R_ACCEPTED)->mail = e->mail;
}

/* The mail of a domain that waits because it could not be reached is due. */
static void keeper_wake(struct world *w, const struct event *e)
{
	unsigned i = e->mail ? e->mail : w->domains[e->a].first, n = 0;
	struct event *more;

	if (i != NOBODY && w->mail[i].state == M_DONE)
		return; /* the rest comes at its own time */
	for (; i != NOBODY && n < WAKE_PAGE; i = w->mail[i].next, n++) {
		struct mail *m = &w->mail[i];

		if (m->state != M_QUEUED || m->claim || npending(m) == 0 ||
		    m->due <= utc(w) || m->is_uncertain ||
		    (m->cause != CAUSE_CONNECT && m->cause != CAUSE_SUSPENDED &&
			m->cause != CAUSE_DNS))
			continue;
		set_due(w, i, utc(w));
		m->deaths = 0;
		save(w, i);
		to_runner(w, R_CHANGED)->mail = i;
	}
	if (i == NOBODY)
		return;
	more = to_keeper(w, K_WAKE);
	more->a = e->a;
	more->mail = i;
}

static void keeper_event(struct world *w, const struct event *e)
{
	struct mail *m = &w->mail[e->mail];

	switch (e->kind) {
	case K_DUE:
		keeper_due(w, e);
		break;
	case K_WINDOW:
		w->window += e->a;
		w->is_more_told = false;
		break;
	case K_CLAIM:
		keeper_claim(w, e);
		break;
	case K_UNCLAIM:
		assert_int_not_equal(m->claim, 0);
		m->claim = 0;
		save(w, e->mail);
		break;
	case K_OUTCOME:
		keeper_outcome(w, e);
		break;
	case K_REPORT:
		keeper_report(w, e);
		break;
	case K_WAKE:
		keeper_wake(w, e);
		break;
	default:
		fail();
	}
}
