/* The server's side of TLS (OpenSSL 3): TLS 1.2 and later, over a non-blocking
 * socket.
 */
#ifndef INJECT_TLS_SERVER_H
#define INJECT_TLS_SERVER_H

#include "common/outcome.h"

struct tls_server;
struct tls_stream;

/* Load what the library would want to open later. Before the sandbox. */
void tls_library_open(void);

/* From descriptors of PEM files (closed): certificate with its chain, key.
 * NULL with *why. */
struct tls_server *tls_server_new(
    int certificate_fd, int key_fd, struct outcome *why);
void tls_server_free(struct tls_server *server); /* NULL is fine */

/* fd: borrowed. NULL without memory. Free says goodbye to the peer if that can
 * be done at once. */
struct tls_stream *tls_stream_new(struct tls_server *server, int fd);
void tls_stream_free(struct tls_stream *t); /* NULL is fine */

/* 1 = done, -1 with errno: EAGAIN, or EPROTO (tls_stream_error). */
int tls_stream_handshake(struct tls_stream *t);
/* As recv and send: EAGAIN, EPROTO for a broken stream; 0: orderly end. A
 * write that said EAGAIN comes again with the same bytes, perhaps more. */
ptrdiff_t tls_stream_read(struct tls_stream *t, char *to, size_t n);
ptrdiff_t tls_stream_write(struct tls_stream *t, const char *from, size_t n);

/* After EAGAIN: the socket must become writable, not readable. */
bool tls_stream_wants_write(const struct tls_stream *t);
/* What broke, one line. */
const char *tls_stream_error(const struct tls_stream *t);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
void tls_stream_print(const struct tls_stream *t, struct buf *out);

#endif
