/* How TLS with other servers ended, counted by day and domain, and where the
 * reports of it stand (RFC 8460): SPOOL/tlsrpt.mdb, an LMDB file of the keeper
 * alone. No part of the spool's promises, but synced at each write, so that no
 * report is sent twice. A file that cannot be read is thrown away. */
#ifndef QUEUE_TLSCOUNT_H
#define QUEUE_TLSCOUNT_H

#include "common/messages.h"

enum {
	TLSCOUNT_DAYS = 4,	 /* kept; the newest one is not over */
	TLSCOUNT_DOMAINS = 2000, /* a day */
	TLSCOUNT_ROWS = 20000,	 /* a day, about */
};

struct tlscount;

/* NULL with *why. */
struct tlscount *tlscount_open(const char *spool, const char **why);
void tlscount_close(struct tlscount *t); /* NULL is fine */

/* Add to what is there, all at once. What there is no room for is counted as
 * missed on its day. 0, or -1 with *why. */
int tlscount_add(struct tlscount *t, const struct tls_count *counts, size_t n,
    const char **why);
/* Where its report stands: state, tries, done, next_at. */
int tlscount_mark(
    struct tlscount *t, const struct tls_domain *d, const char **why);

/* Answer a question: the domain (empty when there is none; missed is always
 * there) once, then its rows. Spans are borrowed for the call. */
int tlscount_read(struct tlscount *t, const struct tls_read *q,
    void (*on_domain)(const struct tls_domain *d, void *arg),
    void (*on_row)(const struct tls_count *c, void *arg), void *arg,
    const char **why);

#endif
