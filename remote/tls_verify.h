/* A server's certificate and the CAs (RFC 5280, RFC 6125, RFC 8461 4.2). */
#ifndef REMOTE_TLS_VERIFY_H
#define REMOTE_TLS_VERIFY_H

#include "remote/castore.h"
#include "remote/tls_demand.h"

/* Does a chain lead from one of our CAs to this certificate, is it in time, and
 * is it for that name (a host name or an address literal)? leaf and sent (the
 * other certificates that the server sent; may be NULL) are borrowed. 0, or -1:
 * the verdict has a sentence that names the step and the remedy. */
int tls_verify(const struct castore *store, X509 *leaf, STACK_OF(X509) * sent,
    struct span name, struct tls_verdict *verdict);

/* The verdict for an error of X509_verify_cert about this certificate, which
 * need not be the leaf. */
int tls_verify_failed(int error, X509 *leaf, X509 *at, struct span name,
    const struct castore *store, struct tls_verdict *verdict);

#endif
