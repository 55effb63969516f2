/* DNS packets as a resolver may send them: the first byte chooses the type, the
 * rest is the packet; its id counts as the right one. */
#include "remote/dnsanswer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dns_answer *a, enum dns_type type)
{
	if (a->holders != 1 || a->ttl_s > DNS_TTL_MAX_S ||
	    a->nrecords > DNS_RECORDS_MAX ||
	    (a->status == DNS_FOUND) != (a->nrecords > 0))
		abort();
	for (size_t i = 0; i < a->nrecords; i++) {
		const struct dns_record *r = &a->records[i];

		if ((type == DNS_MX || type == DNS_CNAME) && !r->name)
			abort();
		if ((type == DNS_TXT || type == DNS_TLSA) && !r->data)
			abort();
		if ((type == DNS_A && r->nbytes != 4) ||
		    (type == DNS_AAAA && r->nbytes != 16))
			abort();
		if (i > 0 && r->preference < a->records[i - 1].preference)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_MX, DNS_A, DNS_AAAA,
		DNS_TLSA, DNS_TXT, DNS_CNAME };
	struct span packet = { (const char *)data + 1, size - 1 };
	struct dns_answer *a = NULL;
	enum dns_type type;
	uint16_t id;

	if (size < 3)
		return 0;
	type = types[data[0] % 6];
	id = (uint16_t)(data[1] << 8 | data[2]);
	if (dns_answer_read(packet, "a.example", type, id, &a) == DNS_READ)
		check(a, type);
	else if (a)
		abort();
	dns_answer_release(a);
	return 0;
}
