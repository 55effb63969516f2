/* What an attempt means for each recipient. */
#include "runner/settle.h"

#include <stdio.h>

bool settle_is_reached(const struct result *result)
{
	for (size_t i = 0; i < result->nrecipients; i++) {
		const struct rcpt_outcome *o = &result->recipients[i];

		/* a failure without a reply: what the host offers rules the
		 * message out */
		if (o->result == RCPT_DELIVERED ||
		    o->result == RCPT_UNCERTAIN || o->result == RCPT_FAILED)
			return true;
		if (o->code >= 400 && o->code != 421)
			return true;
	}
	return false;
}

bool settle_is_untouched(const struct result *result)
{
	for (size_t i = 0; i < result->nrecipients; i++)
		if (result->recipients[i].result != RCPT_UNTOUCHED)
			return false;
	return true;
}

static enum cause find_cause(const struct rcpt_outcome *o)
{
	switch (o->result) {
	case RCPT_DEFERRED:
		if (o->action == REPLY_SUSPEND)
			return CAUSE_SUSPENDED;
		if (o->action == REPLY_RETRY || o->action == REPLY_RELAY)
			return CAUSE_RETRY;
		return o->code == 0 || o->code == 421 ? CAUSE_CONNECT
						      : CAUSE_RETRY;
	case RCPT_UNCERTAIN:
		return CAUSE_UNCERTAIN;
	case RCPT_UNTOUCHED:
		return CAUSE_UNTOUCHED;
	default:
		return CAUSE_NONE;
	}
}

/* Of several the one that says most about the host. */
static enum cause cause_of(
    const struct settle_case *c, const struct rcpt_outcome *outcomes, size_t n)
{
	enum cause best = CAUSE_NONE;

	if (c->line_died)
		return CAUSE_LINE_DIED;
	for (size_t i = 0; i < n; i++) {
		enum cause cause = find_cause(&outcomes[i]);

		if (cause == CAUSE_NONE)
			continue;
		if (c->cause != CAUSE_NONE)
			return c->cause;
		if (cause == CAUSE_SUSPENDED)
			return cause;
		if (best == CAUSE_NONE || cause == CAUSE_RETRY ||
		    (cause == CAUSE_UNCERTAIN && best != CAUSE_RETRY) ||
		    best == CAUSE_UNTOUCHED)
			best = cause;
	}
	return best;
}

static bool is_postmaster(const struct settle_case *c, struct span address)
{
	return span_is_equal_nocase(address, span_of(c->postmaster));
}

/* Who is told that it failed: the sender; for a report of ours the postmaster,
 * once; for other mail without a sender nobody (RFC 5321 4.5.5). */
static uint8_t failed_report(
    const struct settle_case *c, const struct settle_recipient *r)
{
	if (c->sender.n == 0) {
		bool tells = c->origin == ORIGIN_REPORT && c->postmaster[0] &&
			     !is_postmaster(c, r->address);

		return tells ? REPORT_FAILED : REPORT_NONE;
	}
	if (r->notify == 0 || r->notify & NOTIFY_FAILURE)
		return REPORT_FAILED;
	return REPORT_NONE;
}

static uint8_t report_for(const struct settle_case *c,
    const struct settle_recipient *r, const struct rcpt_outcome *o, bool warns,
    bool peer_has_dsn)
{
	switch (o->result) {
	case RCPT_FAILED:
		return failed_report(c, r);
	case RCPT_DELIVERED:
		return c->sender.n > 0 && r->notify & NOTIFY_SUCCESS &&
			       !peer_has_dsn
			   ? REPORT_RELAYED
			   : REPORT_NONE;
	default:
		if (!warns || c->sender.n == 0 || c->origin == ORIGIN_REPORT)
			return REPORT_NONE;
		return r->notify == 0 || r->notify & NOTIFY_DELAY
			   ? REPORT_DELAYED
			   : REPORT_NONE;
	}
}

/* Its time is over: the server's words stay, the status says why. */
static void give_up(struct rcpt_outcome *o)
{
	o->result = RCPT_FAILED;
	snprintf(o->status, sizeof(o->status), "4.4.7");
	if (o->reply.n == 0)
		o->reply = SPAN_LITERAL("could not be delivered in time");
}

