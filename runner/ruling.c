/* What reply rules make of a result. */
#include "runner/ruling.h"

#include "common/utf8.h"

#include <stdio.h>

/* Said behind the server's words; REPLY_MAX holds both. */
enum { FINAL_TEXT = REPLY_RULE_TEXT + 40 };

static void set_class(struct rcpt_outcome *o, char class)
{
	if (o->status[0])
		o->status[0] = class;
	else
		snprintf(o->status, sizeof(o->status), "%c.0.0", class);
}

static void make_final(
    const struct conf *conf, struct rcpt_outcome *o, struct buf *texts)
{
	char rule[REPLY_RULE_TEXT];
	struct span reply = { o->reply.p,
		utf8_cut(o->reply, REPLY_MAX - FINAL_TEXT) };
	size_t before = texts->len;

	o->result = RCPT_FAILED;
	set_class(o, '5');
	replyrule_print(conf, o->rule, rule);
	buf_put_raw(texts, reply);
	buf_printf(texts, " (final by reply rule %s)", rule);
	/* reserved at once: it does not move */
	if (!texts->overflow)
		o->reply = span_from(buf_span(texts), before);
}

static void make_wait(struct rcpt_outcome *o)
{
	o->result = RCPT_DEFERRED;
	set_class(o, '4');
}

/* The relay that the rule sends it to; NULL: there is none, or it was there
 * and this is its word. */
static const char *new_relay(
    const struct conf *conf, struct span relay, const struct rcpt_outcome *o)
{
	const char *name = replyrule_relay(conf, o->rule);

	if (!name || !conf_relay(conf, name) ||
	    span_is_equal(relay, span_of(name)))
		return NULL;
	return name;
}

static int strength(uint8_t action)
{
	switch (action) {
	case REPLY_SUSPEND:
		return 3;
	case REPLY_RELAY:
		return 2;
	case REPLY_RETRY:
		return 1;
	default:
		return 0;
	}
}

/* Nothing said counts as longer than anything. */
static bool is_sooner(uint32_t a, uint32_t b)
{
	return a > 0 && (b == 0 || a < b);
}

static void take_over(const struct conf *conf, struct span relay,
    const struct rcpt_outcome *o, struct ruling *v)
{
	const struct reply_builtin *builtin = reply_builtin(o->rule);
	int more = strength(o->action) - strength(v->action);

	if (more < 0 || (more == 0 && !is_sooner(o->after_s, v->after_s)))
		return;
	v->action = o->action;
	v->after_s = o->after_s;
	v->is_builtin = builtin != NULL;
	v->is_most = builtin && builtin->is_most;
	v->relay = o->action == REPLY_RELAY ? new_relay(conf, relay, o) : NULL;
	replyrule_print(conf, o->rule, v->rule);
}

static bool is_ruled(const struct rcpt_outcome *o)
{
	return o->action != REPLY_AS_IS &&
	       (o->result == RCPT_DEFERRED || o->result == RCPT_FAILED);
}

struct ruling ruling_apply(const struct conf *conf, struct span relay,
    struct rcpt_outcome *outcomes, size_t n, struct buf *texts)
{
	struct ruling v = { 0 };

	buf_reserve(texts, n * REPLY_MAX);
	for (size_t i = 0; i < n; i++) {
		struct rcpt_outcome *o = &outcomes[i];

		if (!is_ruled(o))
			continue;
		if (o->action == REPLY_RELAY && !new_relay(conf, relay, o))
			o->action = REPLY_AS_IS;
		if (o->action == REPLY_BOUNCE)
			make_final(conf, o, texts);
		else if (strength(o->action) > 0)
			make_wait(o);
		if (strength(o->action) > 0)
			take_over(conf, relay, o, &v);
		else if (!v.rule[0])
			replyrule_print(conf, o->rule, v.rule);
	}
	return v;
}

uint64_t ruling_next_ms(const struct ruling *v, uint64_t now_ms,
    uint64_t by_settings_ms, unsigned attempts, int jitter_percent,
    uint64_t random)
{
	uint64_t wait = (uint64_t)v->after_s * 1000, jitter;

	if (v->action == REPLY_RELAY)
		return now_ms + RELAY_SOON_MS;
	if (v->action == REPLY_SUSPEND && wait == 0)
		wait = SUSPEND_S * 1000;
	if (wait == 0 || (v->is_most && by_settings_ms < now_ms + wait))
		return by_settings_ms;
	/* never sooner than the rule says */
	jitter = wait * (uint64_t)jitter_percent / 100;
	wait += jitter > 0 ? random % (jitter + 1) : 0;
	if (v->is_builtin && attempts > BUILTIN_TRIES &&
	    now_ms + wait < by_settings_ms)
		return by_settings_ms;
	return now_ms + wait;
}

struct span ruling_cause(const struct ruling *v, const char *word,
    struct span relay, char to[CAUSE_MAX + 1])
{
	struct buf text;
	size_t n;

	buf_init(&text, CAUSE_MAX);
	buf_puts(&text, word);
	if (v->rule[0])
		buf_printf(&text, " rule=%s", v->rule);
	if (v->relay)
		buf_printf(&text, " relay=%s", v->relay);
	else if (relay.n > 0)
		buf_printf(&text, " relay=%.*s", (int)relay.n, relay.p);
	n = text.len;
	memcpy(to, text.data ? text.data : "", n);
	to[n] = '\0';
	buf_clear(&text);
	return (struct span){ to, n };
}
