/* Handshakes that nobody sees. */
#include "remote/tls_warm.h"

#include "remote/tls_client.h"
#include "remote/tls_verify.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

enum { ROUNDS = 8 }; /* flights of a handshake, and some more */

/* Self-signed, for an hour. */
static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();

	if (!x || !X509_gmtime_adj(X509_getm_notBefore(x), 0) ||
	    !X509_gmtime_adj(X509_getm_notAfter(x), 3600) ||
	    X509_set_pubkey(x, key) != 1 ||
	    X509_sign(x, key, EVP_sha256()) <= 0) {
		X509_free(x);
		return NULL;
	}
	return x;
}

static SSL *make_server(SSL_CTX *context, X509 *x, EVP_PKEY *key)
{
	SSL *server;

	if (!context || SSL_CTX_use_certificate(context, x) != 1 ||
	    SSL_CTX_use_PrivateKey(context, key) != 1)
		return NULL;
	server = SSL_new(context);
	if (server)
		SSL_set_accept_state(server);
	return server;
}

/* One handshake and an octet each way, which brings the tickets. */
static void talk(SSL *client, SSL *server)
{
	BIO *ours, *theirs;
	char octet = 0;

	if (BIO_new_bio_pair(&ours, 0, &theirs, 0) != 1)
		return;
	SSL_set_bio(client, ours, ours);
	SSL_set_bio(server, theirs, theirs);
	SSL_set_connect_state(client);
	for (int i = 0; i < ROUNDS; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	SSL_write(client, &octet, 1);
	SSL_read(server, &octet, 1);
	SSL_write(server, &octet, 1);
	SSL_read(client, &octet, 1);
}

static void shake_hands(
    SSL_CTX *context, X509 *x, EVP_PKEY *key, int version, struct tls_link *l)
{
	SSL_CTX *server_context = SSL_CTX_new(TLS_server_method());
	SSL *server = make_server(server_context, x, key);
	SSL *client = SSL_new(context);
	unsigned char *der = NULL;

	if (client && server && SSL_set_app_data(client, l) == 1 &&
	    SSL_set_max_proto_version(client, version) == 1)
		talk(client, server);
	if (l->fresh && i2d_SSL_SESSION(l->fresh, &der) > 0)
		OPENSSL_free(der);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(server_context);
	tls_link_clear(l);
}

void tls_warm(SSL_CTX *context)
{
	struct session session = { .tls = TLS_VERIFY };
	struct host host = { .name = SPAN_LITERAL("localhost") };
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key ? make_certificate(key) : NULL;
	struct tls_verdict verdict = { 0 };
	struct tls_link l = { 0 };
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };

	for (int i = 0; x && i < 2; i++) {
		tls_link_init(&l, &session, &host);
		l.demand.check = TLS_CHECK_NONE;
		shake_hands(context, x, key, versions[i], &l);
	}
	if (x)
		tls_verify(SSL_CTX_get_app_data(context), x, NULL, host.name,
		    &verdict);
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
}
