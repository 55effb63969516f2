/* A message made fit for a server that takes less than it holds: 8-bit text as
 * quoted-printable or base64 (RFC 6152 section 3), lines beyond 998 octets cut
 * (RFC 5321 4.5.3.1.6), headers in ASCII. Only the parts that need it change.
 *
 * Two passes over the same bytes: convert_look finds what must be done,
 * convert_put does it. What is signed is not touched: the signature would no
 * longer hold.
 */
#ifndef REMOTE_CONVERT_H
#define REMOTE_CONVERT_H

#include "common/outcome.h"

enum convert_goal {
	CONVERT_7BIT = 1,  /* no byte beyond ASCII, anywhere */
	CONVERT_LINES = 2, /* no line of more than 998 octets in a body */
	CONVERT_TEXT = 4,  /* no NUL and no CR or LF that stands alone */
};

struct convert;

struct convert *convert_new(unsigned goals); /* NULL without memory */
void convert_free(struct convert *c);	     /* NULL is fine */

/* First pass: the content in pieces of any size, then convert_decide. 1 = it
 * must be converted; 0 = it is fit as it is; -1 = it cannot be, *why (5.6.3):
 * signed, or beyond understanding. */
void convert_look(struct convert *c, struct span piece);
int convert_decide(struct convert *c, struct outcome *why);

/* Second pass, as often as wanted: begin, the same content again, end. The
 * output grows by up to MIME_FIELD_MAX a call beyond the piece. */
void convert_begin(struct convert *c);
void convert_put(struct convert *c, struct span piece, struct buf *out);
void convert_end(struct convert *c, struct buf *out);

#endif
