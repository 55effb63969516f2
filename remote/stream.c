/* One connection to a server. */
#include "remote/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	OUT_MAX = 8 * STREAM_OUT_HIGH,
	READ_BYTES = 16384,
};

void stream_init(struct stream *s)
{
	*s = (struct stream){ .fd = -1 };
	buf_init(&s->out, OUT_MAX);
	buf_init(&s->in, STREAM_IN_MAX + READ_BYTES);
}

void stream_open(struct stream *s, int fd)
{
	stream_init(s);
	s->fd = fd;
}

void stream_close(struct stream *s)
{
	if (s->ssl && !s->is_write_dead)
		SSL_shutdown(s->ssl);
	SSL_free(s->ssl);
	ERR_clear_error();
	if (s->fd >= 0)
		close(s->fd);
	buf_clear(&s->out);
	buf_clear(&s->in);
	stream_init(s);
}

size_t stream_waiting(const struct stream *s)
{
	return s->out.len - s->out_from;
}

uint64_t stream_queued(const struct stream *s)
{
	return s->sent + stream_waiting(s);
}

struct buf *stream_out(struct stream *s)
{
	if (s->out_from >= STREAM_OUT_HIGH) {
		buf_consume(&s->out, s->out_from);
		s->out_from = 0;
	}
	return &s->out;
}

/* The reason of a failed TLS call; the socket's errno as it was right after. */
static int tls_failed(
    struct outcome *why, const char *what, int error, int saved)
{
	unsigned long code = ERR_get_error();

	ERR_clear_error();
	if (code)
		return outcome_temp(why, "4.4.2", "%s: TLS: %s", what,
		    ERR_reason_error_string(code));
	if (error == SSL_ERROR_ZERO_RETURN || saved == 0)
		return outcome_temp(
		    why, "4.4.2", "%s: closed by the server", what);
	return outcome_temp(why, "4.4.2", "%s: %s", what, strerror(saved));
}

/* Bytes taken, 0 when none can be now, -1. */
static ptrdiff_t tls_send(
    struct stream *s, struct span data, struct outcome *why)
{
	size_t done = 0;
	int rc, error, saved;

	errno = 0;
	rc = SSL_write_ex(s->ssl, data.p, data.n, &done);
	saved = errno;
	if (rc == 1)
		return (ptrdiff_t)done;
	error = SSL_get_error(s->ssl, rc);
	if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
		return 0;
	return tls_failed(why, "sending", error, saved);
}

static ptrdiff_t plain_send(
    struct stream *s, struct span data, struct outcome *why)
{
	ptrdiff_t n;

	do
		n = send(s->fd, data.p, data.n, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno == EAGAIN)
		return 0;
	return outcome_temp(why, "4.4.2", "sending: %s", strerror(errno));
}

int stream_push(struct stream *s, struct outcome *why)
{
	if (s->out.overflow) {
		s->is_write_dead = true;
		return outcome_temp(why, "4.3.0", "no memory for commands");
	}
	while (!s->is_write_dead && stream_waiting(s) > 0) {
		struct span data = span_from(buf_span(&s->out), s->out_from);
		ptrdiff_t n =
		    s->ssl ? tls_send(s, data, why) : plain_send(s, data, why);

		if (n < 0) {
			s->is_write_dead = true;
			return -1;
		}
		if (n == 0)
			return 0;
		s->out_from += (size_t)n;
		s->sent += (uint64_t)n;
	}
	if (!s->is_write_dead) {
		buf_reset(&s->out);
		s->out_from = 0;
	}
	return 0;
}

static ptrdiff_t tls_receive(struct stream *s, char *to, struct outcome *why)
{
	size_t done = 0;
	int rc, error, saved;

	errno = 0;
	rc = SSL_read_ex(s->ssl, to, READ_BYTES, &done);
	saved = errno;
	s->wants_to_write = false;
	s->has_more = SSL_has_pending(s->ssl);
	if (rc == 1)
		return (ptrdiff_t)done;
	error = SSL_get_error(s->ssl, rc);
	s->has_more = false;
	s->wants_to_write = error == SSL_ERROR_WANT_WRITE;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	return tls_failed(why, "reading", error, saved);
}

static ptrdiff_t plain_receive(struct stream *s, char *to, struct outcome *why)
{
	ptrdiff_t n;

	do
		n = recv(s->fd, to, READ_BYTES, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n == 0)
		return outcome_temp(
		    why, "4.4.2", "reading: closed by the server");
	if (errno == EAGAIN)
		return 0;
	return outcome_temp(why, "4.4.2", "reading: %s", strerror(errno));
}

int stream_pull(struct stream *s, struct outcome *why)
{
	ptrdiff_t n;
	char *to;

	if (s->in_from > 0) {
		buf_consume(&s->in, s->in_from);
		s->in_from = 0;
	}
	if (s->in.len >= STREAM_IN_MAX)
		return 1;
	to = buf_reserve(&s->in, READ_BYTES);
	if (!to) {
		s->is_read_dead = true;
		return outcome_temp(why, "4.3.0", "no memory for replies");
	}
	n = s->ssl ? tls_receive(s, to, why) : plain_receive(s, to, why);
	if (n < 0) {
		s->is_read_dead = true;
		return -1;
	}
	s->in.len += (size_t)n;
	return n > 0;
}

struct span stream_input(const struct stream *s)
{
	return span_from(buf_span(&s->in), s->in_from);
}

void stream_take(struct stream *s, size_t n)
{
	s->in_from += n;
	if (s->in_from < s->in.len)
		return;
	buf_reset(&s->in);
	s->in_from = 0;
}

short stream_events(const struct stream *s)
{
	bool out = !s->is_write_dead && stream_waiting(s) > 0;

	return (short)(POLLIN | (out || s->wants_to_write ? POLLOUT : 0));
}

int stream_wait(const struct stream *s, struct deadline deadline)
{
	struct pollfd p = { .fd = s->fd, .events = stream_events(s) };
	int n;

	if (s->has_more)
		return 0;
	do
		n = poll(&p, 1, deadline_left_ms(deadline));
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : -1;
}
