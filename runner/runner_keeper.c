/* The keeper's connection: what is due comes in, claims and outcomes go out.
 * With the keeper its claims are gone: then everything in memory is dropped,
 * the lines are let go, and a new keeper is read from the start. */
#include "runner/keeper_parts.h"

#include "common/id.h"
#include "runner/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CHANGED_MS = 5000,
	REPORT_AGAIN_MS = 60000,
};

static void send_pair(
    struct runner *runner, uint16_t type, const struct delivery *d)
{
	buf_reset(&runner->scratch);
	put_u64(&runner->scratch, d->message);
	put_u16(&runner->scratch, d->number);
	wire_send(runner->keeper, type, 0, buf_span(&runner->scratch));
}

/* --- reading the index --------------------------------------------------- */

void keeper_read(struct runner *runner)
{
	size_t in_memory = schedule_in_memory(runner->schedule);
	struct due_query query;
	uint32_t credit;

	if (runner->is_stopping)
		return;
	credit = intake_grant(&runner->intake, in_memory);
	buf_reset(&runner->scratch);
	put_u32(&runner->scratch, credit);
	if (credit > 0)
		wire_send(
		    runner->keeper, MSG_WINDOW, 0, buf_span(&runner->scratch));
	if (!intake_read(&runner->intake, runner_utc_ms(), in_memory,
		runner->schedule, &query))
		return;
	buf_reset(&runner->scratch);
	due_query_put(&runner->scratch, &query);
	wire_send(runner->keeper, MSG_DUE, ++runner->last_due,
	    buf_span(&runner->scratch));
}

/* Its domain is stopped, wherever it would go: it waits there, without a way.*/
static struct destination *find_stopped(
    struct runner *runner, const struct waiting *w, const struct route *route)
{
	char name[512];
	bool is_new;

	if (!route->servers ||
	    !schedule_is_destination_off(runner->schedule, w->domain))
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)w->domain.n, w->domain.p);
	return schedule_destination(
	    runner->schedule, name, route->connections, &is_new);
}

/* After a reload a destination is found anew: its servers, level, hosts. */
static void renew_way(struct runner *runner, struct destination *d,
    const struct route *route, struct span domain)
{
	struct way *old = d->owned, *fresh;

	if (old->nreloads == runner->nreloads)
		return;
	fresh = way_new(route, domain);
	if (!fresh)
		fatal(EXIT_TRY_LATER, "no memory for a destination");
	fresh->is_stepwise = old->is_stepwise;
	fresh->nreloads = runner->nreloads;
	d->owned = fresh;
	way_free(old);
	limits_destination(runner, d, route);
	schedule_destination_moved(runner->schedule, d);
	if (d->hosts == HOSTS_ASKED)
		resolver_ask_anew(runner, d);
}

static void set_way(struct runner *runner, struct destination *d,
    const struct route *route, struct span domain)
{
	struct way *way = d->owned;

	if (way) {
		renew_way(runner, d, route, domain);
		return;
	}
	way = way_new(route, domain);
	if (way)
		way->nreloads = runner->nreloads;
	d->owned = way;
	limits_destination(runner, d, route);
}

/* Other reports of ours have no sender. */
static bool is_tls_report(const struct waiting *w)
{
	return w->origin == ORIGIN_REPORT && w->sender.n > 0;
}

/* The destination with its way, made when it is new. */
static struct destination *find_destination(
    struct runner *runner, const struct waiting *w, size_t *group)
{
	struct route_query query = { w->domain, w->sender, w->line, w->uid,
		w->attempts, w->flags & WAITING_REQUIRETLS, w->relay,
		is_tls_report(w) };
	struct destination *d;
	struct route route;
	struct outcome why;
	bool is_new;

