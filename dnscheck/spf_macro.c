/* Macros of SPF (RFC 7208 section 7).
 *
 *	macro-string = *( macro-expand / %x21-24 / %x26-7E )
 *	macro-expand = "%{" letter *DIGIT [ "r" ] *delimiter "}"
 *	             / "%%" / "%_" / "%-"
 *	delimiter    = "." / "-" / "+" / "," / "/" / "_" / "="
 *
 * In explanations spaces are literal too.
 */
#include "dnscheck/spf_parts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

enum { VALUE_MAX = 1024, PARTS_MAX = 256 };

struct macro {
	char letter; /* lower case */
	bool is_escaped, is_reversed;
	size_t nparts; /* from the right; 0: all */
	struct span delimiters;
};

/* s begins behind "%{". How many bytes it has with its "}", or 0. */
static size_t read_macro(
    struct span s, bool is_explanation, struct macro *macro)
{
	const char *letters = is_explanation ? "slodiphvcrt" : "slodiphv";
	size_t i = 1, first, n;

	if (s.n < 2)
		return 0;
	*macro = (struct macro){ .letter = (char)tolower((unsigned char)s.p[0]),
		.is_escaped = s.p[0] >= 'A' && s.p[0] <= 'Z' };
	if (!spf_is_any(macro->letter, letters))
		return 0;
	for (first = i; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		if (macro->nparts <= PARTS_MAX)
			macro->nparts =
			    macro->nparts * 10 + (size_t)(s.p[i] - '0');
	if (i > first && macro->nparts == 0)
		return 0;
	if (i < s.n && (s.p[i] == 'r' || s.p[i] == 'R')) {
		macro->is_reversed = true;
		i++;
	}
	for (n = i; n < s.n && spf_is_any(s.p[n], ".-+,/_=");)
		n++;
	macro->delimiters = (struct span){ s.p + i, n - i };
	return n < s.n && s.p[n] == '}' ? n + 1 : 0;
}

/* --- values --------------------------------------------------------------- */

/* Upper case, as RFC 7208's test suite has it. */
static void put_nibbles(struct buf *out, const unsigned char ip[16])
{
	for (size_t i = 0; i < 16; i++)
		buf_printf(
		    out, "%s%X.%X", i > 0 ? "." : "", ip[i] >> 4U, ip[i] & 15U);
}

static void put_ip(const struct spf *spf, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(
	    spf->nip == 4 ? AF_INET : AF_INET6, spf->ip, text, sizeof(text));
	buf_puts(out, text);
}

static void put_value(
    struct spf *spf, char letter, struct span domain, struct buf *out)
{
	switch (letter) {
	case 's':
		buf_put_raw(out, spf->local);
		buf_putc(out, '@');
		buf_put_raw(out, spf->origin);
		return;
	case 'l':
		buf_put_raw(out, spf->local);
		return;
	case 'o':
		buf_put_raw(out, spf->origin);
		return;
	case 'd':
		buf_put_raw(out, domain);
		return;
	case 'i':
		if (spf->nip == 16)
			put_nibbles(out, spf->ip);
		else
			put_ip(spf, out);
		return;
	case 'c':
		put_ip(spf, out);
		return;
	case 'p':
		buf_puts(out, spf_validated(spf, domain));
		return;
	case 'v':
		buf_puts(out, spf->nip == 4 ? "in-addr" : "ip6");
		return;
	case 'h':
		buf_put_raw(out, spf->query->helo);
		return;
	case 'r':
		buf_puts(out, spf->query->receiver && *spf->query->receiver
				  ? spf->query->receiver
				  : "unknown");
		return;
	default: /* t */
		buf_printf(out, "%" PRId64, spf->query->now);
	}
}

/* --- transformers --------------------------------------------------------- */

static size_t split(
    struct span value, struct span delimiters, struct span parts[PARTS_MAX])
{
	size_t n = 0, from = 0;

	if (value.n == 0) {
		parts[0] = SPAN_LITERAL("");
		return 1;
	}
	if (delimiters.n == 0)
		delimiters = SPAN_LITERAL(".");
	for (size_t i = 0; i <= value.n && n < PARTS_MAX; i++) {
		if (i < value.n &&
		    !memchr(delimiters.p, value.p[i], delimiters.n))
			continue;
		parts[n++] = (struct span){ value.p + from, i - from };
		from = i + 1;
	}
	return n;
}

static bool is_unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || spf_is_any(c, "-._~");
}

