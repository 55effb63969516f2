/* Sessions counted by how their TLS ended, until the keeper is told: RFC 8460
 * section 4. Pure and bounded. */
#ifndef RUNNER_TLSRPT_COUNT_H
#define RUNNER_TLSRPT_COUNT_H

#include "common/messages.h"

enum { TLSRPT_KINDS_MAX = 1024 }; /* that differ, until they are taken */

struct tlsrpt_counts;

struct tlsrpt_counts *tlsrpt_counts_new(uint64_t seed); /* NULL: no memory */
void tlsrpt_counts_free(struct tlsrpt_counts *t);	/* NULL is fine */

/* One more of those that ended like c, whatever its lines, reason and number.
 * false: there is none yet. */
bool tlsrpt_counts_add(struct tlsrpt_counts *t, const struct tls_count *c);
/* The first of its kind; copied. -1: no room (or memory). */
int tlsrpt_counts_begin(struct tlsrpt_counts *t, const struct tls_count *c);
bool tlsrpt_counts_is_empty(const struct tlsrpt_counts *t);

/* Take out some as a payload of MSG_TLS_COUNTS; false: there are none. */
bool tlsrpt_counts_take(struct tlsrpt_counts *t, struct buf *payload);

#endif
