/* The schedule's lines: starting them, their sessions, how much each is given
 * ahead. */
#include "runner/schedule_parts.h"

#include <stdlib.h>

/* --- groups --------------------------------------------------------------- */

static struct group *group_new(const char *name)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group || !(group->name = strdup(name))) {
		free(group);
		return NULL;
	}
	gate_init(&group->gate, SCOPE_LINE);
	TAILQ_INIT(&group->giving);
	TAILQ_INIT(&group->starved);
	TAILQ_INIT(&group->ready);
	TAILQ_INIT(&group->off);
	TAILQ_INIT(&group->free);
	TAILQ_INIT(&group->sessions);
	TAILQ_INIT(&group->idle);
	return group;
}

void group_free(struct schedule *s, struct group *group)
{
	if (!group)
		return;
	group_clear_gates(s, group);
	for (unsigned i = 0; i < group->nlines; i++)
		free(group->lines[i]);
	free(group->lines);
	free(group->name);
	free(group);
}

static int add_lines(struct group *group, unsigned count)
{
	struct line **grown;

	if (count <= group->nlines)
		return 0;
	grown = reallocarray(group->lines, count, sizeof(struct line *));
	if (!grown)
		return -1;
	group->lines = grown;
	while (group->nlines < count) {
		struct line *line = calloc(1, sizeof(*line));

		if (!line)
			return -1;
		line->group = group;
		line->phase = LINE_RETIRED;
		group->lines[group->nlines++] = line;
		line->number = group->nlines;
	}
	return 0;
}

static void leave(struct schedule *s, struct line *line)
{
	line->phase = LINE_LEAVING;
	line->is_old = false;
	line->is_to_close = true;
	TAILQ_INSERT_TAIL(&s->to_close, line, entry);
}

/* Nothing to do: for the next session, unless it is to be closed. */
static void be_free(struct schedule *s, struct line *line)
{
	line->phase = LINE_FREE;
	if (line->is_old)
		leave(s, line);
	else
		TAILQ_INSERT_HEAD(&line->group->free, line, entry);
}

/* Close it as soon as it has no session. */
static void renew(struct schedule *s, struct line *line)
{
	switch (line->phase) {
	case LINE_FREE:
		TAILQ_REMOVE(&line->group->free, line, entry);
		leave(s, line);
		break;
	case LINE_STARTING:
		line->is_old = true;
		break;
	case LINE_BUSY:
	case LINE_ENDING:
		if (line->is_old)
			break;
		/* it may take long: others make way as if it did not */
		line_end(s, line);
		line->group->nending--;
		line->is_old = true;
		break;
	default:
		break;
	}
}

/* It does not run: it may be started again, if its group still has it. */
static void rest(struct line *line)
{
	if (line->number > line->group->nwanted) {
		line->phase = LINE_RETIRED;
		return;
	}
	line->phase = LINE_OFF;
	TAILQ_INSERT_TAIL(&line->group->off, line, entry);
}

int group_set_count(struct schedule *s, struct group *group, unsigned count)
{
	if (add_lines(group, count) < 0)
		return -1;
	group->nwanted = count;
	for (unsigned i = 0; i < group->nlines; i++) {
		struct line *line = group->lines[i];

		if (line->phase == LINE_OFF)
			TAILQ_REMOVE(&group->off, line, entry);
		if (line->phase == LINE_OFF || line->phase == LINE_RETIRED)
			rest(line);
		else if (line->number > count)
			renew(s, line);
	}
	return 0;
}

/* All lines are busy, and there is mail for more. */
static bool is_short(const struct group *group)
{
	return group->nstarved + group->nready > 0 &&
	       TAILQ_EMPTY(&group->free) && TAILQ_EMPTY(&group->off);
}

static void follow_knee(struct schedule *s, uint64_t now, struct group *group)
{
	unsigned count;

	if (!group->is_auto)
		return;
	if (is_short(group))
		knee_short(&group->knee);
	count = knee_look(&group->knee, now);
	if (count != group->nwanted)
		group_set_count(s, group, count);
}

void schedule_group_auto(struct schedule *s, uint64_t now, int at, bool is_auto)
{
	struct group *group = s->groups[at];

	if (is_auto && group->knee.count == 0)
		knee_init(&group->knee, now);
	group->is_auto = is_auto;
	if (is_auto)
		group_set_count(s, group, group->knee.count);
	else
		group->knee.count = 0;
}

static int find_group(const struct schedule *s, const char *name)
{
	for (size_t i = 0; i < s->ngroups; i++)
		if (strcmp(s->groups[i]->name, name) == 0)
			return (int)i;
	return -1;
}

