/* Display names written into header fields: RFC 5322 3.2.5, RFC 2047. */
#include "inject/phrase.h"

#include "common/utf8.h"

#include <ctype.h>

enum { WORD_BYTES = 42 }; /* an encoded word has at most 75 characters */

static bool is_atext(char c)
{
	return isalnum((unsigned char)c) ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static void put_quoted(struct buf *out, struct span text)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, text.p[i]);
	}
	buf_putc(out, '"');
}

static void put_base64(struct buf *out, struct span s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++)
			v = v << 8 |
			    (i + k < s.n ? (unsigned char)s.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buf_putc(out,
			    i + k > s.n ? '=' : digits[v >> (18 - 6 * k) & 63]);
	}
}

static void put_encoded(struct buf *out, struct span name)
{
	bool is_utf8 = utf8_is_valid(name);

	for (size_t n; name.n > 0; name = span_from(name, n)) {
		n = name.n < WORD_BYTES ? name.n : WORD_BYTES;
		if (is_utf8)
			n = utf8_cut(name, n);
		buf_printf(out, "=?%s?B?", is_utf8 ? "UTF-8" : "unknown-8bit");
		put_base64(out, (struct span){ name.p, n });
		buf_puts(out, n < name.n ? "?=\r\n " : "?=");
	}
}

void phrase_put(struct buf *out, struct span name)
{
	bool is_bare = true;

	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c < ' ' || c == 0x7f) {
			put_encoded(out, name);
			return;
		}
		is_bare &= is_atext(c) || (c == ' ' && i > 0);
	}
	/* What looks like an encoded word must not be read as one. */
	for (size_t i = 0; i + 1 < name.n; i++)
		is_bare &= !(name.p[i] == '=' && name.p[i + 1] == '?');
	if (is_bare && name.n > 0 && name.p[name.n - 1] != ' ')
		buf_put_raw(out, name);
	else
		put_quoted(out, name);
}

void local_part_put(struct buf *out, struct span name)
{
	bool is_atom =
	    name.n > 0 && name.p[0] != '.' && name.p[name.n - 1] != '.';

	for (size_t i = 0; i < name.n; i++)
		is_atom &= is_atext(name.p[i]) || (name.p[i] & 0x80) ||
			   (i > 0 && name.p[i] == '.' && name.p[i - 1] != '.');
	if (is_atom)
		buf_put_raw(out, name);
	else
		put_quoted(out, name);
}
