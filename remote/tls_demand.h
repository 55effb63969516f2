/* What is asked of TLS with one host: the stricter of the session's level and
 * the host's published policy. And what became of it. */
#ifndef REMOTE_TLS_DEMAND_H
#define REMOTE_TLS_DEMAND_H

#include "common/messages.h"

/* How the certificate is looked at, in order of strictness: TLSA records that
 * are there decide alone, for or against (RFC 7671 4.1). */
enum tls_check { TLS_CHECK_NONE = 0, TLS_CHECK_PKIX = 1, TLS_CHECK_DANE = 2 };

struct tls_demand {
	uint8_t check;	  /* enum tls_check: what fails it gets no mail */
	uint8_t shadow;	  /* the same: what fails it is only reported */
	bool is_required; /* no clear text */
	bool is_shadow;	  /* there is a policy that is only reported */
	uint8_t policy;	  /* enum tls_policy_kind in force; NONE: the level's */
	uint8_t level;	  /* enum tls_level */
};
struct tls_demand tls_demand_of(
    const struct session *session, const struct host *host);
/* None of the TLSA records can be used: as TLS_POLICY_DANE_BLIND. */
void tls_demand_blind(struct tls_demand *d);
/* "may", "require", "verify"; "dane", "dane-blind", "sts". */
const char *tls_demand_word(const struct tls_demand *d);
const char *tls_policy_word(uint8_t kind);
/* Who asks for it, in words for a reason: "; tls = \"require\" ...".
 * is_certificate: TLS was had, but for the certificate. */
void tls_demand_explain(const struct tls_demand *d, const struct host *host,
    bool is_certificate, struct buf *out);

enum tls_verified {
	TLS_VERIFIED_NO = 0,
	TLS_VERIFIED_PKIX = 1,
	TLS_VERIFIED_DANE_EE = 2,
	TLS_VERIFIED_DANE_TA = 3,
	TLS_VERIFIED_COUNT
};
const char *tls_verified_word(uint8_t verified); /* "no", "pkix"... */

struct tls_verdict {
	uint8_t verified;   /* enum tls_verified */
	uint8_t result;	    /* enum tls_result */
	struct outcome why; /* when it is neither OK nor NOT_TRIED */
};
/* Not verified, for this reason. Always -1. */
int tls_verdict_set(struct tls_verdict *v, enum tls_result result,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void tls_verdict_accept(struct tls_verdict *v, enum tls_verified verified);

#endif
