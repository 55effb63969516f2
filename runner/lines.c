/* The lines. */
#include "runner/lines.h"

#include "common/log.h"
#include "common/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	RESULT_SIZE_MAX = 262144,
	REPORT_SIZE_MAX = 4096,
	STATE_SIZE_MAX = 512,
	TRIED_SIZE_MAX = 4096,
	TICKET_SIZE_MAX = TICKET_MAX + 1024,
	TRANSCRIPT_SIZE_MAX = TRANSCRIPT_MAX + 4096,
	PEER_TEXT_MAX = 128,
};

struct line_peer {
	struct runner *runner;
	struct line *line;
	struct wire *wire; /* NULL: not running */
	uint64_t id;	   /* for the spawner */
	uint32_t pid;
	bool is_to_end;	  /* MSG_SESSION_END when all claims are in */
	bool is_to_close; /* when all its jobs are answered */
	unsigned nclaims; /* jobs that are still to come from the keeper */
	LIST_HEAD(, task) tasks;
	uint8_t state;
	uint64_t since, sent, message;
	char name[280];
	char peer[PEER_TEXT_MAX];
};

static struct line_peer *peer_of(const struct line *line)
{
	return line->peer;
}

const char *line_name(const struct line *line)
{
	return peer_of(line)->name;
}

static void set_state(struct line_peer *p, uint8_t state)
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
	set_state(p, LINE_IDLE);
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

static void close_when_done(struct line_peer *p)
{
	if (!p->is_to_close || has_job(p))
		return;
	let_go(p);
	schedule_line_closed(p->runner->schedule, p->line);
}

/* The line's socket is closed: it died, was cut off or was let go. */
static void end_line(struct line_peer *p)
{
	let_go(p);
	schedule_line_lost(p->runner->schedule, now_monotonic_ms(), p->line);
	end_tasks(p);
	runner_check_stopped(p->runner);
}

static void on_line_closed(struct wire *wire, const char *why, void *arg)
{
	struct line_peer *p = arg;

	(void)wire;
	log_warn("line-lost", "line", p->name, "pid", log_text("%u", p->pid),
	    "why", why, NULL);
	end_line(p);
}

static void cut_off(struct line_peer *p, const char *why)
{
	log_warn("line-cut-off", "line", p->name, "pid", log_text("%u", p->pid),
	    "why", why, NULL);
	end_line(p);
}

/* --- what a line says ----------------------------------------------------- */

static void on_result(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = arg;
	struct task *task = task_find(&p->runner->tasks, message->id);
	struct reader r = reader_of(message->payload);
	struct result result;

	(void)wire;
	if (!task || task->state != TASK_AT_LINE || task->line != p->line) {
		cut_off(p, "a result for a job it does not have");
		return;
	}
	if (result_get(&r, &result) < 0) {
		cut_off(p, "malformed result");
		return;
	}
	if (!reader_is_done(&r) || !attempt_fits(task, &result)) {
		result_free(&result);
		cut_off(p, "a result that does not fit its job");
		return;
	}
	LIST_REMOVE(task, of_line);
	p->sent++;
	attempt_result(p->runner, task, &result);
	result_free(&result);
	close_when_done(p);
}

/* A job given too late for its session is answered before the next one. */
static bool keeps_old_job(const struct line_peer *p)
{
	const struct task *task;

	LIST_FOREACH(task, &p->tasks, of_line)
	if (task->state == TASK_AT_LINE && task->session < p->line->session)
		return true;
	return false;
}

static void on_session_done(
    struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = arg;
	struct reader r = reader_of(message->payload);
	struct session_report report;
	struct destination *d = schedule_line_destination(p->line);

	(void)wire;
	session_report_get(&r, &report);
	if (!reader_is_done(&r)) {
		cut_off(p, "malformed session report");
		return;
	}
	if (message->id != p->line->session || !d)
		return;
	if (keeps_old_job(p)) {
		cut_off(p, "a job kept beyond its session");
		return;
	}
	p->is_to_end = false;
	p->message = 0;
	if (report.must_be_stepwise)
		((struct way *)d->owned)->is_stepwise = true;
	if (report.outcome.verdict != VERDICT_OK)
		log_detail("session-failed", "line", p->name, "status",
		    report.outcome.status, "why", report.outcome.detail, NULL);
	schedule_session_done(p->runner->schedule, now_monotonic_ms(), p->line,
	    &report.outcome, report.is_overloaded);
}

static void on_line_state(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = arg;
	struct reader r = reader_of(message->payload);
	uint8_t state = get_u8(&r);
	struct span peer = get_span(&r);

	(void)wire;
	if (!reader_is_done(&r) || state > LINE_CLOSING ||
	    span_has_line_breaks(peer)) {
		cut_off(p, "malformed state");
		return;
	}
	set_state(p, state);
	snprintf(p->peer, sizeof(p->peer), "%.*s", (int)peer.n,
	    peer.p ? peer.p : "");
}

