/* A server's certificate and its TLSA records (RFC 6698, RFC 7671, RFC 7672):
 * DANE-TA(2) and DANE-EE(3) only, by OpenSSL's own matching. */
#ifndef REMOTE_TLS_DANE_H
#define REMOTE_TLS_DANE_H

#include "remote/tls_demand.h"

#include <openssl/ssl.h>

/* The name asked for by SNI, and the first that DANE-TA accepts. */
struct span tls_dane_base(const struct host *host);
/* Before the handshake: give the records to ssl, whose context has DANE. The
 * number of usable ones (RFC 7672 2.2: when none is, any certificate will do),
 * or -1 without memory. */
int tls_dane_arm(SSL *ssl, const struct host *host);
/* In the verification callback. 0 or -1, the verdict set. */
int tls_dane_check(X509_STORE_CTX *context, SSL *ssl, const struct host *host,
    struct tls_verdict *verdict);

#endif
