/* The schedule under the operator's hand: outbound on and off, stop, counts. */
#include "runner/schedule_parts.h"

#include <stdlib.h>

enum { OFF_NAMES_MAX = 1000 };

static void update_destination(struct table_link *link, void *arg)
{
	destination_update(arg, TABLE_OF(link, struct destination, link));
}

static bool is_in_scope(const struct schedule *s, const struct line *line)
{
	return s->is_off || s->is_stopping || line->group->is_off ||
	       line->group->is_closed || line->flow->destination->is_off;
}

/* After a change of what may be sent. */
static void apply(struct schedule *s)
{
	for (size_t i = 0; i < s->ngroups; i++) {
		struct line *line;

		TAILQ_FOREACH(line, &s->groups[i]->sessions, entry)
		if (is_in_scope(s, line))
			line_end(s, line);
	}
	table_each(&s->destinations, update_destination, s);
}

static bool set_group_off(struct schedule *s, struct span name, bool off)
{
	for (size_t i = 0; i < s->ngroups; i++) {
		if (!span_is_equal(span_of(s->groups[i]->name), name))
			continue;
		s->groups[i]->is_off = off;
		return true;
	}
	return false;
}

static bool set_destination_off(struct schedule *s, struct span name, bool off)
{
	struct destination *d;
	bool is_new;
	char *text;

	if (name.n == 0 || span_has_line_breaks(name) ||
	    (off && s->noff >= OFF_NAMES_MAX))
		return false;
	text = span_dup(name);
	if (!text)
		return false;
	d = schedule_destination(s, text, LIMIT_START, &is_new);
	free(text);
	if (!d)
		return false;
	if (d->is_off != off)
		s->noff += off ? 1 : (size_t)-1;
	d->is_off = off;
	destination_check_idle(s, d);
	return true;
}

bool schedule_outbound(struct schedule *s, struct span scope, bool on)
{
	struct span name = scope;
	struct span kind = span_cut(&name, ':');

	if (scope.n == 0)
		s->is_off = !on;
	else if (span_is_equal(kind, SPAN_LITERAL("line"))) {
		if (!set_group_off(s, name, !on))
			return false;
	} else if (!span_is_equal(kind, SPAN_LITERAL("destination")) ||
		   !set_destination_off(s, name, !on)) {
		return false;
	}
	if (scope.n > 0 && !on)
		deliveries_leave_stopped(s);
	s->wants_reread |= scope.n > 0 && on && s->has_left;
	apply(s);
	return true;
}

void schedule_group_closed(
    struct schedule *s, int at, bool is_closed, uint64_t until)
{
	struct group *group = s->groups[at];

	group->closed_until = until;
	if (group->is_closed == is_closed)
		return;
	group->is_closed = is_closed;
	if (is_closed)
		deliveries_leave_stopped(s);
	s->wants_reread |= !is_closed && s->has_left;
	apply(s);
}

bool schedule_reread(struct schedule *s)
{
	bool wants = s->wants_reread;

	s->wants_reread = false;
	return wants;
}

void schedule_renew(struct schedule *s)
{
	s->epoch++;
	for (size_t i = 0; i < s->ngroups; i++) {
		group_set_count(s, s->groups[i], 0);
		s->groups[i]->is_auto = false;
	}
	schedule_forget_waiting(s);
}

void schedule_set_probe(struct schedule *s, uint32_t first_ms, uint32_t max_ms)
{
	s->options.probe_first_ms = first_ms;
	s->options.probe_max_ms = max_ms;
}

void schedule_stop(struct schedule *s)
{
	s->is_stopping = true;
	apply(s);
}

bool schedule_has_session(const struct schedule *s)
{
	for (size_t i = 0; i < s->ngroups; i++)
		if (!TAILQ_EMPTY(&s->groups[i]->sessions))
			return true;
	return false;
}

bool schedule_is_on(const struct schedule *s)
{
	return !s->is_off;
}

size_t schedule_in_memory(const struct schedule *s)
{
	return s->deliveries.count;
}

static void count_down(struct table_link *link, void *arg)
{
	const struct destination *d = TABLE_OF(link, struct destination, link);
	struct schedule_counts *counts = arg;

	if (d->health == HEALTH_DOWN ||
	    (d->health == HEALTH_PROBE && d->probe_wait_ms > 0))
		counts->down++;
}

void schedule_count(struct schedule *s, struct schedule_counts *counts)
{
	*counts = (struct schedule_counts){
		.in_memory = s->deliveries.count,
		.waiting = s->nwaiting,
		.given = s->ngiven + s->nrefusing,
		.recording = s->nrecording,
		.awaiting = s->nawaiting + s->nreporting,
		.destinations = s->destinations.count,
		.sites = s->sites.count,
		.parked = s->nparked,
	};
	memcpy(counts->limited, s->limited, sizeof(s->limited));
	table_each(&s->destinations, count_down, counts);
	for (size_t i = 0; i < s->ngroups; i++) {
		const struct line *line;

		counts->lines += s->groups[i]->nwanted;
		TAILQ_FOREACH(line, &s->groups[i]->sessions, entry)
		counts->lines_busy++;
	}
}
