/* The lines, one by one: beginning, end, what each is doing. */
#include "runner/lines_parts.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>

const char *line_name(const struct line *line)
{
	return line_peer_of(line)->name;
}

void line_set_state(struct line_peer *p, uint8_t state)
{
	p->state = state;
	p->since = (uint64_t)now_utc();
}

/* --- the end of a line ---------------------------------------------------- */

static void end_tasks(struct line_peer *p)
{
	struct runner *runner = p->runner;
	struct task *task, *next;

	for (task = LIST_FIRST(&p->tasks); task; task = next) {
		next = LIST_NEXT(task, of_line);
		LIST_REMOVE(task, of_line);
		task->line = NULL;
		if (task->state == TASK_AT_LINE)
			attempt_line_died(runner, task, p->name);
	}
	p->nclaims = 0;
}

static void let_go(struct line_peer *p)
{
	struct wire *wire = p->wire;

	p->wire = NULL;
	p->is_to_end = p->is_to_close = false;
	p->message = 0;
	p->peer[0] = '\0';
	line_set_state(p, LINE_IDLE);
	wire_free(wire);
}

static bool has_job(const struct line_peer *p)
{
	const struct task *task;

	LIST_FOREACH(task, &p->tasks, of_line)
	if (task->state == TASK_AT_LINE)
		return true;
	return false;
}

void line_close_when_done(struct line_peer *p)
{
	if (!p->is_to_close || has_job(p))
		return;
	let_go(p);
	schedule_line_closed(p->runner->schedule, p->line);
}

void line_peer_end(struct line_peer *p)
{
	let_go(p);
	schedule_line_lost(p->runner->schedule, now_monotonic_ms(), p->line);
	end_tasks(p);
	runner_check_stopped(p->runner);
}

void line_on_closed(struct wire *wire, const char *why, void *arg)
{
	struct line_peer *p = arg;

	(void)wire;
	log_warn("line-lost", "line", p->name, "pid", log_text("%u", p->pid),
	    "why", why, NULL);
	line_peer_end(p);
}

void line_cut_off(struct line_peer *p, const char *why)
{
	log_warn("line-cut-off", "line", p->name, "pid", log_text("%u", p->pid),
	    "why", why, NULL);
	line_peer_end(p);
}

/* --- all of them ---------------------------------------------------------- */

struct search {
	struct runner *runner;
	uint64_t id;
	struct line_peer *found;
	bool has_failed;
};

static void match(struct line *line, void *arg)
{
	struct search *search = arg;

	if (line_peer_of(line)->id == search->id)
		search->found = line_peer_of(line);
}

struct line_peer *line_find(struct runner *runner, uint64_t id)
{
	struct search search = { .id = id };

	schedule_each_line(runner->schedule, match, &search);
	return search.found;
}

/* Numbers go on from group to group, so that the spawner knows a line by its
 * number alone. */
static void make_peer(struct line *line, void *arg)
{
	struct search *all = arg;
	struct line_peer *p;

	if (line->peer)
		return;
	line->peer = p = calloc(1, sizeof(*p));
	if (!p) {
		all->has_failed = true;
		return;
	}
	p->runner = all->runner;
	p->line = line;
	p->id = ++all->runner->last_line;
	LIST_INIT(&p->tasks);
	snprintf(p->name, sizeof(p->name), "%s/%llu", schedule_group_name(line),
	    (unsigned long long)p->id);
	line_set_state(p, LINE_IDLE);
}

int lines_new(struct runner *runner)
{
	struct search all = { .runner = runner };

	schedule_each_line(runner->schedule, make_peer, &all);
	return all.has_failed ? -1 : 0;
}

static void forget_tasks(struct line *line, void *arg)
{
	(void)arg;
	LIST_INIT(&line_peer_of(line)->tasks);
	line_peer_of(line)->nclaims = 0;
}

void lines_forget_tasks(struct runner *runner)
{
	schedule_each_line(runner->schedule, forget_tasks, NULL);
}

static void close_line(struct line *line, void *arg)
{
	(void)arg;
	if (line_peer_of(line) && line_peer_of(line)->wire)
		line_peer_end(line_peer_of(line));
}

void lines_close(struct runner *runner)
{
	schedule_each_line(runner->schedule, close_line, NULL);
}

static void free_peer(struct line *line, void *arg)
{
	(void)arg;
	if (line_peer_of(line))
		wire_free(line_peer_of(line)->wire);
	free(line->peer);
	line->peer = NULL;
}

void lines_free(struct runner *runner)
{
	schedule_each_line(runner->schedule, free_peer, NULL);
}

void line_describe(const struct line *line, struct line_info *info)
{
	const struct line_peer *p = line_peer_of(line);
	const struct destination *d = schedule_line_destination(line);

	*info = (struct line_info){
		.number = (uint32_t)p->id,
		.pid = p->wire ? p->pid : 0,
		.group = span_of(schedule_group_name(line)),
		.peer = span_of(p->peer),
		.destination = span_of(d ? d->name : ""),
		.state = p->state,
		.message = line->in_flight > 0 ? p->message : 0,
		.since = p->since,
		.sent = p->sent,
	};
}
