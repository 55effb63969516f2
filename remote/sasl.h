/* SASL mechanisms (RFC 4422), the client's side: each answers the challenges of
 * one exchange. Nothing is sent or received here.
 */
#ifndef REMOTE_SASL_H
#define REMOTE_SASL_H

#include "common/messages.h"

/* The strongest first: the order in which they are tried. */
enum sasl_id {
	SASL_EXTERNAL = 0,
	SASL_SCRAM_SHA256_PLUS,
	SASL_SCRAM_SHA256,
	SASL_SCRAM_SHA1_PLUS,
	SASL_SCRAM_SHA1,
	SASL_CRAM_MD5,
	SASL_OAUTHBEARER,
	SASL_XOAUTH2,
	SASL_PLAIN,
	SASL_LOGIN,
	SASL_COUNT
};
/* A set of them: bits 1 << id. */
#define SASL_BIT(id) (1u << (id))

enum {
	SASL_CHALLENGE_MAX = 8192, /* bytes, decoded */
	SASL_RESPONSE_MAX = 40960, /* bytes, before base64 */
	SASL_ROUNDS_MAX = 6,	   /* challenges of one exchange */
	SASL_BINDING_MAX = 64,
	SASL_NONCE_MAX = 48,
	SASL_ITERATIONS_MIN = 4096, /* RFC 5802 section 5.1 */
	SASL_ITERATIONS_MAX = 1000000,
};

/* What ties the login to this TLS connection; type NULL: nothing does. */
struct sasl_binding {
	const char *type; /* "tls-exporter" (RFC 9266), "tls-server-end-point"
			   * (RFC 5929) */
	unsigned char data[SASL_BINDING_MAX];
	size_t n;
};

struct sasl {
	/* given, borrowed */
	const struct login *login;
	struct span host; /* the server, for OAUTHBEARER */
	uint16_t port;
	const struct sasl_binding *binding;
	bool is_plus_known; /* the server offers no -PLUS, we would take it:
			     * gs2 flag "y" (RFC 5802 section 6) */
	char nonce[SASL_NONCE_MAX];
	/* the exchange */
	enum sasl_id id;
	unsigned step;
	bool has_sent_secret; /* something made from the secret has gone out */
	bool is_proven;	      /* the server has done its part: 235 is fine */
	struct outcome refusal; /* what the server said inside the exchange;
				 * VERDICT_OK: nothing */
	struct buf kept;	/* SCRAM: what the signature is made over */
	unsigned char signature[64];
};

enum sasl_status {
	SASL_OK = 0,
	SASL_UNUSABLE = -1, /* end the exchange; another mechanism may do */
	SASL_STOP = -2,	    /* end it, and try no other: the server does not
			     * know the secret, or has said no */
};

const char *sasl_name(enum sasl_id id);
/* By name, without regard to case; -1: unknown. */
int sasl_named(struct span name);
/* What the mechanism needs, as far as the login has it. */
bool sasl_is_usable(
    enum sasl_id id, const struct login *login, const struct sasl_binding *b);

/* Begin an exchange: the given members but nonce are set, all others zero.
 * 0, or -1 when there is no randomness. */
int sasl_init(struct sasl *s, enum sasl_id id);
void sasl_clear(struct sasl *s); /* wipes what was kept */
/* Whether the client speaks first. */
bool sasl_has_initial(enum sasl_id id);
/* The answer to a challenge (the first, with has_initial: an empty one) is
 * appended to out. Returns enum sasl_status, *why set unless SASL_OK. */
int sasl_respond(struct sasl *s, struct span challenge, struct buf *out,
    struct outcome *why);

/* RFC 4648 section 4. decode: -1 for anything but whole groups of the alphabet
 * with the right padding. Both append. */
void base64_put(struct buf *out, struct span bytes);
int base64_get(struct buf *out, struct span text);
/* Free what held a secret, wiped. */
void sasl_wipe(struct buf *b);

/* The mechanisms, each in a file of its own. */
int sasl_plain(struct sasl *, struct span, struct buf *, struct outcome *);
int sasl_login(struct sasl *, struct span, struct buf *, struct outcome *);
int sasl_cram_md5(struct sasl *, struct span, struct buf *, struct outcome *);
int sasl_scram(struct sasl *, struct span, struct buf *, struct outcome *);
int sasl_oauthbearer(
    struct sasl *, struct span, struct buf *, struct outcome *);
int sasl_xoauth2(struct sasl *, struct span, struct buf *, struct outcome *);
int sasl_external(struct sasl *, struct span, struct buf *, struct outcome *);
/* RFC 5801: a saslname; "=" and "," escaped. */
void sasl_put_name(struct buf *out, struct span name);
/* For these: why is set, SASL_UNUSABLE returned. */
int sasl_unusable(struct outcome *why, const char *what);

#endif
