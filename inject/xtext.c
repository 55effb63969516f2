/* Addresses and ids inside ESMTP parameters: xtext (RFC 3461 section 4) and
 * the encodings of utf-8 addresses (RFC 6533 section 3).
 */
#include "inject/command.h"

#include "common/utf8.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int xtext_decode(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		int c = (unsigned char)text.p[i];

		if (c == '+') {
			if (text.n - i < 3 || hex_value(text.p[i + 1]) < 0 ||
			    hex_value(text.p[i + 2]) < 0)
				return -1;
			c = hex_value(text.p[i + 1]) * 16 +
			    hex_value(text.p[i + 2]);
			i += 2;
		} else if (c <= ' ' || c == '=') {
			return -1;
		}
		if (c < ' ' || c > '~')
			return -1;
		buf_putc(out, (char)c);
	}
	return 0;
}

static void put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_putc(out, (char)c);
	} else if (c < 0x800) {
		buf_putc(out, (char)(0xc0 | c >> 6));
		buf_putc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_putc(out, (char)(0xe0 | c >> 12));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_putc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_putc(out, (char)(0xf0 | c >> 18));
		buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_putc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* No character, though "\x{D800}" can be written. */
static bool is_surrogate(uint32_t c)
{
	return (c >= 0xd800 && c < 0xe000) || c > 0x10ffff;
}

/* "\x{HEX}" at the front: its length and *c, or 0. */
static size_t take_embedded(struct span text, uint32_t *c)
{
	size_t i = 3;

	if (text.n < 5 || memcmp(text.p, "\\x{", 3) != 0)
		return 0;
	for (*c = 0; i < text.n && i < 9 && hex_value(text.p[i]) >= 0; i++)
		*c = *c * 16 + (uint32_t)hex_value(text.p[i]);
	return i > 3 && i < text.n && text.p[i] == '}' ? i + 1 : 0;
}

int utf8_address_decode(struct span text, bool is_raw, struct buf *out)
{
	while (text.n > 0) {
		uint32_t c = (unsigned char)text.p[0];
		size_t n = 1;

		if (c == '\\')
			n = take_embedded(text, &c);
		else if (c >= 0x80)
			n = is_raw ? utf8_next(text, &c) : 0;
		else if (c <= ' ' || c == '=' || c == '+')
			n = 0;
		if (n == 0 || !utf8_is_printable(c) || is_surrogate(c))
			return -1;
		put_utf8(out, c);
		text = span_from(text, n);
	}
	return 0;
}