static int make_group(struct schedule *s, const char *name)
{
	struct group **grown =
	    reallocarray(s->groups, s->ngroups + 1, sizeof(struct group *));

	if (!grown)
		return -1;
	s->groups = grown;
	s->groups[s->ngroups] = group_new(name);
	return s->groups[s->ngroups] ? (int)s->ngroups++ : -1;
}

int schedule_add_group(struct schedule *s, const char *name, unsigned count,
    unsigned messages_per_connection)
{
	int i = find_group(s, name);

	if (i < 0)
		i = make_group(s, name);
	if (i < 0)
		return -1;
	s->groups[i]->is_auto = false;
	s->groups[i]->messages =
	    messages_per_connection > 0 ? messages_per_connection : 1;
	return group_set_count(s, s->groups[i], count) < 0 ? -1 : i;
}

const char *schedule_group_name(const struct line *line)
{
	return line->group->name;
}

struct destination *schedule_delivery_destination(const struct delivery *d)
{
	return d->flow ? d->flow->destination : NULL;
}

struct destination *schedule_line_destination(const struct line *line)
{
	return line->flow ? line->flow->destination : NULL;
}

void schedule_each_line(
    struct schedule *s, void (*visit)(struct line *line, void *arg), void *arg)
{
	for (size_t i = 0; i < s->ngroups; i++)
		for (unsigned k = 0; k < s->groups[i]->nlines; k++)
			visit(s->groups[i]->lines[k], arg);
}

/* --- lines ---------------------------------------------------------------- */

void schedule_line_closed(struct schedule *s, struct line *line)
{
	(void)s;
	if (line->phase == LINE_LEAVING)
		rest(line);
}

void schedule_line_started(struct schedule *s, uint64_t now, struct line *line)
{
	if (line->phase != LINE_STARTING)
		return;
	line->group->nstarting--;
	line->started_at = now;
	be_free(s, line);
}

/* Room: it can take another job now. Of its flow's list only those with room
 * are members. */
void line_update_room(struct line *line)
{
	bool has_room = line->phase == LINE_BUSY && !line->is_to_end &&
			!line->is_solo && line->in_flight < line->window &&
			line->bytes_in_flight < BYTES_IN_FLIGHT_MAX;

	if (has_room == line->has_room)
		return;
	line->has_room = has_room;
	if (has_room)
		TAILQ_INSERT_TAIL(&line->flow->room, line, room);
	else
		TAILQ_REMOVE(&line->flow->room, line, room);
}

static void set_idle(struct line *line, bool on, uint64_t now)
{
	if (line->is_idle == on)
		return;
	line->is_idle = on;
	if (on) {
		line->idle_at = now;
		TAILQ_INSERT_TAIL(&line->group->idle, line, idle);
	} else {
		TAILQ_REMOVE(&line->group->idle, line, idle);
	}
}

/* No more jobs for its session; it is told by the next decision. */
void line_end(struct schedule *s, struct line *line)
{
	if (line->phase != LINE_BUSY || line->is_to_end)
		return;
	line->is_to_end = true;
	line->group->nending++;
	set_idle(line, false, 0);
	line_update_room(line);
	TAILQ_INSERT_TAIL(&s->to_end, line, end);
	flow_update(s, line->flow);
}

void line_proven(struct line *line, bool counts)
{
	struct site *site = line->site;

	line->answered += counts;
	if (line->is_proven)
		return;
	line->is_proven = true;
	if (site && site->learned.ceiling > 0 &&
	    site->gate.nsessions > site->learned.ceiling)
		learned_beyond(&site->learned);
}

void line_open_session(
    struct schedule *s, uint64_t now, struct line *line, struct flow *flow)
{
	struct group *group = line->group;

	TAILQ_REMOVE(&group->free, line, entry);
	TAILQ_INSERT_TAIL(&group->sessions, line, entry);
	line->phase = LINE_BUSY;
	line->session = ++s->last_session;
	line->flow = flow;
	line->is_probe = flow->destination->health == HEALTH_PROBE;
	line->is_proven = line->is_unreached = false;
	line->is_solo = line->is_to_end = false;
	line->in_flight = line->given = line->answered = 0;
	line->connections = 1;
	line->bytes_in_flight = 0;
	line->busy_since = line->busy_ms = line->results = 0;
	line->session_at = now;
	line->window = line->is_probe ? 1 : flow->window;
	flow->nsessions++;
	flow->destination->nsessions++;
	line->site = flow->destination->site;
	gates_session(s, line, 1);
	flow->is_let_go = false;
	line_update_room(line);
	set_idle(line, true, now);
	destination_check_idle(s, flow->destination);
	destination_update(s, flow->destination);
}

