/* A TLS session kept for the next line: bytes that leave this process and come
 * back. They are bound to all that was asked of the session, so that none is
 * ever resumed for another name, policy, TLSA set, CA bundle or login.
 *
 *     version u8, binding 32 bytes (SHA-256), time of the proof
 *     u64 (UTC seconds), verified u8 (enum tls_verified), SSL_SESSION in DER
 */
#ifndef REMOTE_TLS_TICKET_H
#define REMOTE_TLS_TICKET_H

#include "remote/castore.h"
#include "remote/tls_demand.h"

#include <openssl/ssl.h>

enum {
	TLS_TICKET_BINDING = 32,
	/* A certificate that is withdrawn is believed no longer than that. */
	TLS_TICKET_LIFE_S = 4 * 3600,
};

/* store: NULL when there is none. -1 without memory. */
int tls_ticket_bind(const struct session *session, const struct host *host,
    const struct tls_demand *demand, const struct castore *store,
    unsigned char binding[TLS_TICKET_BINDING]);

/* What a resumed session knows of the certificate, which is not sent again. */
struct tls_proof {
	uint8_t verified; /* enum tls_verified */
	uint64_t at;	  /* UTC seconds: when it was last seen */
};

/* Append the ticket. -1 when it cannot be resumed or is too long; out may then
 * have part of it. */
int tls_ticket_pack(SSL_SESSION *session,
    const unsigned char binding[TLS_TICKET_BINDING],
    const struct tls_proof *proof, struct buf *out);

/* The session, to be freed, and its proof; NULL: of another binding, too old,
 * certificate expired, or not a ticket. */
SSL_SESSION *tls_ticket_open(struct span ticket,
    const unsigned char binding[TLS_TICKET_BINDING], uint64_t now_s,
    struct tls_proof *proof);

#endif
