/* The address that the world sees, from a name server. */
#include "dnscheck/whoami.h"

#include "dnscheck/jobs.h"

#include <stdio.h>

enum { TRY_MS = 2000, DNS_PORT = 53 };

static const char *setting(const struct run *run)
{
	return run->options->whoami ? run->options->whoami
				    : run->conf->dnscheck.whoami;
}

/* An address of the server in the place's family. */
static bool find_server(struct run *run, const struct place *p,
    struct span server, union net_address *to)
{
	const struct ask_record *r;
	uint16_t type = p->is_v6 ? ASK_AAAA : ASK_A;

	if (net_parse(server, DNS_PORT, to) == 0)
		return (to->sa.sa_family == AF_INET6) == p->is_v6;
	r = ask_first(ask(run->ask, server, type), type);
	return r && net_from_bytes(r->data, DNS_PORT, to) == 0;
}

static bool take(const struct ask_answer *answer, struct place *p)
{
	const struct ask_record *r = ask_first(answer, answer->type);
	union net_address seen;

	if (!r)
		return false;
	if (answer->type == ASK_TXT) {
		if (net_parse(span_trim(r->data), 0, &seen) < 0)
			return false;
	} else if (net_from_bytes(r->data, 0, &seen) < 0) {
		return false;
	}
	if ((seen.sa.sa_family == AF_INET6) != p->is_v6)
		return false;
	net_print_ip(&seen, p->external);
	return true;
}

/* Its word for the place's own family, else as text. */
static void ask_server(struct run *run, struct place *p, struct span name,
    const struct ask_way *way)
{
	const uint16_t types[] = { p->is_v6 ? ASK_AAAA : ASK_A, ASK_TXT };
	bool is_found = false;

	for (size_t i = 0; i < 2 && !is_found; i++) {
		struct ask_answer *a = ask_one(run->ask, way, name, types[i]);

		is_found = take(a, p);
		snprintf(p->how, sizeof(p->how),
		    is_found ? "%.120s says so" : "%.60s says nothing: %.60s",
		    setting(run), a->why.p);
		ask_answer_free(a);
	}
}

static void ask_about(struct run *run, void *arg)
{
	struct place *p = arg;
	struct span server = span_of(setting(run)),
		    name = span_cut(&server, '@');
	struct ask_way way = { .try_ms = TRY_MS };
	union net_address from;

	if (net_parse(span_of(p->local), 0, &from) < 0)
		return;
	way.from = &from;
	if (server.n > 0 && find_server(run, p, server, &way.server))
		ask_server(run, p, name, &way);
	else
		snprintf(p->how, sizeof(p->how),
		    "%.80s: no server with an IPv%d address", setting(run),
		    p->is_v6 ? 6 : 4);
}

void whoami_find(struct run *run)
{
	if (!setting(run))
		return;
	run->jobs = jobs_new(run);
	for (size_t i = 0; i < run->nplaces; i++)
		if (run->places[i].local[0] && !run->places[i].external[0])
			run_add(run, ask_about, &run->places[i]);
	jobs_finish(run->jobs);
	jobs_free(run->jobs);
	run->jobs = NULL;
}
