/* Foreign text made safe for where it is printed. */
#include "dnscheck/escape.h"

#include "common/utf8.h"

static void put_hex(struct buf *out, struct span bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		buf_printf(out, "\\x%02x", (unsigned char)bytes.p[i]);
}

/* One character of text, n bytes, as it is or in hex; the next one. */
static struct span put_one(struct buf *out, struct span text)
{
	uint32_t point;
	size_t n = utf8_next(text, &point);
	struct span one = { text.p, n ? n : 1 };

	if (n > 0 && utf8_is_printable(point))
		buf_put_raw(out, one);
	else
		put_hex(out, one);
	return span_from(text, one.n);
}

void escape_terminal(struct buf *out, const char *text)
{
	struct span rest = span_of(text);

	while (rest.n > 0)
		rest = put_one(out, rest);
}

static const char *entity_of(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void escape_html(struct buf *out, const char *text)
{
	struct span rest = span_of(text);

	while (rest.n > 0) {
		const char *entity = entity_of(*rest.p);

		if (entity) {
			buf_puts(out, entity);
			rest = span_from(rest, 1);
		} else {
			rest = put_one(out, rest);
		}
	}
}

void escape_utf8(struct buf *out, const char *text)
{
	struct span rest = span_of(text);

	while (rest.n > 0) {
		uint32_t point;
		size_t n = utf8_next(rest, &point);

		if (n > 0)
			buf_put(out, rest.p, n);
		else
			buf_puts(out, "\xef\xbf\xbd");
		rest = span_from(rest, n ? n : 1);
	}
}
