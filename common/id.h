/* Message ids: 64 bits that sort by time (microseconds since 1970, shifted by
 * 12 bits and made unique by counting up), and their text: 13 digits of
 * Crockford's base 32, which sort alike. */
#ifndef COMMON_ID_H
#define COMMON_ID_H

#include "common/span.h"

enum { ID_TEXT_BYTES = 14 }; /* with NUL */

/* The id after last: from the clock, and above last whatever the clock says. */
uint64_t id_next(uint64_t last, uint64_t utc_us);
void id_print(uint64_t id, char text[ID_TEXT_BYTES]);
/* Either case; I, L and O read as 1, 1 and 0. Returns 0, or -1. */
int id_parse(struct span text, uint64_t *id);
/* The same text in a static ring of 8, for log lines. */
const char *id_text(uint64_t id);

#endif
