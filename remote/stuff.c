/* Dot-stuffing and line ends. */
#include "remote/stuff.h"

void stuff_init(struct stuff *s)
{
	*s = (struct stuff){ .is_line_start = true };
}

/* Bytes at the front of s without CR and LF. */
static size_t plain_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n')
		n++;
	return n;
}

static void put_plain(struct stuff *s, struct span text, struct buf *out)
{
	if (text.n == 0)
		return;
	if (s->is_line_start && text.p[0] == '.')
		buf_putc(out, '.');
	s->is_line_start = false;
	buf_put_raw(out, text);
}

static void put_break(struct stuff *s, char c, struct buf *out)
{
	if (c == '\n' && s->has_cr) {
		buf_puts(out, "\r\n");
		s->is_line_start = true;
		s->has_cr = false;
		return;
	}
	if (s->has_cr)
		put_plain(s, SPAN_LITERAL(" "), out);
	s->has_cr = c == '\r';
	if (c == '\n')
		put_plain(s, SPAN_LITERAL(" "), out);
}

void stuff_put(struct stuff *s, struct span piece, struct buf *out)
{
	while (piece.n > 0) {
		size_t n = plain_length(piece);

		if (n == 0) {
			put_break(s, piece.p[0], out);
			piece = span_from(piece, 1);
			continue;
		}
		if (s->has_cr) {
			put_plain(s, SPAN_LITERAL(" "), out);
			s->has_cr = false;
		}
		put_plain(s, (struct span){ piece.p, n }, out);
		piece = span_from(piece, n);
	}
}

void stuff_end(struct stuff *s, struct buf *out)
{
	if (s->has_cr) {
		put_plain(s, SPAN_LITERAL(" "), out);
		s->has_cr = false;
	}
	if (!s->is_line_start)
		buf_puts(out, "\r\n");
	buf_puts(out, ".\r\n");
	stuff_init(s);
}
