/* What a site takes. */
#include "runner/learn.h"

#include <stdio.h>
#include <string.h>

enum {
	HOUR_MS = 3600000,
	LEARNED_VERSION = 1,
	CUTS_ALIKE = 3, /* so many sessions closed after the same number */
	CUTS_MAX = 5,	/* more, of other numbers: it is a rate */
	CUT_APART_MS = 60000,
	MEASURE_MS = 30000,
};

void learned_init(struct learned *l)
{
	*l = (struct learned){ .limit = LIMIT_START };
}

static uint64_t grown(uint64_t wait, uint64_t first, uint64_t max)
{
	wait = wait > 0 ? wait * 2 : first;
	return wait < max ? wait : max;
}

/* --- connections -----------------------------------------------------------*/

static void halve(struct learned *l, uint64_t now)
{
	l->successes = 0;
	if (l->halved_at > 0 && now < l->halved_at + HALVE_PAUSE_MS)
		return;
	l->halved_at = now;
	l->limit = l->limit > 1 ? l->limit / 2 : 1;
}

static void set_ceiling(struct learned *l, uint64_t now, unsigned ceiling)
{
	l->ceiling = ceiling > 0 ? ceiling : 1;
	l->unsure = 0;
	l->ceiling_wait_ms =
	    grown(l->ceiling_wait_ms, RAISE_FIRST_MS, RAISE_MAX_MS);
	l->ceiling_raise_at = now + l->ceiling_wait_ms;
	if (l->limit > l->ceiling)
		l->limit = l->ceiling;
}

void learned_refused(
    struct learned *l, uint64_t now, unsigned others, bool is_up)
{
	l->nrefused++;
	if (is_up && (l->ceiling == 0 || others <= l->ceiling))
		set_ceiling(l, now, others);
	else if (!is_up && (l->unsure == 0 || others < l->unsure))
		l->unsure = others;
	halve(l, now);
}

void learned_beyond(struct learned *l)
{
	l->ceiling = 0;
	l->ceiling_wait_ms = 0;
	l->ceiling_raise_at = 0;
}

static void grow(struct learned *l, uint64_t now, unsigned max)
{
	unsigned needed = l->limit;

	if (l->unsure > 0)
		set_ceiling(l, now, l->unsure);
	if (l->ceiling > 0 && l->limit < l->ceiling)
		needed = 1; /* where it has been before */
	else if (l->ceiling > 0 && now < l->ceiling_raise_at)
		return;
	if (++l->successes < needed || l->limit >= max)
		return;
	l->successes = 0;
	l->limit++;
	if (l->ceiling > 0 && l->limit > l->ceiling)
		l->ceiling_raise_at = UINT64_MAX; /* by one, then see */
}

void learned_down(struct learned *l)
{
	l->unsure = 0;
	l->successes = 0;
}

unsigned learned_sessions(const struct learned *l, uint64_t now, unsigned max)
{
	unsigned n = l->limit < max ? l->limit : max;

	(void)now;
	return n > 0 ? n : 1;
}

/* --- messages a connection -------------------------------------------------*/

void learned_cut(struct learned *l, uint64_t now, unsigned answered)
{
	l->ncut++;
	if (now > l->cut_at + CUT_APART_MS)
		l->ncuts = 0;
	l->cut_at = now;
	l->ncuts++;
	if (answered < l->messages)
		l->messages = 0; /* it was not that */
	l->nalike = answered == l->candidate ? l->nalike + 1 : 1;
	l->candidate = answered;
	if (l->pace > 0 || l->is_looking) {
		learned_rate(l, now);
	} else if (answered > 0 && l->nalike >= CUTS_ALIKE) {
		l->messages = answered;
		l->messages_until = now + MESSAGES_KEPT_MS;
	} else if (l->ncuts > CUTS_MAX) {
		learned_rate(l, now);
	} else {
		halve(l, now);
	}
}

unsigned learned_messages(const struct learned *l, uint64_t now)
{
	return now < l->messages_until ? l->messages : 0;
}

/* --- rate ------------------------------------------------------------------*/

static uint64_t measured(const struct learned *l, uint64_t now)
{
	if (l->accepted < PACE_COUNT_MIN || now <= l->measured_at)
		return 0;
	return (uint64_t)l->accepted * HOUR_MS / (now - l->measured_at);
}

static void measure_from(struct learned *l, uint64_t now)
{
	l->measured_at = now;
	l->accepted = 0;
}

