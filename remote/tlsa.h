/* TLSA records as SMTP uses them: RFC 6698 section 2.1, RFC 7672 section 3.1,
 * RFC 7671. */
#ifndef REMOTE_TLSA_H
#define REMOTE_TLSA_H

#include "common/messages.h"
#include "remote/dnsanswer.h"

enum { TLSA_EVIDENCE_MAX = 700 };

/* One record. -1: not usable for SMTP: of a usage that needs the public CAs
 * (0, 1), with an unknown selector or matching type, with a digest of the
 * wrong length, or with what is no certificate or key. */
int tlsa_parse(struct span rdata, struct tlsa *tlsa);

/* The usable records of a validated answer, borrowed from it: kind becomes
 * TLS_POLICY_DANE, or TLS_POLICY_DANE_BLIND when there is none. */
void tlsa_fill(const struct dns_answer *a, struct host_policy *policy);

/* One line: which records, where, who validated them. */
void tlsa_evidence(const struct host_policy *policy, const struct dns_answer *a,
    const char *owner, char text[TLSA_EVIDENCE_MAX]);

#endif
