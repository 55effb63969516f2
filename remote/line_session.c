/* One session of a line: jobs go out while answers come in, until the runner
 * has no more or no server is left to try. */
#include "remote/line_parts.h"

#include <errno.h>
#include <poll.h>

/* A server's word before the first message, which a rule says is to be taken
 * for what it says of this one. False: it says nothing. */
static bool refuse_ruled(struct line *l, struct transaction *t)
{
	struct span reason = span_of(l->why.detail);
	struct span reply = replyrule_text(reason);
	struct refusal refusal = {
		.result = RCPT_DEFERRED, .status = l->why.status, .text = reason
	};
	uint64_t code;

	refusal.verdict = pipeline_find_rule(&l->dialogue, t, reply);
	if (refusal.verdict.action == REPLY_AS_IS ||
	    refusal.verdict.action == REPLY_NEXT_HOST || l->is_suspended ||
	    span_to_u64((struct span){ reply.p, 3 }, 599, &code) < 0)
		return false;
	l->is_suspended = refusal.verdict.action == REPLY_SUSPEND;
	refusal.code = (uint16_t)code;
	transaction_refuse(t, EVERY_RCPT, &refusal);
	return true;
}

/* By a rule: what it says is said of each job, and a destination that only
 * bounces or sends elsewhere is not down. */
static void give_up_ruled(struct line *l)
{
	struct transaction *t = l->waiting.first;
	struct span reply = replyrule_text(span_of(l->why.detail));
	uint8_t action = pipeline_find_rule(&l->dialogue, t, reply).action;

	while ((t = backlog_take(&l->waiting)) != NULL) {
		if (!refuse_ruled(l, t))
			transaction_decide_why(t, RCPT_UNTOUCHED, &l->why);
		line_done(t, l);
	}
	if (action != REPLY_BOUNCE && action != REPLY_RELAY)
		l->report.outcome = l->why;
}

/* No server: the job that was to be next has been tried, the others not. */
static void give_up(struct line *l)
{
	enum rcpt_result result =
	    l->is_suspended ? RCPT_UNTOUCHED : RCPT_DEFERRED;
	struct transaction *t;

	if (l->is_ruled) {
		give_up_ruled(l);
		return;
	}
	while ((t = backlog_take(&l->waiting)) != NULL) {
		transaction_decide_why(t, result, &l->why);
		line_done(t, l);
		result = RCPT_UNTOUCHED;
	}
	l->report.outcome = l->why;
	/* No connection, or none that was welcome; but for TLS. */
	if (strncmp(l->why.status, "4.7.", 4) != 0 && !l->is_suspended)
		l->report.is_overloaded = true;
}

static bool is_all_done(const struct line *l)
{
	return !l->waiting.first && pipeline_is_empty(&l->pipeline);
}

/* The last server was lost, and nobody waits for another: what comes now, the
 * same message perhaps, is asked a new session for, with all its servers. */
static bool is_left_without(struct line *l)
{
	if (!l->is_spent || !is_all_done(l))
		return false;
	l->report.outcome = l->why;
	return true;
}

/* When to stop waiting; 0: never. */
static uint64_t wait_until(const struct line *l)
{
	uint64_t at;

	if (!l->dialogue.is_open)
		return 0;
	at = pipeline_deadline_ms(&l->pipeline);
	return at ? at : l->idle_ms + l->dialogue.waits->idle;
}

static int timeout_of(const struct line *l, uint64_t until_ms)
{
	struct deadline deadline = { until_ms };

	if (line_may_take(l) && wire_has_next(l->runner))
		return 0;
	if (l->dialogue.is_open && l->dialogue.stream.has_more)
		return 0;
	return until_ms ? deadline_left_ms(deadline) : -1;
}

static void on_server(struct line *l)
{
	if (pipeline_receive(&l->pipeline) < 0)
		line_lost(l);
	l->idle_ms = now_monotonic_ms();
}

/* In good order: what comes next is a first try again. */
static void leave(struct line *l)
{
	dialogue_quit(&l->dialogue);
	line_talk_end(l, NULL);
	l->tries = 0;
}

static void on_timeout(struct line *l)
{
	if (pipeline_is_empty(&l->pipeline)) {
		leave(l);
		return;
	}
	pipeline_timed_out(&l->pipeline);
	line_lost(l);
}

/* One wait: for the server, the runner, or the end of patience. */
static void wait_and_handle(struct line *l)
{
	struct stream *s = &l->dialogue.stream;
	bool is_open = l->dialogue.is_open;
	uint64_t until_ms = wait_until(l);
	struct pollfd p[2] = {
		{ .fd = wire_fd(l->runner),
		    .events = line_may_take(l) ? POLLIN : 0 },
		{ .fd = is_open ? s->fd : -1,
		    .events = is_open ? stream_events(s) : 0 },
	};
	int n;

	do
		n = poll(p, 2, timeout_of(l, until_ms));
	while (n < 0 && errno == EINTR);
	if (is_open && (p[1].revents || s->has_more))
		on_server(l);
	else if (is_open && until_ms && now_monotonic_ms() >= until_ms)
		on_timeout(l);
	if (p[0].revents || (line_may_take(l) && wire_has_next(l->runner)))
		line_take(l);
}

/* Move what can be moved without waiting. false: begin again. */
static bool advance(struct line *l)
{
	if (!l->dialogue.is_open)
		return true;
	if (pipeline_send(&l->pipeline) < 0) {
		line_lost(l);
		return false;
	}
	if (pipeline_wants_to_leave(&l->pipeline)) {
		line_move_on(l);
		return false;
	}
	if (l->waiting.first && pipeline_is_used_up(&l->pipeline) &&
	    pipeline_is_empty(&l->pipeline)) {
		leave(l);
		return false;
	}
	return true;
}

void line_serve(struct line *l)
{
	l->idle_ms = now_monotonic_ms();
	while (!l->is_runner_gone) {
		if (l->waiting.first && !l->dialogue.is_open &&
		    line_open(l) < 0) {
			give_up(l);
			break;
		}
		if (!advance(l))
			continue;
		line_flush(l);
		if ((l->is_ended && is_all_done(l)) || is_left_without(l))
			break;
		if (!l->is_runner_gone)
			wait_and_handle(l);
	}
	if (l->is_runner_gone) {
		dialogue_close(&l->dialogue);
		return;
	}
	if (l->dialogue.is_open)
		line_set_state(l, LINE_CLOSING);
	dialogue_quit(&l->dialogue);
	line_talk_end(l, NULL);
}
