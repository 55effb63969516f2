/* Header fields in 7 bits: text beyond ASCII as encoded words (RFC 2047). */
#ifndef REMOTE_HEADER_WORDS_H
#define REMOTE_HEADER_WORDS_H

#include "common/buf.h"

bool header_words_needed(struct span text); /* a byte beyond ASCII */

/* Append the field (name to line end) with encoded words for what is not
 * ASCII; "utf-8" where it is that, else "unknown-8bit". Returns 0, or -1 when
 * no encoded word may stand there: in an address or in the field's name. */
int header_words_put(struct span field, struct buf *out);

#endif
