/* From results to records: what a line said, or that it died, or that a
 * destination takes no mail, becomes the outcome that the keeper writes. */
#include "runner/runner.h"

#include "runner/lines.h"

static struct settle_case settle_case(
    struct runner *runner, const struct task *task, struct settle_words *words)
{
	const struct delivery *d = task->delivery;
	const struct destination *to = schedule_delivery_destination(d);

	return (struct settle_case){
		.retry = &runner->conf->retry,
		.postmaster = runner->conf->postmaster,
		.sender = task->has_sender ? SPAN_LITERAL("sender")
					   : (struct span){ NULL, 0 },
		.origin = task->origin,
		.flags = d->flags,
		.now_ms = runner_utc_ms(),
		.accepted_at = d->accepted_at,
		.expires_at = d->expires_at,
		.attempts = d->attempts,
		.random = runner_random(runner),
		.conf = runner->conf,
		.words = words,
		.relay = to && d->flags & WAITING_RELAY
			     ? destination_relay(to)
			     : (struct span){ NULL, 0 },
	};
}

static void words_init(struct settle_words *words)
{
	words->cause[0] = '\0';
	buf_init(&words->texts, RCPTS_PER_DELIVERY * REPLY_MAX);
}

static bool has_reports(const uint8_t *reports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (reports[i] != REPORT_NONE)
			return true;
	return false;
}

static void send_outcome(
    struct runner *runner, struct task *task, struct attempt *attempt)
{
	attempt->message = task->delivery->message;
	attempt->delivery = task->delivery->number;
	task->state = TASK_RECORDING;
	task->has_report = has_reports(attempt->reports, task->nrecipients);
	if (attempt->next_try_ms > runner_utc_ms())
		intake_due_at(&runner->intake, attempt->next_try_ms);
	buf_reset(&runner->scratch);
	attempt_put(&runner->scratch, attempt);
	if (runner->scratch.overflow)
		BUG("an outcome is too long");
	wire_send(
	    runner->keeper, MSG_OUTCOME, task->id, buf_span(&runner->scratch));
}

bool attempt_fits(const struct task *task, const struct result *result)
{
	size_t found = 0;

	if (result->nrecipients > task->nrecipients)
		return false;
	for (size_t i = 0; i < task->nrecipients; i++) {
		size_t times = 0;

		for (size_t k = 0; k < result->nrecipients; k++)
			times += result->recipients[k].index ==
				 task->recipients[i].index;
		if (times > 1)
			return false;
		found += times;
	}
	return found == result->nrecipients;
}

static enum result_kind kind_of(const struct result *result)
{
	for (size_t i = 0; i < result->nrecipients; i++)
		if (result->recipients[i].result == RCPT_DELIVERED)
			return RESULT_DELIVERED;
	return settle_is_reached(result) ? RESULT_ANSWERED : RESULT_UNREACHED;
}

static void give_back(struct runner *runner, struct task *task)
{
	keeper_give_back(runner, task->delivery, true);
	task_end(&runner->tasks, task);
}

/* What the server said is said of all its mail. */
static void suspend(struct runner *runner, const struct task *task,
    const struct ruling *ruling, const struct result *result)
{
	struct destination *d = schedule_delivery_destination(task->delivery);
	uint32_t seconds = ruling->after_s ? ruling->after_s : SUSPEND_S;
	struct span reply = { NULL, 0 };
	struct outcome why;

	for (size_t i = 0; i < result->nrecipients; i++)
		if (result->recipients[i].action == REPLY_SUSPEND)
			reply = result->recipients[i].reply;
	outcome_temp(&why, "4.7.0", "suspended by reply rule %s: %.*s",
	    ruling->rule, (int)reply.n, reply.p ? reply.p : "");
	log_warn("destination-suspended", "destination", d->name, "seconds",
	    log_text("%u", seconds), "rule", ruling->rule, "reply",
	    log_escape(reply), NULL);
	schedule_suspend(runner->schedule, now_monotonic_ms(), d, &why,
	    (uint64_t)seconds * 1000);
}

static enum result_kind kind_by(
    const struct ruling *ruling, const struct result *result, bool is_pushed)
{
	if (ruling->action == REPLY_SUSPEND)
		return RESULT_UNREACHED;
	return is_pushed ? RESULT_PUSHED : kind_of(result);
}

void attempt_result(
    struct runner *runner, struct task *task, const struct result *result)
{
	struct settle_words words;
	struct settle_case c = settle_case(runner, task, &words);
	struct rcpt_outcome outcomes[RCPTS_PER_DELIVERY];
	uint8_t reports[RCPTS_PER_DELIVERY];
	struct attempt attempt = { .line = span_of(line_name(task->line)) };
	bool is_pushed;

	task->line = NULL;
	if (settle_is_untouched(result) &&
	    task->delivery->put_backs < PUT_BACKS_MAX) {
		give_back(runner, task);
		return;
	}
	is_pushed = limits_pushback(runner, task->delivery, result);
	words_init(&words);
	if (settle(&c, task->recipients, task->nrecipients, result, outcomes,
		reports, &attempt) < 0)
		BUG("a result that does not fit was let through");
	schedule_result(runner->schedule, now_monotonic_ms(), task->delivery,
	    kind_by(&words.ruling, result, is_pushed));
	if (words.ruling.action == REPLY_SUSPEND)
		suspend(runner, task, &words.ruling, result);
	send_outcome(runner, task, &attempt);
	buf_clear(&words.texts);
}

static void settle_for_all(struct runner *runner, struct task *task,
    const struct settle_case *c, const struct rcpt_outcome *like,
    struct attempt *attempt)
{
	struct rcpt_outcome outcomes[RCPTS_PER_DELIVERY];
	uint8_t reports[RCPTS_PER_DELIVERY];

	settle_all(c, task->recipients, task->nrecipients, like, outcomes,
	    reports, attempt);
	send_outcome(runner, task, attempt);
}

void attempt_line_died(
    struct runner *runner, struct task *task, const char *line)
{
	struct settle_words words;
	struct settle_case c = settle_case(runner, task, &words);
	struct attempt attempt = { .line = span_of(line) };
	const struct rcpt_outcome like = { .result = RCPT_UNCERTAIN,
		.status = "4.3.0",
		.reply = SPAN_LITERAL("the line died during the attempt") };

	words_init(&words);
	c.line_died = true;
	schedule_result(runner->schedule, now_monotonic_ms(), task->delivery,
	    RESULT_UNREACHED);
	settle_for_all(runner, task, &c, &like, &attempt);
}

static enum cause down_cause(const struct destination *d)
{
	return d->hosts == HOSTS_KNOWN || d->is_login_refused || d->is_suspended
		   ? CAUSE_SUSPENDED
		   : CAUSE_DNS;
}

void attempt_refused(struct runner *runner, struct task *task)
{
	const struct destination *d =
	    schedule_delivery_destination(task->delivery);
	struct settle_words words;
	struct settle_case c = settle_case(runner, task, &words);
	uint64_t now = now_monotonic_ms();
	struct rcpt_outcome like = { .result = RCPT_DEFERRED,
		.reply = span_of(d->why.detail) };
	struct attempt attempt = { 0 };

	words_init(&words);
	memcpy(like.status, d->why.status, sizeof(like.status));
	if (d->is_suspended && d->probe_at > now)
		c.suspended_ms = d->probe_at - now;
	if (d->health == HEALTH_DEAD)
		like.result = RCPT_FAILED;
	else
		c.cause = down_cause(d);
	schedule_refused(runner->schedule, task->delivery);
	settle_for_all(runner, task, &c, &like, &attempt);
}
