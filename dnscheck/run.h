/* One run of dnscheck: what is looked at, with what, where the findings go.
 *
 * A check is a plain function that asks, thinks and adds findings; every
 * outcome adds exactly one finding with its code (also "ok"). Checks run in
 * threads of their own, all under one deadline; what they share is behind
 * struct ask, struct prober and struct findings.
 *
 * The way of a run: options and configuration; what needs files (ask_new, the
 * files to write); the sandbox; the places are found out; then every plan of
 * checks.c adds its checks; the report.
 */
#ifndef DNSCHECK_RUN_H
#define DNSCHECK_RUN_H

#include "dnscheck/ask.h"
#include "dnscheck/finding.h"

struct prober;
struct files;
struct domains;

enum run_mode {
	RUN_NODE = 0, /* this node, and the sender domains */
	RUN_DOMAIN,   /* DOMAIN */
	RUN_TO,	      /* --to */
	RUN_SERVER,   /* --server */
	RUN_RELAY,    /* --relay */
	RUN_SPF,      /* spf IP SENDER HELO */
	RUN_PROPOSE,  /* what setup proposes from */
};

enum { RUN_IPS_MAX = 32, RUN_LISTS_MAX = 32 };

struct run_options {
	enum run_mode mode;
	const char *localname; /* --localname; NULL: the configuration's */
	/* --ip: external addresses, "203.0.113.5" for all places of its
	 * family, "192.0.2.1=203.0.113.5" for that local address only */
	const char *ip[RUN_IPS_MAX];
	size_t nip;
	const char *line;   /* --line: only this group; NULL: all */
	const char *domain; /* DOMAIN: check sending as it */
	const char *to;	    /* --to ADDRESS */
	const char *server; /* --server HOST[:PORT] */
	const char *relay;  /* --relay NAME */
	const char *spf_ip, *spf_sender, *spf_helo;
	const char *whoami;		      /* --whoami NAME@SERVER */
	const char *echo;		      /* --echo HOST[:PORT] */
	const char *signed_name, *bogus_name; /* --signed, --bogus */
	const char *selectors;		  /* --selector; NULL: none are known */
	const char *lists[RUN_LISTS_MAX]; /* --list; without: the
					   * configuration's */
	size_t nlists;
	bool is_elsewhere;   /* --node: another machine's settings */
	bool is_fast;	     /* the guard's subset: no port 25, no relays */
	uint32_t timeout_ms; /* all of it; default 15 s */
};

/* A line group and one address that it sends from. */
struct place {
	const char *line, *localname;
	const struct conf_line *conf; /* for its file and line */
	char bind[64];	   /* as configured; "" = the kernel chooses */
	char local[64];	   /* what the socket has; "" = no way out */
	char external[64]; /* what the world sees; "" = not known */
	char how[160];	   /* how external was found, or why it was not */
	bool is_v6;
	bool is_mapped;	 /* external was given for this very address */
	bool is_relayed; /* the group sends by a relay: no receiver sees us */
};

/* external, else local, else bind: what findings of the place are grouped by.*/
const char *place_address(const struct place *place);

struct run {
	const struct conf *conf;
	const struct run_options *options;
	struct ask *ask;
	struct prober *prober;
	struct files *files;	 /* what was looked at before the sandbox */
	struct domains *domains; /* of senders */
	struct findings findings;
	struct deadline deadline;
	/* Complete, and not changed any more, when the first check starts. */
	struct place *places;
	size_t nplaces;
	struct jobs *jobs;
};

/* Have check(run, arg) called in a thread of its own; from a plan or from
 * another check. arg is the caller's, alive until the run ends. */
void run_add(
    struct run *run, void (*check)(struct run *run, void *arg), void *arg);

/* A finding about a place, or (place NULL) about the node: node, line, address
 * are filled in, the texts are what is said. */
void run_found(
    struct run *run, const struct place *place, const struct finding *finding);

/* "FILE:LINE" of a block, or the configuration's file (place NULL). */
const char *run_where(struct run *run, const struct conf_place *place);
/* "localname in line "bulk" (outpost.conf:12)", or the global one. */
const char *run_localname_setting(struct run *run, const struct place *place);

#endif