	if (route_find(runner->conf, &query, &route, &why) < 0) {
		log_warn("no-route", "id", id_text(w->message), "domain",
		    log_escape(w->domain), "why", why.detail, NULL);
		return NULL;
	}
	*group = runner->groups[route.group];
	d = find_stopped(runner, w, &route);
	if (d)
		return d;
	d = schedule_destination(
	    runner->schedule, route.key, route.connections, &is_new);
	if (d)
		set_way(runner, d, &route, w->domain);
	if (d && route.relay)
		login_destination(runner, d);
	return d && d->owned ? d : NULL;
}

/* An operator released it or had it retried. */
static bool was_changed(const struct runner *runner, uint64_t message)
{
	if (now_monotonic_ms() > runner->changed_ms + CHANGED_MS)
		return false;
	for (unsigned i = 0; i < runner->nchanged; i++)
		if (runner->changed[i] == message)
			return true;
	return false;
}

static void take(struct runner *runner, struct waiting *w)
{
	uint64_t now = runner_utc_ms();
	struct destination *d = NULL;
	size_t group = 0;

	if (w->due_ms > now) {
		intake_due_at(&runner->intake, w->due_ms);
		return;
	}
	if (!(w->flags & WAITING_REPORT)) {
		d = find_destination(runner, w, &group);
		if (!d)
			return; /* read again in a while */
		if (w->relay.n > 0 &&
		    span_is_equal(destination_relay(d), w->relay))
			w->flags |= WAITING_RELAY;
		if (was_changed(runner, w->message))
			schedule_nudge(runner->schedule, now_monotonic_ms(), d);
	}
	if (schedule_add(runner->schedule, now_monotonic_ms(), w, d,
		(int)group) == ADDED_FAILED)
		log_warn("no-memory", "id", id_text(w->message), NULL);
}

static void on_waiting(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct reader r = reader_of(message->payload);
	struct waiting w;

	(void)wire;
	waiting_get(&r, &w);
	if (!reader_is_done(&r)) {
		keeper_cut_off(runner, "malformed waiting");
		return;
	}
	intake_waiting(&runner->intake, &w, message->id == 0);
	if (!runner->is_stopping)
		take(runner, &w);
}

static void on_due_end(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct reader r = reader_of(message->payload);
	uint64_t next_due_ms = get_u64(&r);
	bool has_more = get_u8(&r);

	(void)wire;
	if (!reader_is_done(&r))
		keeper_cut_off(runner, "malformed end of due");
	else if (message->id == runner->last_due)
		intake_end(&runner->intake, next_due_ms, has_more);
}

static void on_more(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;

	(void)wire;
	(void)message;
	runner->intake.credit = 0;
	intake_want(&runner->intake);
}

/* The first few of a change are enough to know what it was about. */
static void note_changed(struct runner *runner, uint64_t id)
{
	uint64_t now = now_monotonic_ms();

	if (now > runner->changed_ms + CHANGED_MS)
		runner->nchanged = 0;
	runner->changed_ms = now;
	if (runner->nchanged < CHANGED_MAX)
		runner->changed[runner->nchanged++] = id;
}

static void on_changed(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct reader r = reader_of(message->payload);
	uint64_t id = get_u64(&r);
	uint16_t delivery = get_u16(&r);

	(void)wire;
	if (!reader_is_done(&r)) {
		keeper_cut_off(runner, "malformed change");
		return;
	}
	schedule_remove(runner->schedule, id, delivery);
	intake_want(&runner->intake);
	note_changed(runner, id);
}

/* --- claims and records ----------------------------------------------------*/

void keeper_claim(
    struct runner *runner, const struct decision *decision, enum task_kind kind)
{
	struct delivery *d = decision->delivery;
	struct task *task = task_new(&runner->tasks, (uint8_t)kind, d);

