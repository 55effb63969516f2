/* TLS sessions as bytes that are bound to what was asked of them. */
#include "remote/tls_ticket.h"

#include "remote/tls_dane.h"

#include <openssl/err.h>
#include <openssl/evp.h>

enum { VERSION = 1, HEAD_BYTES = 1 + TLS_TICKET_BINDING + 8 + 1 };

static void put_policy(struct buf *b, const struct host_policy *policy)
{
	put_u8(b, policy->kind);
	put_u8(b, policy->is_shadow);
	put_u8(b, policy->nnames);
	for (unsigned i = 0; i < policy->nnames && i < 3; i++)
		put_span(b, policy->names[i]);
	put_u8(b, policy->ntlsa);
	for (unsigned i = 0; i < policy->ntlsa && i < TLSA_MAX; i++) {
		put_u8(b, policy->tlsa[i].usage);
		put_u8(b, policy->tlsa[i].selector);
		put_u8(b, policy->tlsa[i].matching);
		put_span(b, policy->tlsa[i].data);
	}
}

int tls_ticket_bind(const struct session *session, const struct host *host,
    const struct tls_demand *demand, const struct castore *store,
    unsigned char binding[TLS_TICKET_BINDING])
{
	struct buf b;
	int status = -1;

	buf_init(&b, 262144);
	put_u8(&b, demand->level);
	put_u8(&b, demand->policy);
	put_u8(&b, demand->check);
	put_u8(&b, demand->shadow);
	put_span(&b, host->name);
	put_u16(&b, host->port);
	put_u8(&b, host->implicit_tls);
	put_policy(&b, &host->policy);
	put_span(&b, tls_dane_base(host));
	put_span(&b, session->login.user);
	put_span(&b, session->login.certificate);
	put_span(&b, store ? castore_digest(store) : SPAN_LITERAL(""));
	if (!b.overflow &&
	    EVP_Digest(b.data, b.len, binding, NULL, EVP_sha256(), NULL) == 1)
		status = 0;
	buf_clear(&b);
	return status;
}

int tls_ticket_pack(SSL_SESSION *session,
    const unsigned char binding[TLS_TICKET_BINDING],
    const struct tls_proof *proof, struct buf *out)
{
	int n = SSL_SESSION_is_resumable(session)
		    ? i2d_SSL_SESSION(session, NULL)
		    : 0;
	unsigned char *to;

	if (n <= 0 || n > TICKET_MAX - HEAD_BYTES)
		return -1;
	put_u8(out, VERSION);
	buf_put(out, binding, TLS_TICKET_BINDING);
	put_u64(out, proof->at);
	put_u8(out, proof->verified);
	to = (unsigned char *)buf_reserve(out, (size_t)n);
	if (!to)
		return -1;
	out->len += (size_t)i2d_SSL_SESSION(session, &to);
	return 0;
}

static bool is_in_force(SSL_SESSION *session, uint8_t verified)
{
	X509 *peer = SSL_SESSION_get0_peer(session);

	if (verified == TLS_VERIFIED_NO || verified == TLS_VERIFIED_DANE_EE)
		return true; /* dates do not count */
	return peer && X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

SSL_SESSION *tls_ticket_open(struct span ticket,
    const unsigned char binding[TLS_TICKET_BINDING], uint64_t now_s,
    struct tls_proof *proof)
{
	struct reader r = reader_of(ticket);
	const unsigned char *der;
	SSL_SESSION *session;

	if (ticket.n <= HEAD_BYTES || ticket.n > TICKET_MAX ||
	    get_u8(&r) != VERSION ||
	    memcmp(r.rest.p, binding, TLS_TICKET_BINDING) != 0)
		return NULL;
	r.rest = span_from(r.rest, TLS_TICKET_BINDING);
	proof->at = get_u64(&r);
	proof->verified = get_u8(&r);
	if (proof->at > now_s || now_s - proof->at > TLS_TICKET_LIFE_S ||
	    proof->verified >= TLS_VERIFIED_COUNT)
		return NULL;
	der = (const unsigned char *)r.rest.p;
	session = d2i_SSL_SESSION(NULL, &der, (long)r.rest.n);
	if (session && is_in_force(session, proof->verified))
		return session;
	SSL_SESSION_free(session);
	ERR_clear_error();
	return NULL;
}
