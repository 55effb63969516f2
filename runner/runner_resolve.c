/* The resolver's connection: which hosts take a destination's mail. A new
 * resolver is asked again what the old one left open. */
#include "runner/runner.h"

#include <errno.h>
#include <stdlib.h>

enum { ANSWER_MAX = 262144 };

/* A destination that waits until fewer questions are open. */
struct want {
	TAILQ_ENTRY(want) entry;
	struct destination *destination;
};

static void send_query(struct runner *runner, const struct asked *asked)
{
	struct resolve_query query;
	struct buf name;

	if (!runner->resolver)
		return;
	buf_init(&name, 1024);
	if (way_query(asked->destination->owned, asked->query, &name, &query) <
	    0) {
		if (name.starved)
			fatal(EXIT_TRY_LATER, "no memory for a query");
		BUG("a host name is too long");
	}
	buf_reset(&runner->scratch);
	resolve_query_put(&runner->scratch, &query);
	wire_send(runner->resolver, MSG_RESOLVE, asked->id,
	    buf_span(&runner->scratch));
	buf_clear(&name);
}

static struct asked *find_asked(struct runner *runner, uint64_t id)
{
	struct asked *asked = &runner->asked[id % RESOLVES_MAX];

	return asked->destination && asked->id == id ? asked : NULL;
}

static void put_query(struct runner *runner, struct destination *d, size_t i)
{
	struct asked *asked;

	do
		asked = &runner->asked[++runner->last_asked % RESOLVES_MAX];
	while (asked->destination);
	*asked = (struct asked){ d, runner->last_asked, i };
	runner->nasked++;
	send_query(runner, asked);
}

static bool ask_now(struct runner *runner, struct destination *d)
{
	struct way *way = d->owned;

	if (runner->nasked + way->nqueries > RESOLVES_MAX)
		return false;
	if (way_ask(way) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a question");
	for (size_t i = 0; i < way->nqueries; i++)
		put_query(runner, d, i);
	return true;
}

void resolver_ask(struct runner *runner, struct destination *d)
{
	struct want *want;

	if (TAILQ_EMPTY(&runner->wants) && ask_now(runner, d))
		return;
	want = malloc(sizeof(*want));
	if (!want)
		fatal(EXIT_TRY_LATER, "no memory for a question");
	want->destination = d;
	TAILQ_INSERT_TAIL(&runner->wants, want, entry);
}

static bool is_wanted(const struct runner *runner, const struct destination *d)
{
	const struct want *want;

	TAILQ_FOREACH(want, &runner->wants, entry)
	if (want->destination == d)
		return true;
	return false;
}

void resolver_ask_anew(struct runner *runner, struct destination *d)
{
	login_wait_no_more(runner, d);
	if (is_wanted(runner, d))
		return; /* its turn is still to come */
	for (size_t i = 0; i < RESOLVES_MAX; i++) {
		if (runner->asked[i].destination != d)
			continue;
		runner->asked[i].destination = NULL;
		runner->nasked--;
	}
	resolver_ask(runner, d);
}

static void ask_more(struct runner *runner)
{
	struct want *want;

	while ((want = TAILQ_FIRST(&runner->wants)) &&
	       ask_now(runner, want->destination)) {
		TAILQ_REMOVE(&runner->wants, want, entry);
		free(want);
	}
}

static void lose_resolver(struct runner *runner, const char *why)
{
	struct wire *wire = runner->resolver;

	log_warn("resolver-lost", "why", why, NULL);
	runner->resolver = NULL;
	wire_free(wire);
	tlsrpt_lost(runner);
	child_peer_lost(runner->child, ROLE_RESOLVE);
}

static void take_answer(
    struct runner *runner, struct asked *asked, struct span payload)
{
	struct destination *d = asked->destination;
	struct outcome outcome;
	uint64_t ttl_ms;
	size_t query = asked->query;

	asked->destination = NULL;
	runner->nasked--;
	if (way_answer(d->owned, query, payload, &outcome, &ttl_ms)) {
		if (outcome.verdict != VERDICT_OK)
			log_detail("not-resolved", "destination", d->name,
			    "status", outcome.status, "why", outcome.detail,
			    NULL);
		else
			limits_site(runner, d);
		login_hosts(runner, d, &outcome, ttl_ms);
	}
	ask_more(runner);
}

static void on_resolved(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct asked *asked = find_asked(runner, message->id);
	struct reader r = reader_of(message->payload);
	struct resolve_answer answer;

	(void)wire;
	if (!asked && !(message->id & TLSRPT_ID))
		return; /* from before it was asked again */
	if (resolve_answer_get(&r, &answer) < 0) {
		lose_resolver(runner, "malformed answer");
		return;
	}
	if (!reader_is_done(&r)) {
		lose_resolver(runner, "malformed answer");
	} else if (asked) {
		tlsrpt_resolved(runner, asked->destination, &answer);
		take_answer(runner, asked, message->payload);
	} else {
		tlsrpt_on_resolved(runner, message->id, &answer);
	}
	resolve_answer_free(&answer);
}

static const struct wire_rule rules[] = {
	{ MSG_RESOLVED, ANSWER_MAX, on_resolved },
	{ MSG_TLS_POSTED, 1000, tlsrpt_on_posted },
	{ 0 },
};

static void on_closed(struct wire *wire, const char *why, void *arg)
{
	(void)wire;
	lose_resolver(arg, why);
}

void resolver_connect(struct runner *runner, int fd)
{
	wire_free(runner->resolver);
	runner->resolver =
	    wire_new(runner->loop, fd, "resolver", rules, on_closed, runner);
	if (!runner->resolver) {
		log_warn(
		    "resolver-not-connected", "why", strerror(errno), NULL);
		return;
	}
	for (size_t i = 0; i < RESOLVES_MAX; i++)
		if (runner->asked[i].destination)
			send_query(runner, &runner->asked[i]);
}

void resolver_clear(struct runner *runner)
{
	struct want *want;

	wire_free(runner->resolver);
	while ((want = TAILQ_FIRST(&runner->wants))) {
		TAILQ_REMOVE(&runner->wants, want, entry);
		free(want);
	}
}
