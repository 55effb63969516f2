/* A heap of times: what is next, in O(log n). */
#ifndef RUNNER_HEAP_H
#define RUNNER_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t at;
	size_t place; /* 1-based; 0: not in the heap */
};

struct heap {
	struct heap_node **nodes; /* nodes[0] unused */
	size_t count, room;
};

void heap_clear(struct heap *h); /* frees the heap, not the nodes */
/* Put in or move. -1 without memory: then the node is as it was. */
int heap_set(struct heap *h, struct heap_node *node, uint64_t at);
void heap_remove(struct heap *h, struct heap_node *node); /* also when out */
struct heap_node *heap_first(const struct heap *h);	  /* or NULL */

#endif