static void put_escaped(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_unreserved(s.p[i]))
			buf_putc(out, s.p[i]);
		else
			buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
}

static void put_transformed(
    const struct macro *macro, struct span value, struct buf *out)
{
	struct span parts[PARTS_MAX];
	size_t n = split(value, macro->delimiters, parts);
	size_t count = macro->nparts && macro->nparts < n ? macro->nparts : n;
	struct span part;

	for (size_t i = n - count; i < n; i++) {
		part = parts[macro->is_reversed ? n - 1 - i : i];
		if (i > n - count)
			buf_putc(out, '.');
		if (macro->is_escaped)
			put_escaped(out, part);
		else
			buf_put_raw(out, part);
	}
}

static void put_macro(struct spf *spf, const struct macro *macro,
    struct span domain, struct buf *out)
{
	struct buf value;

	buf_init(&value, VALUE_MAX);
	put_value(spf, macro->letter, domain, &value);
	if (value.overflow)
		out->overflow = true;
	else
		put_transformed(macro, buf_span(&value), out);
	buf_clear(&value);
}

/* --- strings -------------------------------------------------------------- */

/* s begins with "%". How many bytes were used, or 0. spf NULL: syntax alone. */
static size_t expand_one(struct spf *spf, struct span s, struct span domain,
    bool is_explanation, struct buf *out)
{
	struct macro macro;
	size_t used;

	if (s.n < 2)
		return 0;
	if (s.p[1] == '{') {
		used = read_macro(span_from(s, 2), is_explanation, &macro);
		if (used > 0 && spf)
			put_macro(spf, &macro, domain, out);
		return used > 0 ? used + 2 : 0;
	}
	if (s.p[1] != '%' && s.p[1] != '_' && s.p[1] != '-')
		return 0;
	if (spf)
		buf_puts(out, s.p[1] == '%'   ? "%"
			      : s.p[1] == '_' ? " "
					      : "%20");
	return 2;
}

static int expand(struct spf *spf, struct span text, struct span domain,
    bool is_explanation, struct buf *out)
{
	size_t used;

	for (size_t i = 0; i < text.n; i += used) {
		used = 1;
		if (text.p[i] == '%') {
			used = expand_one(spf, span_from(text, i), domain,
			    is_explanation, out);
			if (used == 0)
				return -1;
			continue;
		}
		if ((unsigned char)text.p[i] < (is_explanation ? 0x20 : 0x21) ||
		    (unsigned char)text.p[i] > 0x7e)
			return -1;
		if (spf)
			buf_putc(out, text.p[i]);
	}
	return spf && out->overflow ? -1 : 0;
}

int spf_expand(struct spf *spf, struct span text, struct span domain,
    bool is_explanation, struct buf *out)
{
	return expand(spf, text, domain, is_explanation, out);
}

bool spf_macros_are_valid(struct span text, bool is_explanation)
{
	return expand(NULL, text, SPAN_LITERAL(""), is_explanation, NULL) == 0;
}

/* --- names ---------------------------------------------------------------- */

bool spf_name_is_askable(struct span name)
{
	size_t label = 0;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > SPF_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		/* RFC 8616 section 4: not ASCII matches nothing */
		if ((unsigned char)name.p[i] >= 0x80)
			return false;
		if (name.p[i] != '.') {
			if (++label > 63)
				return false;
		} else if (label == 0) {
			return false;
		} else {
			label = 0;
		}
	}
	return label > 0;
}

int spf_target(struct spf *spf, const struct spf_term *term, struct span domain,
    char name[SPF_NAME_MAX + 1])
{
	struct buf out;
	struct span s;
	int status = 0;

	buf_init(&out, 8192);
	if (term->domain.n == 0)
		buf_put_raw(&out, domain);
	else
		status = spf_expand(spf, term->domain, domain, false, &out);
	s = buf_span(&out);
	if (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	while (s.n > SPF_NAME_MAX && span_find(s, '.') >= 0)
		s = span_from(s, (size_t)span_find(s, '.') + 1);
	if (status == 0 && !spf_name_is_askable(s))
		status = -1;
	if (status == 0) {
		memcpy(name, s.p, s.n);
		name[s.n] = '\0';
	}
	buf_clear(&out);
	return status;
}
