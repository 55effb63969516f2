/* What the configuration says of a message that comes in. */
#include "common/policy.h"

int policy_fit(const char *pattern, struct span address, uint32_t uid)
{
	struct span text = span_of(pattern);
	uint64_t number;

	if (span_has_prefix_nocase(text, "uid:"))
		return uid != UINT32_MAX &&
			       span_to_u64(span_from(text, 4), UINT32_MAX,
				   &number) == 0 &&
			       number == uid
			   ? 2
			   : 0;
	if (pattern[0] != '@')
		return span_is_equal_nocase(text, address) ? 3 : 0;
	if (address.n <= text.n)
		return 0;
	return span_is_equal_nocase(
		   text, span_from(address, address.n - text.n))
		   ? 1
		   : 0;
}

static bool is_allowed(
    const struct conf_restrict *r, const struct policy_sender *sender)
{
	for (size_t i = 0; i < r->allow.count; i++) {
		const char *pattern = r->allow.items[i];

		if (policy_fit(pattern, sender->address, sender->uid) > 0)
			return true;
		if (sender->login.n > 0 &&
		    span_is_equal(span_of(pattern), sender->login))
			return true;
	}
	return false;
}

int policy_may_send(const struct conf *conf, const struct policy_sender *sender,
    struct span recipient, struct outcome *why)
{
	for (size_t i = 0; i < conf->nrestricts; i++) {
		const struct conf_restrict *r = &conf->restricts[i];

		if (policy_fit(r->pattern, recipient, UINT32_MAX) == 0 ||
		    is_allowed(r, sender))
			continue;
		return outcome_perm(why, "5.7.1",
		    "only some may write to %.*s (restrict \"%s\")",
		    (int)recipient.n, recipient.p, r->pattern);
	}
	return outcome_ok(why);
}

const struct conf_sender *policy_sender_block(
    const struct conf *conf, struct span address, uint32_t uid)
{
	const struct conf_sender *best = NULL;
	int best_fit = 0;

	for (size_t i = 0; i < conf->nsenders; i++) {
		int fit = policy_fit(conf->senders[i].pattern, address, uid);

		if (fit <= best_fit)
			continue;
		best = &conf->senders[i];
		best_fit = fit;
	}
	return best;
}
