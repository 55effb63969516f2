/* The way to one destination. */
#include "runner/way.h"

#include <stdlib.h>

enum { ANSWER_MAX = 262144, TTL_MAX_S = 86400 };

static int copy_servers(
    struct way *way, const struct conf_server *servers, size_t n)
{
	way->servers = calloc(n, sizeof(way->servers[0]));
	for (size_t i = 0; way->servers && i < n; i++) {
		way->servers[i] = servers[i];
		way->servers[i].host = strdup(servers[i].host);
		if (!way->servers[i].host)
			return -1;
	}
	return way->servers ? 0 : -1;
}

struct span destination_relay(const struct destination *d)
{
	struct span name = span_of(d->name);

	if (!span_has_prefix_nocase(name, "relay:"))
		return (struct span){ NULL, 0 };
	name = span_from(name, 6);
	return span_cut(&name, ' '); /* " tls=..." may follow */
}

struct way *way_new(const struct route *route, struct span domain)
{
	struct way *way = calloc(1, sizeof(*way));

	if (!way)
		return NULL;
	way->nqueries = 1;
	way->tls = route->tls;
	way->port = route->port;
	way->ignores_policy = route->ignores_policy;
	if (!route->servers) {
		way->domain = span_dup(domain);
		if (!way->domain) {
			free(way);
			return NULL;
		}
		return way;
	}
	if (route->relay && !(way->relay = strdup(route->relay->name))) {
		free(way);
		return NULL;
	}
	way->nqueries = route->nservers < WAY_QUERIES_MAX ? route->nservers
							  : WAY_QUERIES_MAX;
	if (copy_servers(way, route->servers, way->nqueries) < 0) {
		way_free(way);
		return NULL;
	}
	return way;
}

static void clear_all(struct buf *bufs, size_t n)
{
	for (size_t i = 0; bufs && i < n; i++)
		buf_clear(&bufs[i]);
}

static void free_servers(struct way *way)
{
	for (size_t i = 0; way->servers && i < way->nqueries; i++)
		free(way->servers[i].host);
	free(way->servers);
}

void way_free(struct way *way)
{
	if (!way)
		return;
	clear_all(way->answers, way->nqueries);
	clear_all(way->fresh, way->nqueries);
	free(way->answers);
	free(way->fresh);
	free_servers(way);
	free(way->domain);
	free(way->relay);
	free(way);
}

static void put_server_name(const struct conf_server *server, struct buf *text)
{
	bool is_v6 = server->is_literal && strchr(server->host, ':');

	buf_puts(text, server->is_literal ? is_v6 ? "[IPv6:" : "[" : "");
	buf_puts(text, server->host);
	buf_puts(text, server->is_literal ? "]" : "");
}

int way_query(const struct way *way, size_t i, struct buf *text,
    struct resolve_query *query)
{
	const struct conf_server *server = NULL;

	buf_reset(text);
	if (way->servers) {
		server = &way->servers[i];
		put_server_name(server, text);
	} else {
		buf_puts(text, way->domain);
	}
	*query = (struct resolve_query){
		.kind = !server || server->use_mx ? RESOLVE_MX : RESOLVE_HOST,
		.name = buf_span(text),
		.port = server ? server->port : way->port,
		.implicit_tls = server && server->implicit_tls,
		.wants_policy = way->tls != TLS_NONE && !way->ignores_policy,
	};
	return text->overflow ? -1 : 0;
}

int way_ask(struct way *way)
{
	way->nanswered = 0;
	clear_all(way->fresh, way->nqueries);
	if (!way->fresh)
		way->fresh = calloc(way->nqueries, sizeof(way->fresh[0]));
	if (!way->fresh)
		return -1;
	for (size_t i = 0; i < way->nqueries; i++)
		buf_init(&way->fresh[i], ANSWER_MAX);
	return 0;
}

static void take_fresh(struct way *way)
{
	clear_all(way->answers, way->nqueries);
	free(way->answers);
	way->answers = way->fresh;
	way->fresh = NULL;
}

