/* Display names written into header fields. */
#ifndef INJECT_PHRASE_H
#define INJECT_PHRASE_H

#include "common/buf.h"

/* Append name as an RFC 5322 phrase: bare words, a quoted string, or where it
 * has non-ASCII or control bytes RFC 2047 encoded words (folded). */
void phrase_put(struct buf *out, struct span name);

/* Append a local part that is no mailbox yet (a login name), quoted where RFC
 * 5322 asks for it. */
void local_part_put(struct buf *out, struct span name);

#endif
