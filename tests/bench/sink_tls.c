/* TLS of smtp_sink. */
#include "tests/bench/sink_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

SSL_CTX *sink_tls_new(const char *pem, bool may_resume)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context || SSL_CTX_use_certificate_chain_file(context, pem) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM) != 1) {
		ERR_print_errors_fp(stderr);
		SSL_CTX_free(context);
		return NULL;
	}
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_session_id_context(
	    context, (const unsigned char *)"sink", 4);
	if (!may_resume) {
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(context, 0);
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	}
	return context;
}

SSL *sink_tls_accept(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);

	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

/* What a call that did nothing means, as recv and send would say it. */
static ssize_t result_of(SSL *ssl, int done)
{
	int error = SSL_get_error(ssl, done);

	ERR_clear_error();
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		errno = EAGAIN;
		return -1;
	}
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = ECONNRESET;
	return -1;
}

ssize_t sink_tls_read(SSL *ssl, int fd, void *data, size_t size)
{
	int n;

	if (!ssl)
		return recv(fd, data, size, 0);
	n = SSL_read(ssl, data, (int)size);
	return n > 0 ? n : result_of(ssl, n);
}

ssize_t sink_tls_write(SSL *ssl, int fd, const void *data, size_t size)
{
	int n;

	if (!ssl)
		return send(fd, data, size, MSG_NOSIGNAL);
	n = SSL_write(ssl, data, (int)size);
	return n > 0 ? n : result_of(ssl, n);
}
