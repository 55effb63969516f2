/* The header block of a message.
 *
 * RFC 5322 section 2.2 and 4.5 (obsolete forms):
 *   field     = field-name *WSP ":" unstructured CRLF *(WSP text CRLF)
 *   field-name = 1*(%d33-57 / %d59-126)
 * A continuation may be blank (obs-FWS); the block ends at an empty line.
 */
#include "inject/header.h"

#include <stdlib.h>

enum state {
	AT_LINE_START = 0,
	IN_NAME,
	BEHIND_NAME,
	IN_VALUE,
	IN_MBOX_LINE,
	AT_CR, /* of what may be the empty line */
};

static const struct {
	const char *name;
	enum field_kind kind;
} names[] = {
	{ "Bcc", FIELD_BCC },
	{ "Cc", FIELD_CC },
	{ "Date", FIELD_DATE },
	{ "DKIM-Signature", FIELD_DKIM_SIGNATURE },
	{ "From", FIELD_FROM },
	{ "Message-ID", FIELD_MESSAGE_ID },
	{ "Received", FIELD_RECEIVED },
	{ "Reply-To", FIELD_REPLY_TO },
	{ "Return-Path", FIELD_RETURN_PATH },
	{ "Sender", FIELD_SENDER },
	{ "To", FIELD_TO },
	{ "Resent-Bcc", FIELD_RESENT_BCC },
	{ "Resent-Cc", FIELD_RESENT_CC },
	{ "Resent-Date", FIELD_RESENT_DATE },
	{ "Resent-From", FIELD_RESENT_FROM },
	{ "Resent-Message-ID", FIELD_RESENT_MESSAGE_ID },
	{ "Resent-Reply-To", FIELD_RESENT_REPLY_TO },
	{ "Resent-Sender", FIELD_RESENT_SENDER },
	{ "Resent-To", FIELD_RESENT_TO },
};

void header_init(struct header *h)
{
	*h = (struct header){ 0 };
	buf_init(&h->text, HEADER_MAX);
}

void header_clear(struct header *h)
{
	buf_clear(&h->text);
	free(h->fields);
	header_init(h);
}

static struct span part(const struct header *h, size_t from, size_t to)
{
	return (struct span){ h->text.data + from, to - from };
}

static enum field_kind kind_of(struct span name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is_equal_nocase(name, span_of(names[i].name)))
			return names[i].kind;
	return span_has_prefix_nocase(name, "Resent-") ? FIELD_RESENT_OTHER
						       : FIELD_OTHER;
}

static bool is_name_byte(char c)
{
	return c > 32 && c < 127 && c != ':';
}

/* A whole line of a field is in: the field reaches to here. */
static int close_line(struct header *h, struct outcome *why)
{
	struct field *f = &h->current;

	if (h->line_start != f->start) {
		h->fields[h->nfields - 1].end = (uint32_t)h->text.len;
		h->end = h->text.len;
		return 0;
	}
	if (h->nfields == h->room) {
		size_t room = h->room ? h->room * 2 : 32;
		struct field *grown = realloc(h->fields, room * sizeof(*grown));

		if (!grown)
			return outcome_temp(why, "4.3.0", "out of memory");
		h->fields = grown;
		h->room = room;
	}
	f->end = (uint32_t)h->text.len;
	f->kind = (uint8_t)kind_of(part(h, f->start, f->name_end));
	h->fields[h->nfields++] = *f;
	h->end = h->text.len;
	return 0;
}

/* This line is none of the header's. */
static void stop_before_line(struct header *h)
{
	h->is_done = true;
}

static void stop_at_blank(struct header *h)
{
	h->text.len = h->end;
	h->is_done = true;
	h->has_blank = true;
}

static bool is_mbox_line(const struct header *h)
{
	struct span name = part(h, h->current.start, h->current.name_end);

	return h->nfields == 0 && h->current.start == 0 &&
	       (span_is_equal(name, span_of("From")) ||
		   span_is_equal(name, span_of(">From")));
}

