/* A message as MIME sees it. */
#include "remote/mime.h"

enum { FRAGMENT = 4096, TOKEN_MAX = 80 };

void mime_init(struct mime *m, const struct mime_events *events, void *arg)
{
	*m = (struct mime){ .events = events, .arg = arg, .is_header = true };
	m->depth = m->count = 1;
	m->stack[0].is_message = true;
	buf_init(&m->line, MIME_FIELD_MAX + FRAGMENT);
	buf_init(&m->field, MIME_FIELD_MAX);
}

void mime_clear(struct mime *m)
{
	buf_clear(&m->line);
	buf_clear(&m->field);
}

static struct mime_entity *present(struct mime *m)
{
	return &m->stack[m->depth - 1];
}

/* --- header fields -------------------------------------------------------- */

struct span mime_field_name(struct span field)
{
	ptrdiff_t colon = span_find(field, ':');

	if (colon <= 0)
		return (struct span){ NULL, 0 };
	for (ptrdiff_t i = 0; i < colon; i++)
		if ((unsigned char)field.p[i] < '!' || field.p[i] == 0x7f)
			return (struct span){ field.p,
				i > 0 && (field.p[i] == ' ' ||
					     field.p[i] == '\t')
				    ? (size_t)i
				    : 0 };
	return (struct span){ field.p, (size_t)colon };
}

struct span mime_field_value(struct span field)
{
	ptrdiff_t colon = span_find(field, ':');

	return colon < 0 ? (struct span){ NULL, 0 }
			 : span_from(field, (size_t)colon + 1);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without leading blanks, folds and comments. */
static struct span skip_blanks(struct span s)
{
	int depth = 0;

