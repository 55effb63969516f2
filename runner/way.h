/* The way to one destination: what a route said, and the hosts found for it
 * (as the resolver's answers, so that thousands stay small). */
#ifndef RUNNER_WAY_H
#define RUNNER_WAY_H

#include "common/route.h"
#include "runner/schedule.h"

enum { WAY_QUERIES_MAX = 16 };

struct way {
	char *domain;		     /* for MX; else NULL */
	struct conf_server *servers; /* a copy of the route's; or NULL */
	char *relay;		     /* name of the block; or NULL */
	size_t nqueries, nanswered;
	unsigned nreloads; /* before it was made */
	uint8_t tls;
	uint16_t port;
	bool is_stepwise;
	bool ignores_policy; /* as the route's */
	struct buf *answers; /* nqueries times resolve_answer; NULL: none */
	struct buf *fresh;   /* being filled by the asking under way */
};

/* The relay that the destination's mail goes by; empty: none. */
struct span destination_relay(const struct destination *d);

struct way *way_new(const struct route *route, struct span domain);
void way_free(struct way *way);

/* The questions whose answers make the hosts: one, or one a server. name:
 * put into text. */
int way_query(const struct way *way, size_t i, struct buf *text,
    struct resolve_query *query);
/* Begin asking; each answer comes once. When the last is there: true, with
 * *outcome (OK: at least one server was found) and how long it holds. */
int way_ask(struct way *way);
bool way_answer(struct way *way, size_t i, struct span payload,
    struct outcome *outcome, uint64_t *ttl_ms);
/* The canonical name of its set of hosts, into text: only what MX records led
 * to has one, relays and routes are sites by themselves. -1: none. */
int way_site(const struct way *way, struct buf *text);
/* The hosts in order of trial, allocated; spans into the way. -1: no memory. */
int way_hosts(const struct way *way, struct host **hosts, size_t *nhosts);

/* The lines of the answer for the domain; empty: none. Spans into the way. */
struct span way_lines(const struct way *way);

#endif
