/* Priority and senders' turns. */
#include "runner/turns.h"

#include <stdlib.h>

struct turn {
	TAILQ_ENTRY(turn) entry;
	struct table_link link; /* by sender */
	struct level *level;
	TAILQ_HEAD(turn_item_list, turn_item) items;
};

struct level {
	LIST_ENTRY(level) entry;
	int8_t priority;
	struct table senders;
	TAILQ_HEAD(turn_list, turn) turns; /* the next one first */
};

static struct level *level_of(struct turns *t, int8_t priority)
{
	struct level *at, *before = NULL, *fresh;

	LIST_FOREACH(at, &t->levels, entry)
	{
		if (at->priority == priority)
			return at;
		if (at->priority < priority)
			break;
		before = at;
	}
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return NULL;
	fresh->priority = priority;
	TAILQ_INIT(&fresh->turns);
	if (before)
		LIST_INSERT_AFTER(before, fresh, entry);
	else
		LIST_INSERT_HEAD(&t->levels, fresh, entry);
	return fresh;
}

static void level_drop_if_empty(struct level *level)
{
	if (!TAILQ_EMPTY(&level->turns))
		return;
	LIST_REMOVE(level, entry);
	table_clear(&level->senders);
	free(level);
}

static struct turn *turn_of(struct level *level, uint64_t sender)
{
	struct table_link *link = table_find(&level->senders, sender);
	struct turn *turn;

	if (link)
		return TABLE_OF(link, struct turn, link);
	turn = calloc(1, sizeof(*turn));
	if (!turn)
		return NULL;
	if (table_add(&level->senders, &turn->link, sender) < 0) {
		free(turn);
		return NULL;
	}
	turn->level = level;
	TAILQ_INIT(&turn->items);
	TAILQ_INSERT_TAIL(&level->turns, turn, entry);
	return turn;
}

static void turn_drop_if_empty(struct turn *turn)
{
	struct level *level = turn->level;

	if (!TAILQ_EMPTY(&turn->items))
		return;
	TAILQ_REMOVE(&level->turns, turn, entry);
	table_remove(&level->senders, &turn->link);
	free(turn);
	level_drop_if_empty(level);
}

int turns_add(struct turns *t, struct turn_item *item, int8_t priority,
    uint64_t sender, bool in_front)
{
	struct level *level = level_of(t, priority);
	struct turn *turn;

	if (!level)
		return -1;
	turn = turn_of(level, sender);
	if (!turn) {
		level_drop_if_empty(level);
		return -1;
	}
	item->turn = turn;
	if (in_front)
		TAILQ_INSERT_HEAD(&turn->items, item, entry);
	else
		TAILQ_INSERT_TAIL(&turn->items, item, entry);
	t->count++;
	return 0;
}

bool turns_has(const struct turns *t, int8_t priority, uint64_t sender)
{
	const struct level *level;

	LIST_FOREACH(level, &t->levels, entry)
	if (level->priority == priority)
		return table_find(&level->senders, sender) != NULL;
	return false;
}

void turns_remove(struct turns *t, struct turn_item *item)
{
	struct turn *turn = item->turn;

	TAILQ_REMOVE(&turn->items, item, entry);
	item->turn = NULL;
	t->count--;
	turn_drop_if_empty(turn);
}

struct turn_item *turns_next(struct turns *t)
{
	struct level *level = LIST_FIRST(&t->levels);
	struct turn_item *item;
	struct turn *turn;

	if (!level)
		return NULL;
	turn = TAILQ_FIRST(&level->turns);
	TAILQ_REMOVE(&level->turns, turn, entry);
	TAILQ_INSERT_TAIL(&level->turns, turn, entry);
	item = TAILQ_FIRST(&turn->items);
	turns_remove(t, item);
	return item;
}

struct turn_item *turns_last(struct turns *t)
{
	struct level *level = LIST_FIRST(&t->levels), *next;
	struct turn_item *item;

	if (!level)
		return NULL;
	while ((next = LIST_NEXT(level, entry)))
		level = next;
	item = TAILQ_LAST(
	    &TAILQ_LAST(&level->turns, turn_list)->items, turn_item_list);
	turns_remove(t, item);
	return item;
}
