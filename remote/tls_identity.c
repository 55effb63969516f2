/* Our own certificate. */
#include "remote/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>

enum { CHAIN_MAX = 10 };

/* A key that asks for a passphrase has none: nobody is there to type it. */
static int no_passphrase(char *text, int size, int is_writing, void *arg)
{
	(void)text;
	(void)size;
	(void)is_writing;
	(void)arg;
	return -1;
}

static X509 *read_chain(struct span pem, STACK_OF(X509) * chain)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *leaf = NULL, *x;

	if (bio)
		leaf = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	while (leaf && sk_X509_num(chain) < CHAIN_MAX &&
	       (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		if (!sk_X509_push(chain, x))
			X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return leaf;
}

static EVP_PKEY *read_key(struct span pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = NULL;

	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	return key;
}

int tls_identity_use(SSL *ssl, const struct login *login, struct outcome *why)
{
	struct span key_text = login->key.n ? login->key : login->certificate;
	STACK_OF(X509) * chain;
	X509 *leaf;
	EVP_PKEY *key;
	int status = 0;

	if (login->certificate.n == 0)
		return 0;
	chain = sk_X509_new_null();
	leaf = chain ? read_chain(login->certificate, chain) : NULL;
	key = read_key(key_text);
	if (!leaf)
		status = outcome_temp(why, "4.7.5",
		    "certificate of the relay block: no certificate in PEM "
		    "format in it");
	else if (!key)
		status = outcome_temp(why, "4.7.5",
		    "key of the relay block: no private key in PEM format "
		    "without a passphrase in it");
	else if (SSL_use_cert_and_key(ssl, leaf, key, chain, 1) != 1)
		status = outcome_temp(why, "4.7.5",
		    "certificate and key of the relay block: they do not "
		    "belong together, or are too weak");
	EVP_PKEY_free(key);
	X509_free(leaf);
	sk_X509_pop_free(chain, X509_free);
	ERR_clear_error();
	return status;
}
