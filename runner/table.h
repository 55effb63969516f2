/* A hash table of things that carry their own link, found by a 64-bit key.
 * Keys made from foreign text are mixed with a seed first (table_key). */
#ifndef RUNNER_TABLE_H
#define RUNNER_TABLE_H

#include "common/span.h"

struct table_link {
	struct table_link *next;
	uint64_t key;
};

struct table {
	struct table_link **heads;
	size_t nheads; /* a power of two, or 0 */
	size_t count;
};

/* Zeroed memory is an empty table. clear frees the heads, not the things. */
void table_clear(struct table *t);

/* Put in a link under key; several may share one. -1 without memory. */
int table_add(struct table *t, struct table_link *link, uint64_t key);
/* Must be in the table. */
void table_remove(struct table *t, struct table_link *link);
/* The first link with that key, or NULL; table_again: the next with the same
 * key. */
struct table_link *table_find(const struct table *t, uint64_t key);
struct table_link *table_again(const struct table_link *link);

/* Visit all; the visited one may be removed (and freed) by visit. */
void table_each(struct table *t,
    void (*visit)(struct table_link *link, void *arg), void *arg);

uint64_t table_mix(uint64_t a, uint64_t b);
uint64_t table_key(uint64_t seed, struct span text);

#define TABLE_OF(link, type, member) \
	((type *)(void *)((char *)(link)-offsetof(type, member)))

#endif
