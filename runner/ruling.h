/* What reply rules make of a result: which recipients fail though the server
 * may take them later, which wait though it said no, and until when. Pure. */
#ifndef RUNNER_RULING_H
#define RUNNER_RULING_H

#include "common/cause.h"
#include "common/replyrule.h"

enum {
	SUSPEND_S = 3600, /* when the rule does not say how long */
	RELAY_SOON_MS = 1000,
	BUILTIN_TRIES = 12, /* a built-in rule's wait holds for so many
			     * attempts; then the schedule's, if longer */
};

struct ruling {
	uint8_t action;	  /* the one that decides when to try again */
	uint32_t after_s; /* 0: by the settings */
	bool is_builtin, is_most;
	const char *relay; /* borrowed from conf; NULL: none */
	char rule[REPLY_RULE_TEXT];
};

/* Change the outcomes by their actions. relay: by which a rule has sent this
 * delivery already, or empty. texts: room for replies that say which rule made
 * them final; outcomes point into it. Of several recipients that wait the
 * strongest action decides: suspend, relay, the shortest retry. */
struct ruling ruling_apply(const struct conf *conf, struct span relay,
    struct rcpt_outcome *outcomes, size_t n, struct buf *texts);

/* When to try again. by_settings_ms: what the settings say; both UTC. */
uint64_t ruling_next_ms(const struct ruling *v, uint64_t now_ms,
    uint64_t by_settings_ms, unsigned attempts, int jitter_percent,
    uint64_t random);

/* "retry rule=... relay=..." into to. relay: as above. */
struct span ruling_cause(const struct ruling *v, const char *word,
    struct span relay, char to[CAUSE_MAX + 1]);

#endif
