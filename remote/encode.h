/* Bodies as quoted-printable and base64 (RFC 2045 sections 6.7, 6.8), line by
 * line. */
#ifndef REMOTE_ENCODE_H
#define REMOTE_ENCODE_H

#include "common/buf.h"

enum encode_way {
	ENCODE_QUOTED,
	ENCODE_BASE64,
	ENCODE_REQUOTED, /* is quoted-printable, but for bytes beyond ASCII */
};

struct encode {
	uint8_t way; /* enum encode_way */
	unsigned column;
	char blank;	     /* quoted: read and not yet put */
	unsigned keep;	     /* requoted: bytes of "=XX" still to come */
	unsigned char in[3]; /* base64 */
	unsigned nin;
	bool has_break; /* base64: a line end not yet put */
};

void encode_begin(struct encode *e, enum encode_way way);
/* A fragment of a line, without its line end; ends_line: CRLF follows. */
void encode_put(
    struct encode *e, struct span fragment, bool ends_line, struct buf *out);
/* The last line end belongs to what follows (is_last: to the body). */
void encode_end(struct encode *e, bool is_last, struct buf *out);

#endif
