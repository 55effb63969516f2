/* The names in a certificate, as text that may be shown: bytes of strangers. */
#ifndef REMOTE_TLS_NAMES_H
#define REMOTE_TLS_NAMES_H

#include "common/buf.h"

#include <openssl/x509.h>

enum { TLS_FINGERPRINT_BYTES = 65 }; /* SHA-256 in hexadecimal, and NUL */

/* RFC 6125, RFC 7672 3.2.3: DNS names of the certificate only, a wildcard for
 * one label as the leftmost one; with may_cn the subject's common name when it
 * has no DNS name. name: a host name or an address literal in brackets. */
enum { TLS_NAMES_MAY_CN = 1 };
bool tls_names_match(X509 *x, struct span name, unsigned flags);
/* OpenSSL's flags for the same. */
unsigned tls_names_flags(unsigned flags);
/* The bytes of an address literal, 4 or 16, or 0: it is a name. */
size_t tls_names_literal(struct span name, unsigned char bytes[16]);

/* Append the name: letters, digits and .*-_:[] as they are, others as \xHH. */
void tls_names_escape(struct span name, struct buf *out);
/* Append the DNS names and addresses, quoted, as many as fit; the common name
 * when there is none. */
void tls_names_print(X509 *x, size_t max, struct buf *out);
/* Append the name that fits, or the first; nothing when there is none. */
void tls_names_print_one(X509 *x, const struct span *fitting, size_t nfitting,
    unsigned flags, struct buf *out);
void tls_names_fingerprint(X509 *x, char text[TLS_FINGERPRINT_BYTES]);

#endif
