/* TLS towards servers. */
#include "remote/tls_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

/* Opportunistic: any certificate is better than none, so no time is spent on
 * its chain. */
static int accept_any(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

SSL_CTX *tls_client_new(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(
	    context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
	ERR_clear_error();
	return context;
}

static int set_name(SSL *ssl, struct span name)
{
	char host[256];

	if (name.n == 0 || name.n >= sizeof(host) || name.p[0] == '[')
		return 1;
	memcpy(host, name.p, name.n);
	host[name.n] = '\0';
	return (int)SSL_set_tlsext_host_name(ssl, host);
}

static int failed(struct outcome *why, int error, int saved)
{
	unsigned long code = ERR_get_error();

	ERR_clear_error();
	if (code)
		return outcome_temp(why, "4.7.5", "TLS handshake: %s",
		    ERR_reason_error_string(code));
	return outcome_temp(why, "4.7.5", "TLS handshake: %s",
	    saved && error == SSL_ERROR_SYSCALL ? strerror(saved)
						: "closed by the server");
}

static int handshake(
    struct stream *s, struct deadline deadline, struct outcome *why)
{
	for (;;) {
		int rc, error, saved;

		errno = 0;
		rc = SSL_connect(s->ssl);
		saved = errno;
		if (rc == 1)
			break;
		error = SSL_get_error(s->ssl, rc);
		s->wants_to_write = error == SSL_ERROR_WANT_WRITE;
		if (error != SSL_ERROR_WANT_READ &&
		    error != SSL_ERROR_WANT_WRITE)
			return failed(why, error, saved);
		if (stream_wait(s, deadline) < 0)
			return outcome_temp(
			    why, "4.7.5", "TLS handshake: timed out");
	}
	s->wants_to_write = false;
	return 0;
}

int tls_client_start(struct stream *s, SSL_CTX *context, struct span name,
    struct deadline deadline, struct outcome *why)
{
	s->ssl = context ? SSL_new(context) : NULL;
	if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1 ||
	    set_name(s->ssl, name) != 1) {
		ERR_clear_error();
		s->is_write_dead = true;
		return outcome_temp(why, "4.7.5", "TLS is not available");
	}
	if (handshake(s, deadline, why) < 0) {
		/* no close_notify into a handshake that failed */
		s->is_write_dead = true;
		return -1;
	}
	return 0;
}

void tls_client_print(const struct stream *s, char *text, size_t size)
{
	text[0] = '\0';
	if (s->ssl)
		snprintf(text, size, "%s %s", SSL_get_version(s->ssl),
		    SSL_get_cipher_name(s->ssl));
}
