/* The names in a certificate. */
#include "remote/tls_names.h"

#include "common/net.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { NAME_MAX_BYTES = 255 };

unsigned tls_names_flags(unsigned flags)
{
	return X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	       (flags & TLS_NAMES_MAY_CN ? 0
					 : X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
}

size_t tls_names_literal(struct span name, unsigned char bytes[16])
{
	union net_address a;
	struct span raw;

	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
		name = (struct span){ name.p + 1, name.n - 2 };
	if (span_has_prefix_nocase(name, "IPv6:"))
		name = span_from(name, 5);
	memset(&a, 0, sizeof(a));
	if (net_parse(name, 0, &a) < 0)
		return 0;
	raw = net_bytes(&a);
	memcpy(bytes, raw.p, raw.n);
	return raw.n;
}

/* *fit: the name of the certificate, to be freed by OPENSSL_free. */
static bool match(X509 *x, struct span name, unsigned flags, char **fit)
{
	unsigned char bytes[16];
	size_t n = tls_names_literal(name, bytes);

	*fit = NULL;
	if (name.n == 0)
		return false;
	if (n > 0)
		return X509_check_ip(x, bytes, n, 0) == 1;
	return X509_check_host(
		   x, name.p, name.n, tls_names_flags(flags), fit) == 1;
}

bool tls_names_match(X509 *x, struct span name, unsigned flags)
{
	char *fit;
	bool is_match = match(x, name, flags, &fit);

	OPENSSL_free(fit);
	return is_match;
}

void tls_names_escape(struct span name, struct buf *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ.*-_:[]";

	for (size_t i = 0; i < name.n && i < NAME_MAX_BYTES; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c != '\0' && strchr(plain, c))
			buf_putc(out, (char)c);
		else
			buf_printf(out, "\\x%02x", c);
	}
}

static struct span span_of_asn1(const ASN1_STRING *s)
{
	int n = ASN1_STRING_length(s);

	return (struct span){ (const char *)ASN1_STRING_get0_data(s),
		n > 0 ? (size_t)n : 0 };
}

static bool put_alternative(const GENERAL_NAME *name, struct buf *out)
{
	union net_address a;
	struct span bytes;
	char text[NET_TEXT_MAX];

	if (name->type == GEN_DNS) {
		tls_names_escape(span_of_asn1(name->d.dNSName), out);
		return true;
	}
	if (name->type != GEN_IPADD)
		return false;
	bytes = span_of_asn1(name->d.iPAddress);
	if (net_from_bytes(bytes, 0, &a) < 0)
		return false;
	net_print_ip(&a, text);
	buf_puts(out, text);
	return true;
}

static void put_common_name(X509 *x, struct buf *out)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const X509_NAME_ENTRY *entry =
	    at < 0 ? NULL : X509_NAME_get_entry(subject, at);

	if (entry)
		tls_names_escape(
		    span_of_asn1(X509_NAME_ENTRY_get_data(entry)), out);
}

static bool put_quoted(const GENERAL_NAME *name, struct buf *out)
{
	buf_putc(out, '"');
	if (!put_alternative(name, out))
		return false;
	buf_putc(out, '"');
	return true;
}

/* Each on its own, so that a name is shown whole or not at all. */
static size_t put_names(
    X509 *x, size_t max, bool is_quoted, unsigned most, struct buf *out)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t start = out->len, count = 0, before;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && count < most; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		before = out->len;
		if (count > 0)
			buf_puts(out, ", ");
		if (is_quoted ? !put_quoted(name, out)
			      : !put_alternative(name, out)) {
			out->len = before;
			continue;
		}
		count++;
		if (out->len - start <= max)
			continue;
		out->len = before;
		buf_puts(out, "...");
		break;
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return count;
}

void tls_names_print(X509 *x, size_t max, struct buf *out)
{
	if (put_names(x, max, true, UINT32_MAX, out) > 0)
		return;
	buf_puts(out, "no name but its subject \"");
	put_common_name(x, out);
	buf_puts(out, "\"");
}

void tls_names_print_one(X509 *x, const struct span *fitting, size_t nfitting,
    unsigned flags, struct buf *out)
{
	char *fit = NULL;

	for (size_t i = 0; i < nfitting && !fit; i++)
		if (match(x, fitting[i], flags, &fit) && !fit) {
			tls_names_escape(fitting[i], out);
			return;
		}
	if (fit)
		tls_names_escape(span_of(fit), out);
	else if (put_names(x, NAME_MAX_BYTES, false, 1, out) == 0)
		put_common_name(x, out);
	OPENSSL_free(fit);
}

void tls_names_fingerprint(X509 *x, char text[TLS_FINGERPRINT_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	text[0] = '\0';
	if (X509_digest(x, EVP_sha256(), digest, &n) != 1)
		return;
	for (unsigned i = 0; i < n && 2 * i + 2 < TLS_FINGERPRINT_BYTES; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
}
