/* SMTP replies (RFC 5321 section 4.2), as a client reads them.
 *
 * Reply-line = *( Reply-code "-" [ textstring ] CRLF )
 *                 Reply-code [ SP textstring ] CRLF
 */
#ifndef COMMON_REPLY_H
#define COMMON_REPLY_H

#include "common/outcome.h"

enum {
	REPLY_LINE_MAX = 2048, /* bytes; 512 in the RFC, servers send more */
	REPLY_LINES_MAX = 200,
	REPLY_TEXT_MAX = 8192, /* of all lines */
};

struct reply {
	uint16_t code;	 /* 200..599 */
	char status[12]; /* RFC 2034 enhanced code, else made from code */
	bool has_status; /* the server gave it */
	struct buf text; /* lines joined by LF, printable, without codes */
	unsigned nlines;
};

void reply_init(struct reply *r);
void reply_clear(struct reply *r);

/* Take one reply from the front of input. Returns its length in bytes, 0 when
 * more is needed, -1 with *why when it is malformed (codes that change, not
 * three digits, too long, NUL, bare CR). A bare LF ends a line as CRLF does.
 * The reply is reset first. */
ptrdiff_t reply_parse(struct reply *r, struct span input, struct outcome *why);

static inline bool reply_is_positive(const struct reply *r)
{
	return r->code >= 200 && r->code < 400;
}

/* One printable line of at most REPLY_MAX bytes: "250 2.0.0 text / more"
 * (the enhanced code only when the server gave one), appended to out. */
void reply_print(const struct reply *r, struct buf *out);

/* Whether a recorded text is what a server said, as reply_print has it, and not
 * our own words about it: it begins with a code. */
bool reply_is_quoted(struct span text);

#endif
