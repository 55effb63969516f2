/* A heap of times. */
#include "runner/heap.h"

#include <stdlib.h>

void heap_clear(struct heap *h)
{
	free(h->nodes);
	*h = (struct heap){ 0 };
}

static void put(struct heap *h, size_t at, struct heap_node *node)
{
	h->nodes[at] = node;
	node->place = at;
}

static void sift_up(struct heap *h, size_t at, struct heap_node *node)
{
	for (; at > 1 && h->nodes[at / 2]->at > node->at; at /= 2)
		put(h, at, h->nodes[at / 2]);
	put(h, at, node);
}

static void sift_down(struct heap *h, size_t at, struct heap_node *node)
{
	size_t child;

	while ((child = at * 2) <= h->count) {
		if (child < h->count &&
		    h->nodes[child + 1]->at < h->nodes[child]->at)
			child++;
		if (h->nodes[child]->at >= node->at)
			break;
		put(h, at, h->nodes[child]);
		at = child;
	}
	put(h, at, node);
}

int heap_set(struct heap *h, struct heap_node *node, uint64_t at)
{
	if (node->place == 0 && h->count + 1 >= h->room) {
		size_t room = h->room ? h->room * 2 : 64;
		struct heap_node **grown =
		    reallocarray(h->nodes, room, sizeof(struct heap_node *));

		if (!grown)
			return -1;
		h->nodes = grown;
		h->room = room;
	}
	node->at = at;
	if (node->place == 0)
		put(h, ++h->count, node);
	sift_up(h, node->place, node);
	sift_down(h, node->place, node);
	return 0;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	size_t at = node->place;
	struct heap_node *last;

	if (at == 0)
		return;
	node->place = 0;
	last = h->nodes[h->count--];
	if (last == node)
		return;
	sift_up(h, at, last);
	sift_down(h, last->place, last);
}

struct heap_node *heap_first(const struct heap *h)
{
	return h->count > 0 ? h->nodes[1] : NULL;
}
