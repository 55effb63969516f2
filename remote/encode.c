/* Bodies as quoted-printable and base64. */
#include "remote/encode.h"

enum { COLUMNS = 76, LONG_LINE = 900 };

static const char hex[] = "0123456789ABCDEF";

void encode_begin(struct encode *e, enum encode_way way)
{
	*e = (struct encode){ .way = (uint8_t)way };
}

/* --- quoted-printable ----------------------------------------------------- */

static void put_text(struct encode *e, const char *text, unsigned n,
    unsigned columns, struct buf *out)
{
	if (e->column + n > columns - 1) {
		buf_puts(out, "=\r\n");
		e->column = 0;
	}
	buf_put(out, text, n);
	e->column += n;
}

static void put_quoted(
    struct encode *e, unsigned char c, unsigned columns, struct buf *out)
{
	char text[3] = { '=', hex[c >> 4], hex[c & 15] };

	put_text(e, text, 3, columns, out);
}

/* A blank may stand as it is unless the line ends behind it. */
static void put_blank(struct encode *e, bool ends_line, struct buf *out)
{
	char blank = e->blank;

	e->blank = '\0';
	if (!blank)
		return;
	if (ends_line)
		put_quoted(e, (unsigned char)blank, COLUMNS, out);
	else
		put_text(e, &blank, 1, COLUMNS, out);
}

static void quote(struct encode *e, struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		put_blank(e, false, out);
		if (c == ' ' || c == '\t')
			e->blank = (char)c;
		else if (c > ' ' && c < 0x7f && c != '=')
			put_text(e, &s.p[i], 1, COLUMNS, out);
		else
			put_quoted(e, c, COLUMNS, out);
	}
}

/* What is there stays; it is cut only where a line is much too long, and not
 * inside of "=XX". */
static void requote(struct encode *e, struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c > 0x7f || c == '\0' || c == '\r' || c == '\n') {
			put_quoted(e, c, LONG_LINE, out);
			e->keep = 0;
			continue;
		}
		if (e->keep == 0) {
			put_text(e, &s.p[i], 1, LONG_LINE, out);
		} else {
			buf_putc(out, s.p[i]);
			e->column++;
		}
		e->keep = c == '=' ? 2 : e->keep > 0 ? e->keep - 1 : 0;
	}
}

/* --- base64 --------------------------------------------------------------- */

static void put_group(struct encode *e, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[4] = { digits[e->in[0] >> 2],
		digits[(e->in[0] & 3) << 4 | e->in[1] >> 4],
		e->nin > 1 ? digits[(e->in[1] & 15) << 2 | e->in[2] >> 6] : '=',
		e->nin > 2 ? digits[e->in[2] & 63] : '=' };

	buf_put(out, text, 4);
	e->column += 4;
	if (e->column >= COLUMNS) {
		buf_puts(out, "\r\n");
		e->column = 0;
	}
	memset(e->in, 0, sizeof(e->in));
	e->nin = 0;
}

static void put_base64(struct encode *e, struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		e->in[e->nin++] = (unsigned char)s.p[i];
		if (e->nin == 3)
			put_group(e, out);
	}
}

static void put_break(struct encode *e, struct buf *out)
{
	if (e->has_break)
		put_base64(e, SPAN_LITERAL("\r\n"), out);
	e->has_break = false;
}

/* -------------------------------------------------------------------------- */

void encode_put(
    struct encode *e, struct span fragment, bool ends_line, struct buf *out)
{
	if (e->way == ENCODE_BASE64) {
		put_break(e, out);
		put_base64(e, fragment, out);
		e->has_break = ends_line;
		return;
	}
	if (e->way == ENCODE_QUOTED)
		quote(e, fragment, out);
	else
		requote(e, fragment, out);
	if (!ends_line)
		return;
	put_blank(e, true, out);
	buf_puts(out, "\r\n");
	e->column = e->keep = 0;
}

void encode_end(struct encode *e, bool is_last, struct buf *out)
{
	if (e->way == ENCODE_BASE64) {
		if (is_last)
			put_break(e, out);
		e->has_break = false;
		if (e->nin > 0)
			put_group(e, out);
		if (e->column > 0)
			buf_puts(out, "\r\n");
		e->column = 0;
		return;
	}
	put_blank(e, true, out);
}