/* When to try again, by the rules or the destination's suspension; never
 * beyond the end of its life. */
static uint64_t next_try(const struct settle_case *c,
    const struct ruling *ruling, const struct retry_case *retry,
    const struct retry_plan *plan)
{
	uint64_t next = plan->next_try_ms;

	if (c->suspended_ms > 0)
		next = c->now_ms + c->suspended_ms +
		       c->random % (c->suspended_ms / 10 + 1);
	else
		next = ruling_next_ms(ruling, c->now_ms, next, retry->attempts,
		    c->retry->jitter_percent, c->random);
	return next < plan->ends_at * 1000 ? next : plan->ends_at * 1000;
}

static void conclude(const struct settle_case *c,
    const struct settle_recipient *asked, size_t n,
    struct rcpt_outcome *outcomes, uint8_t *reports, struct attempt *attempt)
{
	struct ruling ruling = { 0 };
	enum cause cause;
	struct retry_case retry;
	struct retry_plan plan = { 0 };
	bool peer_has_dsn = attempt->result.peer_has_dsn, counts;

	if (c->words)
		ruling = ruling_apply(
		    c->conf, c->relay, outcomes, n, &c->words->texts);
	cause = cause_of(c, outcomes, n);
	counts = cause_counts(cause) && c->suspended_ms == 0;
	retry = (struct retry_case){
		.cause = cause,
		.now_ms = c->now_ms,
		.accepted_at = c->accepted_at,
		.expires_at = c->expires_at,
		.attempts = c->attempts + (counts ? 1 : 0),
		.is_warned = c->flags & WAITING_WARNED,
		.random = c->random,
	};
	if (cause != CAUSE_NONE)
		plan = retry_plan(c->retry, &retry);
	for (size_t i = 0; i < n; i++) {
		if (plan.gives_up && find_cause(&outcomes[i]) != CAUSE_NONE)
			give_up(&outcomes[i]);
		reports[i] = report_for(
		    c, &asked[i], &outcomes[i], plan.warns, peer_has_dsn);
	}
	attempt->next_try_ms = cause != CAUSE_NONE && !plan.gives_up
				   ? next_try(c, &ruling, &retry, &plan)
				   : c->now_ms;
	attempt->counts = cause == CAUSE_NONE || counts;
	attempt->line_died = c->line_died;
	attempt->cause = span_of(cause_name(cause));
	if (c->words) {
		attempt->cause = ruling_cause(
		    &ruling, cause_name(cause), c->relay, c->words->cause);
		c->words->ruling = ruling;
	}
	attempt->reports = reports;
	attempt->result.recipients = outcomes;
	attempt->result.nrecipients = n;
}

void settle_all(const struct settle_case *c,
    const struct settle_recipient *asked, size_t n,
    const struct rcpt_outcome *like, struct rcpt_outcome *outcomes,
    uint8_t *reports, struct attempt *attempt)
{
	for (size_t i = 0; i < n; i++) {
		outcomes[i] = *like;
		outcomes[i].index = asked[i].index;
	}
	conclude(c, asked, n, outcomes, reports, attempt);
}

static const struct rcpt_outcome *find(
    const struct result *result, uint16_t index)
{
	for (size_t i = 0; i < result->nrecipients; i++)
		if (result->recipients[i].index == index)
			return &result->recipients[i];
	return NULL;
}

int settle(const struct settle_case *c, const struct settle_recipient *asked,
    size_t n, const struct result *result, struct rcpt_outcome *outcomes,
    uint8_t *reports, struct attempt *attempt)
{
	const struct rcpt_outcome unsaid = { .result = RCPT_UNCERTAIN,
		.status = "4.3.0",
		.reply = SPAN_LITERAL("the line did not say what came of it") };
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		const struct rcpt_outcome *o = find(result, asked[i].index);

		found += o ? 1 : 0;
		outcomes[i] = o ? *o : unsaid;
		outcomes[i].index = asked[i].index;
		if (outcomes[i].result > RCPT_UNCERTAIN)
			return -1;
	}
	if (found != result->nrecipients)
		return -1;
	attempt->result = *result;
	conclude(c, asked, n, outcomes, reports, attempt);
	return 0;
}
