/* Sender domains: which ones, and what their checks share.
 *
 * check_domain.c finds the domains; each check_domain_*.c looks at one side of
 * one domain and adds exactly one finding for it (SPF: one for each address,
 * DKIM and DANE: one for each selector and MX host).
 */
#ifndef DNSCHECK_DOMAIN_H
#define DNSCHECK_DOMAIN_H

#include "dnscheck/dkim.h"
#include "dnscheck/run.h"

enum { DOMAINS_MAX = 200, SELECTORS_MAX = 20, DOMAIN_NAME_MAX = 254 };

struct domain {
	char name[DOMAIN_NAME_MAX]; /* A-labels, lower case */
	const char *line;	    /* only that group sends for it; NULL: any*/
};

struct selector {
	char name[DOMAIN_NAME_MAX];
	struct dkim_key *key; /* of the private key's file; NULL: none given */
};

struct domains {
	struct domain items[DOMAINS_MAX];
	size_t count;
	struct selector selectors[SELECTORS_MAX];
	size_t nselectors;
};

/* From options and configuration; reads the files of keys, before the sandbox.
 * NULL with *error: one line. */
struct domains *domains_new(const struct run_options *options,
    const struct conf *conf, struct buf *error);
void domains_free(struct domains *domains);

/* The checks; arg is a struct domain. */
void check_domain_mx(struct run *run, void *arg);
void check_domain_spf(struct run *run, void *arg);
void check_domain_dkim(struct run *run, void *arg);
void check_domain_dmarc(struct run *run, void *arg);
void check_domain_sts(struct run *run, void *arg);
void check_domain_caa(struct run *run, void *arg);
void check_domain_bimi(struct run *run, void *arg);

/* A place whose mail may come from that domain and is seen by receivers. */
bool domain_has_place(const struct domain *domain, const struct place *place);
/* How that domain's SPF record judges the address of the place: in spf.h's
 * words; NONE also where the address is not known. */
struct spf_report;
void domain_spf(struct run *run, const struct domain *domain,
    const struct place *place, struct spf_report *report);

/* TXT records of a name that begin with a version tag. */
struct domain_text {
	const struct ask_answer *answer;
	struct span first; /* p NULL: none */
	size_t count;
};
struct domain_text domain_text(
    struct run *run, const char *name, const char *version);

/* owner. IN TXT "text", in strings of at most 255 bytes. */
const char *domain_txt_record(
    struct run *run, const char *owner, struct span text);
/* Set a finding that something could not be looked up. */
void domain_unknown(struct run *run, const char *code,
    const struct ask_answer *answer, struct finding *f);
/* For remedies: "who runs the zone ... publishes this" */
const char *domain_publisher(struct run *run, const char *name);

#endif
