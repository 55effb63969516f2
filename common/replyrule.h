/* Reply rules: what to make of a server's refusal beyond its code.
 *
 * The rules of the configuration in the order of the file, then the built-in
 * ones (replyrule_table.c); the first that fits. A rule is a pattern
 * (common/pattern.h) on the reply in one line, "451 4.7.1 Greylisted / later",
 * the enhanced code only where the server gave one; at most REPLY_MAX bytes of
 * it are looked at.
 */
#ifndef COMMON_REPLYRULE_H
#define COMMON_REPLYRULE_H

#include "common/conf.h"
#include "common/messages.h"

enum {
	REPLY_RULES_MAX = 200, /* in a configuration */
	REPLY_RULE_TEXT = 128, /* bytes of its name with NUL */
};

struct reply_verdict {
	uint8_t action;	  /* enum reply_action */
	uint32_t after_s; /* 0: not given */
	uint16_t rule;	  /* as in struct rcpt_outcome; 0: none fits */
};

struct replyrules;

/* NULL with *why: out of memory, or a pattern that conf_load would refuse. */
struct replyrules *replyrules_new(const struct conf *conf, struct outcome *why);
void replyrules_free(struct replyrules *rules); /* NULL is fine */

/* The configuration's rules for another program; get returns them with the
 * built-in ones, or NULL. */
void replyrules_put(struct buf *b, const struct conf *conf);
struct replyrules *replyrules_get(struct reader *r);

/* domain: of the recipient. What one call costs is bounded by the number and
 * the size of the rules (PATTERN_STEPS_MAX). */
struct reply_verdict replyrules_find(
    const struct replyrules *rules, struct span reply, struct span domain);

/* How results carry what a server said before the first message: "banner: 554
 * no". The reply alone; the text itself when it has no such beginning. */
struct span replyrule_text(struct span reason);

/* "retry", "next-host"...; "as-is" for none. */
const char *reply_action_name(uint8_t action);
/* What the configuration calls an action; -1: none. "relay:NAME" is one. */
int reply_action_of(const char *name);

struct reply_builtin {
	const char *name;
	const char *pattern;
	uint8_t action;
	uint32_t after_s;
	const char *why; /* one sentence */
	bool is_most;	 /* after is the longest: settings may say sooner */
	bool is_ours; /* about the address we come from: another family first */
};
/* The verdict is about the address we come from, not about the mail. */
bool reply_is_ours(const struct reply_verdict *verdict);
/* By the number in a verdict, by the name; NULL: it is not built in. */
const struct reply_builtin *reply_builtin(uint16_t rule);
const struct reply_builtin *reply_builtin_named(struct span name);
/* All of them, in order, ended by a NULL name. */
extern const struct reply_builtin reply_builtins[];

/* The rule as people know it: "outpost.conf:12" or the name of a built-in one;
 * "" for none, or for one that the configuration does not have. */
void replyrule_print(
    const struct conf *conf, uint16_t rule, char to[REPLY_RULE_TEXT]);
/* The relay of a rule "relay:NAME"; NULL: it has none. */
const char *replyrule_relay(const struct conf *conf, uint16_t rule);

#endif
