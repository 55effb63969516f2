/* Records of DMARC (RFC 7489 section 6.3, and the tags that its successor,
 * draft-ietf-dmarc-dmarcbis, adds: np, psd, t). */
#ifndef DNSCHECK_DMARC_H
#define DNSCHECK_DMARC_H

#include "common/span.h"

enum dmarc_policy {
	DMARC_NOT_GIVEN = 0,
	DMARC_NONE,
	DMARC_QUARANTINE,
	DMARC_REJECT,
};
const char *dmarc_policy_name(enum dmarc_policy policy);

struct dmarc_record {
	enum dmarc_policy policy, subdomains, missing; /* p, sp, np */
	bool is_strict_dkim, is_strict_spf;	       /* adkim=s, aspf=s */
	bool is_testing;			       /* t=y */
	char psd;				       /* 'y', 'n', 'u' */
	unsigned percent;			       /* pct; 100 */
	struct span reports;			       /* rua; borrowed */
};

/* Is it meant to be one: "v=DMARC1" and then a blank, ";" or the end? */
bool dmarc_is_record(struct span text);
/* 0, or -1 with *why: a phrase. */
int dmarc_record_parse(
    struct span text, struct dmarc_record *record, const char **why);

/* Cut the next address off *rest (of rua): "mailto:" ones; the size limit
 * behind "!" is left out. 1: *domain is that of the address; 0: the end; -1: no
 * mailto: URI. */
int dmarc_next_report(struct span *rest, struct span *domain);

#endif