void line_gave(
    struct schedule *s, uint64_t now, struct line *line, struct delivery *d)
{
	d->line = line;
	d->session = line->session;
	line->given++;
	line->in_flight++;
	line->bytes_in_flight += d->size_bytes;
	if (line->in_flight == 1 && line->results > 0)
		line->busy_since = now;
	line->is_solo = d->line_deaths > 0;
	set_idle(line, false, now);
	if (line->given >= flow_messages(line->flow, now) ||
	    (line->is_probe && !line->is_proven))
		line_end(s, line);
	line_update_room(line);
}

/* Ahead of a quick line goes more, of a slow one less, so that about half a
 * second of work waits there: enough to fill the pipe, little to be stuck. */
static void keep_pace(struct line *line, uint64_t now)
{
	if (line->results > 0)
		line->busy_ms += now - line->busy_since;
	line->busy_since = now;
	if (++line->results == 1)
		return;
	if (line->results >= WINDOW_MAX * 2) {
		line->results /= 2;
		line->busy_ms /= 2;
	}
	if ((line->window + 1) * line->busy_ms <= PACE_MS * line->results) {
		if (line->window < WINDOW_MAX)
			line->window++;
	} else if (line->window * line->busy_ms > 2 * PACE_MS * line->results) {
		if (line->window > WINDOW_START)
			line->window--;
	}
}

/* A job came off the line: by a result, or not begun. */
void line_took_back(struct schedule *s, uint64_t now, struct line *line,
    const struct delivery *d, bool is_result)
{
	if (line->session != d->session)
		return; /* that session is over */
	line->in_flight--;
	line->bytes_in_flight -= d->size_bytes;
	line->is_solo = false;
	if (is_result && !line->is_probe)
		keep_pace(line, now);
	line_update_room(line);
	if (line->in_flight == 0 && line->phase == LINE_BUSY &&
	    !line->is_to_end)
		set_idle(line, true, now);
	flow_update(s, line->flow);
}

static void leave_session(struct schedule *s, uint64_t now, struct line *line)
{
	struct flow *flow = line->flow;

	if (line->phase == LINE_BUSY && line->is_to_end)
		TAILQ_REMOVE(&s->to_end, line, end);
	if (line->is_to_end && !line->is_old)
		line->group->nending--;
	set_idle(line, false, 0);
	line->phase = LINE_FREE;
	line_update_room(line);
	line->is_to_end = false;
	gates_session(s, line, -1);
	line->flow = NULL;
	line->site = NULL;
	line->session = 0;
	flow->window = line->is_proven && line->window > 2 * WINDOW_START
			   ? line->window / 2
			   : WINDOW_START;
	flow->nsessions--;
	flow->destination->nsessions--;
	flow->destination->left_at = now;
	TAILQ_REMOVE(&line->group->sessions, line, entry);
	be_free(s, line);
}

/* What its end says of the site. */
static void learn_from(struct schedule *s, uint64_t now, struct site *site,
    const struct outcome *why, bool has_failed, unsigned answered)
{
	learned_say(&site->learned, now,
	    span_of(why && why->verdict != VERDICT_OK ? why->detail : ""));
	if (has_failed)
		learned_refused(&site->learned, now, site->gate.nsessions,
		    site_has_proven_session(s, site));
	else
		learned_cut(&site->learned, now, answered);
	site->is_changed = true;
	site_update(s, now, site);
}

void schedule_session_done(struct schedule *s, uint64_t now, struct line *line,
    const struct outcome *why, bool is_overloaded)
{
	struct destination *d;
	struct site *site = line->site;
	unsigned answered = line->connections == 1 ? line->answered : 0;
	bool has_failed;

	if (line->phase != LINE_BUSY && line->phase != LINE_ENDING)
		return;
	d = line->flow->destination;
	has_failed =
	    !line->is_proven &&
	    (line->is_unreached || (why && why->verdict != VERDICT_OK));
	leave_session(s, now, line);
	if (has_failed && (!site || site->gate.nsessions == 0))
		destination_down(s, now, d, why);
	else if (site && (has_failed || is_overloaded))
		learn_from(s, now, site, why, has_failed, answered);
	if (site)
		site_check_idle(s, site);
	destination_update(s, d);
	destination_check_idle(s, d);
}

