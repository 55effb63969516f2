/* Address lists, and the judgement of each mailbox found in them. */
#include "common/address.h"
#include "common/messages.h"
#include "inject/addrlist.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size };
	struct addrlist list;

	addrlist_init(&list, 1000);
	if (addrlist_parse(&list, input, NULL) < 0)
		goto out;
	for (size_t i = 0; i < list.count; i++) {
		const struct addrlist_item *item = &list.items[i];
		struct span mailbox = addrlist_address(&list, i);
		struct address a;

		if (mailbox.n == 0 || mailbox.n > ADDRESS_MAX ||
		    item->local_end > size || span_find(mailbox, '\n') >= 0 ||
		    span_find(mailbox, '\r') >= 0)
			abort();
		if (item->has_domain)
			address_parse(mailbox, &a, NULL);
	}
out:
	addrlist_clear(&list);
	return 0;
}
