/* What an attempt's record says of TLS; foreign text is escaped.
 *
 *     TLSv1.3 TLS_AES_256_GCM_SHA384 policy=dane verified=dane-ee
 *         name=mx.example.org sha256=0123...
 *
 *     version, cipher   as OpenSSL names them
 *     policy            what was asked for: may, require, verify (the level of
 *                       the session) or dane, dane-blind, sts (published)
 *     shadow            a published policy that is only reported
 *     verified          pkix (a chain to one of our CAs, for this name),
 *                       dane-ee, dane-ta; no: not asked for, or in shadow
 *     would-fail        the policy in shadow: what RFC 8460 calls it
 *     failed            why no mail was given to it, as RFC 8460 calls it
 *     name              in the certificate: the one that fits, else its first
 *     sha256            of the certificate
 *     resumed=yes       an earlier session's; verified is its word
 *     answers           which DNS answers the policy is from
 *
 * Nothing of all that when there was no certificate. Without TLS: "clear: " and
 * the reason, or nothing at all where no TLS was to be had by level none.
 */
#ifndef REMOTE_TLS_EVIDENCE_H
#define REMOTE_TLS_EVIDENCE_H

#include "remote/tls_client.h"

/* Also of a handshake that failed. */
void tls_evidence_print(
    const struct stream *s, const struct tls_link *l, char *text, size_t size);
void tls_evidence_clear_text(const char *reason, char *text, size_t size);

#endif
