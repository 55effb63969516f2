/* Mail addresses on the envelope.
 *
 * Mailbox       = Local-part "@" ( Domain / address-literal )  RFC 5321 4.1.2
 * Local-part    = Dot-string / Quoted-string
 * Dot-string    = Atom *( "." Atom )
 * Quoted-string = DQUOTE *( qtextSMTP / "\" %d32-126 ) DQUOTE
 * with UTF-8 in atoms, quoted text and labels: RFC 6531 3.3
 */
#include "common/address.h"

#include "common/messages.h"
#include "common/utf8.h"

#include <arpa/inet.h>
#include <idn2.h>

enum { LOCAL_MAX = 64, DOMAIN_MAX = 255, LABEL_MAX = 63 };

static bool is_atext(unsigned char c)
{
	if (c >= 0x80)
		return true; /* whole text was checked to be UTF-8 */
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

/* Bytes of the dot-string at the front, 0 when there is none. */
static size_t dot_string(struct span s)
{
	size_t n = 0;
	bool is_after_dot = true;

	for (; n < s.n; n++) {
		unsigned char c = (unsigned char)s.p[n];

		if (c == '.' && is_after_dot)
			return 0;
		if (c != '.' && !is_atext(c))
			break;
		is_after_dot = c == '.';
	}
	return is_after_dot ? 0 : n;
}

/* Bytes of the quoted string at the front with its quotes, 0 when it is not
 * closed or has what may not stand in it. */
static size_t quoted_string(struct span s)
{
	for (size_t n = 1; n < s.n; n++) {
		unsigned char c = (unsigned char)s.p[n];

		if (c == '"')
			return n + 1;
		if (c == '\\' && ++n >= s.n)
			return 0;
		c = (unsigned char)s.p[n];
		if (c < 0x20 || c == 0x7f)
			return 0;
	}
	return 0;
}

static bool is_letter_or_digit(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static bool is_label(struct span label)
{
	if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' ||
	    label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!is_letter_or_digit((unsigned char)label.p[i]) &&
		    label.p[i] != '-')
			return false;
	return true;
}

static bool is_number(struct span label)
{
	for (size_t i = 0; i < label.n; i++)
		if (label.p[i] < '0' || label.p[i] > '9')
			return false;
	return label.n > 0;
}

bool domain_is_valid(struct span domain, unsigned min_labels)
{
	struct span label = { NULL, 0 };
	unsigned labels = 0;

	/* 253: what fits into the 255 octets of a name on the wire */
	if (domain.n == 0 || domain.n > 253 || domain.p[domain.n - 1] == '.')
		return false;
	while (domain.n > 0) {
		label = span_cut(&domain, '.');
		if (!is_label(label))
			return false;
		labels++;
	}
	/* "1.2.3.4" is an address that lacks its brackets */
	return labels >= min_labels && !is_number(label);
}

static bool has_utf8(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* text: the domain with a NUL behind it. */
static int idn_to_ascii(const char *text, struct buf *out, struct outcome *why)
{
	char *ascii = NULL;
	int status = idn2_to_ascii_8z(
	    text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

	if (status == IDN2_MALLOC)
		return outcome_temp(why, "4.3.0", "domain \"%s\": %s", text,
		    idn2_strerror(status));
	if (status != IDN2_OK)
		return outcome_perm(why, "5.1.3", "domain \"%s\": %s", text,
		    idn2_strerror(status));
	/* the mapping may have made dots and other signs out of its input */
	if (!domain_is_valid(span_of(ascii), 1))
		status = outcome_perm(
		    why, "5.1.3", "domain \"%s\" is no host name", text);
	else
		buf_puts(out, ascii);
	idn2_free(ascii);
	return status;
}

int domain_to_ascii(struct span domain, struct buf *out, struct outcome *why)
{
	char text[DOMAIN_MAX + 1];

	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n == 0 || domain.n > DOMAIN_MAX)
		return outcome_perm(why, "5.1.3", "%s",
		    domain.n ? "domain too long" : "no domain");
	if (has_utf8(domain)) {
		if (!utf8_is_valid(domain) || span_has_line_breaks(domain))
			return outcome_perm(
			    why, "5.1.3", "domain is no UTF-8 text");
		memcpy(text, domain.p, domain.n);
		text[domain.n] = '\0';
		return idn_to_ascii(text, out, why);
	}
	if (!domain_is_valid(domain, 1))
		return outcome_perm(why, "5.1.3",
		    "domain \"%.*s\" is no host name", (int)domain.n, domain.p);
	for (size_t i = 0; i < domain.n; i++) {
		char c = domain.p[i];

		buf_putc(out, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
	}
	return 0;
}

/* "[1.2.3.4]" or "[IPv6:2001:db8::1]" in canonical form. */
static int literal_to_key(
    struct span literal, struct buf *out, struct outcome *why)
{
	struct span inside = { literal.p + 1, literal.n - 2 };
	bool is_v6 = span_has_prefix_nocase(inside, "IPv6:");
	int family = is_v6 ? AF_INET6 : AF_INET;
	char text[INET6_ADDRSTRLEN];
	unsigned char bytes[16];

	if (is_v6)
		inside = span_from(inside, 5);
	if (inside.n < sizeof(text) && !span_has_line_breaks(inside)) {
		memcpy(text, inside.p, inside.n);
		text[inside.n] = '\0';
		if (inet_pton(family, text, bytes) == 1 &&
		    inet_ntop(family, bytes, text, sizeof(text))) {
			buf_printf(out, "[%s%s]", is_v6 ? "IPv6:" : "", text);
			return 0;
		}
	}
	return outcome_perm(why, "5.1.3",
	    "\"%.*s\" is neither [IPv4] nor [IPv6:address]",
	    (int)(literal.n > 80 ? 80 : literal.n), literal.p);
}

int address_domain_key(
    const struct address *a, struct buf *out, struct outcome *why)
{
	if (a->is_literal)
		return literal_to_key(a->domain, out, why);
	return domain_to_ascii(a->domain, out, why);
}

/* What may not stand anywhere in an address, quoted or not. */
static int check_text(struct span text, struct outcome *why)
{
	if (text.n == 0)
		return outcome_perm(why, "5.1.3", "empty address");
	if (text.n > ADDRESS_MAX)
		return outcome_perm(why, "5.1.3", "address too long");
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return outcome_perm(
			    why, "5.1.3", "address has a control character");
	if (!utf8_is_valid(text))
		return outcome_perm(why, "5.1.3", "address is no UTF-8 text");
	if (text.p[0] == '@')
		return outcome_perm(why, "5.1.3",
		    "nothing before \"@\" (source routes are refused)");
	return 0;
}

static int check_domain(const struct address *a, struct outcome *why)
{
	struct buf key;
	int status;

	if (a->domain.n == 0)
		return outcome_perm(why, "5.1.3", "nothing behind \"@\"");
	if (a->domain.n > DOMAIN_MAX)
		return outcome_perm(why, "5.1.3", "domain too long");
	if (a->is_literal && a->domain.p[a->domain.n - 1] != ']')
		return outcome_perm(why, "5.1.3", "\"[\" without \"]\"");
	buf_init(&key, 2 * DOMAIN_MAX);
	status = address_domain_key(a, &key, why);
	buf_clear(&key);
	return status;
}

int address_parse(struct span text, struct address *a, struct outcome *why)
{
	size_t n;

	*a = (struct address){ 0 };
	if (check_text(text, why) < 0)
		return -1;
	n = text.p[0] == '"' ? quoted_string(text) : dot_string(text);
	if (n == 0)
		return outcome_perm(
		    why, "5.1.3", "malformed local part (before \"@\")");
	if (n > LOCAL_MAX)
		return outcome_perm(why, "5.1.3",
		    "local part of %zu octets; at most %d", n, LOCAL_MAX);
	if (n == text.n)
		return outcome_perm(why, "5.1.3", "address without \"@\"");
	if (text.p[n] != '@')
		return outcome_perm(why, "5.1.3",
		    "\"%.*s\" cannot stand before \"@\"", 1, text.p + n);
	a->local = (struct span){ text.p, n };
	a->domain = span_from(text, n + 1);
	a->is_literal = a->domain.n > 0 && a->domain.p[0] == '[';
	a->is_utf8 = has_utf8(text);
	return check_domain(a, why);
}

bool domain_matches(const char *pattern, struct span domain)
{
	struct span tail = span_of(pattern);

	if (pattern[0] != '*' || pattern[1] != '.')
		return span_is_equal_nocase(tail, domain);
	tail = span_from(tail, 1); /* ".example.org" */
	if (domain.n <= tail.n)
		return false;
	return span_is_equal_nocase(tail, span_from(domain, domain.n - tail.n));
}
