/* The contents of a TLSA record. */
#include "remote/tlsa.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rdata = { (const char *)data, size };
	struct dns_record record = { .data = (char *)data, .ndata = size };
	struct dns_answer a = { .nrecords = 1, .records = &record };
	struct host_policy policy = { 0 };
	char text[TLSA_EVIDENCE_MAX];
	struct tlsa tlsa;

	tlsa_fill(&a, &policy);
	tlsa_evidence(&policy, &a, "_25._tcp.mx.example", text);
	if (span_has_line_breaks(span_of(text)))
		abort();
	if (tlsa_parse(rdata, &tlsa) < 0) {
		if (policy.kind != TLS_POLICY_DANE_BLIND || policy.ntlsa)
			abort();
		return 0;
	}
	if (policy.kind != TLS_POLICY_DANE || policy.ntlsa != 1 ||
	    tlsa.usage < 2 || tlsa.usage > 3 || tlsa.selector > 1 ||
	    tlsa.matching > 2 || tlsa.data.n > TLSA_DATA_MAX ||
	    tlsa.data.n < 3 || tlsa.data.p + tlsa.data.n != rdata.p + rdata.n)
		abort();
	return 0;
}
