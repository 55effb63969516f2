/* TLSA records of the hosts of a resolution: RFC 7672 section 2.2.
 *
 * They are asked for only where both the host's name (MX) and its addresses are
 * validated: what a zone without DNSSEC answers to TLSA, or does not, must not
 * keep its mail. A host whose records cannot be had is not used, since somebody
 * may keep them from us.
 *
 *     addresses validated    no alias: TLSA at the name
 *                            aliases: at their end, else at the name
 *     not, but the alias is  TLSA at the name
 */
#include "remote/mx_parts.h"

#include "common/conf.h"

#include <stdio.h>

enum { OWNER_MAX = 253 };

static void ask_tlsa(struct candidate *c, const char *base);

static void say_not_known(struct candidate *c, const char *why)
{
	c->dane.has_failed = true;
	snprintf(c->dane.why, sizeof(c->dane.why), "%s", why);
}

static void on_tlsa(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	struct candidate *c = arg;
	struct dane *d = &c->dane;

	resolution_heard(c->resolution, a, ttl_s);
	if (a->status == DNS_FAILED)
		say_not_known(c, a->detail);
	else if (a->status == DNS_FOUND && a->is_secure)
		d->tlsa = dns_answer_hold(a);
	else if (d->base == d->alias)
		ask_tlsa(c, c->name);
	resolution_go_on(c->resolution);
}

static void ask_tlsa(struct candidate *c, const char *base)
{
	struct dane *d = &c->dane;
	struct resolution *r = c->resolution;
	int n;

	d->base = base;
	n = snprintf(d->owner, sizeof(d->owner), "_%u._tcp.%s", r->port, base);
	/* Too long for a name: nothing can be there. */
	if (n > OWNER_MAX)
		return;
	r->pending++;
	dns_ask(r->options.client, d->owner, DNS_TLSA, on_tlsa, c);
}

/* The end of the aliases is in a zone without DNSSEC: does the first one hold?
 */
static void on_alias(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	struct candidate *c = arg;

	resolution_heard(c->resolution, a, ttl_s);
	if (a->status == DNS_FAILED) {
		snprintf(c->dane.owner, sizeof(c->dane.owner), "%s", c->name);
		say_not_known(c, a->detail);
	} else if (a->status == DNS_FOUND && a->is_secure) {
		ask_tlsa(c, c->name);
	}
	resolution_go_on(c->resolution);
}

void dane_begin(struct candidate *c)
{
	struct resolution *r = c->resolution;

	if (!r->wants_dane || !r->is_validated || c->nv4 + c->nv6 == 0)
		return;
	if (!c->is_unvalidated && c->is_validated) {
		ask_tlsa(
		    c, name_is_host(c->dane.alias) ? c->dane.alias : c->name);
	} else if (c->dane.alias[0]) {
		r->pending++;
		dns_ask(r->options.client, c->name, DNS_CNAME, on_alias, c);
	}
}

/* --- the answer ----------------------------------------------------------- */

static void add_name(struct host_policy *p, const char *name)
{
	for (unsigned i = 0; i < p->nnames; i++)
		if (span_is_equal(p->names[i], span_of(name)))
			return;
	p->names[p->nnames++] = span_of(name);
}

/* RFC 7672 sections 2.2.1 and 3.2.2: the base domain, where the mail is to go,
 * and what the base domain was called before aliases. */
static void add_names(const struct candidate *c, struct host_policy *p)
{
	add_name(p, c->dane.base);
	add_name(p, c->resolution->name);
	add_name(p, c->name);
}

static void fill_failure(struct candidate *c, struct host *h)
{
	struct dane *d = &c->dane;
	bool is_shadow = c->resolution->options.dane == SWITCH_SHADOW;

	snprintf(d->evidence, sizeof(d->evidence),
	    "DANE: %s of %s: %s; %s without knowing its TLSA records",
	    d->base ? "TLSA" : "CNAME", d->owner, d->why,
	    is_shadow ? "dane = shadow: used" : "the host is not used");
	h->policy.evidence = span_of(d->evidence);
	h->policy.is_shadow = is_shadow;
	if (!is_shadow)
		host_leave_out(h, "4.7.5", d->evidence);
}

static size_t count_bytes(const struct host_policy *p)
{
	size_t n = 0;

	for (unsigned i = 0; i < p->ntlsa; i++)
		n += p->tlsa[i].data.n;
	return n;
}

static void fill_records(struct candidate *c, struct host *h, size_t *room)
{
	struct dane *d = &c->dane;
	struct host_policy *p = &h->policy;
	size_t n;

	tlsa_fill(d->tlsa, p);
	tlsa_evidence(p, d->tlsa, d->owner, d->evidence);
	p->is_secure = true;
	p->is_shadow = c->resolution->options.dane == SWITCH_SHADOW;
	p->domain = span_of(d->base);
	p->evidence = span_of(d->evidence);
	add_names(c, p);
	n = count_bytes(p);
	if (n > *room) {
		p->ntlsa = 0;
		host_leave_out(
		    h, "4.7.5", "DANE: more TLSA records than are taken");
		return;
	}
	*room -= n;
}

static void fill_absence(struct candidate *c, struct host *h)
{
	struct dane *d = &c->dane;

	if (d->base)
		snprintf(d->evidence, sizeof(d->evidence), "no TLSA at %s",
		    d->owner);
	else
		snprintf(d->evidence, sizeof(d->evidence),
		    "no DANE: %s of %s not DNSSEC-validated",
		    c->resolution->is_validated ? "address" : "MX",
		    c->resolution->is_validated ? c->name
						: c->resolution->name);
	h->policy.evidence = span_of(d->evidence);
}

void dane_fill(struct candidate *c, struct host *h, size_t *room)
{
	if (!c->resolution->wants_dane || h->naddresses == 0)
		return;
	if (c->dane.has_failed)
		fill_failure(c, h);
	else if (c->dane.tlsa)
		fill_records(c, h, room);
	else
		fill_absence(c, h);
}
