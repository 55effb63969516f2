/* The grammar of SPF records.
 *
 *	record    = "v=spf1" *( 1*SP ( directive / modifier ) ) *SP
 *	directive = [ "+" / "-" / "?" / "~" ] mechanism
 *	modifier  = name "=" macro-string	; name before any ":" or "/"
 *	mechanism = "all" / "include" ":" d / "exists" ":" d / "ptr" [ ":" d ]
 *	          / ( "a" / "mx" ) [ ":" d ] [ "/" n4 ] [ "//" n6 ]
 *	          / "ip4" ":" address [ "/" n4 ] / "ip6" ":" address [ "/" n6 ]
 *	d         = macro-string ( "." toplabel [ "." ] / macro-expand )
 *
 * RFC 7208 sections 4.6.1, 5, 6, 7.1 and 12.
 */
#include "dnscheck/spf_parts.h"

#include <arpa/inet.h>
#include <ctype.h>

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int wrong(const char **why, const char *what)
{
	*why = what;
	return -1;
}

/* toplabel: not all digits, hyphens only inside. */
static bool is_toplabel(struct span s)
{
	bool has_letter = false;

	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
		has_letter |= !is_digit(s.p[i]);
	}
	return has_letter;
}

/* Ends in a macro: after the macros were found valid, a "}" at the end can only
 * close one when a "%{" stands before it without another "}". "%%", "%_" and
 * "%-" are macros as well. */
static bool ends_in_macro(struct span s)
{
	bool is_macro = false;

	for (size_t i = 0; i < s.n; i++) {
		is_macro = s.p[i] == '%';
		if (!is_macro)
			continue;
		i++;
		if (i < s.n && s.p[i] == '{')
			while (i < s.n && s.p[i] != '}')
				i++;
	}
	return is_macro;
}

static int check_domain(struct span s, const char **why)
{
	struct span end = s;
	size_t at;

	if (s.n == 0)
		return wrong(why, "a domain is missing");
	if (!spf_macros_are_valid(s, false))
		return wrong(why, "it has a macro that is none, or a character "
				  "that may not stand there");
	if (ends_in_macro(s))
		return 0;
	if (end.p[end.n - 1] == '.')
		end.n--;
	for (at = end.n; at > 0 && end.p[at - 1] != '.';)
		at--;
	if (at > 0 && is_toplabel(span_from(end, at)))
		return 0;
	if (at > 0 && end.n > at && is_digit(end.p[at]))
		return wrong(why, "an address is given by ip4: or ip6:, and a "
				  "domain ends in a name, not a number");
	return wrong(why, "its domain does not end in a dot and a name");
}

/* Cut "/n" off the end: true when there was one. */
static bool cut_length(struct span *s, struct span *digits)
{
	size_t at = s->n;

	while (at > 0 && is_digit(s->p[at - 1]))
		at--;
	if (at == s->n || at == 0 || s->p[at - 1] != '/')
		return false;
	*digits = span_from(*s, at);
	s->n = at - 1;
	return true;
}

static int read_length(
    struct span digits, unsigned max, unsigned *bits, const char **why)
{
	uint64_t value;

	if (span_to_u64(digits, max, &value) < 0 ||
	    (digits.n > 1 && digits.p[0] == '0'))
		return wrong(why, "its prefix length is out of range");
	*bits = (unsigned)value;
	return 0;
}

/* [ "/" n4 ] [ "//" n6 ] */
static int cut_lengths(struct span *s, struct spf_term *term, const char **why)
{
	struct span digits;

	if (!cut_length(s, &digits))
		return 0;
	if (s->n > 0 && s->p[s->n - 1] == '/') {
		s->n--;
		if (read_length(digits, 128, &term->bits6, why) < 0)
			return -1;
		if (!cut_length(s, &digits))
			return 0;
	}
	return read_length(digits, 32, &term->bits4, why);
}

static int read_network(
    struct span s, struct spf_term *term, bool is_v6, const char **why)
{
	char text[INET6_ADDRSTRLEN + 1];
	struct span digits;

	if (cut_length(&s, &digits) &&
	    read_length(digits, is_v6 ? 128 : 32,
		is_v6 ? &term->bits6 : &term->bits4, why) < 0)
		return -1;
	if (s.n == 0 || s.n >= sizeof(text))
		return wrong(why, "its address is none");
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (memchr(text, '\0', s.n) ||
	    inet_pton(is_v6 ? AF_INET6 : AF_INET, text, term->network) != 1)
		return wrong(why, "its address is none");
	return 0;
}

enum { NEEDS = 1, MAY = 2, LENGTHS = 4, NETWORK = 8 };

