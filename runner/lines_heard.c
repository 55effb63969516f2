/* What a line says. A line that says what it may not say is cut off. */
#include "runner/lines_parts.h"

#include "common/log.h"

#include <stdio.h>

enum {
	RESULT_SIZE_MAX = 262144,
	REPORT_SIZE_MAX = 4096,
	STATE_SIZE_MAX = 512,
	TRIED_SIZE_MAX = 4096,
	TICKET_SIZE_MAX = TICKET_MAX + 1024,
	TRANSCRIPT_SIZE_MAX = TRANSCRIPT_MAX + 4096,
};

/* After a reload a session ends with the rules that it began with: what it says
 * of a rule by number is not to be looked up among the new ones. */
static void forget_rules(const struct line_peer *p, const struct result *result)
{
	struct rcpt_outcome *outcomes = (void *)result->recipients;

	for (size_t i = 0; i < result->nrecipients; i++)
		if (p->rules_at != p->runner->nreloads)
			outcomes[i].action = REPLY_AS_IS;
}

static void on_result(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = arg;
	struct task *task = task_find(&p->runner->tasks, message->id);
	struct reader r = reader_of(message->payload);
	struct result result;

	(void)wire;
	if (!task || task->state != TASK_AT_LINE || task->line != p->line) {
		line_cut_off(p, "a result for a job it does not have");
		return;
	}
	if (result_get(&r, &result) < 0) {
		line_cut_off(p, "malformed result");
		return;
	}
	if (!reader_is_done(&r) || !attempt_fits(task, &result)) {
		result_free(&result);
		line_cut_off(p, "a result that does not fit its job");
		return;
	}
	LIST_REMOVE(task, of_line);
	p->sent++;
	forget_rules(p, &result);
	attempt_result(p->runner, task, &result);
	result_free(&result);
	line_close_when_done(p);
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
		line_cut_off(p, "malformed session report");
		return;
	}
	if (message->id != p->line->session || !d)
		return;
	if (keeps_old_job(p)) {
		line_cut_off(p, "a job kept beyond its session");
		return;
	}
	p->is_to_end = false;
	p->message = 0;
	if (report.must_be_stepwise)
		((struct way *)d->owned)->is_stepwise = true;
	if (report.outcome.verdict != VERDICT_OK)
		log_detail("session-failed", "line", p->name, "status",
		    report.outcome.status, "why", report.outcome.detail, NULL);
	login_session_done(p->runner, p->line, &report);
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
		line_cut_off(p, "malformed state");
		return;
	}
	line_set_state(p, state);
	snprintf(p->peer, sizeof(p->peer), "%.*s", (int)peer.n,
	    peer.p ? peer.p : "");
}

static void on_host_tried(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = arg;
	struct reader r = reader_of(message->payload);
	struct destination *d = schedule_line_destination(p->line);
	struct host_tried tried;

	(void)wire;
	host_tried_get(&r, &tried);
	if (!reader_is_done(&r)) {
		line_cut_off(p, "malformed word of a host");
		return;
	}
	if (d && message->id == p->line->session)
		tlsrpt_tried(p->runner, d, &tried);
	if (tried.address.n == 0)
		return;
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
		line_cut_off(p, "malformed ticket");
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
		line_cut_off(p, "malformed transcript");
	else if (p->runner->keeper)
		wire_send(
		    p->runner->keeper, MSG_TRANSCRIPT, 0, message->payload);
}

const struct wire_rule lines_rules[] = {
	{ MSG_RESULT, RESULT_SIZE_MAX, on_result },
	{ MSG_SESSION_DONE, REPORT_SIZE_MAX, on_session_done },
	{ MSG_LINE_STATE, STATE_SIZE_MAX, on_line_state },
	{ MSG_HOST_TRIED, TRIED_SIZE_MAX, on_host_tried },
	{ MSG_TICKET, TICKET_SIZE_MAX, on_ticket },
	{ MSG_TRANSCRIPT, TRANSCRIPT_SIZE_MAX, on_transcript },
	{ 0 },
};
