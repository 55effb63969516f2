/* Header fields in 7 bits (RFC 2047).
 *
 * Unstructured text is words parted by blanks. In fields of addresses a word
 * ends at a special as well, and a quoted string is one word; the parameters of
 * Content-Type and -Disposition keep their quotes, as most mailers write them.
 */
#include "remote/header_words.h"

#include "common/utf8.h"
#include "remote/mime.h"

enum {
	CHUNK = 15
}; /* bytes in one encoded word: 3 characters each, and the
    * name of the charset, stay below 75 */

enum shape { TEXT, ADDRESSES, PARAMETERS };

struct words {
	struct span rest;
	struct buf *out;
	const char *charset;
	enum shape shape;
	bool is_first; /* no encoded word since plain text */
	bool in_angle;
};

bool header_words_needed(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f)
			return true;
	return false;
}

static enum shape shape_of(struct span name)
{
	static const char *const addresses[] = { "from", "sender", "reply-to",
		"to", "cc", "bcc", "resent-from", "resent-sender",
		"resent-reply-to", "resent-to", "resent-cc", "resent-bcc",
		"disposition-notification-to", "errors-to", "return-path" };
	static const char *const parameters[] = { "content-type",
		"content-disposition" };

	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++)
		if (span_is_equal_nocase(name, span_of(addresses[i])))
			return ADDRESSES;
	for (size_t i = 0; i < sizeof(parameters) / sizeof(*parameters); i++)
		if (span_is_equal_nocase(name, span_of(parameters[i])))
			return PARAMETERS;
	return TEXT;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void put_octet(struct buf *out, unsigned char c)
{
	static const char hex[] = "0123456789ABCDEF";

	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z')) {
		buf_putc(out, (char)c);
	} else if (c == ' ') {
		buf_putc(out, '_');
	} else {
		buf_putc(out, '=');
		buf_putc(out, hex[c >> 4]);
		buf_putc(out, hex[c & 15]);
	}
}

/* Encoded words parted by folds: between them blanks do not count. */
static void put_encoded(struct words *w, struct span text)
{
	while (text.n > 0) {
		size_t n = text.n < CHUNK ? text.n : CHUNK;

		if (n < text.n && w->charset[0] == 'u' && w->charset[1] == 't')
			n = utf8_cut(text, CHUNK);
		n = n > 0 ? n : 1;
		buf_puts(w->out, w->is_first ? "" : "\r\n ");
		buf_printf(w->out, "=?%s?Q?", w->charset);
		for (size_t i = 0; i < n; i++)
			put_octet(w->out, (unsigned char)text.p[i]);
		buf_puts(w->out, "?=");
		w->is_first = false;
		text = span_from(text, n);
	}
}

static size_t quoted_length(struct span s)
{
	size_t i = 1;

	while (i < s.n && s.p[i] != '"')
		i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
	return i < s.n ? i + 1 : s.n;
}

/* Bytes of the word at the front. */
static size_t word_length(const struct words *w)
{
	size_t i = 0;

	if (w->shape != TEXT && *w->rest.p == '"')
		return quoted_length(w->rest);
	while (i < w->rest.n && !is_blank(w->rest.p[i]) &&
	       (w->shape == TEXT || !strchr("\"<>,;:()=", w->rest.p[i])))
		i++;
	return i;
}

static size_t blank_length(struct span s)
{
	size_t i = 0;

	while (i < s.n && is_blank(s.p[i]))
		i++;
	return i;
}

/* A word's text: of a quoted string what it means. */
static void put_meaning(struct span word, struct buf *to)
{
	bool is_quoted = word.n >= 2 && word.p[0] == '"';

	for (size_t i = is_quoted ? 1 : 0; i < word.n - (is_quoted ? 1 : 0);
	     i++) {
		if (is_quoted && word.p[i] == '\\' && i + 2 < word.n)
			i++;
		if (word.p[i] != '\r' && word.p[i] != '\n')
			buf_putc(to, word.p[i]);
	}
}

/* This word and those behind it that need it too are one text, since blanks
 * between encoded words are not shown. */
static void encode_run(struct words *w)
{
	bool keeps_quotes = w->shape == PARAMETERS;
	struct buf text;

	buf_init(&text, MIME_FIELD_MAX);
	for (;;) {
		struct span word = { w->rest.p, word_length(w) };
		struct span after = span_from(w->rest, word.n);
		size_t blanks = blank_length(after);
		struct words next = *w;

		put_meaning(word, &text);
		next.rest = span_from(after, blanks);
		w->rest = after;
		if (keeps_quotes || blanks == 0 || next.rest.n == 0)
			break;
		word = (struct span){ next.rest.p, word_length(&next) };
		if (!header_words_needed(word))
			break;
		buf_putc(&text, ' ');
		w->rest = next.rest;
	}
	w->is_first = true;
	buf_puts(w->out, keeps_quotes ? "\"" : "");
	put_encoded(w, buf_span(&text));
	buf_puts(w->out, keeps_quotes ? "\"" : "");
	buf_clear(&text);
}

static void put_plain(struct words *w, size_t n)
{
	buf_put(w->out, w->rest.p, n);
	w->rest = span_from(w->rest, n);
}

int header_words_put(struct span field, struct buf *out)
{
	struct span name = mime_field_name(field);
	struct span value = mime_field_value(field);
	struct words w = { .rest = value,
		.out = out,
		.charset = utf8_is_valid(value) ? "utf-8" : "unknown-8bit",
		.shape = shape_of(name) };

	if (header_words_needed((struct span){ field.p, field.n - value.n }))
		return -1;
	buf_put(out, field.p, field.n - value.n);
	while (w.rest.n > 0) {
		size_t n = word_length(&w);
		struct span word = { w.rest.p, n };

		if (n == 0) { /* a blank or a special */
			if (w.shape == ADDRESSES && strchr("<>", *w.rest.p))
				w.in_angle = *w.rest.p == '<';
			put_plain(&w, 1);
		} else if (!header_words_needed(word)) {
			put_plain(&w, n);
		} else if (w.in_angle ||
			   (w.shape == ADDRESSES && memchr(word.p, '@', n))) {
			return -1;
		} else {
			encode_run(&w);
		}
	}
	return 0;
}
