/* Before the fork: what OpenSSL sets up at its first handshakes (algorithms
 * found, tables filled) is set up once and shared, not in each line anew. */
#ifndef REMOTE_TLS_WARM_H
#define REMOTE_TLS_WARM_H

#include <openssl/ssl.h>

/* Handshakes in memory with a server of our own, TLS 1.3 and 1.2, and a look
 * for an issuer. Failure costs memory later, nothing else. */
void tls_warm(SSL_CTX *context);

#endif
