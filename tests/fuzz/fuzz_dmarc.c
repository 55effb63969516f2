/* A DMARC record and the addresses of its reports. */
#include "dnscheck/dmarc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size }, rest, domain;
	struct dmarc_record record;
	const char *why = NULL;
	int more;

	if (dmarc_record_parse(text, &record, &why) < 0) {
		if (!why)
			abort();
		return 0;
	}
	if (!dmarc_is_record(text) || record.policy == DMARC_NOT_GIVEN ||
	    record.percent > 100 || record.policy > DMARC_REJECT)
		abort();
	rest = record.reports;
	while ((more = dmarc_next_report(&rest, &domain)))
		if (more > 0 && domain.n == 0)
			abort();
	return 0;
}
