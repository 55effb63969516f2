/* A line: its life, and its talk with the runner. */
#include "remote/line_parts.h"

#include "common/log.h"
#include "remote/login.h"
#include "remote/title.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SESSION_MAX = 524288,
	HELD_JOBS = 64,	    /* jobs in hand, begun or not */
	HELD_BYTES = 98304, /* of their payloads; one may be larger */
	FLUSH_BYTES = 32768,
	RUNNER_MS = 60000, /* the runner answers always */
	REST_MS = 300,	   /* then memory is given back */
};

static const struct wire_rule rules[] = {
	{ MSG_SESSION, SESSION_MAX, NULL },
	{ MSG_DELIVER, WIRE_FRAME_MAX, NULL },
	{ MSG_RULES, SESSION_MAX, NULL },
	{ MSG_SESSION_END, 0, NULL },
	{ 0 },
};

static void lose_runner(struct line *l, const char *why)
{
	if (!l->is_runner_gone && why)
		log_warn(
		    "runner-lost", "line", l->options->name, "why", why, NULL);
	l->is_runner_gone = true;
}

static void cut_off(struct line *l, const char *why)
{
	l->is_runner_bad = true;
	lose_runner(l, why);
}

/* --- results ------------------------------------------------------------ */

void line_flush(struct line *l)
{
	if (l->is_runner_gone || wire_queued(l->runner) == 0)
		return;
	if (wire_flush(l->runner, deadline_in_ms(RUNNER_MS)) < 0)
		lose_runner(l, strerror(errno));
}

static void send_buf(
    struct line *l, uint16_t type, uint64_t id, struct buf *payload)
{
	if (payload->overflow)
		BUG("a message to the runner is too long");
	if (!l->is_runner_gone)
		wire_send(l->runner, type, id, buf_span(payload));
	buf_clear(payload);
}

void line_tell(struct line *l, uint16_t type, struct buf *payload)
{
	send_buf(l, type, l->session_id, payload);
}

void line_set_state(struct line *l, enum line_state state)
{
	struct buf payload;
	const char *peer = state == LINE_IDLE ? "" : l->dialogue.address;

	if (l->state == state)
		return;
	l->state = state;
	buf_init(&payload, 1024);
	put_u8(&payload, (uint8_t)state);
	put_span(&payload, span_of(peer));
	send_buf(l, MSG_LINE_STATE, 0, &payload);
}

static void send_result(struct line *l, const struct transaction *t)
{
	const struct dialogue *d = &l->dialogue;
	struct rcpt_outcome outcomes[RCPTS_PER_DELIVERY];
	struct result result = { .recipients = outcomes,
		.nrecipients = t->job.nrecipients };
	struct buf payload;

	if (l->has_session && d->is_reached) {
		result.host = d->host->name;
		result.address = span_of(d->address);
		result.tls = span_of(d->tls_text);
		result.peer_has_dsn = d->ehlo.has_dsn;
	}
	if (t->began_ms > 0)
		result.took_ms = (uint32_t)(now_monotonic_ms() - t->began_ms);
	transaction_outcomes(t, outcomes, RCPTS_PER_DELIVERY);
	buf_init(&payload, WIRE_FRAME_MAX);
	result_put(&payload, &result);
	send_buf(l, MSG_RESULT, t->number, &payload);
	if (wire_queued(l->runner) > FLUSH_BYTES)
		line_flush(l);
}

static bool has_delivered(const struct transaction *t)
{
	for (size_t i = 0; i < t->job.nrecipients; i++)
		if (t->rcpts[i].result == RCPT_DELIVERED)
			return true;
	return false;
}

void line_done(struct transaction *t, void *arg)
{
	struct line *l = arg;

	if (has_delivered(t))
		l->report.messages++;
	line_talk_done(l, t);
	send_result(l, t);
	transaction_clear(t);
	t->next = l->spare;
	l->spare = t;
}

void line_free_spare(struct line *l)
{
	while (l->spare) {
		struct transaction *t = l->spare;

		l->spare = t->next;
		transaction_free(t);
	}
}

/* --- what the runner says ------------------------------------------------ */

static void on_session(struct line *l, struct message *message)
{
	struct span text = message->payload;
	struct reader r;

	if (l->has_session) {
		cut_off(l, "a session inside a session");
		return;
	}
	free(l->session_text);
	l->session_text = malloc(text.n + 1);
	if (!l->session_text) {
		cut_off(l, "no memory");
		return;
	}
	memcpy(l->session_text, text.p, text.n);
	/* it may have a secret in it; the message is not read again */
	explicit_bzero((char *)text.p, text.n);
	r = reader_of((struct span){ l->session_text, text.n });
	if (session_get(&r, &l->session) < 0 || !reader_is_done(&r)) {
		session_free(&l->session);
		cut_off(l, "malformed session");
		return;
	}
	l->has_session = true;
	l->session_id = message->id;
}

static void on_rules(struct line *l, struct message *message)
{
	struct reader r = reader_of(message->payload);
	struct replyrules *fresh = replyrules_get(&r);

	if (!fresh || l->has_session) {
		replyrules_free(fresh);
		cut_off(l, "malformed reply rules");
		return;
	}
	replyrules_free(l->rules);
	l->rules = fresh;
	l->dialogue.rules = fresh;
}

static struct transaction *get_transaction(struct line *l)
{
	struct transaction *t = l->spare;

	if (!t)
		return transaction_new();
	l->spare = t->next;
	return t;
}

