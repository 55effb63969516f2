/* The header block of a message: which fields it has and where it ends.
 *
 * Bytes are pushed in as they are read; the parser says when the header is
 * over and never needs to see a byte twice.
 */
#ifndef INJECT_HEADER_H
#define INJECT_HEADER_H

#include "common/outcome.h"

enum { HEADER_MAX = 1 << 20 }; /* bytes of the whole block */

enum field_kind {
	FIELD_OTHER = 0,
	FIELD_BCC,
	FIELD_CC,
	FIELD_DATE,
	FIELD_DKIM_SIGNATURE,
	FIELD_FROM,
	FIELD_MESSAGE_ID,
	FIELD_RECEIVED,
	FIELD_REPLY_TO,
	FIELD_RETURN_PATH,
	FIELD_SENDER,
	FIELD_TO,
	FIELD_RESENT_BCC, /* from here on: all that begin with Resent- */
	FIELD_RESENT_CC,
	FIELD_RESENT_DATE,
	FIELD_RESENT_FROM,
	FIELD_RESENT_MESSAGE_ID,
	FIELD_RESENT_REPLY_TO,
	FIELD_RESENT_SENDER,
	FIELD_RESENT_TO,
	FIELD_RESENT_OTHER,
	FIELD_KINDS
};

/* Offsets into the header's text. */
struct field {
	uint32_t start;	   /* of the name */
	uint32_t name_end; /* blanks before the colon not included */
	uint32_t value;	   /* behind the colon */
	uint32_t end;	   /* behind the last line end */
	uint8_t kind;	   /* enum field_kind */
};

struct header {
	struct buf text; /* the fields, then what turned out to be body */
	struct field *fields;
	size_t nfields, room;
	size_t end; /* offset behind the last field */
	bool is_done;
	bool has_blank; /* an empty line ended it */
	/* the parser's own */
	int state;
	size_t line_start;
	struct field current;
};

void header_init(struct header *h);
void header_clear(struct header *h);

/* Take bytes (line ends CRLF or LF) up to the end of the header. Returns how
 * many were taken; the header is over when is_done is set or fewer than all
 * were taken. The empty line is taken, not kept. A line that is neither field
 * nor continuation ends the header as well: it is the body's first line, and
 * what was seen of it is given by header_rest. An mbox "From " line at the
 * front is left out. -1 with *why: beyond HEADER_MAX, or no memory. */
ptrdiff_t header_take(struct header *h, struct span input, struct outcome *why);

/* The input is over: what is left of an unfinished line is body. */
void header_end(struct header *h);

/* Body bytes that were taken before they were known to be body. */
struct span header_rest(const struct header *h);

struct span field_name(const struct header *h, const struct field *f);
/* Raw, with its folds, without the last line end. */
struct span field_value(const struct header *h, const struct field *f);
struct span field_whole(const struct header *h, const struct field *f);

const struct field *header_find(const struct header *h, enum field_kind kind);
static inline bool field_is_resent(const struct field *f)
{
	return f->kind >= FIELD_RESENT_BCC;
}

#endif
