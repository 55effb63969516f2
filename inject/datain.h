/* The text of a message on its way in: the end of DATA (RFC 5321 4.5.2),
 * dots taken off again, chunks of BDAT, and the content rule: lines end with
 * CRLF and there is no bare CR, no bare LF and no NUL. What breaks the rule is
 * refused as a whole, for servers behind us may split it differently.
 */
#ifndef INJECT_DATAIN_H
#define INJECT_DATAIN_H

#include "common/span.h"

struct datain {
	enum {
		DATAIN_LINE_START = 0,
		DATAIN_INSIDE,
		DATAIN_CR,
		DATAIN_DOT,
		DATAIN_DOT_CR,
	} state;
	const char *bad; /* how the content rule was broken; NULL: not */
};

void datain_init(struct datain *d);

/* DATA. Take what belongs to the message from the front of in, which is
 * changed in place: *text is the message's part of it, dots taken off. Returns
 * the bytes used: all of them, unless *is_end: then what follows are commands.
 * The end is CRLF.CRLF (or .CRLF at the very start) and nothing else. */
size_t datain_dotted(
    struct datain *d, char *in, size_t n, struct span *text, bool *is_end);

/* BDAT: look at the next part of a chunk, which is the message's as it is. */
void datain_chunk(struct datain *d, struct span in);
/* After the last chunk: true when CRLF must be added to end the last line. */
bool datain_needs_line_end(struct datain *d);

#endif
