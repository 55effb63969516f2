/* TLS towards servers. */
#include "remote/tls_client.h"

#include "remote/tls_dane.h"
#include "remote/tls_identity.h"
#include "remote/tls_names.h"
#include "remote/tls_verify.h"

#include <errno.h>
#include <openssl/err.h>
#include <time.h>

enum {
	LEVEL_ANY = 1,	    /* better than clear text: RSA, DH of 1024 bits */
	LEVEL_VERIFIED = 2, /* 112 bits */
	CHAIN_BYTES = 65536,
};

/* Forward secrecy first; the last two for servers that have nothing else. */
static const char ciphers[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:"
    "RSA+AESGCM:RSA+AES:!aNULL:!eNULL:!PSK:!SRP:!DSS";

/* --- the context ---------------------------------------------------------- */

/* Called once the chain is here, in the middle of the handshake: a server that
 * fails what is demanded gets an alert and nothing of us. Where nothing is
 * demanded no time is spent on the chain. */
static int verify(X509_STORE_CTX *context, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
	    context, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_link *l = SSL_get_app_data(ssl);
	const struct tls_demand *d = &l->demand;
	X509 *leaf = X509_STORE_CTX_get0_cert(context);
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(context);

	(void)arg;
	X509_free(l->peer);
	l->peer = leaf && X509_up_ref(leaf) == 1 ? leaf : NULL;
	tls_verdict_accept(&l->verdict, TLS_VERIFIED_NO);
	tls_verdict_accept(&l->shadow, TLS_VERIFIED_NO);
	if (d->check == TLS_CHECK_PKIX)
		tls_verify(l->store, leaf, sent, l->host->name, &l->verdict);
	else if (d->check == TLS_CHECK_DANE)
		tls_dane_check(context, ssl, l->host, &l->verdict);
	if (d->shadow == TLS_CHECK_PKIX)
		tls_verify(l->store, leaf, sent, l->host->name, &l->shadow);
	else if (d->shadow == TLS_CHECK_DANE)
		tls_dane_check(context, ssl, l->host, &l->shadow);
	if (l->verdict.result == TLS_RESULT_OK)
		X509_STORE_CTX_set_error(context, X509_V_OK);
	else if (X509_STORE_CTX_get_error(context) == X509_V_OK)
		X509_STORE_CTX_set_error(context, X509_V_ERR_CERT_UNTRUSTED);
	return l->verdict.result == TLS_RESULT_OK;
}

/* In TLS 1.3 that is after the handshake; the last one is the freshest. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_link *l = SSL_get_app_data(ssl);

	SSL_SESSION_free(l->fresh);
	l->fresh = session;
	return 1; /* taken over */
}

SSL_CTX *tls_client_new(const struct castore *store)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(context, 0);
	SSL_CTX_set_options(
	    context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(
	    context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	SSL_CTX_set_max_cert_list(context, CHAIN_BYTES);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context, verify, NULL);
	SSL_CTX_set_app_data(context, (void *)store);
	if (SSL_CTX_set_cipher_list(context, ciphers) != 1 ||
	    SSL_CTX_dane_enable(context) <= 0) {
		SSL_CTX_free(context);
		context = NULL;
	}
	ERR_clear_error();
	return context;
}

/* --- one connection ------------------------------------------------------- */

void tls_link_init(
    struct tls_link *l, const struct session *session, const struct host *host)
{
	tls_link_clear(l);
	l->session = session;
	l->host = host;
	l->demand = tls_demand_of(session, host);
}

void tls_link_clear(struct tls_link *l)
{
	X509_free(l->peer);
	SSL_SESSION_free(l->fresh);
	*l = (struct tls_link){ 0 };
}

uint8_t tls_link_result(const struct tls_link *l)
{
	if (l->demand.is_shadow && l->verdict.result == TLS_RESULT_OK)
		return l->shadow.result;
	return l->verdict.result;
}

void tls_link_lacks(struct tls_link *l)
{
	tls_verdict_set(&l->verdict, TLS_RESULT_STARTTLS_NOT_SUPPORTED,
	    "%.*s does not offer TLS", (int)l->host->name.n, l->host->name.p);
}

int tls_link_fail(struct tls_link *l, const char *what, struct outcome *why)
{
	tls_verdict_set(&l->verdict, TLS_RESULT_VALIDATION_FAILURE, "%s", what);
	return outcome_temp(why, "4.7.5", "%s", what);
}

static int set_server_name(SSL *ssl, struct span name)
{
	unsigned char bytes[16];
	char *host;
	long status;

	if (name.n == 0 || name.n > TLSEXT_MAXLEN_host_name ||
	    tls_names_literal(name, bytes) > 0)
		return 0;
	host = span_dup(name);
	status = host ? SSL_set_tlsext_host_name(ssl, host) : 0;
	free(host);
	return status == 1 ? 0 : -1;
}

static int arm(SSL *ssl, struct tls_link *l)
{
	struct tls_demand *d = &l->demand;
	struct span name = l->host->name;
	int usable;

	if (d->check == TLS_CHECK_DANE || d->shadow == TLS_CHECK_DANE) {
		usable = tls_dane_arm(ssl, l->host);
		if (usable < 0)
			return -1;
		if (usable == 0)
			tls_demand_blind(d);
		name = tls_dane_base(l->host);
	}
	SSL_set_security_level(
	    ssl, d->check == TLS_CHECK_PKIX ? LEVEL_VERIFIED : LEVEL_ANY);
	return set_server_name(ssl, name);
}