static const struct mechanism {
	const char *name;
	enum spf_kind kind;
	unsigned takes;
} mechanisms[] = {
	{ "all", SPF_ALL, 0 },
	{ "include", SPF_INCLUDE, NEEDS },
	{ "a", SPF_A, MAY | LENGTHS },
	{ "mx", SPF_MX, MAY | LENGTHS },
	{ "ptr", SPF_PTR, MAY },
	{ "ip4", SPF_IP4, NEEDS | NETWORK },
	{ "ip6", SPF_IP6, NEEDS | NETWORK },
	{ "exists", SPF_EXISTS, NEEDS },
};

static const struct mechanism *find_mechanism(struct span name)
{
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++)
		if (span_is_equal_nocase(name, span_of(mechanisms[i].name)))
			return &mechanisms[i];
	return NULL;
}

/* rest: what stands behind the name, with its ":" or "/". */
static int read_arguments(const struct mechanism *m, struct span rest,
    struct spf_term *term, const char **why)
{
	if ((m->takes & LENGTHS) && cut_lengths(&rest, term, why) < 0)
		return -1;
	if (rest.n == 0)
		return m->takes & NEEDS ? wrong(why, "it needs a \":\"") : 0;
	if (rest.p[0] != ':' || !(m->takes & (NEEDS | MAY)))
		return wrong(why, "what stands behind its name is not allowed");
	rest = span_from(rest, 1);
	if (m->takes & NETWORK)
		return read_network(rest, term, m->kind == SPF_IP6, why);
	term->domain = rest;
	return check_domain(rest, why);
}

static int read_directive(struct spf_term *term, const char **why)
{
	const struct mechanism *m;
	struct span s = term->text;
	size_t n = 0;

	if (spf_is_any(s.p[0], "+-?~")) {
		term->qualifier = s.p[0];
		s = span_from(s, 1);
	}
	while (n < s.n && s.p[n] != ':' && s.p[n] != '/')
		n++;
	m = find_mechanism((struct span){ s.p, n });
	if (!m)
		return wrong(why, "there is no such mechanism");
	term->kind = m->kind;
	return read_arguments(m, span_from(s, n), term, why);
}

static bool is_modifier_name(struct span s)
{
	if (s.n == 0 || !is_alnum(s.p[0]) || is_digit(s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && !spf_is_any(s.p[i], "-_."))
			return false;
	return true;
}

static int read_modifier(struct spf_term *term, size_t at, const char **why)
{
	struct span name = { term->text.p, at };

	term->domain = span_from(term->text, at + 1);
	if (!is_modifier_name(name))
		return wrong(why, "it begins with no name of a modifier");
	term->kind = SPF_OTHER;
	if (span_is_equal_nocase(name, SPAN_LITERAL("redirect")))
		term->kind = SPF_REDIRECT;
	if (span_is_equal_nocase(name, SPAN_LITERAL("exp")))
		term->kind = SPF_EXP;
	if (term->kind != SPF_OTHER)
		return check_domain(term->domain, why);
	if (!spf_macros_are_valid(term->domain, true))
		return wrong(why, "it has a macro that is none");
	return 0;
}

int spf_term_next(struct span *rest, struct spf_term *term, const char **why)
{
	size_t n = 0, at = 0;

	while (rest->n > 0 && rest->p[0] == ' ')
		*rest = span_from(*rest, 1);
	if (rest->n == 0)
		return 0;
	while (n < rest->n && rest->p[n] != ' ')
		n++;
	*term = (struct spf_term){ .qualifier = '+',
		.text = { rest->p, n },
		.bits4 = 32,
		.bits6 = 128 };
	*rest = span_from(*rest, n);
	while (at < n && !spf_is_any(term->text.p[at], "=:/"))
		at++;
	if (at < n && term->text.p[at] == '=')
		return read_modifier(term, at, why) < 0 ? -1 : 1;
	return read_directive(term, why) < 0 ? -1 : 1;
}

bool spf_is_record(struct span text)
{
	return span_has_prefix_nocase(text, "v=spf1") &&
	       (text.n == 6 || text.p[6] == ' ');
}

int spf_record_check(struct span record, struct spf_term *redirect,
    struct spf_term *exp, struct span *bad, const char **why)
{
	struct span rest = span_from(record, 6);
	struct spf_term term = { .kind = SPF_OTHER };
	struct spf_term *single;
	int more;

	redirect->kind = exp->kind = SPF_OTHER;
	while ((more = spf_term_next(&rest, &term, why)) > 0) {
		single = term.kind == SPF_REDIRECT ? redirect
			 : term.kind == SPF_EXP	   ? exp
						   : NULL;
		if (single && single->kind != SPF_OTHER) {
			*bad = term.text;
			return wrong(why, "it may stand there only once");
		}
		if (single)
			*single = term;
	}
	if (more < 0)
		*bad = term.text;
	return more;
}