static void start_line(struct header *h, char c)
{
	h->line_start = h->text.len;
	if (c == '\n') {
		stop_at_blank(h);
	} else if (c == '\r') {
		h->state = AT_CR;
	} else if ((c == ' ' || c == '\t') && h->nfields > 0) {
		h->current.start = UINT32_MAX;
		h->state = IN_VALUE;
	} else if (is_name_byte(c)) {
		h->current.start = (uint32_t)h->line_start;
		h->state = IN_NAME;
	} else {
		stop_before_line(h);
	}
}

static void take_name_byte(struct header *h, char c)
{
	if (h->state == IN_NAME && is_name_byte(c))
		return;
	if (h->state == IN_NAME)
		h->current.name_end = (uint32_t)h->text.len;
	if (c == ':') {
		h->current.value = (uint32_t)h->text.len + 1;
		h->state = IN_VALUE;
	} else if (c == ' ' || c == '\t') {
		h->state = BEHIND_NAME;
	} else if (h->state == BEHIND_NAME && is_mbox_line(h)) {
		h->text.len = 0;
		h->state = IN_MBOX_LINE;
	} else {
		stop_before_line(h);
	}
}

/* Look at the byte before it is put. */
static void take_byte(struct header *h, char c)
{
	switch (h->state) {
	case AT_LINE_START:
		start_line(h, c);
		return;
	case AT_CR:
		if (c == '\n')
			stop_at_blank(h);
		else
			stop_before_line(h);
		return;
	case IN_NAME:
	case BEHIND_NAME:
		take_name_byte(h, c);
		return;
	}
}

/* Take to the end of the line. Returns bytes taken. */
static size_t take_line_rest(struct header *h, struct span rest)
{
	ptrdiff_t at = span_find(rest, '\n');
	size_t n = at < 0 ? rest.n : (size_t)at + 1;

	if (h->state == IN_VALUE)
		buf_put(&h->text, rest.p, n);
	return n;
}

static int too_large(const struct header *h, struct outcome *why)
{
	if (h->text.starved)
		return outcome_temp(why, "4.3.0", "out of memory");
	return outcome_perm(why, "5.3.4",
	    "the header is longer than %d bytes; make it shorter", HEADER_MAX);
}

ptrdiff_t header_take(struct header *h, struct span input, struct outcome *why)
{
	size_t at = 0;

	while (at < input.n && !h->is_done) {
		if (h->state == IN_VALUE || h->state == IN_MBOX_LINE) {
			at += take_line_rest(h, span_from(input, at));
			if (h->text.overflow)
				return too_large(h, why);
			if (input.p[at - 1] != '\n')
				break;
			if (h->state == IN_VALUE && close_line(h, why) < 0)
				return -1;
			h->state = AT_LINE_START;
			continue;
		}
		take_byte(h, input.p[at]);
		if (h->is_done) {
			at += h->has_blank;
			break;
		}
		if (h->state != IN_MBOX_LINE)
			buf_putc(&h->text, input.p[at]);
		if (h->text.overflow)
			return too_large(h, why);
		at++;
	}
	return (ptrdiff_t)at;
}

void header_end(struct header *h)
{
	h->is_done = true;
}

struct span header_rest(const struct header *h)
{
	return part(h, h->end, h->text.len);
}

struct span field_name(const struct header *h, const struct field *f)
{
	return part(h, f->start, f->name_end);
}

struct span field_value(const struct header *h, const struct field *f)
{
	size_t end = f->end;

	if (end > f->value && h->text.data[end - 1] == '\n')
		end--;
	if (end > f->value && h->text.data[end - 1] == '\r')
		end--;
	return part(h, f->value, end);
}

struct span field_whole(const struct header *h, const struct field *f)
{
	return part(h, f->start, f->end);
}

const struct field *header_find(const struct header *h, enum field_kind kind)
{
	for (size_t i = 0; i < h->nfields; i++)
		if (h->fields[i].kind == kind)
			return &h->fields[i];
	return NULL;
}
