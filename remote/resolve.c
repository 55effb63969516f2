/* Requests of the runner, each with its resolution under way. */
#include "remote/resolve.h"

#include "common/deadline.h"
#include "remote/mx.h"
#include "remote/tlsrptlookup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	REQUESTS_MAX = 2000, /* at once; the runner waits in its socket */
	ANSWER_MAX = 1 << 18,
	NOTE_EVERY_MS = 5000,
};

/* One connection of the runner; it outlives its wire until the last request
 * has been answered. */
struct client_session {
	struct resolver *resolver;
	struct wire *wire; /* NULL: gone */
	size_t requests;
	bool is_paused;
};

struct resolver {
	struct child *child;
	struct dns_client *client;
	struct hosts *hosts;
	bool allow_local;
	int dane, mta_sts;	/* enum conf_switch */
	struct sts_client *sts; /* NULL: no MTA-STS */
	bool has_trusted;
	struct client_session *current;
	uint64_t noted_ms;
};

struct request {
	struct client_session *session;
	uint64_t id;
};

static void session_release(struct client_session *s)
{
	if (!s->wire && s->requests == 0)
		free(s);
}

/* One line for "outpost status", now and then. */
static void note(struct resolver *resolver)
{
	uint64_t now = now_monotonic_ms();
	struct sts_counts sts = { 0 };
	const char *policies = "";
	struct dns_counts c;
	struct buf payload;

	if (now < resolver->noted_ms + NOTE_EVERY_MS ||
	    !resolver->child->supervisor)
		return;
	resolver->noted_ms = now;
	dns_client_counts(resolver->client, &c);
	if (resolver->sts) {
		sts_client_counts(resolver->sts, &sts);
		policies = log_text(", policies %llu, not had %llu",
		    (unsigned long long)sts.fetched,
		    (unsigned long long)sts.failed);
	}
	buf_init(&payload, 512);
	put_span(&payload,
	    span_of(log_text("questions %llu, from cache %llu, failed %llu%s",
		(unsigned long long)c.asked, (unsigned long long)c.cached,
		(unsigned long long)c.failed, policies)));
	wire_send(resolver->child->supervisor, MSG_NOTE, 0, buf_span(&payload));
	buf_clear(&payload);
}

static void send_answer(
    struct client_session *s, uint64_t id, const struct resolve_answer *a)
{
	struct buf payload;

	buf_init(&payload, ANSWER_MAX);
	resolve_answer_put(&payload, a);
	if (payload.overflow)
		BUG("answer beyond its bounds");
	wire_send(s->wire, MSG_RESOLVED, id, buf_span(&payload));
	buf_clear(&payload);
}

static void begin_request(struct client_session *s)
{
	if (++s->requests < REQUESTS_MAX || s->is_paused)
		return;
	s->is_paused = true;
	wire_pause(s->wire);
}

static void end_request(struct request *request)
{
	struct client_session *s = request->session;

	free(request);
	s->requests--;
	if (s->wire && s->is_paused && s->requests < REQUESTS_MAX / 2) {
		s->is_paused = false;
		wire_resume(s->wire);
	}
	note(s->resolver);
	session_release(s);
}

static void on_answer(const struct resolve_answer *a, void *arg)
{
	struct request *request = arg;

	if (request->session->wire)
		send_answer(request->session, request->id, a);
	end_request(request);
}

static void on_closed(struct wire *wire, const char *why, void *arg)
{
	struct client_session *s = arg;

	log_event("runner-gone", "why", why, NULL);
	if (s->resolver->current == s)
		s->resolver->current = NULL;
	s->wire = NULL;
	wire_free(wire);
	session_release(s);
}

static void on_resolve(struct wire *wire, struct message *message, void *arg)
{
	struct client_session *s = arg;
	struct resolver *resolver = s->resolver;
	struct mx_options options = { resolver->client, resolver->hosts,
		resolver->allow_local, resolver->dane, resolver->mta_sts,
		resolver->sts };
	struct reader r = reader_of(message->payload);
	struct resolve_query query;
	struct request *request;

	resolve_query_get(&r, &query);
	request = reader_is_done(&r) ? malloc(sizeof(*request)) : NULL;
	if (!request) {
		on_closed(wire, "a question that cannot be read", s);
		return;
	}
	*request = (struct request){ s, message->id };
	begin_request(s);
	if (query.kind == RESOLVE_TLSRPT)
		tlsrpt_resolve(
		    resolver->client, query.name, on_answer, request);
	else
		mx_resolve(&options, &query, on_answer, request);
}

/* --- reports about TLS ---------------------------------------------------- */

static void on_posted(
    struct resolver *resolver, uint64_t id, const struct outcome *outcome)
{
	const struct client_session *s = resolver->current;
	struct buf payload;

