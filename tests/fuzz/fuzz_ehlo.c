/* The answer to EHLO: any reply, parsed for capabilities. */
#include "remote/ehlo.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size };
	struct outcome why;
	struct reply reply;
	struct ehlo ehlo;

	reply_init(&reply);
	if (reply_parse(&reply, input, &why) > 0) {
		ehlo_parse(&reply, &ehlo);
		if (strlen(ehlo.name) > 255 ||
		    (ehlo.size_bytes > 0 && !ehlo.has_size))
			abort();
		ehlo_parse_helo(&reply, &ehlo);
		if (ehlo.has_size || ehlo.has_pipelining)
			abort();
	}
	reply_clear(&reply);
	return 0;
}
