/* The content as DATA wants it (RFC 5321 4.5.2): lines end in CRLF, a dot at
 * the front of a line is doubled, a last line gets its end, then ".".
 *
 * A CR or LF that stands alone becomes a space: no server can then find a line
 * end, and so an end of the message, where we meant none. (BDAT carries the
 * bytes as they are.)
 */
#ifndef REMOTE_STUFF_H
#define REMOTE_STUFF_H

#include "common/buf.h"

struct stuff {
	bool is_line_start; /* what follows is the first byte of a line */
	bool has_cr;	    /* a CR was read and not yet put */
};

void stuff_init(struct stuff *s);
/* Append the next piece, cut anywhere, to out: at most 2 * piece.n + 1 bytes.*/
void stuff_put(struct stuff *s, struct span piece, struct buf *out);
/* The end: CRLF if the last line lacks it, then "." CRLF. */
void stuff_end(struct stuff *s, struct buf *out);

#endif
