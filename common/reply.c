/* SMTP replies (RFC 5321 section 4.2), as a client reads them. */
#include "common/reply.h"

#include "common/messages.h"
#include "common/utf8.h"

#include <stdio.h>

void reply_init(struct reply *r)
{
	*r = (struct reply){ 0 };
	buf_init(&r->text, REPLY_TEXT_MAX + 1);
}

void reply_clear(struct reply *r)
{
	buf_clear(&r->text);
	reply_init(r);
}

static void reset(struct reply *r)
{
	r->code = 0;
	r->status[0] = '\0';
	r->has_status = false;
	r->nlines = 0;
	buf_reset(&r->text);
}

static size_t digits(struct span s, size_t max)
{
	size_t n = 0;

	while (n < s.n && n < max && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

/* Length of the enhanced code at the front of text (RFC 2034: class "." subject
 * "." detail, then a blank or the end), 0 when there is none. */
static size_t status_length(struct span text, char class)
{
	size_t subject, detail, n;

	if (text.n < 5 || text.p[0] != class || text.p[1] != '.')
		return 0;
	subject = digits(span_from(text, 2), 3);
	n = 2 + subject;
	if (subject == 0 || n >= text.n || text.p[n] != '.')
		return 0;
	detail = digits(span_from(text, n + 1), 3);
	n += 1 + detail;
	if (detail == 0 || (n < text.n && text.p[n] != ' '))
		return 0;
	return n;
}

/* Keep the line's text without enhanced code, made printable. */
static void put_text(struct reply *r, struct span text)
{
	size_t status = status_length(text, (char)('0' + r->code / 100));

	if (status > 0 && !r->has_status) {
		snprintf(
		    r->status, sizeof(r->status), "%.*s", (int)status, text.p);
		r->has_status = true;
	}
	if (status > 0)
		text = span_from(text, status + 1);
	while (text.n > 0) {
		uint32_t point;
		size_t n = utf8_next(text, &point);

		if (n > 0 && utf8_is_printable(point))
			buf_put(&r->text, text.p, n);
		else
			buf_putc(&r->text, text.p[0] == '\t' ? ' ' : '?');
		text = span_from(text, n > 0 ? n : 1);
	}
}

/* One line without its end. Returns 1 when the reply goes on, 0 at its last
 * line, -1 when it is malformed. */
static int take_line(struct reply *r, struct span line, struct outcome *why)
{
	uint64_t code;

	if (span_has_line_breaks(line))
		return outcome_temp(why, "4.5.0", "reply has a bare CR or NUL");
	if (line.n < 3 ||
	    span_to_u64((struct span){ line.p, 3 }, 599, &code) < 0 ||
	    code < 200)
		return outcome_temp(
		    why, "4.5.0", "reply without a code from 200 to 599");
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return outcome_temp(
		    why, "4.5.0", "reply code not followed by a blank");
	if (r->nlines > 0 && code != r->code)
		return outcome_temp(why, "4.5.0",
		    "reply changes its code from %u to %u", r->code,
		    (unsigned)code);
	if (r->nlines >= REPLY_LINES_MAX)
		return outcome_temp(why, "4.5.0", "reply of too many lines");
	r->code = (uint16_t)code;
	if (r->nlines++ > 0)
		buf_putc(&r->text, '\n');
	put_text(r, span_from(line, 4));
	if (r->text.overflow || r->text.len > REPLY_TEXT_MAX)
		return outcome_temp(why, "4.5.0", "reply too long");
	return line.n > 3 && line.p[3] == '-' ? 1 : 0;
}

ptrdiff_t reply_parse(struct reply *r, struct span input, struct outcome *why)
{
	struct span rest = input;
	int more = 1;

	reset(r);
	while (more == 1) {
		ptrdiff_t end = span_find(rest, '\n');
		struct span line = { rest.p, end < 0 ? rest.n : (size_t)end };

		if (line.n > REPLY_LINE_MAX)
			return outcome_temp(
			    why, "4.5.0", "reply line too long");
		if (end < 0)
			return 0;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		more = take_line(r, line, why);
		if (more < 0)
			return -1;
		rest = span_from(rest, (size_t)end + 1);
	}
	if (!r->has_status)
		snprintf(r->status, sizeof(r->status), "%c.0.0",
		    r->code < 400 ? '2' : '0' + r->code / 100);
	return rest.p - input.p;
}

void reply_print(const struct reply *r, struct buf *out)
{
	struct span text = buf_span(&r->text);
	struct buf line;

	buf_init(&line, REPLY_TEXT_MAX + 3 * REPLY_LINES_MAX);
	buf_printf(&line, "%u", r->code);
	if (r->has_status)
		buf_printf(&line, " %s", r->status);
	for (unsigned i = 0; i < r->nlines; i++) {
		struct span part = span_cut(&text, '\n');

		if (part.n > 0) {
			buf_puts(&line, i > 0 ? " / " : " ");
			buf_put_raw(&line, part);
		}
	}
	buf_put(out, line.data, utf8_cut(buf_span(&line), REPLY_MAX));
	buf_clear(&line);
}

bool reply_is_quoted(struct span text)
{
	return text.n >= 3 && text.p[0] >= '2' && text.p[0] <= '5' &&
	       text.p[1] >= '0' && text.p[1] <= '9' && text.p[2] >= '0' &&
	       text.p[2] <= '9' && (text.n == 3 || text.p[3] == ' ');
}
