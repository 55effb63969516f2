/* The mail of one destination in the order it may go: higher priority first,
 * inside a priority the senders take turns, a sender's own mail in order. */
#ifndef RUNNER_TURNS_H
#define RUNNER_TURNS_H

#include "runner/table.h"

#include <sys/queue.h>

struct turn; /* one sender's mail of one priority */

struct turn_item {
	TAILQ_ENTRY(turn_item) entry;
	struct turn *turn; /* NULL: not waiting here */
};

struct level;

struct turns {
	LIST_HEAD(, level) levels; /* highest priority first */
	size_t count;
};

/* Zeroed memory is an empty struct turns; it is freed by emptying it. */

/* At the end of the sender's mail, or in front of it. -1 without memory. */
int turns_add(struct turns *t, struct turn_item *item, int8_t priority,
    uint64_t sender, bool in_front);
/* Whether mail of that sender and priority waits. */
bool turns_has(const struct turns *t, int8_t priority, uint64_t sender);
void turns_remove(struct turns *t, struct turn_item *item);
/* Take out whose turn it is; NULL when empty. */
struct turn_item *turns_next(struct turns *t);
/* Take out what would come last in its turn: the one to give up first. */
struct turn_item *turns_last(struct turns *t);

#endif
