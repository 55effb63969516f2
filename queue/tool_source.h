/* Where the queue tool looks: the keeper over its control socket, or the spool
 * read only while the keeper is not running.
 */
#ifndef QUEUE_TOOL_SOURCE_H
#define QUEUE_TOOL_SOURCE_H

#include "common/conf.h"
#include "common/messages.h"

struct source;

/* What is seen of a message, or of many; any of them may be NULL. Returning
 * false from item stops. */
struct source_visitor {
	bool (*item)(const struct item *item, void *arg);
	void (*attempt)(uint64_t at, const struct attempt *attempt, void *arg);
	void (*envelope)(
	    uint64_t accepted_at, const struct envelope *envelope, void *arg);
	void (*body)(struct span data, void *arg);
	void *arg;
};

/* The keeper at conf->runtime, else the spool; NULL with *why. */
struct source *source_open(const struct conf *conf, struct outcome *why);
void source_free(struct source *source); /* NULL is fine */
bool source_is_keeper(const struct source *source);

/* All return 0, or -1 with *why. limit: items at most, 0 for all. */
int source_list(struct source *source, const struct filter *filter,
    uint64_t limit, const struct source_visitor *visitor, struct outcome *why);
int source_count(struct source *source, const struct filter *filter,
    uint64_t *count, struct outcome *why);
/* First the envelope, then items and attempts. */
int source_show(struct source *source, uint64_t id,
    const struct source_visitor *visitor, struct outcome *why);
int source_body(struct source *source, uint64_t id,
    const struct source_visitor *visitor, struct outcome *why);
int source_stats(
    struct source *source, struct spool_stats *stats, struct outcome *why);
/* All pages of the change; *count: messages changed (also on failure). */
int source_change(struct source *source, const struct change *change,
    uint64_t *count, struct outcome *why);

/* One kind of source; self is its own. */
struct source_kind {
	void (*free)(void *self);
	/* one page; *after moves on */
	int (*list)(void *self, struct list_query *query, uint64_t *count,
	    const struct source_visitor *visitor, bool *has_more,
	    struct outcome *why);
	int (*show)(void *self, uint64_t id,
	    const struct source_visitor *visitor, struct outcome *why);
	int (*body)(void *self, uint64_t id,
	    const struct source_visitor *visitor, struct outcome *why);
	int (*stats)(
	    void *self, struct spool_stats *stats, struct outcome *why);
	int (*change)(void *self, struct change *change, uint64_t *count,
	    bool *has_more, struct outcome *why);
};

/* NULL with *why. */
void *source_keeper_new(const char *socket_path, struct outcome *why);
void *source_spool_new(const char *spool_path, struct outcome *why);
extern const struct source_kind source_keeper, source_spool;

#endif
