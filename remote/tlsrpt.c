/* Records of TLSRPT. RFC 8460 section 3:
 *
 *     record = "v=TLSRPTv1" 1*( *WSP ";" *WSP field ) [*WSP ";"]
 *     field  = "rua=" uri *( *WSP "," *WSP uri ) / extension
 *
 * Commas, semicolons and exclamation marks inside a URI are percent-encoded.
 */
#include "remote/tlsrpt.h"

#include "common/address.h"
#include "common/messages.h"

enum { URI_MAX = 500 };

static const char version[] = "v=TLSRPTv1";

bool tlsrpt_record_is(struct span txt)
{
	struct span rest = txt;

	return span_is_equal(
		   span_trim(span_cut(&rest, ';')), span_of(version)) &&
	       txt.p[0] == 'v';
}

static bool is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] > 0x7e)
			return false;
	return s.n > 0 && s.n <= URI_MAX;
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3986 2.1; -1: not so, or what it stands for is not printable. */
static int percent_decode(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		int high, low, c = (unsigned char)s.p[i];

		if (c == '%') {
			if (s.n - i < 3 || (high = hex_of(s.p[i + 1])) < 0 ||
			    (low = hex_of(s.p[i + 2])) < 0)
				return -1;
			c = high * 16 + low;
			i += 2;
		}
		if (c <= 0x20 || c > 0x7e)
			return -1;
		buf_putc(out, (char)c);
	}
	return out->overflow ? -1 : 0;
}

/* RFC 6068: what follows "?" are header fields, which are not wanted here. */
static int put_mailto(struct span uri, struct buf *lines)
{
	struct span rest = span_from(uri, sizeof("mailto:") - 1);
	struct span to = span_cut(&rest, '?');
	struct address address;
	struct buf text;
	int status = -1;

	buf_init(&text, URI_MAX);
	if (percent_decode(to, &text) == 0 &&
	    address_parse(buf_span(&text), &address, NULL) == 0) {
		buf_puts(lines, "mailto:");
		buf_put_raw(lines, buf_span(&text));
		buf_putc(lines, '\n');
		status = 0;
	}
	buf_clear(&text);
	return status;
}

int tlsrpt_https_parse(struct span uri, struct span *host, uint16_t *port)
{
	struct span rest = span_from(uri, sizeof("https://") - 1);
	uint64_t number = 443;
	size_t n = 0;

	if (!is_printable(uri) || !span_has_prefix_nocase(uri, "https://"))
		return -1;
	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' &&
	       rest.p[n] != '#')
		n++;
	rest.n = n;
	*host = span_cut(&rest, ':');
	if (host->n + 1 == n ||
	    (rest.n > 0 &&
		(span_to_u64(rest, 65535, &number) < 0 || number == 0)))
		return -1;
	for (size_t i = 0; i < host->n; i++)
		if (!((host->p[i] >= 'a' && host->p[i] <= 'z') ||
			(host->p[i] >= '0' && host->p[i] <= '9') ||
			host->p[i] == '-' || host->p[i] == '_' ||
			(host->p[i] == '.' && i > 0)))
			return -1;
	*port = (uint16_t)number;
	return host->n > 0 && host->n <= TLS_DOMAIN_MAX ? 0 : -1;
}

static int put_uri(struct span uri, struct buf *lines)
{
	struct span host;
	uint16_t port;

	if (!is_printable(uri))
		return -1;
	if (span_has_prefix_nocase(uri, "mailto:"))
		return put_mailto(uri, lines);
	if (tlsrpt_https_parse(uri, &host, &port) < 0)
		return -1;
	buf_put_raw(lines, uri);
	buf_putc(lines, '\n');
	return 0;
}

static int put_places(struct span value, struct buf *lines)
{
	unsigned n = 0;

	while (value.n > 0 && n < TLS_URIS_MAX)
		if (put_uri(span_trim(span_cut(&value, ',')), lines) == 0)
			n++;
	return n > 0 && !lines->overflow ? 0 : -1;
}

int tlsrpt_record_parse(struct span txt, struct buf *lines, const char **why)
{
	*why = "not a TLSRPT record";
	if (!tlsrpt_record_is(txt))
		return -1;
	(void)span_cut(&txt, ';');
	*why = "it names no place (rua=)";
	while (txt.n > 0) {
		struct span field = span_trim(span_cut(&txt, ';'));
		struct span name = span_trim(span_cut(&field, '='));

		if (!span_is_equal(name, SPAN_LITERAL("rua")))
			continue;
		if (put_places(field, lines) == 0)
			return 0;
		*why = "none of its places can be used (mailto:, https:)";
		return -1;
	}
	return -1;
}
