/* The MTA-STS policy of a resolution's domain: which hosts may take its mail,
 * and that they must show a certificate for their name. RFC 8461 section 4.
 *
 * It is the domain's own: others that share the host have theirs. Where DANE
 * says more about a host, it counts (RFC 8461 section 2).
 */
#include "remote/mx_parts.h"

#include "common/conf.h"

#include <stdio.h>

enum { SHOWN_MX = 4 };

static void on_policy(const struct sts_entry *e, uint32_t ttl_s, void *arg)
{
	struct resolution *r = arg;

	if (ttl_s < r->ttl_s)
		r->ttl_s = ttl_s;
	if (e && e->policy.mode != STS_NONE) {
		if (sts_entry_copy(&r->sts, e) == 0)
			r->has_sts = true;
		else /* not to be taken for a domain without a policy */
			outcome_temp(&r->outcome, "4.3.0", "out of memory");
	}
	resolution_go_on(r);
}

void sts_begin(struct resolution *r)
{
	r->pending++;
	sts_ask(r->options.sts, r->name, on_policy, r);
}

/* What has been said of the host so far holds on. */
static bool is_outranked(const struct host_policy *p, bool is_shadow)
{
	if (p->kind == TLS_POLICY_NONE)
		return false;
	if (p->is_shadow)
		return is_shadow;
	return p->kind == TLS_POLICY_DANE || is_shadow;
}

static void print_evidence(
    const struct resolution *r, bool is_listed, struct buf *text)
{
	const struct sts_policy *p = &r->sts.policy;

	buf_printf(text,
	    "MTA-STS policy of %s (%s, id %s, max_age %u)%s:", r->name,
	    sts_mode_name(p->mode), r->sts.id, p->max_age_s,
	    is_listed ? "" : ", which this host is not in");
	for (size_t i = 0; i < p->nmx && i < SHOWN_MX; i++)
		buf_printf(text, " mx %s",
		    log_escape((struct span){
			p->mx[i].p, p->mx[i].n < 80 ? p->mx[i].n : 80 }));
	if (p->nmx > SHOWN_MX)
		buf_printf(text, " and %zu more", p->nmx - SHOWN_MX);
}

static void forbid(struct candidate *c, struct host *h)
{
	char why[400];

	snprintf(why, sizeof(why),
	    "%.120s is not in the MTA-STS policy of %.120s", c->name,
	    c->resolution->name);
	host_leave_out(h, "4.7.5", why);
}

void sts_fill(struct candidate *c, struct host *h)
{
	const struct resolution *r = c->resolution;
	struct host_policy *p = &h->policy;
	bool is_listed, is_shadow, is_secure = p->is_secure;
	struct buf text;

	if (!r->has_sts || h->naddresses == 0)
		return;
	is_shadow = r->sts.policy.mode == STS_TESTING ||
		    r->options.mta_sts == SWITCH_SHADOW;
	if (is_outranked(p, is_shadow))
		return;
	is_listed = sts_policy_has(&r->sts.policy, span_of(c->name));
	buf_init(&text, sizeof(c->sts_evidence) - 1);
	print_evidence(r, is_listed, &text);
	snprintf(
	    c->sts_evidence, sizeof(c->sts_evidence), "%s", buf_text(&text));
	buf_clear(&text);
	*p = (struct host_policy){ .kind = TLS_POLICY_STS,
		.is_shadow = is_shadow,
		.is_secure = is_secure,
		.domain = span_of(r->name),
		.evidence = span_of(c->sts_evidence),
		.names = { span_of(c->name) },
		.nnames = 1 };
	if (!is_listed && !is_shadow)
		forbid(c, h);
}

static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] > 0x7e)
			return false;
	return s.n > 0;
}

void sts_print_lines(const struct resolution *r, struct buf *lines)
{
	const struct sts_policy *p = &r->sts.policy;

	if (!r->has_sts)
		return;
	buf_printf(lines, "version: STSv1\nmode: %s\nmax_age: %u\n",
	    sts_mode_name(p->mode), p->max_age_s);
	for (size_t i = 0; i < p->nmx; i++)
		if (is_plain(p->mx[i]) &&
		    lines->len + p->mx[i].n + 8 < lines->limit)
			buf_printf(
			    lines, "mx: %.*s\n", (int)p->mx[i].n, p->mx[i].p);
}
