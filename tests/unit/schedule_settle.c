/* The simulated runner: from results to records, as runner_attempt.c does, and
 * what may not come of an attempt. */
#include "tests/unit/schedule_world.h"

static const char *group_name(size_t group)
{
	return group ? "second" : "first";
}

static struct delivery *known(struct world *w, unsigned i)
{
	struct delivery *d =
	    schedule_find(w->s, message_of(w, i), number_of(w, i));

	assert_non_null(d);
	return d;
}

/* Suspension as seen from outside: how long it has to leave the host alone. */
static void watch_health(struct world *w, struct destination *x)
{
	struct domain *d = &w->domains[atoi(x->name + 1)];
	uint64_t wait = x->probe_at - w->now;

	if (x->health != HEALTH_DOWN) {
		d->not_before = 0;
		return;
	}
	if (d->not_before == x->probe_at)
		return;
	d->not_before = x->probe_at;
	assert_true(wait >= retry_probe_first_ms(&w->shape->retry));
	assert_true(wait <= retry_probe_max_ms(&w->shape->retry) * 11 / 10);
}

/* --- outcomes --- */

static struct settle_case settle_case(
    struct world *w, const struct mail *m, const struct delivery *d)
{
	return (struct settle_case){ .retry = &w->shape->retry,
		.postmaster = "",
		.sender = m->sender ? SPAN_LITERAL("a@b.c")
				    : (struct span){ NULL, 0 },
		.flags = d->flags,
		.now_ms = utc(w),
		.accepted_at = d->accepted_at,
		.expires_at = d->expires_at,
		.attempts = d->attempts,
		.random = rnd(w, UINT32_MAX) };
}

static size_t asked_for(
    const struct mail *m, struct settle_recipient asked[RCPTS_MAX])
{
	size_t n = 0;

	for (uint16_t k = 0; k < m->n; k++)
		if (m->r[k].state == R_PENDING)
			asked[n++] = (struct settle_recipient){ .index = k,
				.notify =
				    m->r[k].wants_no_report ? NOTIFY_NEVER : 0,
				.address = SPAN_LITERAL("x@y.z") };
	return n;
}

static uint8_t cause_of_name(struct span name)
{
	for (unsigned c = 0; c < CAUSE_COUNT; c++)
		if (span_is_equal(name, span_of(cause_name((enum cause)c))))
			return (uint8_t)c;
	fail();
	return 0;
}

/* Nothing that is temporary fails before its time; no notice before its. */
static void check_attempt(struct world *w, const struct mail *m,
    const struct attempt *a, const struct rcpt_outcome *said)
{
	const struct conf_retry *retry = &w->shape->retry;
	uint64_t ends = m->expires_s
			    ? m->expires_s
			    : m->accepted_ms / 1000 + retry->lifetime_s;
	bool is_over = utc(w) / 1000 >= ends;
	bool is_open = false;

	for (size_t n = 0; n < a->result.nrecipients; n++) {
		const struct rcpt_outcome *o = &a->result.recipients[n];

		if (o->result == RCPT_FAILED && said[n].result != RCPT_FAILED)
			assert_true(is_over);
		if (a->reports[n] == REPORT_DELAYED)
			assert_true(utc(w) / 1000 >= m->accepted_ms / 1000 +
							 retry->warn_after_s);
		is_open |=
		    o->result != RCPT_FAILED && o->result != RCPT_DELIVERED;
	}
	if (is_open) {
		assert_true(a->next_try_ms > utc(w));
		assert_true(a->next_try_ms <= ends * 1000);
	}
}

static void record(
    struct world *w, unsigned i, const struct attempt *a, bool has_died)
{
	struct event *e = to_keeper(w, K_OUTCOME);

	memset(e->result, UINT8_MAX, sizeof(e->result));
	for (size_t n = 0; n < a->result.nrecipients; n++) {
		const struct rcpt_outcome *o = &a->result.recipients[n];

		e->result[o->index] = o->result;
		e->report[o->index] = a->reports[n];
	}
	e->mail = i;
	e->a = a->next_try_ms;
	e->cause = cause_of_name(a->cause);
	e->counts = a->counts;
	e->died = has_died;
	if (a->next_try_ms > utc(w))
		intake_due_at(&w->in, a->next_try_ms);
}

