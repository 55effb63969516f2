/* The schedule: what is to outlive this program. What was learned of a site,
 * and when a rate's next message is due: one record each, with the clock's UTC,
 * for the next run's clock is another.
 *
 *   value = u8 version, u8 kind, span name, u64 next (UTC ms; 0: none)
 *           [learned], kind SITE only
 */
#include "runner/schedule_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMORY_VERSION = 1, NAME_MAX_BYTES = 1000 };

struct telling {
	struct schedule *s;
	uint64_t now, utc_ms;
	void (*tell)(struct span key, struct span value, void *arg);
	void *arg;
};

static uint64_t to_utc(const struct telling *t, uint64_t at)
{
	return at > t->now ? t->utc_ms + (at - t->now) : t->utc_ms;
}

static void tell(const struct telling *t, uint8_t kind, const char *name,
    struct gate *gate, const struct learned *learned)
{
	struct span text = span_of(name);
	struct buf value;
	char key[32];

	if (text.n > NAME_MAX_BYTES)
		return;
	gate->told_ns = gate->rate.next_ns;
	buf_init(&value, SCHEDULE_MEMORY_MAX);
	put_u8(&value, MEMORY_VERSION);
	put_u8(&value, kind);
	put_span(&value, text);
	put_u64(&value,
	    gate->rate.interval_ns ? to_utc(t, bucket_at(&gate->rate)) : 0);
	if (learned)
		learned_put(&value, learned, t->now, t->utc_ms);
	snprintf(key, sizeof(key), "%u %016llx", kind,
	    (unsigned long long)table_key(kind, text));
	if (!value.overflow)
		t->tell(span_of(key), buf_span(&value), t->arg);
	buf_clear(&value);
}

/* A quick rate has nothing to lose. */
static bool is_to_tell(const struct gate *gate)
{
	return gate->rate.interval_ns >= 1000000000 &&
	       gate->rate.next_ns != gate->told_ns;
}

static void tell_site(struct table_link *link, void *arg)
{
	struct site *site = TABLE_OF(link, struct site, link);

	if (!site->is_changed && !is_to_tell(&site->gate))
		return;
	site->is_changed = false;
	tell(arg, SCOPE_SITE, site->name, &site->gate, &site->learned);
}

static void tell_destination(struct table_link *link, void *arg)
{
	struct destination *d = TABLE_OF(link, struct destination, link);

	if (is_to_tell(&d->gate))
		tell(arg, SCOPE_DESTINATION, d->name, &d->gate, NULL);
}

void schedule_memories(struct schedule *s, uint64_t now, uint64_t utc_ms,
    void (*tell_one)(struct span key, struct span value, void *arg), void *arg)
{
	struct telling t = { s, now, utc_ms, tell_one, arg };

	table_each(&s->sites, tell_site, &t);
	table_each(&s->destinations, tell_destination, &t);
	for (size_t i = 0; i < s->ngroups; i++) {
		struct group *group = s->groups[i];

		if (is_to_tell(&group->gate))
			tell(&t, SCOPE_LINE, group->name, &group->gate, NULL);
		for (size_t k = 0; k < group->nbinds; k++)
			if (is_to_tell(&group->binds[k]->gate))
				tell(&t, SCOPE_ADDRESS,
				    group->binds[k]->address,
				    &group->binds[k]->gate, NULL);
	}
}

/* --- recalled --------------------------------------------------------------*/

static struct gate *find_gate(
    struct schedule *s, uint8_t kind, struct span name, size_t from)
{
	for (size_t i = from; i < s->ngroups; i++) {
		struct group *group = s->groups[i];

		if (kind == SCOPE_LINE &&
		    span_is_equal(span_of(group->name), name))
			return &group->gate;
		for (size_t k = 0; k < group->nbinds; k++)
			if (kind == SCOPE_ADDRESS &&
			    span_is_equal(
				span_of(group->binds[k]->address), name))
				return &group->binds[k]->gate;
	}
	return NULL;
}

static struct gate *make_gate(
    struct schedule *s, struct span name, struct destination **made)
{
	char *text = span_dup(name);
	bool is_new;

	*made =
	    text ? schedule_destination(s, text, LIMIT_START, &is_new) : NULL;
	free(text);
	return *made ? &(*made)->gate : NULL;
}

/* Before its rate is known the bucket has no interval; what is too far ahead is
 * taken back when it is set. */
static void recall_rate(
    struct gate *gate, uint64_t now, uint64_t utc_ms, uint64_t next)
{
	uint64_t ahead = next > utc_ms ? next - utc_ms : 0;

	if (ahead > (uint64_t)86400 * 1000)
		ahead = (uint64_t)86400 * 1000;
	if (ahead == 0)
		return;
	if (gate->rate.interval_ns > 0)
		bucket_not_before(&gate->rate, now, now + ahead);
	else
		gate->rate.next_ns = (now + ahead) * 1000000;
	gate->told_ns = gate->rate.next_ns;
}

static int recall_site(struct schedule *s, uint64_t now, uint64_t utc_ms,
    struct span name, uint64_t next, struct reader *r)
{
	struct learned learned;
	struct site *site;

	if (learned_get(r, &learned, now, utc_ms) < 0 || !reader_is_done(r))
		return -1;
	site = site_find(s, name, true);
	if (!site)
		return 0;
	if (site->learned.pushed_at == 0)
		site->learned = learned;
	recall_rate(&site->gate, now, utc_ms, next);
	site_update(s, now, site);
	site_check_idle(s, site);
	return 0;
}

int schedule_recall(
    struct schedule *s, uint64_t now, uint64_t utc_ms, struct span value)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r), kind = get_u8(&r);
	struct span name = get_span(&r);
	uint64_t next = get_u64(&r);
	struct destination *made = NULL;
	struct gate *gate;

	if (r.bad || version != MEMORY_VERSION || name.n == 0 ||
	    name.n > NAME_MAX_BYTES || span_has_line_breaks(name) ||
	    memchr(name.p, '\0', name.n))
		return -1;
	if (kind == SCOPE_SITE)
		return recall_site(s, now, utc_ms, name, next, &r);
	if (!reader_is_done(&r) || kind == SCOPE_NONE || kind > SCOPE_ADDRESS)
		return -1;
	gate = kind == SCOPE_DESTINATION ? make_gate(s, name, &made)
					 : find_gate(s, kind, name, 0);
	if (gate)
		recall_rate(gate, now, utc_ms, next);
	if (made)
		destination_check_idle(s, made);
	return 0;
}

/* --- sites, for people -----------------------------------------------------*/

struct site_visitor {
	void (*visit)(const struct site *site, void *arg);
	void *arg;
};

static void visit_site(struct table_link *link, void *arg)
{
	const struct site_visitor *v = arg;

	v->visit(TABLE_OF(link, struct site, link), v->arg);
}

void schedule_each_site(struct schedule *s,
    void (*visit)(const struct site *site, void *arg), void *arg)
{
	struct site_visitor v = { visit, arg };

	table_each(&s->sites, visit_site, &v);
}
