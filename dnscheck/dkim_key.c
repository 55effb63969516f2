/* The public half of a private key in a file, by OpenSSL. */
#include "dnscheck/dkim.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

static int wrong(const char **why, const char *what)
{
	*why = what;
	return -1;
}

static int no_passphrase(char *buf, int size, int is_writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)is_writing;
	(void)arg;
	return -1;
}

static int take_rsa(EVP_PKEY *pkey, struct dkim_key *key, const char **why)
{
	unsigned char *at = key->bytes;
	int n = i2d_PUBKEY(pkey, NULL);

	if (n <= 0 || n > DKIM_KEY_MAX)
		return wrong(why, "its key is too long");
	key->kind = DKIM_RSA;
	key->bits = (unsigned)EVP_PKEY_get_bits(pkey);
	key->n = (size_t)i2d_PUBKEY(pkey, &at);
	return 0;
}

static int take_ed25519(EVP_PKEY *pkey, struct dkim_key *key, const char **why)
{
	key->kind = DKIM_ED25519;
	key->bits = 256;
	key->n = sizeof(key->bytes);
	if (EVP_PKEY_get_raw_public_key(pkey, key->bytes, &key->n) != 1)
		return wrong(why, "its public half cannot be had");
	return 0;
}

int dkim_key_load(const char *path, struct dkim_key *key, const char **why)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *pkey;
	int status;

	*key = (struct dkim_key){ .n = 0 };
	if (!file)
		return wrong(why, "it cannot be opened");
	pkey = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	fclose(file);
	if (!pkey)
		return wrong(why, "it has no private key in PEM, or one with "
				  "a passphrase");
	if (EVP_PKEY_is_a(pkey, "RSA"))
		status = take_rsa(pkey, key, why);
	else if (EVP_PKEY_is_a(pkey, "ED25519"))
		status = take_ed25519(pkey, key, why);
	else
		status = wrong(why, "its key is neither RSA nor Ed25519");
	EVP_PKEY_free(pkey);
	return status;
}
