/* A server's certificate and its TLSA records. */
#include "remote/tls_dane.h"

#include "remote/tls_names.h"
#include "remote/tls_verify.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	USAGE_TA = 2,
	USAGE_EE = 3,
	HEX_BYTES = 65, /* SHA-256 */
};

struct span tls_dane_base(const struct host *host)
{
	if (host->policy.nnames > 0 && host->policy.names[0].n > 0)
		return host->policy.names[0];
	return host->name;
}

/* -1 without memory, else how many are usable. */
static int add_records(SSL *ssl, const struct host_policy *policy)
{
	int usable = 0;

	for (unsigned i = 0; i < policy->ntlsa && i < TLSA_MAX; i++) {
		const struct tlsa *t = &policy->tlsa[i];
		int rc;

		/* RFC 7672 3.1.3: PKIX-TA and PKIX-EE are not usable here. */
		if (t->usage != USAGE_TA && t->usage != USAGE_EE)
			continue;
		if (t->data.n == 0 || t->data.n > TLSA_DATA_MAX)
			continue;
		rc = SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching,
		    (const unsigned char *)t->data.p, t->data.n);
		ERR_clear_error();
		if (rc < 0)
			return -1;
		usable += rc;
	}
	return usable;
}

int tls_dane_arm(SSL *ssl, const struct host *host)
{
	const struct host_policy *policy = &host->policy;
	char *name = span_dup(tls_dane_base(host));
	int usable = -1;

	if (!name || SSL_dane_enable(ssl, name) <= 0)
		goto out;
	/* RFC 7671 5.1: neither names nor dates count for DANE-EE. */
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	SSL_set_hostflags(ssl, tls_names_flags(TLS_NAMES_MAY_CN));
	for (unsigned i = 1; i < policy->nnames && i < 3; i++) {
		free(name);
		name = span_dup(policy->names[i]);
		if (!name || (name[0] != '\0' && SSL_add1_host(ssl, name) != 1))
			goto out;
	}
	usable = add_records(ssl, policy);
out:
	ERR_clear_error();
	free(name);
	return usable;
}

/* SHA-256 of the key, as "3 1 1" has it. */
static void print_key(X509 *leaf, char text[HEX_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);

	text[0] = '\0';
	if (n > 0 &&
	    EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1)
		for (size_t i = 0; i < 32; i++)
			snprintf(text + 2 * i, 3, "%02x", digest[i]);
	OPENSSL_free(der);
}

static int no_match(
    X509 *leaf, const struct host *host, struct tls_verdict *verdict)
{
	struct span base = tls_dane_base(host);
	char key[HEX_BYTES];

	print_key(leaf, key);
	return tls_verdict_set(verdict, TLS_RESULT_NOT_TRUSTED,
	    "certificate of %.*s matches none of its TLSA records; its "
	    "operator must publish _%u._tcp.%.*s. TLSA 3 1 1 %s",
	    (int)host->name.n, host->name.p, host->port, (int)base.n, base.p,
	    key);
}

static int accept(SSL *ssl, struct tls_verdict *verdict)
{
	uint8_t usage = 0;

	SSL_get0_dane_tlsa(ssl, &usage, NULL, NULL, NULL, NULL);
	tls_verdict_accept(verdict,
	    usage == USAGE_TA ? TLS_VERIFIED_DANE_TA : TLS_VERIFIED_DANE_EE);
	return 0;
}

int tls_dane_check(X509_STORE_CTX *context, SSL *ssl, const struct host *host,
    struct tls_verdict *verdict)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(context);
	int error;

	if (X509_verify_cert(context) == 1)
		return accept(ssl, verdict);
	error = X509_STORE_CTX_get_error(context);
	ERR_clear_error();
	if (error == X509_V_ERR_DANE_NO_MATCH)
		return no_match(leaf, host, verdict);
	return tls_verify_failed(error, leaf,
	    X509_STORE_CTX_get_current_cert(context), tls_dane_base(host), NULL,
	    verdict);
}
