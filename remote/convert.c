/* A message made fit: what must be done, and the headers that say so. */
#include "remote/convert.h"

#include <stdlib.h>

#include "common/utf8.h"
#include "remote/encode.h"
#include "remote/header_words.h"
#include "remote/mime.h"

enum { LINE_MAX_OCTETS = 998 };

/* What is done to one entity. */
enum how { AS_IS = 0, HOW_QUOTED, HOW_BASE64, HOW_REQUOTED };

/* What the first pass saw of it. */
struct seen {
	uint64_t octets, beyond_ascii, control;
	uint32_t line; /* octets of the present line */
	uint8_t encoding, kind, how;
	bool has_long_line, is_signed, has_version, has_type, is_message;
	bool is_not_utf8, needs_header;
	uint8_t follow; /* continuation bytes that must come */
};

struct convert {
	unsigned goals;
	struct mime mime;
	struct seen *seen;
	size_t nseen;
	bool is_sealed; /* DKIM-Signature: in the message's own header */
	bool has_bad_header;
	/* second pass */
	struct buf *out;
	struct encode encode;
	bool is_encoding;
};

/* --- first pass ----------------------------------------------------------- */

static struct seen *seen_of(struct convert *c, const struct mime_entity *e)
{
	struct seen *grown;
	size_t n = c->nseen ? c->nseen * 2 : 16;

	if (e->number < c->nseen)
		return &c->seen[e->number];
	while (n <= e->number)
		n *= 2;
	grown = reallocarray(c->seen, n, sizeof(*grown));
	if (!grown) {
		c->mime.problem = "too many parts";
		return NULL;
	}
	memset(grown + c->nseen, 0, (n - c->nseen) * sizeof(*grown));
	c->seen = grown;
	c->nseen = n;
	return &c->seen[e->number];
}

static void look_field(
    void *arg, const struct mime_entity *e, struct span field)
{
	struct convert *c = arg;
	struct seen *seen = seen_of(c, e);
	struct buf scratch;

	if (e->number == 0 && span_is_equal_nocase(mime_field_name(field),
				  SPAN_LITERAL("dkim-signature")))
		c->is_sealed = true;
	if (!seen || !(c->goals & CONVERT_7BIT) || !header_words_needed(field))
		return;
	seen->needs_header = true;
	buf_init(&scratch, 4 * MIME_FIELD_MAX);
	if (header_words_put(field, &scratch) < 0)
		c->has_bad_header = true;
	buf_clear(&scratch);
}

static void look_header_end(
    void *arg, const struct mime_entity *e, bool has_blank)
{
	struct seen *seen = seen_of(arg, e);

	(void)has_blank;
	if (!seen)
		return;
	seen->encoding = e->encoding;
	seen->kind = e->kind;
	seen->is_signed = e->is_signed;
	seen->has_version = e->has_version;
	seen->has_type = e->has_type;
	seen->is_message = e->is_message;
}

/* Good enough to name the charset of a text that names none. */
static void look_utf8(struct seen *seen, unsigned char octet)
{
	if (seen->follow > 0) {
		seen->is_not_utf8 |= (octet & 0xc0) != 0x80;
		seen->follow--;
	} else if (octet >= 0x80) {
		seen->is_not_utf8 |= octet < 0xc2 || octet > 0xf4;
		seen->follow = octet >= 0xf0 ? 3 : octet >= 0xe0 ? 2 : 1;
	}
}

static void look_body(void *arg, const struct mime_entity *e,
    struct span fragment, bool ends_line)
{
	struct seen *seen = seen_of(arg, e);

	if (!seen)
		return;
	seen->octets += fragment.n;
	seen->line += (uint32_t)fragment.n;
	seen->has_long_line |= seen->line > LINE_MAX_OCTETS;
	if (ends_line)
		seen->line = 0;
	for (size_t i = 0; i < fragment.n; i++) {
		unsigned char octet = (unsigned char)fragment.p[i];

		seen->beyond_ascii += octet > 0x7f;
		seen->control +=
		    octet == '\0' || octet == '\r' || octet == '\n';
		look_utf8(seen, octet);
	}
}

static void look_delimiter(void *arg, struct span line)
{
	(void)arg;
	(void)line;
}

static const struct mime_events look_events = { look_field, look_header_end,
	look_body, look_delimiter };

struct convert *convert_new(unsigned goals)
{
	struct convert *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->goals = goals;
	mime_init(&c->mime, &look_events, c);
	return c;
}

void convert_free(struct convert *c)
{
	if (!c)
		return;
	mime_clear(&c->mime);
	free(c->seen);
	free(c);
}

void convert_look(struct convert *c, struct span piece)
{
	mime_put(&c->mime, piece);
}

/* --- what is to be done --------------------------------------------------- */

static bool is_bad(const struct convert *c, const struct seen *s)
{
	return (c->goals & CONVERT_7BIT && s->beyond_ascii > 0) ||
	       (c->goals & CONVERT_TEXT && s->control > 0);
}

/* Of a part that needs it: 0, or -1 when it cannot be encoded. */
static int choose(const struct convert *c, struct seen *s)
{
	if (s->kind !=
	    MIME_LEAF) /* around parts: said by nobody, read by none*/
		return 0;
	if (s->encoding == MIME_QUOTED)
		s->how = HOW_REQUOTED;
	else if (s->encoding > MIME_BINARY)
		return is_bad(c, s) ? -1 : 0;
	else if ((s->beyond_ascii + s->control) * 4 > s->octets)
		s->how = HOW_BASE64;
	else
		s->how = HOW_QUOTED;
	return 0;
}

