/* One run of dnscheck: what is looked at, with what, where the findings go.
 *
 * A check is a plain function that asks, thinks and adds findings; every
 * outcome adds exactly one finding with its code (also "ok"). Checks run in
 * threads of their own, all under one deadline; what they share is behind
 * struct ask, struct prober and struct findings.
 */
#ifndef DNSCHECK_RUN_H
#define DNSCHECK_RUN_H

#include "dnscheck/ask.h"
#include "dnscheck/finding.h"

struct prober;

struct run_options {
	const char *localname; /* --localname; NULL: the configuration's */
	const char *ip;	       /* --ip: the external address */
	const char *line;      /* --line: only this group */
	const char *domain;    /* DOMAIN: check sending as it */
	const char *to;	       /* --to ADDRESS */
	const char *server;    /* --server HOST[:PORT] */
	const char *relay;     /* --relay NAME */
	bool is_fast;	       /* the guard's subset: no port 25, no relays */
	uint32_t timeout_ms;   /* all of it; default 15 s */
};

struct run {
	const struct conf *conf;
	const struct run_options *options;
	struct ask *ask;
	struct prober *prober;
	struct findings findings;
	struct deadline deadline;
};

/* A line group and one address that it sends from. */
struct place {
	const char *line, *localname;
	char bind[64];	   /* as configured; "" = the kernel chooses */
	char local[64];	   /* what the socket has */
	char external[64]; /* what the world sees; "" = not known */
	bool is_v6;
	bool is_relayed; /* the group sends by a relay: no receiver sees us */
};

#endif