	if (!task)
		fatal(EXIT_TRY_LATER, "no memory for a claim");
	if (decision->line)
		line_expects(decision->line, task);
	buf_reset(&runner->scratch);
	put_u64(&runner->scratch, d->message);
	put_u16(&runner->scratch, d->number);
	put_u8(&runner->scratch,
	    kind == TASK_REPORT ? CLAIM_REPORT : CLAIM_DELIVER);
	wire_send(
	    runner->keeper, MSG_CLAIM, task->id, buf_span(&runner->scratch));
}

void keeper_unclaim(struct runner *runner, const struct delivery *d)
{
	send_pair(runner, MSG_UNCLAIM, d);
}

void keeper_give_back(
    struct runner *runner, struct delivery *d, bool ends_session)
{
	keeper_unclaim(runner, d);
	if (!schedule_put_back(
		runner->schedule, now_monotonic_ms(), d, ends_session))
		intake_sweep_soon(&runner->intake, runner_utc_ms());
}

static void put_back(struct runner *runner, struct task *task)
{
	struct delivery *d = task->delivery;

	line_expects_not(task);
	if (task->kind == TASK_REPORT) {
		keeper_unclaim(runner, d);
		schedule_report_later(
		    runner->schedule, now_monotonic_ms() + REPORT_AGAIN_MS, d);
	} else {
		keeper_give_back(runner, d, false);
	}
	task_end(&runner->tasks, task);
}

