/* Relays that are logged in to: a session begins when its login is there, and a
 * login that was refused is not tried again in a hurry. */
#include "runner/runner.h"

#include <jansson.h>
#include <stdlib.h>

/* Hosts are found, the token is on its way. */
struct token_wait {
	TAILQ_ENTRY(token_wait) entry;
	struct destination *destination;
	struct outcome outcome;
	uint64_t ttl_ms;
};

static const struct conf_relay *relay_of(
    const struct runner *runner, const struct destination *d)
{
	const struct way *way = d->owned;

	return way && way->relay ? conf_relay(runner->conf, way->relay) : NULL;
}

static bool has_login(const struct conf_relay *relay)
{
	return relay && (relay->user || relay->certificate);
}

void login_destination(struct runner *runner, struct destination *d)
{
	schedule_set_careful(
	    runner->schedule, d, has_login(relay_of(runner, d)));
}

/* "relay isp: ..." */
static void name_relay(const struct conf_relay *relay,
    const struct outcome *why, struct outcome *named)
{
	outcome_temp(named, why->status[0] == '4' ? why->status : "4.7.0",
	    "relay %s: %s", relay->name, why->detail);
}

int login_session(struct runner *runner, const struct destination *d,
    struct session *session, struct outcome *why)
{
	const struct conf_relay *relay = relay_of(runner, d);
	struct outcome cause;

	if (secrets_login(runner->secrets, relay, &session->login, &cause) == 0)
		return 0;
	name_relay(relay, &cause, why);
	return -1;
}

/* --- before a session ------------------------------------------------------*/

static void tell_schedule(struct runner *runner, struct destination *d,
    const struct outcome *outcome, uint64_t ttl_ms)
{
	const struct conf_relay *relay = relay_of(runner, d);
	uint64_t now = now_monotonic_ms();
	struct session session;
	struct outcome why;

	if (relay && relay->token_command.count > 0 && ttl_ms > TOKEN_MS)
		ttl_ms = TOKEN_MS; /* the token is looked at again then */
	schedule_hosts(runner->schedule, now, d, outcome, ttl_ms);
	if (outcome->verdict == VERDICT_OK &&
	    login_session(runner, d, &session, &why) < 0)
		schedule_login_missing(runner->schedule, now, d, &why);
}

static bool is_asked_for(
    const struct runner *runner, const struct conf_relay *relay)
{
	const struct token_wait *wait;

	TAILQ_FOREACH(wait, &runner->token_waits, entry)
	if (relay_of(runner, wait->destination) == relay)
		return true;
	return false;
}

static void wait_for_token(struct runner *runner,
    const struct conf_relay *relay, const struct token_wait *like)
{
	struct token_wait *wait = malloc(sizeof(*wait));
	bool is_new = !is_asked_for(runner, relay);

	if (!wait)
		fatal(EXIT_TRY_LATER, "no memory to wait for a token");
	*wait = *like;
	TAILQ_INSERT_TAIL(&runner->token_waits, wait, entry);
	if (!is_new || !runner->child->supervisor)
		return;
	buf_reset(&runner->scratch);
	put_span(&runner->scratch, span_of(relay->name));
	wire_send(runner->child->supervisor, MSG_WANT_TOKEN, 0,
	    buf_span(&runner->scratch));
}

void login_hosts(struct runner *runner, struct destination *d,
    const struct outcome *outcome, uint64_t ttl_ms)
{
	const struct conf_relay *relay = relay_of(runner, d);
	const struct token_wait like = {
		.destination = d, .outcome = *outcome, .ttl_ms = ttl_ms
	};

	if (outcome->verdict == VERDICT_OK &&
	    secrets_wants_token(runner->secrets, relay, now_monotonic_ms()))
		wait_for_token(runner, relay, &like);
	else
		tell_schedule(runner, d, outcome, ttl_ms);
}

static void end_waits(struct runner *runner, struct span name)
{
	struct token_wait *wait, *next;

	for (wait = TAILQ_FIRST(&runner->token_waits); wait; wait = next) {
		const struct way *way = wait->destination->owned;

		next = TAILQ_NEXT(wait, entry);
		if (!span_is_equal(span_of(way->relay), name))
			continue;
		TAILQ_REMOVE(&runner->token_waits, wait, entry);
		tell_schedule(
		    runner, wait->destination, &wait->outcome, wait->ttl_ms);
		free(wait);
	}
}

