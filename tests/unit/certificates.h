/* Certificates made for a test: CAs, chains, odd names. Include after
 * cmocka.h. */
#ifndef TESTS_CERTIFICATES_H
#define TESTS_CERTIFICATES_H

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { DAY = 86400 };

struct made {
	X509 *x;
	EVP_PKEY *key;
};

/* How a certificate is to be; 0 is the usual. */
struct wanted {
	const char *cn;	 /* subject */
	const char *san; /* "DNS:a.test, IP:192.0.2.1" */
	const char *raw; /* a DNS name as it stands, with NUL */
	size_t raw_bytes;
	const struct made *issuer; /* NULL: self-signed */
	long from_s, until_s;	   /* from now; 0, 0: since a day, for ten */
	bool is_ca;
	unsigned rsa_bits;    /* 0: P-256 */
	const EVP_MD *digest; /* NULL: SHA-256 */
};

static inline void made_extend(
    X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *e;

	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline void made_add_raw(X509 *x, const char *raw, size_t n)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	ASN1_STRING_set(text, raw, (int)n);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	sk_GENERAL_NAME_push(names, name);
	assert_int_equal(
	    X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
}

static inline struct made made_new(const struct wanted *w)
{
	static long serial = 1;
	struct made m = { .x = X509_new() };
	X509 *issuer = w->issuer ? w->issuer->x : m.x;
	X509_NAME *subject = X509_get_subject_name(m.x);

	m.key = w->rsa_bits ? EVP_RSA_gen(w->rsa_bits) : EVP_EC_gen("P-256");
	assert_non_null(m.key);
	X509_set_version(m.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(m.x), serial++);
	if (w->cn)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
		    (const unsigned char *)w->cn, -1, -1, 0);
	X509_set_issuer_name(m.x, X509_get_subject_name(issuer));
	X509_gmtime_adj(
	    X509_getm_notBefore(m.x), w->until_s ? w->from_s : -DAY);
	X509_gmtime_adj(
	    X509_getm_notAfter(m.x), w->until_s ? w->until_s : 10 * DAY);
	X509_set_pubkey(m.x, m.key);
	if (w->is_ca) {
		made_extend(
		    m.x, issuer, NID_basic_constraints, "critical,CA:TRUE");
		made_extend(
		    m.x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	}
	if (w->san)
		made_extend(m.x, issuer, NID_subject_alt_name, w->san);
	if (w->raw)
		made_add_raw(m.x, w->raw, w->raw_bytes);
	assert_true(X509_sign(m.x, w->issuer ? w->issuer->key : m.key,
			w->digest ? w->digest : EVP_sha256()) > 0);
	return m;
}

static inline void made_free(struct made *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->key);
	*m = (struct made){ 0 };
}

static inline void made_append(const char *path, X509 *x)
{
	FILE *f = fopen(path, "a");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, x), 1);
	fclose(f);
}

#endif
