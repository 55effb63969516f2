/* The login at a relay: choice of mechanisms, channel binding, secrecy. */
#include "remote/login.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

enum { SECRET_SHORTEST = 4 }; /* shorter ones stand in many texts */

bool login_is_by_name(const struct login *login)
{
	return login->user.n > 0;
}

static uint32_t allowed(const struct login *login)
{
	struct span rest = login->mechanisms;
	uint32_t set = 0;

	if (rest.n == 0)
		return SASL_BIT(SASL_COUNT) - 1;
	while (rest.n > 0) {
		int id = sasl_named(span_cut(&rest, ' '));

		if (id >= 0)
			set |= SASL_BIT(id);
	}
	return set;
}

uint32_t login_mechanisms(const struct login *login, uint32_t offered,
    const struct sasl_binding *binding)
{
	uint32_t set = allowed(login) & offered;

	for (int id = 0; id < SASL_COUNT; id++)
		if (!sasl_is_usable((enum sasl_id)id, login, binding))
			set &= ~SASL_BIT(id);
	return set;
}

bool login_may_bind(
    const struct login *login, const struct sasl_binding *binding)
{
	const uint32_t plus =
	    SASL_BIT(SASL_SCRAM_SHA256_PLUS) | SASL_BIT(SASL_SCRAM_SHA1_PLUS);

	return login_mechanisms(login, plus, binding) != 0;
}

/* --- channel binding ------------------------------------------------------ */

/* RFC 9266: 32 bytes of the exporter; TLS 1.3 only, where no handshake can be
 * made to give the same. */
static bool bind_exporter(SSL *ssl, struct sasl_binding *b)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (SSL_version(ssl) < TLS1_3_VERSION ||
	    SSL_export_keying_material(ssl, b->data, 32, label,
		sizeof(label) - 1, (const unsigned char *)"", 0, 1) != 1)
		return false;
	b->type = "tls-exporter";
	b->n = 32;
	return true;
}

/* RFC 5929 section 4.1: the hash of the certificate by the hash of its own
 * signature, SHA-256 in place of MD5 and SHA-1. */
static bool bind_end_point(SSL *ssl, struct sasl_binding *b)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	const EVP_MD *hash;
	unsigned n = 0;
	int nid = NID_undef;

	if (!certificate ||
	    X509_get_signature_info(certificate, &nid, NULL, NULL, NULL) != 1)
		return false;
	hash = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256()
						 : EVP_get_digestbynid(nid);
	if (!hash || EVP_MD_get_size(hash) > SASL_BINDING_MAX ||
	    X509_digest(certificate, hash, b->data, &n) != 1)
		return false;
	b->type = "tls-server-end-point";
	b->n = n;
	return true;
}

void login_bind(SSL *ssl, struct sasl_binding *binding)
{
	*binding = (struct sasl_binding){ .type = NULL };
	if (ssl && !bind_exporter(ssl, binding))
		bind_end_point(ssl, binding);
	ERR_clear_error();
}

/* --- secrecy -------------------------------------------------------------- */

static bool has(struct span text, struct span part)
{
	return part.n >= SECRET_SHORTEST &&
	       memmem(text.p, text.n, part.p, part.n) != NULL;
}

static bool has_base64(struct span text, struct span first, struct span second)
{
	struct buf raw, coded;
	bool is_in;

	buf_init(&raw, SASL_RESPONSE_MAX);
	buf_init(&coded, 2 * SASL_RESPONSE_MAX);
	if (first.n > 0) {
		buf_putc(&raw, '\0');
		buf_put_raw(&raw, first);
		buf_putc(&raw, '\0');
	}
	buf_put_raw(&raw, second);
	base64_put(&coded, buf_span(&raw));
	is_in = has(text, buf_span(&coded));
	sasl_wipe(&raw);
	sasl_wipe(&coded);
	return is_in;
}

bool login_is_in(const struct login *login, struct span text)
{
	const struct span none = { NULL, 0 };

	if (login->secret.n == 0 || text.n == 0)
		return false;
	return has(text, login->secret) ||
	       has_base64(text, none, login->secret) ||
	       has_base64(text, login->user, login->secret);
}

static void wipe(struct span *s)
{
	if (s->n > 0)
		explicit_bzero((char *)s->p, s->n);
	*s = (struct span){ NULL, 0 };
}

void login_wipe(struct login *login)
{
	wipe(&login->secret);
	wipe(&login->key);
}
