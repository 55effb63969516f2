/* The simulated keeper's streams to and from the runner, and its index by due
 * time: a treap. */
#include "tests/unit/schedule_world.h"

/* --- the streams between the programs --- */

static struct event *send(struct world *w, struct stream *s, uint8_t kind)
{
	uint64_t at =
	    w->now + (w->shape->hop_ms ? rnd(w, w->shape->hop_ms) : 0);
	struct event *e;

	if (s->count == s->size) {
		size_t size = s->size ? s->size * 2 : 1024;
		struct event *ring = calloc(size, sizeof(*ring));

		assert_non_null(ring);
		for (size_t i = 0; i < s->count; i++)
			ring[i] = s->ring[(s->first + i) & (s->size - 1)];
		free(s->ring);
		s->ring = ring;
		s->size = size;
		s->first = 0;
	}
	s->last_at = at > s->last_at ? at : s->last_at;
	e = &s->ring[(s->first + s->count++) & (s->size - 1)];
	*e = (struct event){ .at = s->last_at, .kind = kind };
	return e;
}

static struct event *to_keeper(struct world *w, uint8_t kind)
{
	return send(w, &w->to_keeper, kind);
}

static struct event *to_runner(struct world *w, uint8_t kind)
{
	return send(w, &w->to_runner, kind);
}

/* --- the index by due time --- */

static bool is_before(
    const struct world *w, unsigned i, uint64_t key, unsigned mail)
{
	return w->mail[i].key < key || (w->mail[i].key == key && i < mail);
}

static uint64_t weight(unsigned mail)
{
	return table_mix(mail, 99);
}

static void split(struct world *w, unsigned at, uint64_t key, unsigned mail,
    unsigned *low, unsigned *high)
{
	while (at != NOBODY) {
		struct mail *m = &w->mail[at];

		if (is_before(w, at, key, mail)) {
			*low = at;
			low = &m->right;
			at = m->right;
		} else {
			*high = at;
			high = &m->left;
			at = m->left;
		}
	}
	*low = *high = NOBODY;
}

static void merge(struct world *w, unsigned *to, unsigned low, unsigned high)
{
	while (low != NOBODY && high != NOBODY) {
		if (weight(low) > weight(high)) {
			*to = low;
			to = &w->mail[low].right;
			low = *to;
		} else {
			*to = high;
			to = &w->mail[high].left;
			high = *to;
		}
	}
	*to = low != NOBODY ? low : high;
}

static void index_take_out(struct world *w, unsigned i)
{
	struct mail *m = &w->mail[i];
	unsigned *at = &w->root;

	if (m->key == NEVER)
		return;
	while (*at != i) {
		assert_int_not_equal(*at, NOBODY);
		at = is_before(w, *at, m->key, i) ? &w->mail[*at].right
						  : &w->mail[*at].left;
	}
	merge(w, at, m->left, m->right);
	m->key = NEVER;
}

static void index_put_in(struct world *w, unsigned i, uint64_t key)
{
	unsigned *at = &w->root;

	while (*at != NOBODY && weight(*at) > weight(i))
		at = is_before(w, *at, key, i) ? &w->mail[*at].right
					       : &w->mail[*at].left;
	split(w, *at, key, i, &w->mail[i].left, &w->mail[i].right);
	*at = i;
	w->mail[i].key = key;
}

static uint64_t when_of(const struct mail *m)
{
	uint64_t when = NEVER;

	if (m->claim || m->state == M_DONE)
		return NEVER;
	if (m->state != M_SUSPENDED && npending(m) > 0)
		when = m->due;
	if (has_report(m) && m->report_at < when)
		when = m->report_at;
	return when;
}

/* After a change: its place in the index. */
static void save(struct world *w, unsigned i)
{
	uint64_t when = when_of(&w->mail[i]);

	if (when == w->mail[i].key)
		return;
	index_take_out(w, i);
	if (when != NEVER)
		index_put_in(w, i, when);
}

struct page {
	struct world *w;
	const struct event *query; /* a, b, mail: after; result of send */
	uint64_t after_key, until, next;
	unsigned after_mail, left;
	bool has_more;
};

/* In order, from after the key; false: enough. */
static bool visit(struct page *p, unsigned at)
{
	struct world *w = p->w;
	struct mail *m = &w->mail[at];
	struct event *e;

	if (at == NOBODY)
		return true;
	if (is_before(w, at, p->after_key, p->after_mail + 1))
		return visit(p, m->right);
	if (!visit(p, m->left))
		return false;
	if (m->key > p->until) {
		p->next = m->key;
		return false;
	}
	if (p->left == 0) {
		p->has_more = true;
		return false;
	}
	p->left--;
	e = to_runner(w, R_WAITING);
	e->mail = at;
	e->flag = true;
	return visit(p, m->right);
}

static void keeper_due(struct world *w, const struct event *q)
{
	struct page p = { .w = w,
		.after_key = q->a,
		.after_mail = q->mail,
		.until = q->b,
		.left = PAGE_MAX };
	struct event *e;

	visit(&p, w->root);
	e = to_runner(w, R_DUE_END);
	e->a = p.next;
	e->flag = p.has_more;
	w->is_more_told = false;
}
