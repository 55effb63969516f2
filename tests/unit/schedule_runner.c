/* The simulated runner: the schedule's decisions carried out, as runner.c,
 * runner_keeper.c and lines.c do, and what it may not decide. */
#include "tests/unit/schedule_world.h"

/* --- from the keeper --- */

static void on_waiting(struct world *w, const struct event *e)
{
	const struct mail *m = &w->mail[e->mail];
	char sender[16], name[24];
	struct destination *d = NULL;
	struct waiting x = {
		.message = message_of(w, e->mail),
		.delivery = number_of(w, e->mail),
		.due_ms = m->key,
		.accepted_at = m->accepted_ms / 1000,
		.expires_at = m->expires_s,
		.size_bytes = 4000 + (e->mail % 50 == 0 ? 2000000 : 0),
		.nrecipients = (uint16_t)npending(m),
		.attempts = m->attempts,
		.line_deaths = m->deaths,
		.flags = (uint8_t)((has_report(m) ? WAITING_REPORT : 0) |
				   (m->is_warned ? WAITING_WARNED : 0)),
		.priority = (int8_t)(e->mail % 97 == 0 ? 3 : 0),
	};
	bool is_new;

	snprintf(sender, sizeof(sender), "%c%u",
	    is_lone(w, e->mail) ? 'l' : 's',
	    is_lone(w, e->mail) ? e->mail : m->sender);
	x.sender = span_of(sender);
	intake_waiting(&w->in, &x, !e->flag);
	if (m->key == NEVER)
		return; /* the real one is sent before that changes */
	if (x.due_ms > utc(w)) {
		intake_due_at(&w->in, x.due_ms);
		return;
	}
	if (!(x.flags & WAITING_REPORT)) {
		snprintf(name, sizeof(name), "d%u", m->domain);
		d = schedule_destination(w->s, name, w->shape->limit, &is_new);
		assert_non_null(d);
		d->owned = w;
	}
	switch (schedule_add(w->s, w->now, &x, d, m->group)) {
	case ADDED_SHED:
		w->sheds++;
		break;
	case ADDED_FAILED:
		fail();
		break;
	default:
		break;
	}
}

static void claim_came(struct world *w, const struct event *e)
{
	struct model_line *l = &w->lines[e->line];

	if (l->line && l->incarnation == e->b && e->b) {
		l->nclaims--;
		line_work(w, l);
	}
}

static void on_job(struct world *w, const struct event *e)
{
	struct delivery *d = known(w, e->mail);
	struct model_line *l = d->line ? d->line->peer : NULL;
	struct event *report;

	if (e->claim_for == CLAIM_REPORT) {
		assert_int_equal(d->phase, PHASE_REPORTING);
		report = to_keeper(w, K_REPORT);
		report->mail = e->mail;
		report->a = e->a;
	} else if (d->phase == PHASE_REFUSED) {
		refused(w, e->mail, d);
	} else if (!l || l->incarnation != e->b) {
		give_back(w, e->mail, false);
	} else {
		assert_int_equal(l->domain, (int)w->mail[e->mail].domain);
		assert_false(w->mail[e->mail].is_at_line);
		w->mail[e->mail].is_at_line = true;
		l->jobs[l->njobs++] = e->mail;
		assert_true(l->njobs <= WINDOW_MAX);
	}
	claim_came(w, e);
}

static void on_no_job(struct world *w, const struct event *e)
{
	if (e->claim_for == CLAIM_REPORT)
		intake_want(&w->in);
	else
		intake_sweep_soon(&w->in, utc(w));
	schedule_forget(w->s, w->now, known(w, e->mail));
	claim_came(w, e);
}

static void on_recorded(struct world *w, const struct event *e)
{
	struct delivery *d = known(w, e->mail);

	if (has_report(&w->mail[e->mail]))
		schedule_await_report(w->s, w->now, d);
	else
		schedule_forget(w->s, w->now, d);
}

static void on_hosts(struct world *w, const struct event *e)
{
	uint8_t nature = w->domains[e->a].nature;
	struct destination *d;
	struct outcome o;
	char name[24];
	bool is_new;

	snprintf(name, sizeof(name), "d%u", (unsigned)e->a);
	d = schedule_destination(w->s, name, w->shape->limit, &is_new);
	assert_false(is_new);
	if (nature == DEAD)
		outcome_perm(&o, "5.1.2", "no such domain");
	else if ((nature == MUTE && rnd(w, 3) > 0) ||
		 (nature == FLAKY && rnd(w, 20) == 0))
		outcome_temp(&o, "4.4.3", "DNS does not answer");
	else
		outcome_ok(&o);
	schedule_hosts(w->s, w->now, d, &o, MINUTE + rnd(w, 10 * MINUTE));
	watch_health(w, d);
}

static void runner_event(struct world *w, const struct event *e)
{
	switch (e->kind) {
	case R_WAITING:
		on_waiting(w, e);
		break;
	case R_DUE_END:
		intake_end(&w->in, e->a, e->flag);
		break;
	case R_MORE:
		w->in.credit = 0;
		intake_want(&w->in);
		break;
	case R_CHANGED:
		schedule_remove(
		    w->s, message_of(w, e->mail), number_of(w, e->mail));
		intake_want(&w->in);
		break;
	case R_JOB:
		on_job(w, e);
		break;
	case R_NO_JOB:
		on_no_job(w, e);
		break;
	case R_RECORDED:
		on_recorded(w, e);
		break;
	case R_ACCEPTED:
		intake_want(&w->in);
		schedule_forget(w->s, w->now, known(w, e->mail));
		break;
	case R_REFUSED:
		to_keeper(w, K_UNCLAIM)->mail = e->mail;
		schedule_report_later(w->s, w->now + MINUTE, known(w, e->mail));
		break;
	case T_STARTED:
		if (w->lines[e->line].line->phase != LINE_STARTING)
			break;
		if (e->flag)
			schedule_line_started(
			    w->s, w->now, w->lines[e->line].line);
		else
			schedule_line_lost(
			    w->s, w->now, w->lines[e->line].line);
		break;
	case T_HOSTS:
		on_hosts(w, e);
		break;
	case T_WORK:
		on_work(w, e);
		break;
	default:
		fail();
	}
}

