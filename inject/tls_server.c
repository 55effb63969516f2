/* The server's side of TLS. */
#include "inject/tls_server.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* For TLS 1.2: forward secrecy and authenticated encryption. */
#define CIPHERS \
	"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!PSK"

struct tls_server {
	SSL_CTX *context;
};

struct tls_stream {
	SSL *ssl;
	bool wants_write, is_broken;
	char error[160];
};

static SSL_CTX *new_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context)
		return NULL;
	SSL_CTX_set_options(context,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* an idle connection gives its record buffers back */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
				      SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_cipher_list(context, CIPHERS) == 1)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

void tls_library_open(void)
{
	unsigned char byte;

	OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
			     OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
			     OPENSSL_INIT_LOAD_CONFIG,
	    NULL);
	RAND_bytes(&byte, 1);
	SSL_CTX_free(new_context());
}

static const char *last_error(char text[160])
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	snprintf(text, 160, "%s", reason ? reason : "unknown TLS error");
	return text;
}

/* --- certificate and key
 * -------------------------------------------------------*/

static int load_chain(SSL_CTX *context, FILE *file)
{
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
	int status =
	    certificate && SSL_CTX_use_certificate(context, certificate) == 1
		? 0
		: -1;

	X509_free(certificate);
	while (status == 0 &&
	       (certificate = PEM_read_X509(file, NULL, NULL, NULL))) {
		if (SSL_CTX_add1_chain_cert(context, certificate) != 1)
			status = -1;
		X509_free(certificate);
	}
	if (status == 0)
		ERR_clear_error(); /* the end of the file */
	return status;
}

static int no_passphrase(char *to, int size, int is_writing, void *arg)
{
	(void)to;
	(void)size;
	(void)is_writing;
	(void)arg;
	return -1;
}

static int load_key(SSL_CTX *context, FILE *file)
{
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	int status = key && SSL_CTX_use_PrivateKey(context, key) == 1 &&
			     SSL_CTX_check_private_key(context) == 1
			 ? 0
			 : -1;

	EVP_PKEY_free(key);
	return status;
}

static int load(
    SSL_CTX *context, FILE *certificate, FILE *key, struct outcome *why)
{
	char text[160];

	/* the descriptors may have been read before by another process */
	rewind(certificate);
	rewind(key);
	ERR_clear_error();
	if (load_chain(context, certificate) < 0)
		return outcome_perm(
		    why, "5.3.5", "certificate: %s", last_error(text));
	if (load_key(context, key) < 0)
		return outcome_perm(why, "5.3.5", "key: %s", last_error(text));
	return 0;
}

/* Closes fd when that fails. */
static FILE *open_stream(int fd)
{
	FILE *file = fdopen(fd, "r");

	if (!file)
		close(fd);
	return file;
}

struct tls_server *tls_server_new(
    int certificate_fd, int key_fd, struct outcome *why)
{
	struct tls_server *server = calloc(1, sizeof(*server));
	FILE *certificate = open_stream(certificate_fd);
	FILE *key = open_stream(key_fd);
	int status = -1;

	if (server)
		server->context = new_context();
	if (!server || !server->context || !certificate || !key)
		outcome_temp(why, "4.3.0", "out of memory or descriptors");
	else
		status = load(server->context, certificate, key, why);
	if (certificate)
		fclose(certificate);
	if (key)
		fclose(key);
	if (status == 0)
		return server;
	tls_server_free(server);
	return NULL;
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	SSL_CTX_free(server->context);
	free(server);
}

/* --- streams
 * --------------------------------------------------------------------*/

struct tls_stream *tls_stream_new(struct tls_server *server, int fd)
{
	struct tls_stream *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ssl = SSL_new(server->context);
	if (t->ssl && SSL_set_fd(t->ssl, fd) == 1) {
		SSL_set_accept_state(t->ssl);
		return t;
	}
	SSL_free(t->ssl);
	free(t);
	return NULL;
}

void tls_stream_free(struct tls_stream *t)
{
	if (!t)
		return;
	if (!t->is_broken && SSL_is_init_finished(t->ssl))
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	ERR_clear_error();
	free(t);
}

/* The status of a call that did not succeed: 0 or -1 with errno. */
static int failed(struct tls_stream *t, int status)
{
	int error = errno, kind = SSL_get_error(t->ssl, status);

	t->wants_write = kind == SSL_ERROR_WANT_WRITE;
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
		errno = EAGAIN;
		return -1;
	}
	if (kind == SSL_ERROR_ZERO_RETURN)
		return 0;
	t->is_broken = true;
	if (kind == SSL_ERROR_SYSCALL)
		snprintf(t->error, sizeof(t->error), "%s",
		    error ? strerror(error) : "connection closed");
	else
		last_error(t->error);
	ERR_clear_error();
	errno = EPROTO;
	return -1;
}

int tls_stream_handshake(struct tls_stream *t)
{
	int status;

	ERR_clear_error();
	errno = 0;
	status = SSL_accept(t->ssl);
	if (status == 1)
		return 1;
	if (failed(t, status) < 0)
		return -1;
	errno = EPROTO;
	return -1;
}

ptrdiff_t tls_stream_read(struct tls_stream *t, char *to, size_t n)
{
	size_t done;
	int status;

	ERR_clear_error();
	errno = 0;
	status = SSL_read_ex(t->ssl, to, n, &done);
	return status == 1 ? (ptrdiff_t)done : failed(t, status);
}

ptrdiff_t tls_stream_write(struct tls_stream *t, const char *from, size_t n)
{
	size_t done;
	int status;

	ERR_clear_error();
	errno = 0;
	status = SSL_write_ex(t->ssl, from, n, &done);
	return status == 1 ? (ptrdiff_t)done : failed(t, status);
}

bool tls_stream_wants_write(const struct tls_stream *t)
{
	return t->wants_write;
}

const char *tls_stream_error(const struct tls_stream *t)
{
	return t->error;
}

void tls_stream_print(const struct tls_stream *t, struct buf *out)
{
	buf_printf(
	    out, "%s %s", SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl));
}
