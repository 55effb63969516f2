/* Summing up a resolution: which hosts can be tried, and else why not. */
#include "remote/mx_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	SITE_MAX = 1000,
	TLSA_BYTES = 98304, /* of all hosts; an answer has an end */
};

bool name_is_host(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= DNS_NAME_MAX && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == n;
}

/* --- addresses that lead nowhere else ------------------------------------- */

static bool is_local_v4(const unsigned char b[4])
{
	return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) ||
	       b[0] >= 224;
}

static bool is_local_v6(const unsigned char b[16])
{
	static const unsigned char zeros[12],
	    mapped[12] = { [10] = 0xff, [11] = 0xff },
	    nat64[12] = { 0, 0x64, 0xff, 0x9b };

	/* zeros: ::, ::1 and the old IPv4-compatible ones */
	if (memcmp(b, zeros, 12) == 0 || memcmp(b, mapped, 12) == 0 ||
	    memcmp(b, nat64, 12) == 0)
		return is_local_v4(b + 12);
	return (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || b[0] == 0xff;
}

bool mx_is_local(struct span bytes)
{
	const unsigned char *b = (const unsigned char *)bytes.p;

	return bytes.n == 4 ? is_local_v4(b) : bytes.n != 16 || is_local_v6(b);
}

/* --- one host ------------------------------------------------------------- */

static void say_local(const struct candidate *c, struct outcome *why)
{
	struct span bytes = { (const char *)c->local.bytes, c->local.nbytes };
	union net_address address;
	char text[NET_TEXT_MAX] = "?";

	if (net_from_bytes(bytes, 0, &address) == 0)
		net_print_ip(&address, text);
	outcome_perm(why, "5.4.6",
	    "%s leads to %s, which is not followed (allow-local-mx is off)",
	    c->name, text);
}

static void say_why(const struct candidate *c, struct outcome *why)
{
	if (c->is_no_host)
		outcome_perm(
		    why, "5.4.4", "the MX \"%s\" is not a host name", c->name);
	else if (c->has_failed)
		outcome_temp(
		    why, "4.4.3", "address of %s: %s", c->name, c->failure);
	else if (c->nlocal > 0)
		say_local(c, why);
	else if (c->has_no_name)
		outcome_perm(
		    why, "5.4.4", "%s does not exist (NXDOMAIN)", c->name);
	else if (c->resolution->is_implicit)
		outcome_perm(
		    why, "5.4.4", "%s has neither MX nor address", c->name);
	else
		outcome_perm(why, "5.4.4", "%s has no address", c->name);
}

/* IPv6 first; when there are too many, both families get their share. */
static void fill_addresses(const struct candidate *c, struct host *h)
{
	const unsigned half = ADDRESSES_MAX / 2;
	unsigned nv6 = c->nv6, nv4 = c->nv4;

	if (nv6 + nv4 > ADDRESSES_MAX) {
		nv6 = nv4 < half   ? ADDRESSES_MAX - nv4
		      : nv6 < half ? nv6
				   : half;
		nv4 = ADDRESSES_MAX - nv6;
	}
	for (unsigned i = 0; i < nv6; i++)
		h->addresses[h->naddresses++] =
		    (struct span){ (const char *)c->v6[i], 16 };
	for (unsigned i = 0; i < nv4; i++)
		h->addresses[h->naddresses++] =
		    (struct span){ (const char *)c->v4[i], 4 };
}

static void fill_host(struct candidate *c, struct host *h, size_t *room)
{
	h->name = span_of(c->name);
	h->preference = c->preference;
	h->port = c->resolution->port;
	h->implicit_tls = c->resolution->implicit_tls;
	fill_addresses(c, h);
	if (h->naddresses == 0)
		say_why(c, &h->why);
	h->policy.is_secure = c->resolution->is_validated && c->is_validated &&
			      !c->is_unvalidated;
	dane_fill(c, h, room);
	sts_fill(c, h);
}

void host_leave_out(struct host *h, const char *status, const char *text)
{
	h->naddresses = 0;
	outcome_temp(&h->why, status, "%s", text);
}

/* --- all ------------------------------------------------------------------ */

static int by_name(const void *one, const void *other)
{
	const char *const *a = one, *const *b = other;

	return strcmp(*a, *b);
}

/* The host names in alphabetical order; very long ones by their hash. */
static void print_site(const struct resolution *r, struct buf *site)
{
	const char *names[HOSTS_MAX] = { "" };
	uint64_t hash = 0xcbf29ce484222325U;

	for (size_t i = 0; i < r->ncandidates; i++)
		names[i] = r->candidates[i].name;
	qsort(names, r->ncandidates, sizeof(*names), by_name);
	for (size_t i = 0; i < r->ncandidates; i++) {
		buf_printf(site, i ? ",%s" : "%s", names[i]);
		for (const char *p = names[i]; *p; p++)
			hash = (hash ^ (unsigned char)*p) * 0x100000001b3U;
		hash *= 0x100000001b3U;
	}
	if (!site->overflow)
		return;
	buf_clear(site);
	buf_printf(site, "%s,...%016llx", names[0], (unsigned long long)hash);
}

/* Nobody can be reached: a host of which nothing is known outweighs those of
 * which it is known that they are not there. */
static void sum_up(const struct resolve_answer *a, struct outcome *outcome)
{
	for (size_t i = 0; i < a->nhosts; i++)
		if (a->hosts[i].naddresses > 0) {
			outcome_ok(outcome);
			return;
		}
	outcome_perm(outcome, "5.4.4", "no MX that could be used");
	for (size_t i = 0; i < a->nhosts; i++)
		if (i == 0 || (a->hosts[i].why.verdict == VERDICT_TEMP &&
				  outcome->verdict != VERDICT_TEMP))
			*outcome = a->hosts[i].why;
}

static void fill_answer(const struct resolution *r, struct resolve_answer *a)
{
	size_t room = TLSA_BYTES;

	a->hosts =
	    calloc(r->ncandidates ? r->ncandidates : 1, sizeof(*a->hosts));
	if (!a->hosts) {
		outcome_temp(&a->outcome, "4.3.0", "out of memory");
		return;
	}
	for (size_t i = 0; i < r->ncandidates; i++)
		fill_host(&r->candidates[i], &a->hosts[a->nhosts++], &room);
	sum_up(a, &a->outcome);
}

void resolution_finish(struct resolution *r)
{
	struct resolve_answer a = { .outcome = r->outcome, .ttl_s = r->ttl_s };
	struct buf site, lines;

	buf_init(&site, SITE_MAX);
	buf_init(&lines, TLS_LINES_MAX);
	if (r->outcome.verdict == VERDICT_OK) {
		fill_answer(r, &a);
		print_site(r, &site);
		a.site = buf_span(&site);
		sts_print_lines(r, &lines);
		a.lines = buf_span(&lines);
	}
	if (a.outcome.verdict == VERDICT_TEMP)
		a.ttl_s = TTL_TEMP_S;
	r->answered(&a, r->arg);
	resolve_answer_free(&a);
	buf_clear(&site);
	buf_clear(&lines);
	for (size_t i = 0; i < r->ncandidates; i++)
		dns_answer_release(r->candidates[i].dane.tlsa);
	if (r->has_sts)
		sts_entry_clear(&r->sts);
	free(r->candidates);
	free(r);
}