/* --- decisions --- */

static void claim(struct world *w, const struct decision *x, uint8_t claim_for)
{
	struct event *e = to_keeper(w, K_CLAIM);
	struct model_line *l;

	e->mail = mail_of(w, x->delivery->message, x->delivery->number);
	e->claim_for = claim_for;
	if (!x->line)
		return;
	l = x->line->peer;
	e->line = (unsigned)(l - w->lines);
	e->b = l->incarnation;
	l->nclaims++;
}

static void check_open(const struct world *w, unsigned domain, unsigned group)
{
	assert_false(w->is_off);
	assert_false(w->domains[domain].is_off);
	assert_false(w->is_group_off[group]);
}

static void give(struct world *w, const struct decision *x)
{
	const struct line *line = x->line;
	struct model_line *l = line->peer;
	unsigned i = mail_of(w, x->delivery->message, x->delivery->number);
	const struct mail *m = &w->mail[i];

	assert_int_equal(x->delivery->phase, PHASE_GIVEN);
	assert_int_equal(l->domain, (int)m->domain);
	assert_int_equal((l - w->lines) / LINES_MAX, m->group);
	check_open(w, m->domain, m->group);
	assert_false(m->is_at_line);
	assert_false(l->is_ending);
	assert_true(line->in_flight <= WINDOW_MAX);
	assert_true(line->given <= w->shape->per_connection);
	assert_true(line->bytes_in_flight <
		    BYTES_IN_FLIGHT_MAX + x->delivery->size_bytes);
	/* what a line died of goes alone */
	assert_true(line->in_flight == 1 ||
		    (!l->has_suspect && x->delivery->line_deaths == 0));
	l->has_suspect = x->delivery->line_deaths > 0;
	claim(w, x, CLAIM_DELIVER);
}

static void end_session(struct world *w, struct line *line)
{
	struct model_line *l = line->peer;

	assert_false(l->is_ending);
	l->is_ending = true;
	line_work(w, l);
}

/* After a reload, or its group has fewer lines now. */
static void close_line(struct world *w, struct line *line)
{
	struct model_line *l = line->peer;

	assert_int_equal(line->phase, LINE_LEAVING);
	assert_int_equal(l->njobs, 0);
	assert_int_equal(l->domain, -1);
	l->incarnation++;
	l->nclaims = 0;
	schedule_line_closed(w->s, line);
}

static void decide(struct world *w, const struct decision *x)
{
	struct event *e;

	switch (x->kind) {
	case DECIDE_START_LINE:
		assert_false(w->is_unusable);
		e = post(w, T_STARTED, 1 + rnd(w, 5));
		e->line =
		    (unsigned)((struct model_line *)x->line->peer - w->lines);
		e->flag = w->shape->chaos_ms == 0 || rnd(w, 50) != 0;
		break;
	case DECIDE_RESOLVE:
		post(w, T_HOSTS, rnd(w, 300))->a =
		    (uint64_t)atoi(x->destination->name + 1);
		break;
	case DECIDE_SESSION:
		open_session(w, x);
		break;
	case DECIDE_GIVE:
		give(w, x);
		break;
	case DECIDE_REFUSE:
		assert_true(x->destination->health == HEALTH_DOWN ||
			    x->destination->health == HEALTH_DEAD);
		assert_false(w->is_off);
		assert_false(w->domains[atoi(x->destination->name + 1)].is_off);
		claim(w, x, CLAIM_DELIVER);
		break;
	case DECIDE_REPORT:
		claim(w, x, CLAIM_REPORT);
		break;
	case DECIDE_END:
		end_session(w, x->line);
		break;
	case DECIDE_CLOSE:
		close_line(w, x->line);
		break;
	case DECIDE_WAKE:
		wake(w, (unsigned)atoi(x->destination->name + 1));
		break;
	}
}

static unsigned place_of(const struct world *w, const struct due_query *q)
{
	uint16_t last = (uint16_t)(w->shape->per_message - 1);

	if (q->after_message == 0)
		return NOBODY;
	return mail_of(w, q->after_message,
	    q->after_delivery < last ? q->after_delivery : last);
}

/* After every round: what has come in is thought over once. Returns what was
 * done. */
static uint64_t think(struct world *w)
{
	size_t in_memory = schedule_in_memory(w->s);
	uint64_t done = w->decisions + w->queries;
	uint32_t more = intake_grant(&w->in, in_memory);
	struct due_query q;
	struct decision x;
	struct event *e;

	if (in_memory > w->most_in_memory)
		w->most_in_memory = in_memory;
	if (more > 0) {
		to_keeper(w, K_WINDOW)->a = more;
		w->queries++;
	}
	if (intake_read(&w->in, utc(w), in_memory, w->s, &q)) {
		e = to_keeper(w, K_DUE);
		e->a = q.after_due_ms;
		e->mail = place_of(w, &q);
		e->b = q.until_ms;
		w->queries++;
	}
	while (schedule_next(w->s, w->now, &x)) {
		w->decisions++;
		decide(w, &x);
	}
	assert_int_equal(w->owed_wakes, 0);
	return w->decisions + w->queries - done;
}
