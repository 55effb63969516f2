/* Where mail goes next. */
#include "common/route.h"

#include "common/policy.h"

#include "common/address.h"

#include <stdio.h>

static bool is_wildcard(const char *pattern)
{
	return pattern[0] == '*' && pattern[1] == '.';
}

/* Of those that match: the exact one, else the longest. */
static bool is_better(const char *pattern, const char *than)
{
	if (!than || !is_wildcard(pattern))
		return true;
	return is_wildcard(than) && strlen(pattern) > strlen(than);
}

static const struct conf_route *find_route(
    const struct conf *conf, struct span domain)
{
	const struct conf_route *best = NULL;

	for (size_t i = 0; i < conf->nroutes; i++) {
		const struct conf_route *r = &conf->routes[i];

		if (domain_matches(r->pattern, domain) &&
		    is_better(r->pattern, best ? best->pattern : NULL))
			best = r;
	}
	return best;
}

static const struct conf_destination *find_destination(
    const struct conf *conf, struct span name)
{
	const struct conf_destination *best = NULL;

	for (size_t i = 0; i < conf->ndestinations; i++) {
		const struct conf_destination *d = &conf->destinations[i];

		if (domain_matches(d->pattern, name) &&
		    is_better(d->pattern, best ? best->pattern : NULL))
			best = d;
	}
	return best;
}

static bool set_group(
    const struct conf *conf, struct span name, struct route *route)
{
	for (size_t i = 0; name.n > 0 && i < conf->nlines; i++) {
		if (!span_is_equal(span_of(conf->lines[i].name), name))
			continue;
		route->group = i;
		route->line = &conf->lines[i];
		return true;
	}
	return false;
}

static void choose_group(const struct conf *conf, const struct route_query *q,
    const struct conf_route *block, const struct conf_sender *sender,
    struct route *route)
{
	if ((block && set_group(conf, span_of(block->line), route)) ||
	    set_group(conf, q->line, route) ||
	    (sender && set_group(conf, span_of(sender->line), route)) ||
	    set_group(conf, SPAN_LITERAL("default"), route))
		return;
	route->group = 0;
	route->line = &conf->lines[0];
}

static int use_relay(const struct conf *conf, const char *name,
    struct route *route, struct outcome *why)
{
	const struct conf_relay *relay = conf_relay(conf, name);

	if (!relay || relay->nservers == 0)
		return outcome_temp(
		    why, "4.3.5", "relay \"%s\" is not configured", name);
	route->servers = relay->servers;
	route->nservers = relay->nservers;
	route->relay = relay;
	if (relay->tls >= 0)
		route->tls = (uint8_t)relay->tls;
	else if (relay->user || relay->certificate)
		route->tls = TLS_VERIFY; /* a login goes to the right server */
	snprintf(route->key, sizeof(route->key), "relay:%s", name);
	return 0;
}

/* A route block's own servers: all it matches shares one destination. */
static void use_servers(const struct conf_route *block, struct route *route)
{
	route->servers = block->servers;
	route->nservers = block->nservers;
	snprintf(route->key, sizeof(route->key), "route:%s", block->pattern);
}

static void use_mx(
    const struct conf *conf, const struct route_query *q, struct route *route)
{
	route->port = conf->port;
	snprintf(route->key, sizeof(route->key), "%.*s", (int)q->domain.n,
	    q->domain.p ? q->domain.p : "");
}

/* The relay that a reply rule sends it to; NULL: none, or it is no more. */
static const struct conf_relay *find_ruled(
    const struct conf *conf, const struct route_query *q)
{
	for (size_t i = 0; q->relay.n > 0 && i < conf->nrelays; i++)
		if (span_is_equal(span_of(conf->relays[i].name), q->relay) &&
		    conf->relays[i].nservers > 0)
			return &conf->relays[i];
	return NULL;
}

static int choose_hosts(const struct conf *conf, const struct route_query *q,
    const struct conf_route *block, const struct conf_sender *sender,
    struct route *route, struct outcome *why)
{
	const struct conf_retry *retry = &conf->retry;
	const struct conf_relay *ruled = find_ruled(conf, q);

	if (ruled) {
		route->what = "reply";
		return use_relay(conf, ruled->name, route, why);
	}

	if (block && (block->nservers > 0 || block->relay)) {
		route->what = "route";
		route->place = &block->place;
		if (block->nservers == 0)
			return use_relay(conf, block->relay, route, why);
		use_servers(block, route);
		return 0;
	}
	if (retry->fallback_relay &&
	    q->attempts >= (unsigned)retry->fallback_after) {
		route->what = "fallback";
		return use_relay(conf, retry->fallback_relay, route, why);
	}
	if (sender && sender->relay) {
		route->what = "sender";
		route->place = &sender->place;
		return use_relay(conf, sender->relay, route, why);
	}
	if (route->line->relay) {
		route->what = "line";
		route->place = &route->line->place;
		return use_relay(conf, route->line->relay, route, why);
	}
	if (conf->mode == MODE_RELAY) {
		route->what = "mode";
		return use_relay(conf, "default", route, why);
	}
	route->what = "mx";
	use_mx(conf, q, route);
	return 0;
}

/* A level of its own makes a destination of its own: sessions and what was
 * learned of hosts are not shared across levels. */
static void set_level(struct route *route, uint8_t level, bool is_own)
{
	static const char *const names[] = { "none", "may", "require",
		"verify" };
	size_t n = strlen(route->key);

	if (level > TLS_VERIFY || level == route->tls)
		return;
	route->tls = level;
	if (!is_own)
		snprintf(route->key + n, sizeof(route->key) - n, " tls=%s",
		    names[level]);
}

/* TLS where it can be had, and a destination of its own. */
static void ignore_policy(struct route *route)
{
	size_t n;

	set_level(route, TLS_MAY, false);
	route->ignores_policy = true;
	n = strlen(route->key);
	snprintf(route->key + n, sizeof(route->key) - n, " policy=none");
}

static void apply_tls(const struct route_query *q,
    const struct conf_route *block, struct route *route)
{
	if (block && block->tls >= 0)
		set_level(route, (uint8_t)block->tls,
		    !route->servers || block->nservers > 0);
	if (q->ignores_policy && !route->servers && !(block && block->tls >= 0))
		ignore_policy(route);
	if (q->requiretls)
		set_level(route, TLS_VERIFY, false);
}

int route_find(const struct conf *conf, const struct route_query *q,
    struct route *route, struct outcome *why)
{
	const struct conf_route *block = find_route(conf, q->domain);
	const struct conf_sender *sender =
	    policy_sender_block(conf, q->sender, q->uid);
	const struct conf_destination *limits;

	*route = (struct route){ .tls = (uint8_t)conf->tls.policy };
	if (q->domain.n == 0 || q->domain.n > 400)
		return outcome_perm(why, "5.1.2", "no usable domain");
	choose_group(conf, q, block, sender, route);
	if (choose_hosts(conf, q, block, sender, route, why) < 0)
		return -1;
	apply_tls(q, block, route);
	route->limits = limits = find_destination(
	    conf, route->servers ? span_of(route->key) : q->domain);
	route->connections =
	    (unsigned)(limits && limits->connections > 0
			   ? limits->connections
			   : conf->limits.destination_connections);
	if (route->connections == 0)
		route->connections = 1;
	return 0;
}

const struct conf_destination *route_site_limits(
    const struct conf *conf, const struct span *names, size_t n)
{
	const struct conf_destination *best = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct conf_destination *d =
		    find_destination(conf, names[i]);

		if (d && is_better(d->pattern, best ? best->pattern : NULL))
			best = d;
	}
	return best;
}
