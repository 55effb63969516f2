/* One recipient in the queue as the tool shows it: what the item says, with
 * what only the configuration and the runner know.
 */
#ifndef QUEUE_TOOL_ITEM_H
#define QUEUE_TOOL_ITEM_H

#include "queue/tool.h"

struct view {
	const struct item *item;
	const char *state;
	const char *cause;   /* a stable word, or "" */
	const char *off;     /* it is due: see tool_off_scope */
	uint64_t next_try_s; /* UTC; 0: none is set */
	uint64_t expires_s;  /* 0: never */
};

struct view view_of(struct tool *tool, const struct item *item);

/* The object of "list --json" (interface.md). */
json_t *view_to_json(const struct view *view);
/* Foreign text as a JSON string, null when it is empty. */
json_t *json_text(struct span text);
json_t *json_time(uint64_t utc_s); /* null for 0 */
/* One object, one line on stdout; releases it. */
void json_line(json_t *object);

/* "now", "in 4m", "held", "-": for people. */
const char *view_next(const struct view *view, uint64_t now_s);

#endif
