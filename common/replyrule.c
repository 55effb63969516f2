/* Reply rules: the first that fits. */
#include "common/replyrule.h"

#include "common/address.h"
#include "common/pattern.h"

#include <stdio.h>
#include <stdlib.h>

struct rule {
	struct pattern *pattern;
	char *destination; /* NULL: all */
	struct reply_verdict verdict;
};

struct replyrules {
	struct rule *rules;
	size_t n;
};

static const struct {
	const char *name;
	uint8_t action;
} actions[] = { { "as-is", REPLY_AS_IS }, { "retry", REPLY_RETRY },
	{ "bounce", REPLY_BOUNCE }, { "next-host", REPLY_NEXT_HOST },
	{ "suspend", REPLY_SUSPEND }, { "relay", REPLY_RELAY } };

const char *reply_action_name(uint8_t action)
{
	return action < sizeof(actions) / sizeof(*actions)
		   ? actions[action].name
		   : "unknown";
}

int reply_action_of(const char *name)
{
	if (strncmp(name, "relay:", 6) == 0)
		return REPLY_RELAY;
	for (size_t i = 1; i < REPLY_RELAY; i++)
		if (strcmp(actions[i].name, name) == 0)
			return actions[i].action;
	return -1;
}

/* --- rules -----------------------------------------------------------------*/

static int add(struct replyrules *r, const char *pattern,
    const char *destination, struct reply_verdict verdict, struct outcome *why)
{
	struct rule *rule = &r->rules[r->n];

	*rule = (struct rule){ .verdict = verdict };
	rule->pattern = pattern_new(pattern, why);
	if (!rule->pattern)
		return -1;
	r->n++;
	if (!destination)
		return 0;
	rule->destination = strdup(destination);
	return rule->destination ? 0 : outcome_temp(why, "4.3.0", "no memory");
}

static int add_configured(
    struct replyrules *r, const struct conf *conf, struct outcome *why)
{
	for (size_t i = 0; i < conf->nreplies; i++) {
		const struct conf_reply *c = &conf->replies[i];
		int action = reply_action_of(c->action);
		struct reply_verdict verdict = { (uint8_t)action, c->after_s,
			(uint16_t)(i + 1) };

		if (action < 0)
			return outcome_perm(
			    why, "5.3.5", "no such action: %s", c->action);
		if (add(r, c->pattern, c->destination, verdict, why) < 0)
			return -1;
	}
	return 0;
}

static int add_builtin(struct replyrules *r, struct outcome *why)
{
	for (size_t i = 0; reply_builtins[i].name; i++) {
		const struct reply_builtin *b = &reply_builtins[i];
		struct reply_verdict verdict = { b->action, b->after_s,
			(uint16_t)(REPLY_RULE_BUILTIN + 1 + i) };

		if (add(r, b->pattern, NULL, verdict, why) < 0)
			return -1;
	}
	return 0;
}

static size_t count_builtin(void)
{
	size_t n = 0;

	while (reply_builtins[n].name)
		n++;
	return n;
}

struct replyrules *replyrules_new(const struct conf *conf, struct outcome *why)
{
	size_t n = conf->nreplies + count_builtin();
	struct replyrules *r = calloc(1, sizeof(*r));

	if (r)
		r->rules = calloc(n, sizeof(*r->rules));
	if (!r || !r->rules || conf->nreplies > REPLY_RULES_MAX)
		outcome_temp(why, "4.3.0", "no memory for the reply rules");
	else if (add_configured(r, conf, why) == 0 && add_builtin(r, why) == 0)
		return r;
	replyrules_free(r);
	return NULL;
}

void replyrules_free(struct replyrules *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		pattern_free(r->rules[i].pattern);
		free(r->rules[i].destination);
	}
	free(r->rules);
	free(r);
}

struct reply_verdict replyrules_find(
    const struct replyrules *r, struct span reply, struct span domain)
{
	if (reply.n > REPLY_MAX)
		reply.n = REPLY_MAX;
	for (size_t i = 0; i < r->n; i++) {
		const struct rule *rule = &r->rules[i];

		if (rule->destination &&
		    !domain_matches(rule->destination, domain))
			continue;
		if (pattern_matches(rule->pattern, reply))
			return rule->verdict;
	}
	return (struct reply_verdict){ 0 };
}

