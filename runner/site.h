/* Sites: destinations whose hosts are the same share their sessions, what was
 * learned of them, and their fate. A destination without such a set (a relay, a
 * route) is a site of its own. Part of the schedule. */
#ifndef RUNNER_SITE_H
#define RUNNER_SITE_H

#include "runner/gate.h"
#include "runner/learn.h"
#include "runner/table.h"

struct destination;
struct schedule;
struct line;

struct site {
	struct table_link link;
	TAILQ_ENTRY(site) idle;
	bool is_idle;
	char *name;
	struct gate gate;
	struct learned learned;
	LIST_HEAD(, destination) members;
	unsigned nmembers;
	unsigned sessions_max;	    /* of its members' limits, the highest */
	struct destination *leader; /* DOWN, PROBE: the one that probes */
	bool is_changed;	    /* what is learned: to be remembered */
};

/* Made when it is new. NULL without memory. */
struct site *site_find(struct schedule *s, struct span name, bool may_make);
void site_free(struct schedule *s, struct site *site);
void site_join(
    struct schedule *s, uint64_t now, struct destination *d, struct site *site);
void site_leave(struct schedule *s, struct destination *d);
/* What it may have now, after something was learned. */
void site_update(struct schedule *s, uint64_t now, struct site *site);
/* Without members, sessions and evidence it is forgotten. */
void site_check_idle(struct schedule *s, struct site *site);
void site_limit_changed(struct site *site, unsigned connections);
bool site_has_proven_session(const struct schedule *s, const struct site *site);

/* d went down; its site follows. */
void site_follow(struct schedule *s, struct destination *d);
/* One of it works: so do all. */
void site_up(struct schedule *s, struct destination *d);
/* It is to probe and has no mail: another one that has does. */
void site_find_prober(struct schedule *s, struct destination *d);
/* d has mail and its leader has not: d probes. */
void site_take_lead(struct schedule *s, struct destination *d);

#endif
