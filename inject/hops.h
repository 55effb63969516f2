/* Mail loops (RFC 5321 section 6.3): a message with too many Received fields
 * has come in a circle. */
#ifndef INJECT_HOPS_H
#define INJECT_HOPS_H

#include "common/span.h"

enum { HOPS_MAX = 100 };

/* All zeros: a message that begins. */
struct hops {
	unsigned count; /* Received fields seen so far */
	unsigned column;
	bool is_other; /* the line is no Received field */
	bool is_over;  /* the header has ended */
};

/* The next part of the message, lines ending with CRLF. */
void hops_take(struct hops *h, struct span text);

#endif
