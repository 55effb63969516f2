/* The receiver's side of TLS, for smtp_sink: STARTTLS on a socket that does not
 * block. Without a session all of it is plain recv and send.
 */
#ifndef BENCH_SINK_TLS_H
#define BENCH_SINK_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

/* pem: certificate and key. NULL when they cannot be used, said on stderr. */
SSL_CTX *sink_tls_new(const char *pem, bool may_resume);

/* A session on fd whose handshake comes with the first read, or NULL. */
SSL *sink_tls_accept(SSL_CTX *context, int fd);

/* As recv and send. Where TLS has to wait: -1 and EAGAIN. */
ssize_t sink_tls_read(SSL *ssl, int fd, void *data, size_t size);
ssize_t sink_tls_write(SSL *ssl, int fd, const void *data, size_t size);

#endif