	for (; s.n > 0; s = span_from(s, 1)) {
		if (*s.p == '(')
			depth++;
		else if (*s.p == ')' && depth > 0)
			depth--;
		else if (depth == 0 && !is_blank(*s.p))
			break;
	}
	return s;
}

/* Cut off a token (RFC 2045 section 5.1) or a quoted string's inside. */
static size_t take_token(struct span *s, char *to, size_t size)
{
	bool is_quoted = s->n > 0 && *s->p == '"';
	size_t n = 0, i = is_quoted ? 1 : 0;

	for (; i < s->n; i++) {
		char c = s->p[i];

		if (is_quoted ? c == '"' : is_blank(c) || strchr(";=/(\"", c))
			break;
		if (is_quoted && c == '\\' && i + 1 < s->n)
			c = s->p[++i];
		if (n + 1 < size)
			to[n++] = c;
	}
	if (is_quoted && i < s->n)
		i++;
	to[n] = '\0';
	*s = span_from(*s, i);
	return n;
}

static bool is_word(const char *text, const char *word)
{
	return span_is_equal_nocase(span_of(text), span_of(word));
}

static void take_boundary(struct mime_entity *e, struct span s)
{
	char name[TOKEN_MAX], value[MIME_BOUNDARY_MAX];
	size_t n;

	while ((s = skip_blanks(s)).n > 0) {
		if (*s.p != ';') {
			s = span_from(s, 1);
			continue;
		}
		s = skip_blanks(span_from(s, 1));
		take_token(&s, name, sizeof(name));
		s = skip_blanks(s);
		if (s.n == 0 || *s.p != '=')
			continue;
		s = skip_blanks(span_from(s, 1));
		n = take_token(&s, value, sizeof(value));
		if (!is_word(name, "boundary") || e->nboundary > 0)
			continue;
		memcpy(e->boundary, value, n);
		e->nboundary = n;
	}
}

static void take_type(struct mime_entity *e, struct span s)
{
	char type[TOKEN_MAX], subtype[TOKEN_MAX];

	if (e->has_type)
		return;
	e->has_type = true;
	s = skip_blanks(s);
	take_token(&s, type, sizeof(type));
	s = skip_blanks(s);
	if (s.n == 0 || *s.p != '/')
		return;
	s = skip_blanks(span_from(s, 1));
	take_token(&s, subtype, sizeof(subtype));
	if (is_word(type, "message") && is_word(subtype, "rfc822"))
		e->kind = MIME_MESSAGE;
	if (!is_word(type, "multipart"))
		return;
	take_boundary(e, s);
	e->kind = e->nboundary > 0 ? MIME_MULTIPART : MIME_LEAF;
	e->is_signed |= is_word(subtype, "signed");
	e->is_digest = is_word(subtype, "digest");
}

static void take_encoding(struct mime_entity *e, struct span s)
{
	static const char *const names[] = { "7bit", "8bit", "binary",
		"quoted-printable", "base64" };
	char word[TOKEN_MAX];

	s = skip_blanks(s);
	take_token(&s, word, sizeof(word));
	e->encoding = MIME_OTHER;
	for (int i = 0; i < MIME_OTHER; i++)
		if (is_word(word, names[i]))
			e->encoding = (uint8_t)i;
}

static void end_field(struct mime *m)
{
	struct span field = buf_span(&m->field);
	struct span name = mime_field_name(field);
	struct mime_entity *e = present(m);

	if (field.n == 0)
		return;
	if (span_is_equal_nocase(name, SPAN_LITERAL("content-type")))
		take_type(e, mime_field_value(field));
	else if (span_is_equal_nocase(
		     name, SPAN_LITERAL("content-transfer-encoding")))
		take_encoding(e, mime_field_value(field));
	else if (span_is_equal_nocase(name, SPAN_LITERAL("mime-version")))
		e->has_version = true;
	m->events->field(m->arg, e, field);
	buf_reset(&m->field);
}

/* --- entities ------------------------------------------------------------- */

static void push(struct mime *m, bool is_message)
{
	const struct mime_entity *around = present(m);
	struct mime_entity *e;

	if (m->depth == MIME_DEPTH_MAX || m->count == MIME_ENTITIES_MAX) {
		m->problem = "too many parts, or parts too deep";
		return;
	}
	e = &m->stack[m->depth];
	*e = (struct mime_entity){
		.number = m->count++,
		.is_message = is_message,
		.is_signed = around->is_signed,
	};
	if (!is_message && around->is_digest)
		e->kind = MIME_MESSAGE;
	m->depth++;
	m->is_header = true;
}

static void end_header(struct mime *m, bool has_blank)
{
	struct mime_entity *e = present(m);

	end_field(m);
	m->is_header = false;
	if (e->kind == MIME_MESSAGE && e->encoding > MIME_BINARY)
		e->kind = MIME_LEAF;
	m->events->header_end(m->arg, e, has_blank);
	if (e->kind == MIME_MESSAGE)
		push(m, true);
}

/* Which enclosing multipart's delimiter the line is: its place in the stack,
 * -1: none. */
static int find_delimiter(const struct mime *m, struct span line, bool *is_last)
{
	if (line.n < 3 || line.p[0] != '-' || line.p[1] != '-')
		return -1;
	for (unsigned i = m->depth; i-- > 0;) {
		const struct mime_entity *e = &m->stack[i];
		struct span rest;

		if (e->kind != MIME_MULTIPART || e->is_closed ||
		    line.n < 2 + e->nboundary ||
		    memcmp(line.p + 2, e->boundary, e->nboundary) != 0)
			continue;
		if (i + 1 == m->depth && m->is_header)
			continue; /* its own header is not over */
		rest = span_from(line, 2 + e->nboundary);
		*is_last = rest.n >= 2 && memcmp(rest.p, "--", 2) == 0;
		if (span_trim(span_from(rest, *is_last ? 2 : 0)).n == 0)
			return (int)i;
	}
	return -1;
}

static void at_delimiter(
    struct mime *m, unsigned at, struct span line, bool is_last)
{
	if (m->is_header)
		end_header(m, false);
	m->depth = at + 1;
	m->is_header = false;
	m->events->delimiter(m->arg, line);
	if (is_last)
		m->stack[at].is_closed = true;
	else
		push(m, false);
}

/* --- lines ---------------------------------------------------------------- */

static void header_line(struct mime *m, struct span line, struct span whole)
{
	if (line.n == 0) {
		end_header(m, true);
		return;
	}
	if (is_blank(line.p[0]) && m->field.len > 0) {
		buf_put_raw(&m->field, whole);
	} else if (mime_field_name(line).n > 0) {
		end_field(m);
		buf_put_raw(&m->field, whole);
	} else {
		/* neither field nor fold: the body has begun */
		end_header(m, false);
		if (!m->is_header)
			m->events->body(m->arg, present(m), line, true);
	}
	if (m->field.overflow)
		m->problem = "a header field is too long";
}

/* A whole line with CRLF is in m->line. */
static void end_line(struct mime *m)
{
	struct span whole = buf_span(&m->line);
	struct span line = { whole.p, whole.n - 2 };
	bool is_last = false;
	int at = m->is_mid_line ? -1 : find_delimiter(m, line, &is_last);

	if (at >= 0)
		at_delimiter(m, (unsigned)at, whole, is_last);
	else if (m->is_header)
		header_line(m, line, whole);
	else
		m->events->body(m->arg, present(m), line, true);
	m->is_mid_line = false;
	buf_reset(&m->line);
}

/* A long line of a body goes on as it comes; its last byte may be half of a
 * line end. */
static void give_fragment(struct mime *m)
{
	struct span all = buf_span(&m->line);
	bool has_cr = all.p[all.n - 1] == '\r';

	if (m->is_header || all.n < FRAGMENT)
		return;
	all.n -= has_cr ? 1 : 0;
	m->events->body(m->arg, present(m), all, false);
	m->is_mid_line = true;
	buf_reset(&m->line);
	if (has_cr)
		buf_putc(&m->line, '\r');
}

/* Up to the first LF, or as much as a fragment takes. */
static size_t piece_length(const struct mime *m, struct span piece)
{
	const char *lf = memchr(piece.p, '\n', piece.n);
	size_t n = lf ? (size_t)(lf - piece.p) + 1 : piece.n;

	return !m->is_header && n > FRAGMENT ? FRAGMENT : n;
}

void mime_put(struct mime *m, struct span piece)
{
	while (piece.n > 0 && !m->problem) {
		size_t n = piece_length(m, piece);
		size_t len;

		buf_put(&m->line, piece.p, n);
		piece = span_from(piece, n);
		if (m->line.overflow) {
			m->problem = "a header line is too long";
			return;
		}
		len = m->line.len;
		if (len >= 2 && memcmp(m->line.data + len - 2, "\r\n", 2) == 0)
			end_line(m);
		else if (len > 0)
			give_fragment(m);
	}
}

void mime_end(struct mime *m)
{
	struct span rest = buf_span(&m->line);

	if (m->problem)
		return;
	if (m->is_header && rest.n > 0) {
		buf_puts(&m->line, "\r\n");
		end_line(m);
		rest.n = 0;
	}
	/* a message inside has an empty one of its own */
	for (int i = 0; i < MIME_DEPTH_MAX && m->is_header && !m->problem; i++)
		end_header(m, false);
	if (rest.n > 0)
		m->events->body(m->arg, present(m), rest, false);
	buf_reset(&m->line);
}
