/* What disturbs the simulated world: the operator, the clock, programs that
 * die. */
#include "tests/unit/schedule_world.h"

static void outbound(struct world *w, const char *scope, bool on)
{
	struct span text = span_of(scope);

	if (span_has_prefix_nocase(text, "destination:")) {
		schedule_forget_waiting(w->s);
		intake_sweep_now(&w->in);
	}
	assert_true(schedule_outbound(w->s, text, on));
}

static void set_domain_off(struct world *w, unsigned domain, bool off)
{
	char scope[40];

	snprintf(scope, sizeof(scope), "destination:d%u", domain);
	w->domains[domain].is_off = off;
	outbound(w, scope, !off);
}

static void set_group_off(struct world *w, unsigned group, bool off)
{
	char scope[40];

	snprintf(scope, sizeof(scope), "line:%s", group_name(group));
	w->is_group_off[group] = off;
	outbound(w, scope, !off);
}

static void set_off(struct world *w, bool off)
{
	w->is_off = off;
	outbound(w, "", !off);
}

static void set_unusable(struct world *w, bool is_unusable)
{
	w->is_unusable = is_unusable;
	for (unsigned i = 0; i < GROUPS_MAX * LINES_MAX; i++)
		if (w->lines[i].line &&
		    w->lines[i].line->phase == LINE_STARTING)
			schedule_line_lost(w->s, w->now, w->lines[i].line);
	schedule_set_usable(w->s, !is_unusable);
}

/* Another configuration: other counts of lines, some destinations elsewhere.*/
static void reload(struct world *w, bool with_fewer_lines)
{
	unsigned lines = w->shape->lines, count;

	w->has_fewer_lines = with_fewer_lines;
	schedule_renew(w->s);
	for (unsigned g = 0; g < w->shape->groups; g++) {
		count = with_fewer_lines ? 1 + (unsigned)rnd(w, lines) : lines;
		assert_int_equal(schedule_add_group(w->s, group_name(g), count,
				     w->shape->per_connection),
		    g);
	}
	intake_sweep_now(&w->in);
	for (unsigned n = 0; n < 4; n++) {
		unsigned number = (unsigned)rnd(w, w->shape->domains);
		struct destination *d;
		char name[24];
		bool is_new;

		snprintf(name, sizeof(name), "d%u", number);
		d = schedule_destination(w->s, name, w->shape->limit, &is_new);
		d->owned = w;
		w->domains[number].not_before = 0;
		schedule_destination_moved(w->s, d);
	}
}

static void all_on(struct world *w)
{
	if (w->has_fewer_lines)
		reload(w, false);

	if (w->is_off)
		set_off(w, false);
	for (unsigned g = 0; g < w->shape->groups; g++)
		if (w->is_group_off[g])
			set_group_off(w, g, false);
	for (unsigned i = 0; i < w->shape->domains; i++)
		if (w->domains[i].is_off)
			set_domain_off(w, i, false);
	if (w->is_unusable)
		set_unusable(w, false);
}

/* All lines and the runner's memory go; what was claimed is uncertain. */
static void keeper_dies(struct world *w)
{
	for (unsigned i = 0; i < GROUPS_MAX * LINES_MAX; i++) {
		struct model_line *l = &w->lines[i];

		for (unsigned n = 0; n < l->njobs; n++) {
			struct mail *m = &w->mail[l->jobs[n]];

			m->is_at_line = false;
			for (unsigned k = 0; k < m->n; k++)
				if (m->r[k].state == R_PENDING && rnd(w, 2))
					accept(&m->r[k]);
		}
		l->njobs = l->nclaims = 0;
		l->incarnation++;
		leave(w, l);
	}
	schedule_drop_all(w->s, w->now);
	for (unsigned i = 0; i < GROUPS_MAX * LINES_MAX; i++)
		if (w->lines[i].line && w->lines[i].line->phase > LINE_STARTING)
			schedule_line_lost(w->s, w->now, w->lines[i].line);
	w->to_keeper.count = w->to_runner.count = 0;
	for (unsigned i = 1; i < w->next_mail; i++) {
		struct mail *m = &w->mail[i];

		if (m->claim == CLAIM_DELIVER + 1) {
			for (unsigned k = 0; k < m->n; k++)
				m->r[k].uncertain += m->r[k].state == R_PENDING;
			m->is_uncertain = true;
			set_due(w, i, utc(w));
		}
		m->claim = 0;
		save(w, i);
	}
	w->window = 0;
	w->is_more_told = false;
	intake_start(&w->in, utc(w));
}

/* As the queue command does, for mail that nobody has claimed. */
static void change(struct world *w, unsigned i, uint8_t state, uint64_t due)
{
	struct mail *m = &w->mail[i];

	if (m->state == M_NEW || m->state == M_DONE || m->claim)
		return;
	m->state = state;
	m->deaths = 0;
	set_due(w, i, due);
	save(w, i);
	to_runner(w, R_CHANGED)->mail = i;
}

static void change_some(struct world *w)
{
	for (unsigned n = 0; n < 40 && w->next_mail > 1; n++) {
		unsigned i = 1 + (unsigned)rnd(w, w->next_mail - 1);

		if (rnd(w, 2))
			change(w, i, M_HELD, utc(w) + rnd(w, 6 * HOUR));
		else
			change(w, i, M_QUEUED, utc(w));
	}
}

static void release_suspended(struct world *w)
{
	for (unsigned i = 1; i < w->next_mail; i++)
		if (w->mail[i].state == M_SUSPENDED)
			change(w, i, M_QUEUED, utc(w));
}

static void nudge(struct world *w)
{
	unsigned number = (unsigned)rnd(w, w->shape->domains);
	struct destination *d;
	char name[24];
	bool is_new;

	snprintf(name, sizeof(name), "d%u", number);
	d = schedule_destination(w->s, name, w->shape->limit, &is_new);
	d->owned = w;
	w->domains[number].not_before = 0;
	schedule_nudge(w->s, w->now, d);
}

/* UTC jumps; the monotonic clock does not. */
static void set_clock(struct world *w, int64_t by)
{
	w->utc_offset += (uint64_t)by;
	for (unsigned i = 1; i < w->next_mail; i++)
		set_due(w, i, w->mail[i].due);
}

static void chaos(struct world *w)
{
	w->chaos++;
	w->disturbed_at = w->now;
	w->chaos_at = w->now + rnd(w, 2 * w->shape->chaos_ms);
	if (rnd(w, 2))
		all_on(w);
	release_suspended(w);
	if (w->now > w->shape->calm_at) {
		all_on(w);
		return;
	}
	w->disturbed_by = (unsigned)rnd(w, 11);
	switch (w->disturbed_by) {
	case 0:
		set_off(w, true);
		break;
	case 1:
		set_group_off(w, (unsigned)rnd(w, w->shape->groups), true);
		break;
	case 2:
		for (unsigned n = 0; n < 4; n++)
			set_domain_off(
			    w, (unsigned)rnd(w, w->shape->domains), true);
		break;
	case 3:
		set_clock(w, (int64_t)rnd(w, 2 * HOUR));
		break;
	case 4:
		set_clock(w, -(int64_t)rnd(w, 2 * HOUR));
		break;
	case 5:
		keeper_dies(w);
		break;
	case 6:
		set_unusable(w, true);
		break;
	case 7:
		nudge(w);
		break;
	case 8:
	case 9:
		reload(w, w->disturbed_by == 8);
		break;
	default:
		change_some(w);
	}
}
