/* Answers of the DNS, kept as long as they hold: a table of bounded size that
 * drops what was not used for longest. No clock inside. */
#ifndef REMOTE_DNSCACHE_H
#define REMOTE_DNSCACHE_H

#include "remote/dnsanswer.h"

struct dns_cache;

struct dns_cache *dns_cache_new(size_t most); /* NULL without memory */
void dns_cache_free(struct dns_cache *cache); /* NULL is fine */

/* Keep a (held, not taken over) for its ttl_s; what has none, or failed, is not
 * kept. An older answer to the same question is replaced. */
void dns_cache_put(struct dns_cache *cache, const char *name,
    enum dns_type type, struct dns_answer *a, uint64_t now_ms);

/* Borrowed until the next call; NULL: not there or over. *ttl_s: what is left.
 */
struct dns_answer *dns_cache_get(struct dns_cache *cache, const char *name,
    enum dns_type type, uint64_t now_ms, uint32_t *ttl_s);

size_t dns_cache_count(const struct dns_cache *cache);

#endif