static enum result_kind kind_of(const struct result *result)
{
	for (size_t n = 0; n < result->nrecipients; n++)
		if (result->recipients[n].result == RCPT_DELIVERED)
			return RESULT_DELIVERED;
	return settle_is_reached(result) ? RESULT_ANSWERED : RESULT_UNREACHED;
}

static void settle_like(struct world *w, unsigned i, struct settle_case *c,
    const struct rcpt_outcome *like)
{
	struct settle_recipient asked[RCPTS_MAX];
	struct rcpt_outcome outcomes[RCPTS_MAX], said[RCPTS_MAX];
	uint8_t reports[RCPTS_MAX];
	struct attempt attempt = { 0 };
	size_t n = asked_for(&w->mail[i], asked);

	for (size_t k = 0; k < n; k++)
		said[k] = *like;
	settle_all(c, asked, n, like, outcomes, reports, &attempt);
	check_attempt(w, &w->mail[i], &attempt, said);
	record(w, i, &attempt, c->line_died);
}

static void line_died_with(struct world *w, unsigned i, struct delivery *d)
{
	struct settle_case c = settle_case(w, &w->mail[i], d);
	const struct rcpt_outcome like = { .result = RCPT_UNCERTAIN,
		.status = "4.3.0" };

	c.line_died = true;
	schedule_result(w->s, w->now, d, RESULT_UNREACHED);
	settle_like(w, i, &c, &like);
}

static void give_back(struct world *w, unsigned i, bool ends_session)
{
	to_keeper(w, K_UNCLAIM)->mail = i;
	if (!schedule_put_back(w->s, w->now, known(w, i), ends_session))
		intake_sweep_soon(&w->in, utc(w));
}

/* A suspended host has answered: all that waits for it may go. */
static void owe_wake(
    struct world *w, const struct delivery *d, enum result_kind kind)
{
	const struct destination *to = schedule_delivery_destination(d);
	struct domain *domain = &w->domains[atoi(to->name + 1)];

	if (to->health != HEALTH_PROBE || kind == RESULT_UNREACHED ||
	    domain->is_owed_wake)
		return;
	domain->is_owed_wake = true;
	w->owed_wakes++;
}

static void wake(struct world *w, unsigned number)
{
	struct domain *domain = &w->domains[number];

	w->owed_wakes -= domain->is_owed_wake;
	domain->is_owed_wake = false;
	to_keeper(w, K_WAKE)->a = number;
}

static void on_result(struct world *w, unsigned i, unsigned line,
    const struct result *result, bool has_died)
{
	struct delivery *d = known(w, i);
	struct settle_case c = settle_case(w, &w->mail[i], d);
	struct settle_recipient asked[RCPTS_MAX];
	struct rcpt_outcome outcomes[RCPTS_MAX];
	uint8_t reports[RCPTS_MAX];
	struct attempt attempt = { 0 };

	(void)line;
	w->attempts++;
	assert_int_equal(d->phase, PHASE_GIVEN);
	if (has_died) {
		line_died_with(w, i, d);
		return;
	}
	if (settle_is_untouched(result) && d->put_backs < PUT_BACKS_MAX) {
		give_back(w, i, true);
		return;
	}
	assert_int_equal(settle(&c, asked, asked_for(&w->mail[i], asked),
			     result, outcomes, reports, &attempt),
	    0);
	check_attempt(w, &w->mail[i], &attempt, result->recipients);
	owe_wake(w, d, kind_of(result));
	schedule_result(w->s, w->now, d, kind_of(result));
	record(w, i, &attempt, false);
}

static void refused(struct world *w, unsigned i, struct delivery *d)
{
	const struct destination *to = schedule_delivery_destination(d);
	struct settle_case c = settle_case(w, &w->mail[i], d);
	struct rcpt_outcome like = { .result = RCPT_DEFERRED };

	w->refusals++;
	memcpy(like.status, to->why.status, sizeof(like.status));
	if (to->health == HEALTH_DEAD) {
		assert_int_equal(w->domains[w->mail[i].domain].nature, DEAD);
		like.result = RCPT_FAILED;
	} else {
		c.cause =
		    to->hosts == HOSTS_KNOWN ? CAUSE_SUSPENDED : CAUSE_DNS;
	}
	schedule_refused(w->s, d);
	settle_like(w, i, &c, &like);
}