static int cannot(struct outcome *why, const char *reason)
{
	return outcome_perm(why, "5.6.3",
	    "the server takes no 8-bit text, and the message cannot be "
	    "converted: %s",
	    reason);
}

int convert_decide(struct convert *c, struct outcome *why)
{
	bool is_needed = false, is_wanted = false, is_signed = c->is_sealed;
	const char *problem = NULL;

	mime_end(&c->mime);
	for (size_t i = 0; i < c->nseen && i < c->mime.count; i++) {
		struct seen *s = &c->seen[i];
		bool is_long = c->goals & CONVERT_LINES && s->has_long_line;

		if (!is_bad(c, s) && !is_long && !s->needs_header)
			continue;
		is_needed |= is_bad(c, s) || s->needs_header;
		is_wanted = true;
		is_signed |= s->is_signed;
		if ((is_bad(c, s) || is_long) && choose(c, s) < 0)
			problem = "a part in a foreign or broken encoding has "
				  "8-bit text";
	}
	if (!is_wanted && !c->mime.problem)
		return 0;
	if (c->mime.problem)
		problem = c->mime.problem;
	else if (is_signed)
		problem = "it is signed, and its signature would be broken";
	else if (c->has_bad_header)
		problem = "an address or a field's name in its header is not "
			  "ASCII";
	if (!problem)
		return 1;
	is_needed |= c->mime.problem && c->goals & ~(unsigned)CONVERT_LINES;
	/* long lines alone are tried as they are */
	return is_needed ? cannot(why, problem) : 0;
}

/* --- second pass ---------------------------------------------------------- */

static void put_field(void *arg, const struct mime_entity *e, struct span field)
{
	struct convert *c = arg;
	const struct seen *s = &c->seen[e->number];
	bool is_encoding = span_is_equal_nocase(
	    mime_field_name(field), SPAN_LITERAL("content-transfer-encoding"));

	if (is_encoding &&
	    (s->how == HOW_QUOTED || s->how == HOW_BASE64 ||
		(s->encoding == MIME_8BIT && c->goals & CONVERT_7BIT) ||
		s->encoding == MIME_BINARY))
		return;
	if (c->goals & CONVERT_7BIT && header_words_needed(field))
		(void)header_words_put(field, c->out);
	else
		buf_put_raw(c->out, field);
}

/* What 8bit and binary have become. */
static const char *encoding_name(const struct convert *c, const struct seen *s)
{
	if (s->how == HOW_QUOTED)
		return "quoted-printable";
	if (s->how == HOW_BASE64)
		return "base64";
	if (s->encoding == MIME_8BIT && c->goals & CONVERT_7BIT)
		return "7bit";
	if (s->encoding == MIME_BINARY)
		return c->goals & CONVERT_7BIT ? "7bit" : "8bit";
	return NULL;
}

static void put_header_end(
    void *arg, const struct mime_entity *e, bool has_blank)
{
	struct convert *c = arg;
	const struct seen *s = &c->seen[e->number];
	const char *encoding = encoding_name(c, s);

	(void)has_blank;
	if (encoding && s->is_message && !s->has_version)
		buf_puts(c->out, "MIME-Version: 1.0\r\n");
	if ((s->how == HOW_QUOTED || s->how == HOW_BASE64) && !s->has_type)
		buf_printf(c->out, "Content-Type: text/plain; charset=%s\r\n",
		    s->beyond_ascii == 0 ? "us-ascii"
		    : s->is_not_utf8	 ? "unknown-8bit"
					 : "utf-8");
	if (encoding)
		buf_printf(
		    c->out, "Content-Transfer-Encoding: %s\r\n", encoding);
	buf_puts(c->out, "\r\n");
	c->is_encoding = s->how != AS_IS;
	if (c->is_encoding)
		encode_begin(&c->encode, s->how == HOW_BASE64 ? ENCODE_BASE64
					 : s->how == HOW_QUOTED
					     ? ENCODE_QUOTED
					     : ENCODE_REQUOTED);
}

static void put_body(void *arg, const struct mime_entity *e,
    struct span fragment, bool ends_line)
{
	struct convert *c = arg;
	const struct seen *s = &c->seen[e->number];

	if (c->is_encoding && s->how != AS_IS) {
		encode_put(&c->encode, fragment, ends_line, c->out);
		return;
	}
	/* Around the parts, where nobody reads. */
	for (size_t i = 0; i < fragment.n; i++)
		buf_putc(
		    c->out, is_bad(c, s) && (unsigned char)fragment.p[i] > 0x7f
				? '?'
				: fragment.p[i]);
	if (ends_line)
		buf_puts(c->out, "\r\n");
}

static void end_part(struct convert *c, bool is_last)
{
	if (c->is_encoding)
		encode_end(&c->encode, is_last, c->out);
	c->is_encoding = false;
}

static void put_delimiter(void *arg, struct span line)
{
	struct convert *c = arg;

	end_part(c, false);
	buf_put_raw(c->out, line);
}

static const struct mime_events put_events = { put_field, put_header_end,
	put_body, put_delimiter };

void convert_begin(struct convert *c)
{
	mime_clear(&c->mime);
	mime_init(&c->mime, &put_events, c);
	c->is_encoding = false;
}

void convert_put(struct convert *c, struct span piece, struct buf *out)
{
	c->out = out;
	mime_put(&c->mime, piece);
}

void convert_end(struct convert *c, struct buf *out)
{
	c->out = out;
	mime_end(&c->mime);
	end_part(c, true);
}
