/* The cache: chains by hash, and all entries in the order of their use. */
#include "remote/dnscache.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <sys/random.h>

struct entry {
	TAILQ_ENTRY(entry) order;
	struct entry *next; /* in its chain */
	uint64_t until_ms;
	enum dns_type type;
	struct dns_answer *answer;
	char name[];
};

TAILQ_HEAD(entries, entry);

struct dns_cache {
	size_t count, most, nchains; /* nchains: a power of two */
	uint64_t seed;
	struct entries order; /* last used first */
	struct entry **chains;
};

struct dns_cache *dns_cache_new(size_t most)
{
	struct dns_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->most = most ? most : 1;
	cache->nchains = 1024;
	while (cache->nchains < cache->most)
		cache->nchains *= 2;
	cache->chains = calloc(cache->nchains, sizeof(struct entry *));
	if (!cache->chains) {
		free(cache);
		return NULL;
	}
	/* So that nobody can choose names of one chain. */
	if (getrandom(&cache->seed, sizeof(cache->seed), 0) < 0)
		cache->seed = (uint64_t)(uintptr_t)cache;
	TAILQ_INIT(&cache->order);
	return cache;
}

static struct entry **chain_of(
    const struct dns_cache *cache, const char *name, enum dns_type type)
{
	uint64_t hash = cache->seed ^ (uint64_t)type;

	for (; *name; name++) {
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3U;
		hash ^= hash >> 29;
	}
	return &cache->chains[(hash ^ hash >> 32) & (cache->nchains - 1)];
}

static struct entry **find(
    const struct dns_cache *cache, const char *name, enum dns_type type)
{
	struct entry **at = chain_of(cache, name, type);

	while (*at && ((*at)->type != type || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	return at;
}

static void drop(struct dns_cache *cache, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	TAILQ_REMOVE(&cache->order, e, order);
	dns_answer_release(e->answer);
	free(e);
	cache->count--;
}

void dns_cache_free(struct dns_cache *cache)
{
	struct entry *e;

	if (!cache)
		return;
	while ((e = TAILQ_FIRST(&cache->order)) != NULL)
		drop(cache, find(cache, e->name, e->type));
	free(cache->chains);
	free(cache);
}

static void make_room(struct dns_cache *cache)
{
	struct entry *oldest = TAILQ_LAST(&cache->order, entries);

	if (cache->count >= cache->most && oldest)
		drop(cache, find(cache, oldest->name, oldest->type));
}

void dns_cache_put(struct dns_cache *cache, const char *name,
    enum dns_type type, struct dns_answer *a, uint64_t now_ms)
{
	struct entry **at = find(cache, name, type), *e;
	size_t n = strlen(name) + 1;

	if (*at)
		drop(cache, at);
	if (a->ttl_s == 0 || a->status == DNS_FAILED)
		return;
	make_room(cache);
	e = calloc(1, sizeof(*e) + n);
	if (!e)
		return;
	memcpy(e->name, name, n);
	e->type = type;
	e->answer = dns_answer_hold(a);
	e->until_ms = now_ms + (uint64_t)a->ttl_s * 1000;
	at = chain_of(cache, name, type);
	e->next = *at;
	*at = e;
	TAILQ_INSERT_HEAD(&cache->order, e, order);
	cache->count++;
}

struct dns_answer *dns_cache_get(struct dns_cache *cache, const char *name,
    enum dns_type type, uint64_t now_ms, uint32_t *ttl_s)
{
	struct entry **at = find(cache, name, type), *e = *at;

	if (!e)
		return NULL;
	if (e->until_ms <= now_ms) {
		drop(cache, at);
		return NULL;
	}
	TAILQ_REMOVE(&cache->order, e, order);
	TAILQ_INSERT_HEAD(&cache->order, e, order);
	*ttl_s = (uint32_t)((e->until_ms - now_ms) / 1000);
	return e->answer;
}

size_t dns_cache_count(const struct dns_cache *cache)
{
	return cache->count;
}
