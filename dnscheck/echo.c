/* The address that the world sees, from a mail server. */
#include "dnscheck/echo.h"

#include "dnscheck/look.h"

#include <stdio.h>
#include <stdlib.h>

static void take(struct place *p, const char *address, const char *server)
{
	union net_address a;

	if (net_parse(span_of(address), 0, &a) < 0 ||
	    (a.sa.sa_family == AF_INET6) != p->is_v6)
		return;
	net_print_ip(&a, p->external);
	snprintf(p->how, sizeof(p->how), "seen by %s", server);
}

/* What another place with the same address has learned. */
static bool take_known(const struct run *run, struct place *p)
{
	for (const struct place *other = run->places; other < p; other++)
		if (strcmp(other->local, p->local) == 0 && other->external[0]) {
			snprintf(p->external, sizeof(p->external), "%s",
			    other->external);
			memcpy(p->how, other->how, sizeof(p->how));
			return true;
		}
	return false;
}

/* False: the server gave no answer, so that nobody else asks it. */
static bool ask_server(
    struct run *run, struct place *p, const struct conf_server *server)
{
	struct look look = { .place = p,
		.host = server->host,
		.port = server->port,
		.implicit_tls = server->implicit_tls,
		.tls = server->implicit_tls ? TLS_MAY : TLS_NONE };
	struct probed found;
	char address[64];
	const char *why;

	if (look_resolve(run, &look, &why) != LOOK_NAMED)
		return true;
	look_at(run, &look, &found);
	if (look_find_address(found.ehlo, address) == 0) {
		take(p, address, server->host);
		return true;
	}
	if (!p->how[0])
		snprintf(p->how, sizeof(p->how), "%s does not say whom it sees",
		    server->host);
	return found.ehlo.n > 0;
}

void echo_find(struct run *run)
{
	struct conf_server server;
	const char *name =
	    run->options->echo ? run->options->echo : run->conf->dnscheck.echo;
	bool is_there = true;

	if (!name || !run->prober || run->options->is_elsewhere ||
	    conf_parse_server(name, &server) < 0)
		return;
	for (size_t i = 0; i < run->nplaces && is_there; i++) {
		struct place *p = &run->places[i];

		if (p->local[0] && !p->external[0] && !take_known(run, p))
			is_there = ask_server(run, p, &server);
	}
	free(server.host);
}
