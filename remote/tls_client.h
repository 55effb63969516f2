/* TLS towards servers: the context that all lines share, the handshake. */
#ifndef REMOTE_TLS_CLIENT_H
#define REMOTE_TLS_CLIENT_H

#include "remote/stream.h"

/* TLS 1.2 and up, opportunistic: no certificate is verified, so no CA store is
 * read (its 140 certificates scattered over the heap cost every line 600 KiB of
 * pages that it no longer shares). NULL when OpenSSL fails. */
SSL_CTX *tls_client_new(void);

/* Handshake on an open stream. name: for SNI, empty for an address literal.
 * 0, or -1 with *why (4.7.5): the stream is then of no more use. */
int tls_client_start(struct stream *s, SSL_CTX *context, struct span name,
    struct deadline deadline, struct outcome *why);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384", cut to size; "" without TLS. */
void tls_client_print(const struct stream *s, char *text, size_t size);

#endif
