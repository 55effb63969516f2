/* A TXT record at _mta-sts. */
#include "remote/sts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span txt = { (const char *)data, size };
	char id[STS_ID_MAX + 1];

	if (sts_record_parse(txt, id) < 0)
		return 0;
	if (!sts_record_is(txt) || strlen(id) == 0 || strlen(id) > STS_ID_MAX ||
	    strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz"
		       "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(id))
		abort();
	return 0;
}