static void take_job(struct runner *runner, struct task *task,
    struct message *message, const struct job *job)
{
	if (runner->is_stopping) {
		put_back(runner, task);
		return;
	}
	if (task->kind == TASK_REPORT) {
		report_job(runner, task, job);
		return;
	}
	if (task_keep_job(task, job) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a job");
	if (task->kind == TASK_REFUSE)
		attempt_refused(runner, task);
	else if (!line_deliver(task, message))
		put_back(runner, task);
}

static void on_job(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct task *task = task_find(&runner->tasks, message->id);
	struct reader r = reader_of(message->payload);
	struct job job;

	(void)wire;
	if (!task || task->state != TASK_CLAIMING) {
		keeper_cut_off(runner, "a job that was not claimed");
		return;
	}
	if (job_get(&r, &job) < 0) {
		keeper_cut_off(runner, "malformed job");
		return;
	}
	if (reader_is_done(&r) && job.message == task->delivery->message &&
	    job.nrecipients > 0 &&
	    (task->kind == TASK_REPORT ||
		job.nrecipients <= RCPTS_PER_DELIVERY))
		take_job(runner, task, message, &job);
	else
		keeper_cut_off(runner, "a job that does not fit its claim");
	job_free(&job);
}

static void forget(struct runner *runner, struct task *task)
{
	line_expects_not(task);
	schedule_forget(runner->schedule, now_monotonic_ms(), task->delivery);
	task_end(&runner->tasks, task);
}

/* Another had it, or it changed meanwhile. What the index says now is read
 * in a while. */
static void on_gone(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct task *task = task_find(&runner->tasks, message->id);

	(void)wire;
	if (!task || task->state != TASK_CLAIMING) {
		keeper_cut_off(runner, "gone what was not claimed");
		return;
	}
	if (task->kind == TASK_REPORT)
		intake_want(&runner->intake); /* another report covered it */
	else
		intake_sweep_soon(&runner->intake, runner_utc_ms());
	forget(runner, task);
}

static void on_recorded(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct task *task = task_find(&runner->tasks, message->id);

	(void)wire;
	if (!task || task->state != TASK_RECORDING) {
		keeper_cut_off(runner, "recorded what was not sent");
		return;
	}
	if (!task->has_report) {
		forget(runner, task);
		return;
	}
	schedule_await_report(
	    runner->schedule, now_monotonic_ms(), task->delivery);
	task_end(&runner->tasks, task);
}

/* --- reports ---------------------------------------------------------------*/

static void on_accepted(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct task *task = task_find(&runner->tasks, message->id);
	struct reader r = reader_of(message->payload);
	uint64_t id = get_u64(&r);

	(void)wire;
	if (message->id & TLSRPT_ID) {
		tlsrpt_on_submitted(runner, message->id, NULL);
		return;
	}
	if (!task || task->state != TASK_SUBMITTING) {
		keeper_cut_off(runner, "accepted what was not sent");
		return;
	}
	log_event("report", "id", id_text(id), "about",
	    id_text(task->delivery->message), NULL);
	/* what it had no room for, and what of it still waits to be sent */
	if (task->has_report)
		intake_sweep_soon(&runner->intake, runner_utc_ms());
	intake_want(&runner->intake);
	forget(runner, task);
}

static void on_refused(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct task *task = task_find(&runner->tasks, message->id);
	struct reader r = reader_of(message->payload);
	struct outcome why;

	(void)wire;
	outcome_get(&r, &why);
	if (message->id & TLSRPT_ID) {
		tlsrpt_on_submitted(runner, message->id, &why);
		return;
	}
	if (!task || task->state != TASK_SUBMITTING || !reader_is_done(&r)) {
		keeper_cut_off(runner, "refused what was not sent");
		return;
	}
	log_warn("report-refused", "about", id_text(task->delivery->message),
	    "status", why.status, "why", why.detail, NULL);
	put_back(runner, task);
}

/* --- the connection ------------------------------------------------------ */

static const struct wire_rule rules[] = {
	{ MSG_WAITING, 8192, on_waiting },
	{ MSG_DUE_END, 9, on_due_end },
	{ MSG_MORE_DUE, 0, on_more },
	{ MSG_CHANGED, 10, on_changed },
	{ MSG_JOB, WIRE_FRAME_MAX, on_job },
	{ MSG_GONE, 0, on_gone },
	{ MSG_RECORDED, 0, on_recorded },
	{ MSG_ACCEPTED, 8, on_accepted },
	{ MSG_REFUSED, 1024, on_refused },
	{ MSG_CHANGE_DONE, 32, keeper_on_change_done },
	{ MSG_FAILED, 1024, keeper_on_failed },
	{ MSG_REMEMBERED, SCHEDULE_MEMORY_MAX + 128, keeper_on_remembered },
	{ MSG_TLS_DOMAIN, 512, tlsrpt_on_domain },
	{ MSG_TLS_ROW, 8192, tlsrpt_on_row },
	{ MSG_END, 0, tlsrpt_on_end },
	{ 0 },
};

static void drop_all(struct runner *runner)
{
	keeper_drop_wakes(runner);
	lines_forget_tasks(runner);
	schedule_drop_all(runner->schedule, now_monotonic_ms());
	tasks_clear(&runner->tasks);
	lines_close(runner);
	runner_check_stopped(runner);
}

static void lose_keeper(struct runner *runner, const char *why)
{
	struct wire *wire = runner->keeper;

	log_warn("keeper-lost", "why", why, "unfinished",
	    log_text("%zu", runner->tasks.count), NULL);
	runner->keeper = NULL;
	wire_free(wire);
	tlsrpt_lost(runner);
	drop_all(runner);
}

void keeper_cut_off(struct runner *runner, const char *why)
{
	child_peer_lost(runner->child, ROLE_QUEUED);
	lose_keeper(runner, why);
}

static void on_closed(struct wire *wire, const char *why, void *arg)
{
	(void)wire;
	keeper_cut_off(arg, why);
}

void keeper_connect(struct runner *runner, int fd)
{
	if (runner->keeper)
		lose_keeper(runner, "replaced");
	runner->keeper =
	    wire_new(runner->loop, fd, "keeper", rules, on_closed, runner);
	if (!runner->keeper)
		fatal(EXIT_TRY_LATER, "keeper: %s", strerror(errno));
	intake_start(&runner->intake, runner_utc_ms());
}

void keeper_clear(struct runner *runner)
{
	wire_free(runner->keeper);
	runner->keeper = NULL;
	keeper_drop_wakes(runner);
}
