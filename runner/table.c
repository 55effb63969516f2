/* A hash table of linked things. */
#include "runner/table.h"

#include <stdlib.h>

enum { TABLE_MIN = 4 };

void table_clear(struct table *t)
{
	free(t->heads);
	*t = (struct table){ 0 };
}

/* The finaliser of splitmix64: every bit of the input moves every output. */
uint64_t table_mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15u + b;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t table_key(uint64_t seed, struct span text)
{
	uint64_t h = table_mix(seed, text.n), word;

	for (; text.n >= sizeof(word); text = span_from(text, sizeof(word))) {
		memcpy(&word, text.p, sizeof(word));
		h = table_mix(h ^ seed, word ^ h);
	}
	word = 0;
	if (text.n > 0)
		memcpy(&word, text.p, text.n);
	return table_mix(h ^ seed, word ^ h);
}

static struct table_link **head(const struct table *t, uint64_t key)
{
	return &t->heads[table_mix(key, 0) & (t->nheads - 1)];
}

static int grow(struct table *t)
{
	size_t n = t->nheads ? t->nheads * 2 : TABLE_MIN;
	struct table bigger = { .nheads = n };

	bigger.heads = calloc(n, sizeof(struct table_link *));
	if (!bigger.heads)
		return -1;
	for (size_t i = 0; i < t->nheads; i++) {
		struct table_link *link = t->heads[i], *next;

		for (; link; link = next) {
			struct table_link **to = head(&bigger, link->key);

			next = link->next;
			link->next = *to;
			*to = link;
		}
	}
	bigger.count = t->count;
	free(t->heads);
	*t = bigger;
	return 0;
}

int table_add(struct table *t, struct table_link *link, uint64_t key)
{
	struct table_link **to;

	if (t->count >= t->nheads && grow(t) < 0)
		return -1;
	link->key = key;
	to = head(t, key);
	link->next = *to;
	*to = link;
	t->count++;
	return 0;
}

void table_remove(struct table *t, struct table_link *link)
{
	struct table_link **at = head(t, link->key);

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	t->count--;
}

struct table_link *table_find(const struct table *t, uint64_t key)
{
	struct table_link *link;

	if (t->nheads == 0)
		return NULL;
	for (link = *head(t, key); link && link->key != key; link = link->next)
		;
	return link;
}

struct table_link *table_again(const struct table_link *link)
{
	struct table_link *next = link->next;

	while (next && next->key != link->key)
		next = next->next;
	return next;
}

void table_each(struct table *t,
    void (*visit)(struct table_link *link, void *arg), void *arg)
{
	for (size_t i = 0; i < t->nheads; i++) {
		struct table_link *link = t->heads[i], *next;

		for (; link; link = next) {
			next = link->next;
			visit(link, arg);
		}
	}
}