static int offer_ticket(SSL *ssl, struct tls_link *l, bool may_resume)
{
	SSL_SESSION *session = NULL;

	if (tls_ticket_bind(
		l->session, l->host, &l->demand, l->store, l->binding) < 0)
		return -1;
	if (may_resume && l->host->ticket.n > 0)
		session = tls_ticket_open(l->host->ticket, l->binding,
		    (uint64_t)time(NULL), &l->proof);
	if (!session)
		return 0;
	l->has_ticket = SSL_set_session(ssl, session) == 1;
	SSL_SESSION_free(session);
	return 0;
}

static int prepare(struct stream *s, SSL_CTX *context, struct tls_link *l,
    bool may_resume, struct outcome *why)
{
	l->store = context ? SSL_CTX_get_app_data(context) : NULL;
	s->ssl = context ? SSL_new(context) : NULL;
	if (!s->ssl || SSL_set_app_data(s->ssl, l) != 1 ||
	    SSL_set_fd(s->ssl, s->fd) != 1 || arm(s->ssl, l) < 0 ||
	    offer_ticket(s->ssl, l, may_resume) < 0) {
		ERR_clear_error();
		return outcome_temp(why, "4.7.5", "TLS is not available");
	}
	return tls_identity_use(s->ssl, &l->session->login, why);
}

/* --- the handshake -------------------------------------------------------- */

static int failed(struct outcome *why, int error, int saved)
{
	unsigned long code = ERR_get_error();

	int reason = ERR_GET_REASON(code);

	ERR_clear_error();
	if (code)
		return outcome_temp(why, "4.7.5", "TLS handshake: %s%s",
		    ERR_reason_error_string(code),
		    reason == SSL_R_UNSUPPORTED_PROTOCOL ||
			    reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION
			? " (the server lacks TLS 1.2)"
			: "");
	return outcome_temp(why, "4.7.5", "TLS handshake: %s",
	    saved && error == SSL_ERROR_SYSCALL ? strerror(saved)
						: "closed by the server");
}

static int handshake(
    struct stream *s, struct deadline deadline, struct outcome *why)
{
	for (;;) {
		int rc, error, saved;

		errno = 0;
		rc = SSL_connect(s->ssl);
		saved = errno;
		if (rc == 1)
			break;
		error = SSL_get_error(s->ssl, rc);
		s->wants_to_write = error == SSL_ERROR_WANT_WRITE;
		if (error != SSL_ERROR_WANT_READ &&
		    error != SSL_ERROR_WANT_WRITE)
			return failed(why, error, saved);
		if (deadline_left_ms(deadline) == 0 ||
		    stream_wait(s, deadline) < 0)
			return outcome_temp(
			    why, "4.7.5", "TLS handshake: timed out");
	}
	s->wants_to_write = false;
	return 0;
}

/* The reason with who asks for it: a verdict's own, or that of the failed
 * handshake. */
static int explain(struct tls_link *l, struct outcome *why)
{
	struct tls_verdict *v = &l->verdict;
	bool is_certificate =
	    v->result != TLS_RESULT_NOT_TRIED && v->result != TLS_RESULT_OK;
	struct buf text;

	if (!is_certificate)
		tls_verdict_set(
		    v, TLS_RESULT_VALIDATION_FAILURE, "%s", why->detail);
	else
		l->has_ticket = false;
	buf_init(&text, sizeof(why->detail) + 200);
	buf_puts(&text, v->why.detail);
	tls_demand_explain(&l->demand, l->host, is_certificate, &text);
	outcome_temp(why, "4.7.5", "%s", buf_text(&text));
	buf_clear(&text);
	return -1;
}

/* A resumed session is as good as its first: the ticket is bound to all that
 * was asked then. */
static void settle(const struct stream *s, struct tls_link *l)
{
	l->is_resumed = SSL_session_reused(s->ssl) == 1;
	if (!l->peer)
		l->peer = SSL_get1_peer_certificate(s->ssl);
	if (l->is_resumed) {
		bool is_asked = l->demand.check != TLS_CHECK_NONE;

		tls_verdict_accept(&l->verdict,
		    is_asked ? l->proof.verified : TLS_VERIFIED_NO);
		tls_verdict_accept(&l->shadow, l->proof.verified);
		return;
	}
	l->proof.at = (uint64_t)time(NULL);
	l->proof.verified = l->verdict.verified;
	if (l->proof.verified == TLS_VERIFIED_NO)
		l->proof.verified = l->shadow.verified;
}

int tls_client_start(struct stream *s, SSL_CTX *context, struct tls_link *l,
    bool may_resume, struct deadline deadline, struct outcome *why)
{
	if (prepare(s, context, l, may_resume, why) < 0 ||
	    handshake(s, deadline, why) < 0) {
		/* no close_notify into a handshake that failed */
		s->is_write_dead = true;
		return explain(l, why);
	}
	settle(s, l);
	return 0;
}

/* One that fails a policy in shadow is to be seen each time. */
int tls_client_take_ticket(struct tls_link *l, struct buf *out)
{
	int status = -1;

	if (!l->fresh)
		return -1;
	if (l->verdict.result == TLS_RESULT_OK &&
	    l->shadow.result == TLS_RESULT_OK)
		status = tls_ticket_pack(l->fresh, l->binding, &l->proof, out);
	SSL_SESSION_free(l->fresh);
	l->fresh = NULL;
	return status;
}
