/* TLSA records as SMTP uses them.
 *
 *     rdata = usage selector matching data    (one byte each, then the rest)
 */
#include "remote/tlsa.h"

#include <stdio.h>

enum {
	USAGE_TA = 2,
	USAGE_EE = 3,
	SELECTOR_MAX = 1, /* whole certificate, or its public key */
	MATCHING_FULL = 0,
	MATCHING_SHA256 = 1,
	MATCHING_SHA512 = 2,
	SHA256_BYTES = 32,
	SHA512_BYTES = 64,
	SHOWN_BYTES = 8, /* of the data, in the evidence */
	SHOWN_RECORDS = 4,
};

/* Certificates and keys are one DER sequence, to the end. */
static bool is_sequence(struct span der)
{
	struct reader r = reader_of(der);
	uint8_t tag = get_u8(&r), first = get_u8(&r);
	size_t n = first;

	if (first > 0x80 && first <= 0x84) {
		n = 0;
		for (int i = 0; i < first - 0x80; i++)
			n = n << 8 | get_u8(&r);
	}
	return !r.bad && tag == 0x30 && first != 0x80 && first <= 0x84 &&
	       n > 0 && n == r.rest.n;
}

static bool fits(uint8_t matching, struct span data)
{
	switch (matching) {
	case MATCHING_FULL:
		return data.n <= TLSA_DATA_MAX && is_sequence(data);
	case MATCHING_SHA256:
		return data.n == SHA256_BYTES;
	case MATCHING_SHA512:
		return data.n == SHA512_BYTES;
	default:
		return false;
	}
}

int tlsa_parse(struct span rdata, struct tlsa *tlsa)
{
	struct reader r = reader_of(rdata);

	tlsa->usage = get_u8(&r);
	tlsa->selector = get_u8(&r);
	tlsa->matching = get_u8(&r);
	tlsa->data = r.rest;
	if (r.bad || tlsa->usage < USAGE_TA || tlsa->usage > USAGE_EE ||
	    tlsa->selector > SELECTOR_MAX || !fits(tlsa->matching, tlsa->data))
		return -1;
	return 0;
}

void tlsa_fill(const struct dns_answer *a, struct host_policy *policy)
{
	policy->ntlsa = 0;
	for (size_t i = 0; i < a->nrecords && policy->ntlsa < TLSA_MAX; i++) {
		struct span rdata = { a->records[i].data, a->records[i].ndata };

		if (tlsa_parse(rdata, &policy->tlsa[policy->ntlsa]) == 0)
			policy->ntlsa++;
	}
	policy->kind =
	    policy->ntlsa > 0 ? TLS_POLICY_DANE : TLS_POLICY_DANE_BLIND;
}

static void put_record(const struct tlsa *t, struct buf *text)
{
	buf_printf(text, " %u %u %u ", t->usage, t->selector, t->matching);
	for (size_t i = 0; i < t->data.n && i < SHOWN_BYTES; i++)
		buf_printf(text, "%02x", (unsigned char)t->data.p[i]);
	buf_puts(text, "..");
}

void tlsa_evidence(const struct host_policy *policy, const struct dns_answer *a,
    const char *owner, char text[TLSA_EVIDENCE_MAX])
{
	struct buf b;

	buf_init(&b, TLSA_EVIDENCE_MAX - 1);
	buf_puts(&b, policy->ntlsa > 0 ? "TLSA" : "no usable TLSA");
	for (unsigned i = 0; i < policy->ntlsa && i < SHOWN_RECORDS; i++) {
		buf_puts(&b, i > 0 ? "," : "");
		put_record(&policy->tlsa[i], &b);
	}
	if (a->nrecords > policy->ntlsa || policy->ntlsa > SHOWN_RECORDS)
		buf_printf(
		    &b, " (%u of %zu usable)", policy->ntlsa, a->nrecords);
	buf_printf(&b, " at %s, DNSSEC-validated by %s", owner, a->from);
	snprintf(text, TLSA_EVIDENCE_MAX, "%s", buf_text(&b));
	buf_clear(&b);
}
