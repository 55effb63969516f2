/* A server's certificate and the CAs. */
#include "remote/tls_verify.h"

#include "remote/tls_names.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

enum {
	DEPTH_MAX = 10,	    /* certificates between leaf and CA */
	SECURITY_LEVEL = 2, /* 112 bits: RSA of 2048, no SHA-1 */
	NAMES_SHOWN = 120,  /* bytes */
};

static int mismatch(X509 *leaf, struct span name, struct tls_verdict *v)
{
	struct buf names;

	buf_init(&names, 4096);
	tls_names_print(leaf, NAMES_SHOWN, &names);
	tls_verdict_set(v, TLS_RESULT_HOST_MISMATCH,
	    "certificate of %.*s is for %s: name mismatch; call the server by "
	    "a name of its certificate (servers of the relay or route, MX), "
	    "or its operator must add this one",
	    (int)name.n, name.p, buf_text(&names));
	buf_clear(&names);
	return -1;
}

static void print_date(const ASN1_TIME *at, char *text, size_t size)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(at, &tm) != 1 ||
	    strftime(text, size, "%Y-%m-%d", &tm) == 0)
		text[0] = '\0';
}

static int out_of_time(bool is_expired, X509 *leaf, X509 *at, struct span name,
    struct tls_verdict *v)
{
	char date[16];
	const char *what = at && at != leaf && X509_cmp(at, leaf) != 0
			       ? "a CA certificate of"
			       : "certificate of";

	if (!at)
		at = leaf;
	print_date(
	    is_expired ? X509_get0_notAfter(at) : X509_get0_notBefore(at), date,
	    sizeof(date));
	if (is_expired)
		return tls_verdict_set(v, TLS_RESULT_EXPIRED,
		    "%s %.*s expired on %s: its operator must renew it", what,
		    (int)name.n, name.p, date);
	return tls_verdict_set(v, TLS_RESULT_VALIDATION_FAILURE,
	    "%s %.*s is valid from %s on: check the clock of both machines",
	    what, (int)name.n, name.p, date);
}

static int untrusted(int error, X509 *leaf, struct span name,
    const struct castore *store, struct tls_verdict *v)
{
	struct buf issuer;

	buf_init(&issuer, 1024);
	if (error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) {
		buf_puts(&issuer, "is self-signed");
	} else {
		X509_NAME *n = X509_get_issuer_name(leaf);
		char text[100];

		if (X509_NAME_get_text_by_NID(
			n, NID_commonName, text, sizeof(text)) < 0)
			buf_puts(&issuer, "is of a CA without a name");
		else
			buf_printf(&issuer, "is of the CA \"%s\"", text);
	}
	tls_verdict_set(v, TLS_RESULT_NOT_TRUSTED,
	    "certificate of %.*s %s, which %s does not vouch for; its operator "
	    "must get one of a public CA, or name a file with its CA in "
	    "tls { ca-file }",
	    (int)name.n, name.p, buf_text(&issuer),
	    store ? castore_file(store) : "its TLSA set");
	buf_clear(&issuer);
	return -1;
}

int tls_verify_failed(int error, X509 *leaf, X509 *at, struct span name,
    const struct castore *store, struct tls_verdict *v)
{
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return mismatch(leaf, name, v);
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return out_of_time(true, leaf, at, name, v);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return out_of_time(false, leaf, at, name, v);
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return untrusted(error, leaf, name, store, v);
	default:
		return tls_verdict_set(v, TLS_RESULT_VALIDATION_FAILURE,
		    "certificate of %.*s: %s; its operator must replace it",
		    (int)name.n, name.p, X509_verify_cert_error_string(error));
	}
}

static bool set_name(X509_VERIFY_PARAM *param, struct span name)
{
	unsigned char bytes[16];
	size_t n = tls_names_literal(name, bytes);

	if (n > 0)
		return X509_VERIFY_PARAM_set1_ip(param, bytes, n) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, tls_names_flags(0));
	return X509_VERIFY_PARAM_set1_host(param, name.p, name.n) == 1;
}

static int run(X509_STORE_CTX *context, const struct castore *store, X509 *leaf,
    STACK_OF(X509) * sent, struct span name)
{
	X509_VERIFY_PARAM *param;

	if (X509_STORE_CTX_init(context, castore_x509(store), leaf, sent) !=
		1 ||
	    X509_STORE_CTX_set_default(context, "ssl_server") != 1)
		return X509_V_ERR_OUT_OF_MEM;
	param = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	if (!set_name(param, name))
		return X509_V_ERR_HOSTNAME_MISMATCH;
	if (X509_verify_cert(context) == 1)
		return X509_V_OK;
	return X509_STORE_CTX_get_error(context);
}

int tls_verify(const struct castore *store, X509 *leaf, STACK_OF(X509) * sent,
    struct span name, struct tls_verdict *verdict)
{
	X509_STORE_CTX *context;
	int error = X509_V_ERR_OUT_OF_MEM;

	if (!store || castore_count(store) == 0)
		return tls_verdict_set(verdict, TLS_RESULT_VALIDATION_FAILURE,
		    "certificate of %.*s cannot be verified, there are no CA "
		    "certificates: %s; install the package ca-certificates or "
		    "name a bundle in tls { ca-file }",
		    (int)name.n, name.p,
		    store ? castore_problem(store) : "none were loaded");
	context = X509_STORE_CTX_new();
	if (context)
		error = run(context, store, leaf, sent, name);
	if (error == X509_V_OK)
		tls_verdict_accept(verdict, TLS_VERIFIED_PKIX);
	else
		tls_verify_failed(error, leaf,
		    context ? X509_STORE_CTX_get_current_cert(context) : NULL,
		    name, store, verdict);
	X509_STORE_CTX_free(context);
	ERR_clear_error();
	return error == X509_V_OK ? 0 : -1;
}
