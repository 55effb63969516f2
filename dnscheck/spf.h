/* SPF (RFC 7208): check_host() over whoever answers questions to the DNS, so
 * that it needs no network to be tested.
 *
 * main calls spf_command for "outpost dnscheck spf IP SENDER HELO", and
 * domain_plan (checks.h) for the checks of sender domains, which use the rest.
 */
#ifndef DNSCHECK_SPF_H
#define DNSCHECK_SPF_H

#include "dnscheck/run.h"

enum spf_result {
	SPF_NONE = 0,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR,
};
const char *spf_result_name(enum spf_result result); /* "none"... */

enum {
	SPF_LOOKUPS_MAX = 10, /* section 4.6.4 */
	SPF_VOIDS_MAX = 2,
	SPF_NAMES_MAX = 10,    /* hosts of an mx, names of a ptr */
	SPF_LIMIT_MS = 20000,  /* all of it; then: temperror */
	SPF_TEXT_MAX = 1000,   /* an explanation */
	SPF_TRAIL_MAX = 32768, /* bytes of trail */
	SPF_COUNT_MAX = 50,    /* look-ups that walks_all counts to */
};

/* Who answers; answers live until the evaluation is over. */
struct spf_dns {
	const struct ask_answer *(*look)(
	    void *arg, struct span name, uint16_t type);
	void *arg;
};
/* The answers of that client. */
struct spf_dns spf_dns_of(struct ask *ask);

struct spf_query {
	struct spf_dns dns;
	struct span ip;	    /* 4 or 16 bytes; mapped IPv4 counts as IPv4 */
	struct span sender; /* "user@domain"; "": postmaster of helo */
	struct span helo;
	const char *receiver; /* our name, for %{r} */
	int64_t now;	      /* UTC, for %{t} */
	struct deadline deadline;
	/* Nothing matches: the whole tree is walked, to count the look-ups that
	 * it costs whoever is not in it. The result is no check. */
	bool walks_all;
};

struct spf_report {
	enum spf_result result;
	char why[400]; /* one printable line: what decided */
	/* Of a fail, the domain's own words with %XX where they are not
	 * printable; "" when it has none. */
	char explanation[SPF_TEXT_MAX + 1];
	char domain[256]; /* whose record was asked for first; A-labels */
	unsigned lookups, voids;
	struct buf trail; /* a printable line for each term, indented by depth*/
};

/* Never fails: what cannot be found out is a result. The report is to be
 * cleared. */
void spf_check(const struct spf_query *query, struct spf_report *report);
void spf_report_clear(struct spf_report *report);

/* True when that text of a TXT record is an SPF record (section 4.5). */
bool spf_is_record(struct span text);

/* record, with the address (4 or 16 bytes) added where it takes effect: before
 * the first term that could end the evaluation otherwise. record "": a new
 * one, that ends in "~all".
 */
void spf_add_address(struct span record, struct span ip, struct buf *out);

/* The command: prints word, explanation and trail for the run's options. Exit
 * status: 0; 1 for fail, temperror, permerror; 2 usage. */
int spf_command(struct run *run);

#endif
