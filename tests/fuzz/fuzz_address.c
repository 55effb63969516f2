/* Mail addresses: what is accepted has a key, and the key is its own. */
#include "common/address.h"
#include "common/net.h"
#include "common/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of local@key is key again. */
static void check_key(struct span key)
{
	struct buf text, again;
	struct address a;

	buf_init(&text, 4096);
	buf_init(&again, 4096);
	buf_puts(&text, "x@");
	buf_put_raw(&text, key);
	if (address_parse(buf_span(&text), &a, NULL) < 0 ||
	    address_domain_key(&a, &again, NULL) < 0 ||
	    !span_is_equal(buf_span(&again), key))
		abort();
	buf_clear(&text);
	buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct outcome why;
	union net_address net;
	struct network network;
	struct address a;
	struct buf key;

	buf_init(&key, 4096);
	if (address_parse(text, &a, &why) == 0) {
		if (address_domain_key(&a, &key, &why) < 0 || key.len == 0 ||
		    key.overflow || span_has_line_breaks(buf_span(&key)) ||
		    !utf8_is_valid(text))
			abort();
		check_key(buf_span(&key));
	}
	buf_clear(&key);
	net_parse(text, 25, &net);
	if (network_parse(text, &network) == 0 &&
	    net_parse(SPAN_LITERAL("::ffff:192.0.2.1"), 0, &net) == 0)
		network_has(&network, &net);
	return 0;
}