	if (!s || !s->wire)
		return;
	buf_init(&payload, 1000);
	outcome_put(&payload, outcome);
	wire_send(s->wire, MSG_TLS_POSTED, id, buf_span(&payload));
	buf_clear(&payload);
}

static void on_fetcher_posted(
    uint64_t id, const struct outcome *outcome, void *arg)
{
	on_posted(arg, id, outcome);
}

static void on_post_host(
    const struct tls_post *post, const struct outcome *why, void *arg)
{
	struct request *request = arg;
	struct client_session *s = request->session;
	struct outcome none;

	outcome_temp(&none, "4.3.0", "outpost-fetch is not there");
	if (!post)
		on_posted(s->resolver, request->id, why);
	else if (!s->resolver->sts ||
		 sts_client_post(s->resolver->sts, request->id, post) < 0)
		on_posted(s->resolver, request->id, &none);
	end_request(request);
}

static void on_post(struct wire *wire, struct message *message, void *arg)
{
	struct client_session *s = arg;
	struct reader r = reader_of(message->payload);
	struct request *request;
	struct tls_post post;

	tls_post_get(&r, &post);
	request = reader_is_done(&r) ? malloc(sizeof(*request)) : NULL;
	if (!request) {
		on_closed(wire, "a report that cannot be read", s);
		return;
	}
	*request = (struct request){ s, message->id };
	begin_request(s);
	tlsrpt_find_host(s->resolver->client, s->resolver->allow_local, &post,
	    on_post_host, request);
}

static const struct wire_rule rules[] = {
	{ MSG_RESOLVE, 1200, on_resolve },
	{ MSG_TLS_POST, TLS_POST_MAX + 2000, on_post },
	{ 0 },
};

void resolver_connect(struct resolver *resolver, int fd)
{
	struct client_session *s = calloc(1, sizeof(*s));

	if (!s)
		fatal(EXIT_TRY_LATER, "out of memory");
	if (resolver->current) {
		wire_free(resolver->current->wire);
		resolver->current->wire = NULL;
		session_release(resolver->current);
	}
	s->resolver = resolver;
	s->wire =
	    wire_new(resolver->child->loop, fd, "runner", rules, on_closed, s);
	if (!s->wire)
		fatal(EXIT_TRY_LATER, "runner: %s", strerror(errno));
	resolver->current = s;
}

/* The root is signed: an answer without AD comes from one who does not look. */
static void on_root(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	(void)ttl_s;
	(void)arg;
	if (a->status != DNS_FOUND || a->is_secure)
		return;
	log_warn("dns-not-validated", "resolver", a->from, "why",
	    "it does not validate DNSSEC: its answer for the root is not "
	    "marked (AD)",
	    "effect", "no DANE", "remedy", "turn its DNSSEC validation on",
	    NULL);
}

void resolver_probe(struct resolver *resolver)
{
	if (resolver->dane != SWITCH_OFF && resolver->has_trusted)
		dns_ask(resolver->client, "", DNS_SOA, on_root, resolver);
}

void resolver_connect_fetcher(struct resolver *resolver, int fd)
{
	if (resolver->sts)
		sts_client_connect(resolver->sts, fd);
	else
		close(fd);
}

static void on_fetcher_lost(void *arg)
{
	const struct resolver *resolver = arg;

	child_peer_lost(resolver->child, ROLE_FETCH);
}

static int set_up_sts(struct resolver *resolver, struct sts_cache *policies)
{
	struct sts_options options = { .loop = resolver->child->loop,
		.dns = resolver->client,
		.cache = policies,
		.allow_local = resolver->allow_local,
		.port = resolver->child->conf->tls.mta_sts_port,
		.lost = on_fetcher_lost,
		.posted = on_fetcher_posted,
		.arg = resolver };

	if (!policies && !resolver->child->conf->tls.tlsrpt)
		return 0;
	resolver->sts = sts_client_new(&options);
	return resolver->sts ? 0 : -1;
}

struct resolver *resolver_new(struct child *child,
    const struct dns_options *options, struct hosts *hosts,
    struct sts_cache *policies)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return NULL;
	resolver->child = child;
	resolver->hosts = hosts;
	resolver->client = dns_client_new(child->loop, options);
	resolver->allow_local = child->conf->allow_local_mx;
	resolver->dane = child->conf->tls.dane;
	resolver->mta_sts = child->conf->tls.mta_sts;
	for (size_t i = 0; i < options->nservers; i++)
		resolver->has_trusted |= options->is_trusted[i];
	if (resolver->client && set_up_sts(resolver, policies) == 0)
		return resolver;
	dns_client_free(resolver->client);
	free(resolver);
	return NULL;
}