static void on_host_tried(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = arg;
	struct reader r = reader_of(message->payload);
	struct host_tried tried;

	(void)wire;
	host_tried_get(&r, &tried);
	if (!reader_is_done(&r)) {
		cut_off(p, "malformed word of a host");
		return;
	}
	/* what it says of TLS or a login is no reason to avoid it */
	host_memory_tried(p->runner->hosts, tried.address,
	    tried.outcome.verdict == VERDICT_OK ||
		memcmp(tried.outcome.status + 1, ".7.", 3) == 0,
	    now_monotonic_ms());
}

static void on_ticket(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = arg;
	struct reader r = reader_of(message->payload);
	struct destination *d = schedule_line_destination(p->line);
	struct ticket ticket;

	(void)wire;
	ticket_get(&r, &ticket);
	if (!reader_is_done(&r))
		cut_off(p, "malformed ticket");
	else if (d && message->id == p->line->session)
		host_memory_keep(p->runner->hosts,
		    span_of(schedule_group_name(p->line)), span_of(d->name),
		    &ticket);
}

static void on_transcript(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = arg;
	struct reader r = reader_of(message->payload);
	struct transcript transcript;

	(void)wire;
	transcript_get(&r, &transcript);
	if (!reader_is_done(&r))
		cut_off(p, "malformed transcript");
	else if (p->runner->keeper)
		wire_send(
		    p->runner->keeper, MSG_TRANSCRIPT, 0, message->payload);
}

static const struct wire_rule line_rules[] = {
	{ MSG_RESULT, RESULT_SIZE_MAX, on_result },
	{ MSG_SESSION_DONE, REPORT_SIZE_MAX, on_session_done },
	{ MSG_LINE_STATE, STATE_SIZE_MAX, on_line_state },
	{ MSG_HOST_TRIED, TRIED_SIZE_MAX, on_host_tried },
	{ MSG_TICKET, TICKET_SIZE_MAX, on_ticket },
	{ MSG_TRANSCRIPT, TRANSCRIPT_SIZE_MAX, on_transcript },
	{ 0 },
};

/* --- what a line is told -------------------------------------------------- */

static void send_session_end(struct line_peer *p)
{
	p->is_to_end = false;
	if (p->wire)
		wire_send(p->wire, MSG_SESSION_END, p->line->session,
		    (struct span){ NULL, 0 });
}

void line_session_end(struct line *line)
{
	struct line_peer *p = peer_of(line);

	p->is_to_end = true;
	if (p->nclaims == 0)
		send_session_end(p);
}

void line_close(struct line *line)
{
	struct line_peer *p = peer_of(line);

	p->is_to_close = true;
	close_when_done(p);
}

static void claim_came(struct line_peer *p)
{
	p->nclaims--;
	if (p->is_to_end && p->nclaims == 0)
		send_session_end(p);
}

void line_expects(struct line *line, struct task *task)
{
	struct line_peer *p = peer_of(line);

	task->line = line;
	task->session = line->session;
	LIST_INSERT_HEAD(&p->tasks, task, of_line);
	p->nclaims++;
}

void line_expects_not(struct task *task)
{
	struct line_peer *p;

	if (!task->line)
		return;
	p = peer_of(task->line);
	LIST_REMOVE(task, of_line);
	task->line = NULL;
	claim_came(p);
}

bool line_deliver(struct task *task, struct message *message)
{
	struct line_peer *p;

	if (!task->line)
		return false;
	p = peer_of(task->line);
	if (!p->wire || task->session != p->line->session) {
		line_expects_not(task);
		return false;
	}
	task->state = TASK_AT_LINE;
	task->given_ms = now_monotonic_ms();
	p->message = task->delivery->message;
	wire_send_fds(p->wire, MSG_DELIVER, task->id, message->payload,
	    message->fds, message->nfds);
	for (int i = 0; i < message->nfds; i++)
		message->fds[i] = -1;
	claim_came(p);
	return true;
}

static uint8_t bind_addresses(const struct conf_line *group,
    union net_address addresses[4], struct span binds[4])
{
	uint8_t n = 0;

	for (size_t i = 0; i < group->bind.count && n < 4; i++) {
		if (net_parse(span_of(group->bind.items[i]), 0, &addresses[n]) <
		    0)
			continue;
		binds[n] = net_bytes(&addresses[n]);
		n++;
	}
	return n;
}

void line_session(
    struct runner *runner, struct line *line, struct destination *d)
{
	const struct conf *conf = runner->conf;
	const struct conf_line *group =
	    conf_line(conf, schedule_group_name(line));
	const struct way *way = d->owned;
	union net_address addresses[4];
	struct session session = {
		.destination = span_of(d->name),
		.localname = span_of(
		    group->localname ? group->localname : conf->localname),
		.tls = way->tls,
		.messages = (uint16_t)group->messages_per_connection,
		.is_stepwise = way->is_stepwise,
		.is_detailed = log_get_level() == LOG_LEVEL_DETAILED,
	};