void login_wait_no_more(struct runner *runner, const struct destination *d)
{
	struct token_wait *wait;

	TAILQ_FOREACH(wait, &runner->token_waits, entry)
	if (wait->destination == d)
		break;
	if (!wait)
		return;
	TAILQ_REMOVE(&runner->token_waits, wait, entry);
	free(wait);
}

struct login_change {
	struct runner *runner;
	struct span relay;
};

static void look_again(struct destination *d, void *arg)
{
	const struct login_change *change = arg;
	const struct way *way = d->owned;

	if (way && way->relay && d->health == HEALTH_DOWN &&
	    span_is_equal(span_of(way->relay), change->relay))
		schedule_login_changed(change->runner->schedule, d);
}

/* At a reload each login comes again, and what waits for it is tried. */
static void take_login(struct runner *runner, const struct relay_secret *secret)
{
	struct login_change change = { runner, secret->relay };

	if (secrets_take(runner->secrets, secret) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a login");
	schedule_each_destination(runner->schedule, look_again, &change);
}

static void take_token(struct runner *runner, const struct relay_secret *token)
{
	if (secrets_take_token(runner->secrets, token, now_monotonic_ms()) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a token");
	end_waits(runner, token->relay);
}

void login_on_secret(struct child *child, const struct message *message)
{
	struct runner *runner = child->state;
	struct reader r = reader_of(message->payload);
	struct relay_secret secret;

	relay_secret_get(&r, &secret);
	if (!reader_is_done(&r)) {
		log_warn("secret-malformed", NULL);
		return;
	}
	if (message->type == MSG_SECRET)
		take_login(runner, &secret);
	else
		take_token(runner, &secret);
}

/* --- behind it -------------------------------------------------------------*/

static void log_refusal(const struct conf_relay *relay,
    const struct destination *d, const struct session_report *report)
{
	log_warn("relay-login-refused", "relay", relay->name, "user",
	    relay->user, "host",
	    report->host.n ? log_escape(report->host) : NULL, "why",
	    report->outcome.detail, "password-file", relay->password_file,
	    "token-command",
	    relay->token_command.count ? relay->token_command.items[0] : NULL,
	    "tried-again-in",
	    log_text("%llum", (unsigned long long)(d->probe_wait_ms / 60000)),
	    "then", "its mail waits; outpost reload tries at once", NULL);
}

static void refused(struct runner *runner, struct line *line,
    const struct conf_relay *relay, const struct session_report *report)
{
	struct destination *d = schedule_line_destination(line);
	struct outcome why;

	name_relay(relay, &report->outcome, &why);
	if (secrets_refused_token(runner->secrets, relay)) {
		log_event("relay-token-refused", "relay", relay->name, "why",
		    report->outcome.detail, "then", "another one is asked for",
		    NULL);
		schedule_login_refused(
		    runner->schedule, now_monotonic_ms(), line, &why);
		schedule_login_changed(runner->schedule, d);
		return;
	}
	schedule_login_refused(
	    runner->schedule, now_monotonic_ms(), line, &why);
	log_refusal(relay, d, report);
}

void login_session_done(struct runner *runner, struct line *line,
    const struct session_report *report)
{
	const struct destination *d = schedule_line_destination(line);
	const struct conf_relay *relay = relay_of(runner, d);

	if (relay && report->is_login_refused) {
		refused(runner, line, relay, report);
		return;
	}
	if (report->outcome.verdict == VERDICT_OK)
		secrets_accepted(runner->secrets, relay);
	line->connections = report->connections;
	schedule_session_done(runner->schedule, now_monotonic_ms(), line,
	    &report->outcome, report->is_overloaded);
}

/* --- for the operator ------------------------------------------------------*/

struct listing {
	struct runner *runner;
	json_t *array;
};

static void list_one(struct destination *d, void *arg)
{
	struct listing *listing = arg;
	const struct conf_relay *relay = relay_of(listing->runner, d);

	if (relay && d->is_login_refused)
		json_array_append_new(listing->array,
		    json_pack("{s:s, s:s*, s:s, s:s}", "relay", relay->name,
			"user", relay->user, "destination", d->name, "why",
			d->why.detail));
}

json_t *login_status(struct runner *runner)
{
	struct listing listing = { runner, json_array() };

	if (listing.array)
		schedule_each_destination(runner->schedule, list_one, &listing);
	return listing.array;
}

void login_clear(struct runner *runner)
{
	struct token_wait *wait;

	while (runner->secrets && (wait = TAILQ_FIRST(&runner->token_waits))) {
		TAILQ_REMOVE(&runner->token_waits, wait, entry);
		free(wait);
	}
	secrets_free(runner->secrets);
	runner->secrets = NULL;
}