static void on_deliver(struct line *l, struct message *message)
{
	struct transaction *t = get_transaction(l);
	struct outcome why;

	if (!t || transaction_fill(t, message) < 0) {
		transaction_free(t);
		cut_off(l, "malformed job");
		return;
	}
	if (l->has_session) {
		backlog_put(&l->waiting, t);
		return;
	}
	/* Sent before the runner heard that the session had failed. */
	outcome_temp(&why, "4.4.0", "the session was over");
	transaction_decide_why(t, RCPT_UNTOUCHED, &why);
	line_done(t, l);
}

static void handle(struct line *l, struct message *message)
{
	if (message->type == MSG_SESSION)
		on_session(l, message);
	else if (message->type == MSG_DELIVER)
		on_deliver(l, message);
	else if (message->type == MSG_RULES)
		on_rules(l, message);
	else if (l->has_session)
		l->is_ended = true;
	for (int i = 0; i < message->nfds; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
}

bool line_may_take(const struct line *l)
{
	const struct backlog *flight = &l->pipeline.flight;

	return !l->is_ended && l->waiting.count + flight->count < HELD_JOBS &&
	       l->waiting.bytes + flight->bytes < HELD_BYTES;
}

/* Without waiting: what is sent together needs one round trip. */
static bool has_more(const struct line *l)
{
	struct pollfd p = { .fd = wire_fd(l->runner), .events = POLLIN };

	return wire_has_next(l->runner) || poll(&p, 1, 0) > 0;
}

void line_take(struct line *l)
{
	struct message message;
	int status;

	do {
		status = wire_receive(
		    l->runner, &message, deadline_in_ms(RUNNER_MS));
		if (status > 0)
			handle(l, &message);
		else if (status == 0)
			lose_runner(l, l->has_session ? "closed" : NULL);
		else if (errno == EPROTO)
			cut_off(l, "sent what it may not send");
		else
			lose_runner(l, strerror(errno));
	} while (!l->is_runner_gone && line_may_take(l) && has_more(l));
}

/* --- life ---------------------------------------------------------------- */

/* Nothing to do: after a while without the memory of busier times. */
static void rest(struct line *l)
{
	struct pollfd p = { .fd = wire_fd(l->runner), .events = POLLIN };

	if (wire_has_next(l->runner) || poll(&p, 1, REST_MS) != 0)
		return;
	line_free_spare(l);
	talk_clear(&l->talk);
	free(l->session_text);
	l->session_text = NULL;
	wire_trim(l->runner);
	malloc_trim(0);
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

static void begin_session(struct line *l)
{
	struct span to = l->session.destination;

	title_set("%s sending to %.*s", l->options->name, (int)to.n, to.p);
	/* the runner's word: the level may have changed since the fork */
	log_set_level(
	    l->session.is_detailed ? LOG_LEVEL_DETAILED : LOG_LEVEL_BASIC);
	l->report = (struct session_report){ 0 };
	outcome_ok(&l->why);
	outcome_ok(&l->report.outcome);
	l->host_at = 0;
	l->address_at = l->tries = 0;
	l->is_ruled = l->is_suspended = l->is_spent = false;
	l->dialogue.session = &l->session;
	l->dialogue.is_stepwise = l->session.is_stepwise;
	l->dialogue.is_reached = false;
	l->dialogue.connections = l->dialogue.round_trips = 0;
}

static void end_session(struct line *l)
{
	struct buf payload;

	l->report.connections = l->dialogue.connections;
	l->report.round_trips = l->dialogue.round_trips;
	if (l->dialogue.is_reached)
		l->report.host = l->dialogue.host->name;
	buf_init(&payload, WIRE_FRAME_MAX);
	session_report_put(&payload, &l->report);
	send_buf(l, MSG_SESSION_DONE, l->session_id, &payload);
	line_set_state(l, LINE_IDLE);
	line_flush(l);
	login_wipe(&l->session.login); /* in session_text */
	session_free(&l->session);
	l->has_session = l->is_ended = false;
	log_set_level(l->log_level);
	title_set("%s idle", l->options->name);
}

static void clear(struct line *l)
{
	struct transaction *t;

	while ((t = backlog_take(&l->pipeline.flight)) != NULL)
		transaction_free(t);
	while ((t = backlog_take(&l->waiting)) != NULL)
		transaction_free(t);
	line_free_spare(l);
	talk_clear(&l->talk);
	dialogue_clear(&l->dialogue);
	session_free(&l->session);
	replyrules_free(l->rules);
	free(l->session_text);
	wire_free(l->runner);
}

static void on_connected(void *arg)
{
	line_set_state(arg, LINE_GREETING);
	line_flush(arg);
}

int line_run(int fd, const struct line_options *options)
{
	struct line l = { .options = options, .log_level = log_get_level() };

	l.runner = wire_new(NULL, fd, "runner", rules, NULL, NULL);
	if (!l.runner)
		fatal(EXIT_TRY_LATER, "runner: %s", strerror(errno));
	backlog_init(&l.waiting);
	dialogue_init(&l.dialogue,
	    options->waits ? options->waits : &dialogue_waits, options->tls);
	talk_init(&l.talk);
	l.dialogue.talk = &l.talk;
	l.dialogue.rules = options->rules;
	l.dialogue.on_connected = on_connected;
	l.dialogue.arg = &l;
	pipeline_init(&l.pipeline, &l.dialogue, &l.waiting, line_done, &l);
	title_set("%s idle", options->name);
	while (!l.is_runner_gone) {
		rest(&l);
		line_take(&l);
		line_flush(&l);
		if (l.is_runner_gone || !l.has_session)
			continue;
		begin_session(&l);
		line_serve(&l);
		end_session(&l);
	}
	clear(&l);
	return l.is_runner_bad ? 1 : 0;
}
