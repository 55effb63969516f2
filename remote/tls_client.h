/* TLS towards servers: the context that all lines share, the handshake. */
#ifndef REMOTE_TLS_CLIENT_H
#define REMOTE_TLS_CLIENT_H

#include "remote/castore.h"
#include "remote/stream.h"
#include "remote/tls_demand.h"
#include "remote/tls_ticket.h"

/* TLS 1.2 and 1.3. store: what certificates are verified with, borrowed; NULL:
 * none. NULL when OpenSSL fails. */
SSL_CTX *tls_client_new(const struct castore *store);

/* The TLS of one connection; it stays where it is as long as the stream. */
struct tls_link {
	const struct session *session; /* borrowed */
	const struct host *host;       /* borrowed */
	const struct castore *store;
	struct tls_demand demand;
	struct tls_verdict verdict; /* on demand.check */
	struct tls_verdict shadow;  /* on demand.shadow */
	unsigned char binding[TLS_TICKET_BINDING];
	bool has_ticket; /* one was offered; after a failure: it may be why */
	bool is_resumed;
	struct tls_proof proof; /* of the ticket, then of this connection */
	X509 *peer; /* the server's certificate, or NULL; also a refused one */
	SSL_SESSION *fresh; /* to be resumed later, or NULL */
};
void tls_link_init(
    struct tls_link *l, const struct session *session, const struct host *host);
void tls_link_clear(struct tls_link *l);
/* What a report says of TLS with this host (enum tls_result): of the policy,
 * also of one that is only reported. */
uint8_t tls_link_result(const struct tls_link *l);
/* STARTTLS cannot be had. */
void tls_link_lacks(struct tls_link *l);
/* It broke. Always -1, with *why (4.7.5). */
int tls_link_fail(struct tls_link *l, const char *what, struct outcome *why);

/* Handshake on an open stream, the certificate verified as l->demand says; with
 * may_resume by the host's ticket. 0, or -1 with *why (4.7.5): the stream is
 * then of no more use. */
int tls_client_start(struct stream *s, SSL_CTX *context, struct tls_link *l,
    bool may_resume, struct deadline deadline, struct outcome *why);

/* Append the ticket of this connection, once. -1: there is none (yet). */
int tls_client_take_ticket(struct tls_link *l, struct buf *out);

#endif