/* Of all answers: one server is enough; a silence outweighs a no, since the
 * no of one server says nothing about the others. */
static void sum_up(
    const struct way *way, struct outcome *outcome, uint64_t *ttl_ms)
{
	uint64_t ttl_s = TTL_MAX_S;

	for (size_t i = 0; i < way->nqueries; i++) {
		struct reader r = reader_of(buf_span(&way->fresh[i]));
		struct resolve_answer a;

		if (resolve_answer_get(&r, &a) < 0)
			continue;
		if (i == 0 || a.outcome.verdict < outcome->verdict ||
		    (a.outcome.verdict == VERDICT_TEMP &&
			outcome->verdict == VERDICT_PERM))
			*outcome = a.outcome;
		if (a.ttl_s < ttl_s)
			ttl_s = a.ttl_s;
		resolve_answer_free(&a);
	}
	/* a relay's name is the operator's: its absence is never the fault of
	 * the mail */
	if (way->servers && outcome->verdict == VERDICT_PERM)
		outcome->verdict = VERDICT_TEMP;
	if (outcome->verdict == VERDICT_TEMP && outcome->status[0] == '5')
		outcome->status[0] = '4';
	*ttl_ms = ttl_s * 1000;
}

bool way_answer(struct way *way, size_t i, struct span payload,
    struct outcome *outcome, uint64_t *ttl_ms)
{
	if (!way->fresh || i >= way->nqueries || way->fresh[i].len > 0)
		return false;
	buf_put_raw(&way->fresh[i], payload);
	if (++way->nanswered < way->nqueries)
		return false;
	outcome_temp(outcome, "4.4.3", "no answer");
	sum_up(way, outcome, ttl_ms);
	if (outcome->verdict == VERDICT_OK)
		take_fresh(way);
	return true;
}

static int append(
    struct host **hosts, size_t *n, const struct host *more, size_t nmore)
{
	struct host *grown;

	if (nmore > HOSTS_MAX - *n)
		nmore = HOSTS_MAX - *n;
	if (nmore == 0)
		return 0;
	grown = reallocarray(*hosts, *n + nmore, sizeof(**hosts));
	if (!grown)
		return -1;
	memcpy(grown + *n, more, nmore * sizeof(*more));
	*hosts = grown;
	*n += nmore;
	return 0;
}

int way_hosts(const struct way *way, struct host **hosts, size_t *nhosts)
{
	*hosts = NULL;
	*nhosts = 0;
	for (size_t i = 0; way->answers && i < way->nqueries; i++) {
		struct reader r = reader_of(buf_span(&way->answers[i]));
		struct resolve_answer a;
		int status = 0;

		if (resolve_answer_get(&r, &a) < 0)
			continue;
		if (a.outcome.verdict == VERDICT_OK)
			status = append(hosts, nhosts, a.hosts, a.nhosts);
		resolve_answer_free(&a);
		if (status < 0)
			return -1;
	}
	return 0;
}

struct span way_lines(const struct way *way)
{
	struct resolve_answer a = { 0 };
	struct span lines;
	struct reader r;

	if (!way->domain || !way->answers)
		return (struct span){ NULL, 0 };
	r = reader_of(buf_span(&way->answers[0]));
	if (resolve_answer_get(&r, &a) < 0)
		return (struct span){ NULL, 0 };
	lines = a.lines;
	resolve_answer_free(&a);
	return lines;
}

int way_site(const struct way *way, struct buf *text)
{
	struct resolve_answer a;
	struct reader r;

	buf_reset(text);
	if (way->servers || !way->answers || way->nqueries != 1)
		return -1;
	r = reader_of(buf_span(&way->answers[0]));
	if (resolve_answer_get(&r, &a) < 0)
		return -1;
	buf_put_raw(text, a.site);
	resolve_answer_free(&a);
	return text->len > 0 && !text->overflow ? 0 : -1;
}
