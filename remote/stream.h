/* One connection to a server: bytes out and in, in clear or by TLS.
 *
 * The descriptor is non-blocking underneath: what is put waits in a buffer
 * until the socket takes it, so that answers can be read meanwhile and neither
 * side can block the other for good. Whoever uses it counts octets: what has
 * been given to the kernel may have reached the server, the rest has not.
 */
#ifndef REMOTE_STREAM_H
#define REMOTE_STREAM_H

#include "common/deadline.h"
#include "common/outcome.h"

#include <openssl/ssl.h>

enum {
	STREAM_OUT_HIGH = 32768, /* bytes waiting: put no more */
	STREAM_PIECE = 16384,	 /* bytes put at once, at most */
	STREAM_IN_MAX = 65536,	 /* unread bytes of a server */
};

struct stream {
	int fd; /* -1: not open */
	SSL *ssl;
	struct buf out, in;
	size_t out_from, in_from;
	uint64_t sent;	     /* octets that the kernel has taken */
	bool is_write_dead;  /* nothing more can be sent; replies may wait */
	bool is_read_dead;   /* no more replies */
	bool wants_to_write; /* TLS: reading needs the socket writable */
	bool has_more;	     /* bytes inside TLS that poll does not show */
};

void stream_init(struct stream *s);
/* Take over a connected, non-blocking socket. */
void stream_open(struct stream *s, int fd);
/* Close and free the buffers; close_notify is sent where that needs no wait.
 * Also for a stream that is not open. */
void stream_close(struct stream *s);

/* Bytes put and not yet taken by the kernel; octets put since stream_open. */
size_t stream_waiting(const struct stream *s);
uint64_t stream_queued(const struct stream *s);
/* Where to put: what is appended to it goes out. */
struct buf *stream_out(struct stream *s);

/* Send what the kernel takes now. 0, or -1 with *why: is_write_dead. */
int stream_push(struct stream *s, struct outcome *why);
/* Read what is there: 1 got something, 0 nothing now, -1 the end with *why.
 * At most STREAM_IN_MAX bytes wait unread: then 1 although nothing was read. */
int stream_pull(struct stream *s, struct outcome *why);
/* What was read, and to drop n bytes of it. */
struct span stream_input(const struct stream *s);
void stream_take(struct stream *s, size_t n);

/* The events for poll. */
short stream_events(const struct stream *s);
/* Wait for those events. 0, or -1 when the deadline passed. */
int stream_wait(const struct stream *s, struct deadline deadline);

#endif
