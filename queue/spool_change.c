/* Changes by filter: hold, release, retry, delete, retract, bounce. */
#include <stdlib.h>

#include "queue/spool_parts.h"

struct changing {
	struct spool *spool;
	const struct change *change;
	uint32_t owner;
	uint64_t now_ms;
	struct cursor at;
	struct change_target *targets;
	size_t n, cap;
	uint32_t messages;
	uint64_t last_message;
	uint64_t asked; /* the message that is_being_sent is about */
	bool is_being_sent;
};

/* For changes that speak of single recipients when the filter does. */
static bool is_by_recipient(const struct change *c)
{
	return filter_has_recipient(&c->filter) &&
	       (c->action == CHANGE_DELETE || c->action == CHANGE_RETRACT ||
		   c->action == CHANGE_BOUNCE);
}

/* Does a line have any delivery of it now? */
static bool find_claim(struct index *ix, uint64_t id)
{
	bool is_found = false;
	MDB_cursor *cursor;
	struct key key;
	MDB_val k, v;
	int op = MDB_SET_RANGE;

	if (mdb_cursor_open(ix->write, ix->db[DB_CLAIM], &cursor) != 0)
		return true;
	key_delivery(&key, id, 0);
	k = (MDB_val){ key.n, key.bytes };
	for (; !is_found && mdb_cursor_get(cursor, &k, &v, op) == 0;
	     op = MDB_NEXT) {
		uint64_t found;
		uint16_t number;

		key_tail(
		    (struct span){ k.mv_data, k.mv_size }, &found, &number);
		if (found != id)
			break;
		is_found = v.mv_size != 2 ||
			   ((const uint8_t *)v.mv_data)[1] == CLAIM_DELIVER;
	}
	mdb_cursor_close(cursor);
	return is_found;
}

/* "Nothing of it has been sent": of the message, while it is here. */
static bool is_retractable(struct changing *c, const struct walk *w)
{
	const struct delivery *d = &w->delivery;

	if (w->message.was_sent || d->uncertain > 0 ||
	    delivery_npending(d) < d->n)
		return false;
	if (c->asked != w->at.message) {
		c->asked = w->at.message;
		c->is_being_sent = find_claim(c->spool->index, c->asked);
	}
	return !c->is_being_sent;
}

static bool is_changeable(struct changing *c, const struct walk *w)
{
	const struct delivery *d = &w->delivery;

	if (w->claim || (c->owner != UINT32_MAX && c->owner != w->message.uid))
		return false;
	switch (c->change->action) {
	case CHANGE_HOLD:
		return delivery_npending(d) > 0;
	case CHANGE_RELEASE:
		return d->state == STATE_HELD || d->state == STATE_SUSPENDED;
	case CHANGE_RETRY:
		return d->state != STATE_HELD && delivery_npending(d) > 0;
	case CHANGE_DELETE:
		return true;
	case CHANGE_BOUNCE:
		return delivery_npending(d) > 0;
	case CHANGE_RETRACT:
		return is_retractable(c, w);
	default:
		return false;
	}
}

static int target_add(struct changing *c, uint16_t recipient)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct change_target *grown =
		    realloc(c->targets, cap * sizeof(*grown));

		if (!grown)
			return -1;
		c->targets = grown;
		c->cap = cap;
	}
	c->targets[c->n++] =
	    (struct change_target){ c->at.message, c->at.delivery, recipient };
	return 0;
}

static int delivery_match(struct changing *c, const struct walk *w)
{
	struct matched m = { &w->message, &w->delivery, w->claim, c->now_ms };
	bool by_recipient = is_by_recipient(c->change), is_match = false;

	for (unsigned i = 0; i < w->delivery.n; i++) {
		const struct delivery_recipient *r = &w->delivery.recipients[i];

		if (!filter_is_match(&c->change->filter, w->at.message, &m, r))
			continue;
		is_match = true;
		if (by_recipient && target_add(c, r->index) < 0)
			return -1;
	}
	if (is_match && !by_recipient && target_add(c, EVERY_RECIPIENT) < 0)
		return -1;
	if (is_match && c->last_message != w->at.message) {
		c->last_message = w->at.message;
		c->messages++;
	}
	return 0;
}

/* Collect one page. True: there may be more. */
static bool targets_collect(
    struct changing *c, struct walk *w, const struct cursor *after)
{
	uint32_t max = c->change->max;
	unsigned examined = 0;

	if (max == 0 || max > CHANGE_MAX)
		max = CHANGE_MAX;
	while (walk_next(w)) {
		if (after->message && w->at.message == after->message &&
		    w->at.delivery == after->delivery)
			continue; /* the last one of the page before */
		/* a page ends between messages, so that each counts once */
		if ((c->messages >= max && w->at.message != c->last_message) ||
		    c->n >= CHANGE_MAX || examined++ >= CHANGE_EXAMINED)
			return true;
		c->at = w->at;
		if (is_changeable(c, w) && delivery_match(c, w) < 0)
			return true;
	}
	return false;
}

static int change_stage(struct spool *s, const struct changing *c)
{
	struct record_change x = {
		.at_ms = c->now_ms,
		.until = c->change->until,
		.action = c->change->action,
		.ntargets = (uint32_t)c->n,
	};
	struct buf *b = stage_begin(s, RECORD_CHANGE, c->targets[0].message);

	record_change_put(b, &x);
	for (size_t i = 0; i < c->n; i++)
		change_target_put(b, &c->targets[i]);
	return stage_end(s, (struct span){ NULL, 0 }, NULL, false, NULL);
}

static void changed_tell(const struct changing *c,
    void (*changed)(uint64_t message, uint16_t delivery, void *arg), void *arg)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct change_target *t = &c->targets[i];

		if (i > 0 && t[-1].message == t->message &&
		    t[-1].delivery == t->delivery)
			continue;
		changed(t->message, t->delivery, arg);
	}
}

uint32_t spool_stage_change(struct spool *s, const struct change *change,
    uint32_t owner, struct cursor *after, bool *has_more,
    void (*changed)(uint64_t message, uint16_t delivery, void *arg), void *arg)
{
	struct changing c = { .spool = s,
		.change = change,
		.owner = owner,
		.now_ms = spool_now_ms(s),
		.at = *after };
	struct walk w;

	*has_more = false;
	if (stage_ready(s, NULL) < 0)
		return 0;
	if (walk_begin(&w, s, s->index->write, &change->filter, after) == 0)
		*has_more = targets_collect(&c, &w, after);
	walk_end(&w);
	*after = c.at;
	if (c.n > 0 && !change->is_dry_run && change_stage(s, &c) < 0)
		c.messages = 0;
	else if (c.n > 0 && !change->is_dry_run && changed)
		changed_tell(&c, changed, arg);
	free(c.targets);
	return c.messages;
}
