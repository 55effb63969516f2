/* Where reports about TLS with a domain go, and getting them there: for the
 * runner, which asks no name server and has no socket. RFC 8460. */
#ifndef REMOTE_TLSRPTLOOKUP_H
#define REMOTE_TLSRPTLOOKUP_H

#include "common/messages.h"
#include "remote/dnsquery.h"

/* RESOLVE_TLSRPT. answered is called once, possibly before this returns; what
 * the answer points to is borrowed. */
void tlsrpt_resolve(struct dns_client *dns, struct span domain,
    void (*answered)(const struct resolve_answer *a, void *arg), void *arg);

/* The addresses of a report's host are put into the post, which is given to
 * found: borrowed. Or why not, with post NULL. */
void tlsrpt_find_host(struct dns_client *dns, bool allow_local,
    const struct tls_post *post,
    void (*found)(
	const struct tls_post *post, const struct outcome *why, void *arg),
    void *arg);

#endif
