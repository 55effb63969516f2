/* What the configuration says of a message that comes in: may this sender write
 * to that recipient, and is it held for a while. Pure.
 */
#ifndef COMMON_POLICY_H
#define COMMON_POLICY_H

#include "common/conf.h"
#include "common/outcome.h"

struct policy_sender {
	struct span address; /* of the envelope; empty: null */
	struct span login;   /* authenticated name; empty: none */
	uint32_t uid;	     /* UINT32_MAX: not a user of this machine */
};

/* How closely a pattern ("alice@example.net", "@example.net", "uid:1000")
 * fits: 0 not at all, 3 the very address. */
int policy_fit(const char *pattern, struct span address, uint32_t uid);

/* restrict { allow }: 0, or -1 with *why (5.7.1), which names the block. */
int policy_may_send(const struct conf *conf, const struct policy_sender *sender,
    struct span recipient, struct outcome *why);

/* The sender block that fits best, or NULL. */
const struct conf_sender *policy_sender_block(
    const struct conf *conf, struct span address, uint32_t uid);

#endif