static void set_pace(struct learned *l, uint64_t now, uint64_t pace)
{
	l->pace = pace > 0 ? pace : 1;
	l->pace_step_at = now + PACE_STEP_MS;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Between the last such reply and this one it took what it allows. Near to the
 * pace that was kept: that is remembered. */
static void slow_down(struct learned *l, uint64_t now)
{
	uint64_t found = measured(l, now), was = l->pace;

	if (was == 0 || found == 0)
		return;
	if (now < l->measured_at + MEASURE_MS && found > was / 2) {
		set_pace(l, now, was - was / 20); /* too short to say more */
		return;
	}
	set_pace(l, now, less(was - was / 20, found - found / 33));
	measure_from(l, now);
	l->pace_ceiling = 0;
	if (found < was / 5 * 4)
		return;
	l->pace_ceiling = less(was, found);
	l->pace_wait_ms = grown(l->pace_wait_ms, RAISE_FIRST_MS, RAISE_MAX_MS);
	l->pace_raise_at = now + l->pace_wait_ms;
}

void learned_rate(struct learned *l, uint64_t now)
{
	l->nrate++;
	l->last_at = now;
	if (now < l->hold_until)
		return; /* they were under way already */
	halve(l, now);
	if (!l->is_looking)
		slow_down(l, now);
	l->is_looking = true;
	l->hold_ms = grown(l->hold_ms, HOLD_FIRST_MS, HOLD_MAX_MS);
	l->hold_until = now + l->hold_ms;
}

/* It takes mail again. The first time: no more than it took altogether. */
static void looked(struct learned *l, uint64_t now)
{
	uint64_t found = measured(l, now);

	l->is_looking = false;
	l->hold_ms = 0;
	if (l->pace > 0 || found == 0)
		return;
	set_pace(l, now, found);
	measure_from(l, now);
}

static void speed_up(struct learned *l, uint64_t now)
{
	uint64_t next = l->pace + l->pace / 33 + 1;
	uint64_t near = l->pace_ceiling - l->pace_ceiling / 100;

	l->pace_step_at = now + PACE_STEP_MS;
	if (l->pace_ceiling > 0 && next > near && now < l->pace_raise_at)
		next = near > l->pace ? near : l->pace;
	l->pace = next;
}

void learned_accepted(struct learned *l, uint64_t now, unsigned max)
{
	if (l->measured_at == 0 || now > l->last_at + PACE_IDLE_MS)
		if (!l->is_looking)
			measure_from(l, now);
	l->last_at = now;
	l->accepted++;
	if (l->is_looking && now >= l->hold_until)
		looked(l, now);
	else if (l->pace > 0 && now >= l->pace_step_at)
		speed_up(l, now);
	grow(l, now, max);
}

/* --- evidence --------------------------------------------------------------*/

void learned_say(struct learned *l, uint64_t now, struct span reply)
{
	size_t n = reply.n < EVIDENCE_MAX ? reply.n : EVIDENCE_MAX;

	l->pushed_at = now;
	if (n == 0)
		return;
	memcpy(l->reply, reply.p, n);
	l->reply[n] = '\0';
}

bool learned_has_evidence(const struct learned *l)
{
	return l->pushed_at > 0;
}

/* Times of another clock: how far from now, either way. */
static void put_time(struct buf *b, uint64_t at, uint64_t now, uint64_t utc_ms)
{
	put_u64(b, at == 0 || at == UINT64_MAX ? at : utc_ms + at - now);
}

static uint64_t get_time(struct reader *r, uint64_t now, uint64_t utc_ms)
{
	uint64_t at = get_u64(r);

	if (at == 0 || at == UINT64_MAX)
		return at;
	if (at + now <= utc_ms)
		return 1; /* before our clock began */
	return at + now - utc_ms;
}

void learned_put(
    struct buf *b, const struct learned *l, uint64_t now, uint64_t utc_ms)
{
	put_u8(b, LEARNED_VERSION);
	put_u32(b, l->limit);
	put_u32(b, l->ceiling);
	put_time(b, l->ceiling_raise_at, now, utc_ms);
	put_u64(b, l->ceiling_wait_ms);
	put_u32(b, l->messages);
	put_time(b, l->messages_until, now, utc_ms);
	put_u64(b, l->pace);
	put_u64(b, l->pace_ceiling);
	put_time(b, l->pace_raise_at, now, utc_ms);
	put_u64(b, l->pace_wait_ms);
	put_u32(b, l->nrefused);
	put_u32(b, l->ncut);
	put_u32(b, l->nrate);
	put_time(b, l->pushed_at, now, utc_ms);
	put_span(b, span_of(l->reply));
}

int learned_get(
    struct reader *r, struct learned *l, uint64_t now, uint64_t utc_ms)
{
	struct span reply;

	learned_init(l);
	if (get_u8(r) != LEARNED_VERSION)
		r->bad = true;
	l->limit = get_u32(r);
	l->ceiling = get_u32(r);
	l->ceiling_raise_at = get_time(r, now, utc_ms);
	l->ceiling_wait_ms = less(get_u64(r), RAISE_MAX_MS);
	l->messages = get_u32(r);
	l->messages_until =
	    less(get_time(r, now, utc_ms), now + MESSAGES_KEPT_MS);
	l->pace = get_u64(r);
	l->pace_ceiling = get_u64(r);
	l->pace_raise_at = less(get_time(r, now, utc_ms), now + RAISE_MAX_MS);
	l->pace_wait_ms = less(get_u64(r), RAISE_MAX_MS);
	l->nrefused = get_u32(r);
	l->ncut = get_u32(r);
	l->nrate = get_u32(r);
	l->pushed_at = less(get_time(r, now, utc_ms), now);
	reply = get_span(r);
	if (r->bad || reply.n > EVIDENCE_MAX || l->limit == 0 ||
	    l->limit > 100000 || span_has_line_breaks(reply)) {
		learned_init(l);
		return -1;
	}
	if (l->ceiling_raise_at > now + RAISE_MAX_MS)
		l->ceiling_raise_at = now + RAISE_MAX_MS;
	memcpy(l->reply, reply.p ? reply.p : "", reply.n);
	l->reply[reply.n] = '\0';
	return 0;
}