void schedule_login_refused(struct schedule *s, uint64_t now, struct line *line,
    const struct outcome *why)
{
	struct destination *d;
	struct site *site;

	if (line->phase != LINE_BUSY && line->phase != LINE_ENDING)
		return;
	d = line->flow->destination;
	site = line->site;
	leave_session(s, now, line);
	if (site)
		site_check_idle(s, site);
	destination_login_refused(s, now, d, why);
	destination_check_idle(s, d);
}

void schedule_line_lost(struct schedule *s, uint64_t now, struct line *line)
{
	struct destination *d = NULL;

	if (line->phase == LINE_OFF || line->phase == LINE_BROKEN ||
	    line->phase == LINE_RETIRED)
		return;
	if (line->flow) {
		struct site *site = line->site;

		d = line->flow->destination;
		leave_session(s, now, line);
		if (site)
			site_check_idle(s, site);
	}
	if (line->phase == LINE_STARTING)
		line->group->nstarting--;
	else if (line->phase == LINE_FREE)
		TAILQ_REMOVE(&line->group->free, line, entry);
	else if (line->is_to_close)
		TAILQ_REMOVE(&s->to_close, line, entry);
	line->is_old = line->is_to_close = false;
	line->phase = LINE_BROKEN;
	if (line->backoff_ms == 0)
		line->backoff_ms = LINE_BACKOFF_MS;
	heap_set(&s->line_timers, &line->timer, now + line->backoff_ms);
	line->backoff_ms *= 2;
	if (line->backoff_ms > LINE_BACKOFF_MAX_MS)
		line->backoff_ms = LINE_BACKOFF_MAX_MS;
	if (d) {
		destination_update(s, d);
		destination_check_idle(s, d);
	}
}

static void end_idle(struct schedule *s, struct group *group, uint64_t now)
{
	struct line *line;

	while ((line = TAILQ_FIRST(&group->idle)) &&
	       (now >= line->idle_at + IDLE_MS || s->is_stopping))
		line_end(s, line);
}

void line_timers_run(struct schedule *s, uint64_t now)
{
	struct heap_node *node;

	while ((node = heap_first(&s->line_timers)) && node->at <= now) {
		struct line *line = TABLE_OF(node, struct line, timer);

		heap_remove(&s->line_timers, node);
		rest(line);
	}
	for (size_t i = 0; i < s->ngroups; i++) {
		end_idle(s, s->groups[i], now);
		follow_knee(s, now, s->groups[i]);
	}
}

static bool has_had_its_turn(const struct line *line, uint64_t now)
{
	return now >= line->session_at + TURN_MS ||
	       line->given >= TURN_MESSAGES;
}

static bool is_counted_at(const struct line *line, const struct gate *gate)
{
	return (line->site && gate == &line->site->gate) ||
	       (line->binds[0] && gate == &line->binds[0]->gate) ||
	       (line->binds[1] && gate == &line->binds[1]->gate);
}

void lines_make_way_at(struct schedule *s, uint64_t now, struct gate *gate)
{
	unsigned wanted = 0;
	const struct flow *flow;

	TAILQ_FOREACH(flow, &gate->parked[NEED_SESSION], entry)
	if (++wanted >= gate->nsessions)
		break;
	for (size_t i = 0; i < s->ngroups && wanted > 0; i++) {
		struct line *line;

		TAILQ_FOREACH(line, &s->groups[i]->sessions, entry)
		{
			if (wanted == 0)
				break;
			if (!is_counted_at(line, gate))
				continue;
			if (line->is_idle || has_had_its_turn(line, now))
				line_end(s, line);
			wanted -= line->is_to_end;
		}
	}
}

/* Destinations without any line wait: end idle sessions, then those that have
 * had their turn, one for each that waits. */
void lines_make_way(struct schedule *s, uint64_t now, struct group *group)
{
	struct line *line;

	if (group->nstarved + group->nready == 0 || group->looked_at == now ||
	    !TAILQ_EMPTY(&group->free) ||
	    (!TAILQ_EMPTY(&group->off) && s->is_usable))
		return;
	group->looked_at = now;
	while (group->nstarved + group->nready >
		   group->nending + group->nstarting &&
	       (line = TAILQ_FIRST(&group->idle)))
		line_end(s, line);
	if (group->nstarved <= group->nending + group->nstarting)
		return;
	TAILQ_FOREACH(line, &group->sessions, entry)
	{
		if (!has_had_its_turn(line, now))
			continue;
		line_end(s, line);
		if (group->nstarved <= group->nending + group->nstarting)
			break;
	}
}