struct span replyrule_text(struct span reason)
{
	struct span rest = reason;
	struct span step = span_cut(&rest, ':');

	if (step.n == 0 || step.n > 24 || step.p[0] <= '9' || rest.n < 4 ||
	    rest.p[0] != ' ')
		return reason;
	for (size_t i = 1; i < 4; i++)
		if (rest.p[i] < '0' || rest.p[i] > '9')
			return reason;
	return span_from(rest, 1);
}

/* --- between programs ------------------------------------------------------*/

void replyrules_put(struct buf *b, const struct conf *conf)
{
	put_u16(b, (uint16_t)conf->nreplies);
	for (size_t i = 0; i < conf->nreplies; i++) {
		const struct conf_reply *c = &conf->replies[i];

		put_span(b, span_of(c->pattern));
		put_span(b, span_of(c->destination));
		put_u8(b, (uint8_t)reply_action_of(c->action));
		put_u32(b, c->after_s);
	}
}

static int get_rule(struct reader *reader, struct replyrules *r)
{
	char *pattern = span_dup(get_span(reader));
	char *destination = span_dup(get_span(reader));
	struct reply_verdict verdict = { .rule = (uint16_t)(r->n + 1) };
	int status = -1;

	verdict.action = get_u8(reader);
	verdict.after_s = get_u32(reader);
	if (pattern && destination && !reader->bad &&
	    verdict.action <= REPLY_RELAY)
		status = add(r, pattern, destination[0] ? destination : NULL,
		    verdict, NULL);
	free(pattern);
	free(destination);
	return status;
}

struct replyrules *replyrules_get(struct reader *reader)
{
	uint16_t n = get_u16(reader);
	struct replyrules *r = calloc(1, sizeof(*r));

	if (r && n <= REPLY_RULES_MAX)
		r->rules = calloc(n + count_builtin(), sizeof(*r->rules));
	if (r && r->rules) {
		while (n > 0 && get_rule(reader, r) == 0)
			n--;
		if (n == 0 && reader_is_done(reader) &&
		    add_builtin(r, NULL) == 0)
			return r;
	}
	replyrules_free(r);
	return NULL;
}

/* --- names -----------------------------------------------------------------*/

const struct reply_builtin *reply_builtin(uint16_t rule)
{
	if (rule <= REPLY_RULE_BUILTIN ||
	    rule > REPLY_RULE_BUILTIN + count_builtin())
		return NULL;
	return &reply_builtins[rule - REPLY_RULE_BUILTIN - 1];
}

bool reply_is_ours(const struct reply_verdict *verdict)
{
	const struct reply_builtin *builtin = reply_builtin(verdict->rule);

	return builtin && builtin->is_ours;
}

const struct reply_builtin *reply_builtin_named(struct span name)
{
	for (size_t i = 0; reply_builtins[i].name; i++)
		if (span_is_equal(name, span_of(reply_builtins[i].name)))
			return &reply_builtins[i];
	return NULL;
}

static const struct conf_reply *configured(
    const struct conf *conf, uint16_t rule)
{
	return rule >= 1 && rule <= conf->nreplies ? &conf->replies[rule - 1]
						   : NULL;
}

void replyrule_print(
    const struct conf *conf, uint16_t rule, char to[REPLY_RULE_TEXT])
{
	const struct reply_builtin *builtin = reply_builtin(rule);
	const struct conf_reply *c = configured(conf, rule);
	const char *file = c ? strrchr(c->place.file, '/') : NULL;

	to[0] = '\0';
	if (builtin)
		snprintf(to, REPLY_RULE_TEXT, "%s", builtin->name);
	else if (c)
		snprintf(to, REPLY_RULE_TEXT, "%.100s:%d",
		    file ? file + 1 : c->place.file, c->place.line);
}

const char *replyrule_relay(const struct conf *conf, uint16_t rule)
{
	const struct conf_reply *c = configured(conf, rule);

	return c && strncmp(c->action, "relay:", 6) == 0 ? c->action + 6 : NULL;
}