	session.nbinds = bind_addresses(group, addresses, session.binds);
	if (way_hosts(way, &session.hosts, &session.nhosts) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a session");
	host_memory_order(
	    runner->hosts, session.hosts, session.nhosts, now_monotonic_ms());
	host_memory_tickets(runner->hosts, span_of(group->name),
	    session.destination, session.hosts, session.nhosts);
	buf_reset(&runner->scratch);
	session_put(&runner->scratch, &session);
	wire_send(peer_of(line)->wire, MSG_SESSION, line->session,
	    buf_span(&runner->scratch));
	free(session.hosts);
}

/* --- the spawner ---------------------------------------------------------- */

static struct line_peer *find_line(struct runner *runner, uint64_t id);

static void fail_start(struct line_peer *p)
{
	schedule_line_lost(p->runner->schedule, now_monotonic_ms(), p->line);
}

static void on_started(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct line_peer *p = find_line(runner, message->id);
	struct reader r = reader_of(message->payload);
	uint32_t pid = get_u32(&r);

	(void)wire;
	if (!p || p->line->phase != LINE_STARTING)
		return;
	if (!reader_is_done(&r) || message->nfds != 1) {
		fail_start(p);
		return;
	}
	p->pid = pid;
	p->wire = wire_new(runner->loop, message->fds[0], p->name, line_rules,
	    on_line_closed, p);
	message->fds[0] = -1;
	if (!p->wire) {
		fail_start(p);
		return;
	}
	wire_refuse_fds(p->wire);
	set_state(p, LINE_IDLE);
	schedule_line_started(runner->schedule, now_monotonic_ms(), p->line);
}

/* Its socket tells in better order: what it said last is read first. */
static void on_ended(struct wire *wire, struct message *message, void *arg)
{
	(void)wire;
	(void)message;
	(void)arg;
}

static void on_failed(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = find_line(arg, message->id);

	(void)wire;
	if (p && p->line->phase == LINE_STARTING)
		fail_start(p);
}

static const struct wire_rule spawner_rules[] = {
	{ MSG_LINE_STARTED, 4, on_started },
	{ MSG_LINE_ENDED, 4, on_ended },
	{ MSG_LINE_FAILED, 1024, on_failed },
	{ 0 },
};

static void lose_start(struct line *line, void *arg)
{
	(void)arg;
	if (line->phase == LINE_STARTING)
		fail_start(peer_of(line));
}

/* Lines that run go on: their sockets tell when they end. */
static void on_spawner_closed(struct wire *wire, const char *why, void *arg)
{
	struct runner *runner = arg;

	log_warn("spawner-lost", "why", why, NULL);
	if (runner->spawner == wire)
		runner->spawner = NULL;
	wire_free(wire);
	child_peer_lost(runner->child, ROLE_REMOTE);
	schedule_set_usable(runner->schedule, runner->spawner != NULL);
	schedule_each_line(runner->schedule, lose_start, NULL);
}

void spawner_connect(struct runner *runner, int fd)
{
	wire_free(runner->spawner);
	runner->spawner = wire_new(runner->loop, fd, "spawner", spawner_rules,
	    on_spawner_closed, runner);
	if (!runner->spawner)
		log_warn("spawner-not-connected", "why", strerror(errno), NULL);
	schedule_each_line(runner->schedule, lose_start, NULL);
	schedule_set_usable(runner->schedule, runner->spawner != NULL);
}

void line_start(struct runner *runner, struct line *line)
{
	if (!runner->spawner) {
		fail_start(peer_of(line));
		return;
	}
	buf_reset(&runner->scratch);
	put_span(&runner->scratch, span_of(schedule_group_name(line)));
	wire_send(runner->spawner, MSG_LINE_START, peer_of(line)->id,
	    buf_span(&runner->scratch));
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

	if (peer_of(line)->id == search->id)
		search->found = peer_of(line);
}

static struct line_peer *find_line(struct runner *runner, uint64_t id)
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
	set_state(p, LINE_IDLE);
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
	LIST_INIT(&peer_of(line)->tasks);
	peer_of(line)->nclaims = 0;
}

void lines_forget_tasks(struct runner *runner)
{
	schedule_each_line(runner->schedule, forget_tasks, NULL);
}

static void close_line(struct line *line, void *arg)
{
	(void)arg;
	if (peer_of(line) && peer_of(line)->wire)
		end_line(peer_of(line));
}

void lines_close(struct runner *runner)
{
	schedule_each_line(runner->schedule, close_line, NULL);
}

static void free_peer(struct line *line, void *arg)
{
	(void)arg;
	if (peer_of(line))
		wire_free(peer_of(line)->wire);
	free(line->peer);
	line->peer = NULL;
}

void lines_free(struct runner *runner)
{
	schedule_each_line(runner->schedule, free_peer, NULL);
}

void line_describe(const struct line *line, struct line_info *info)
{
	const struct line_peer *p = peer_of(line);
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
