/* A server's words: what dnscheck reads out of them. */
#include "dnscheck/look.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct span rest = { NULL, 0 };
	union net_address a;
	char address[64];
	char *name = span_dup(text);

	if (look_find_address(text, address) == 0 &&
	    net_parse(span_of(address), 0, &a) < 0)
		abort();
	if (look_offers(text, "SIZE", &rest) &&
	    (rest.n > size || (rest.n > 0 && rest.p + rest.n > text.p + size)))
		abort();
	if (name) {
		look_is_related(name, "mx.example.org");
		look_is_related(name, name);
	}
	free(name);
	return 0;
}
