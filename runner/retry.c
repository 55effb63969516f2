/* When to try again, and when to give up. */
#include "runner/retry.h"

enum {
	SOON_MS = 30000,
	LEAST_MS = 1000,
	PROBE_FIRST_MS = 60000,
	PROBE_MAX_MS = 1800000,
};

static const char *const names[CAUSE_COUNT] = {
	[CAUSE_NONE] = "",
	[CAUSE_RETRY] = "retry",
	[CAUSE_CONNECT] = "connect",
	[CAUSE_DNS] = "dns",
	[CAUSE_SUSPENDED] = "suspended",
	[CAUSE_UNCERTAIN] = "uncertain",
	[CAUSE_LINE_DIED] = "line-died",
	[CAUSE_UNTOUCHED] = "line-busy",
};

const char *cause_name(enum cause cause)
{
	return (unsigned)cause < CAUSE_COUNT ? names[cause] : "";
}

bool cause_counts(enum cause cause)
{
	return cause != CAUSE_NONE && cause != CAUSE_UNTOUCHED;
}

static uint64_t longest(const struct conf_retry *conf)
{
	uint64_t max = (uint64_t)conf->max_wait_s * 1000;
	uint64_t first = (uint64_t)conf->wait_s * 1000;

	return max > first ? max : first;
}

static uint64_t grown_wait(const struct conf_retry *conf, unsigned attempts)
{
	double wait = (double)conf->wait_s * 1000;
	double max = (double)longest(conf);

	for (unsigned i = 1; i < attempts && wait < max; i++) {
		if (conf->factor <= 1.0)
			break;
		wait *= conf->factor;
	}
	return (uint64_t)(wait < max ? wait : max);
}

static uint64_t base_wait(
    const struct conf_retry *conf, const struct retry_case *c)
{
	if (c->cause == CAUSE_UNTOUCHED)
		return SOON_MS;
	return grown_wait(conf, c->attempts);
}

static uint64_t with_jitter(uint64_t wait, int percent, uint64_t random)
{
	uint64_t most = percent > 0 ? wait * (uint64_t)percent / 100 : 0;

	if (most == 0)
		return wait;
	return wait - most + random % (2 * most + 1);
}

struct retry_plan retry_plan(
    const struct conf_retry *conf, const struct retry_case *c)
{
	struct retry_plan plan = { 0 };
	uint64_t wait = base_wait(conf, c);

	plan.ends_at =
	    c->expires_at ? c->expires_at : c->accepted_at + conf->lifetime_s;
	if (c->now_ms / 1000 >= plan.ends_at ||
	    (conf->attempts > 0 && cause_counts(c->cause) &&
		c->attempts > (unsigned)conf->attempts)) {
		plan.gives_up = true;
		return plan;
	}
	wait = with_jitter(wait, conf->jitter_percent, c->random);
	if (wait < LEAST_MS)
		wait = LEAST_MS;
	plan.next_try_ms = c->now_ms + wait;
	/* a last attempt at the end of its life */
	if (plan.next_try_ms > plan.ends_at * 1000)
		plan.next_try_ms = plan.ends_at * 1000;
	plan.warns = conf->warn_after_s > 0 && !c->is_warned &&
		     c->now_ms / 1000 >= c->accepted_at + conf->warn_after_s;
	return plan;
}

static uint32_t at_most(uint64_t ms, uint32_t most)
{
	if (ms < LEAST_MS)
		return LEAST_MS;
	return ms < most ? (uint32_t)ms : most;
}

uint32_t retry_probe_max_ms(const struct conf_retry *conf)
{
	uint64_t wait =
	    conf->factor > 1.0 ? longest(conf) : (uint64_t)conf->wait_s * 1000;

	return at_most(wait, PROBE_MAX_MS);
}

uint32_t retry_probe_first_ms(const struct conf_retry *conf)
{
	return at_most((uint64_t)conf->wait_s * 1000, PROBE_FIRST_MS);
}
