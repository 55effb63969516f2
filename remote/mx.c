/* The resolution of one name: MX, then the addresses of all hosts and the
 * domain's MTA-STS policy at once, then the TLSA records of those that have
 * validated ones. */
#include "remote/mx.h"

#include "remote/mx_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* --- addresses ------------------------------------------------------------ */

static void keep_addresses(
    struct candidate *c, const struct dns_answer *a, bool is_v6)
{
	for (size_t i = 0; i < a->nrecords; i++) {
		const struct dns_record *r = &a->records[i];
		struct span bytes = { (const char *)r->bytes, r->nbytes };

		if (!c->resolution->allow_local && mx_is_local(bytes)) {
			if (c->nlocal++ == 0)
				c->local = *r;
			continue;
		}
		if (is_v6 && c->nv6 < ADDRESSES_MAX)
			memcpy(c->v6[c->nv6++], r->bytes, 16);
		else if (!is_v6 && c->nv4 < ADDRESSES_MAX)
			memcpy(c->v4[c->nv4++], r->bytes, 4);
	}
}

/* That one kind is missing must not cost a question a message; what failed is
 * asked for again soon, though other hosts were found. */
void resolution_heard(
    struct resolution *r, const struct dns_answer *a, uint32_t ttl_s)
{
	if (a->status != DNS_FOUND && ttl_s < TTL_NO_S)
		ttl_s = TTL_NO_S;
	if (a->status == DNS_FAILED)
		ttl_s = TTL_NO_S;
	if (ttl_s < r->ttl_s)
		r->ttl_s = ttl_s;
}

void resolution_go_on(struct resolution *r)
{
	if (--r->pending == 0)
		resolution_finish(r);
}

/* RFC 7672 section 2.1.1: what was found counts. */
static void keep_security(struct candidate *c, const struct dns_answer *a)
{
	if (a->is_secure)
		c->is_validated = true;
	else
		c->is_unvalidated = true;
	if (a->alias && strlen(a->alias) < sizeof(c->dane.alias))
		snprintf(c->dane.alias, sizeof(c->dane.alias), "%s", a->alias);
}

static void take_answer(
    struct candidate *c, const struct dns_answer *a, uint32_t ttl_s, bool is_v6)
{
	struct resolution *r = c->resolution;

	resolution_heard(r, a, ttl_s);
	if (a->status == DNS_FOUND)
		keep_security(c, a);
	if (a->status == DNS_FAILED) {
		c->has_failed = true;
		snprintf(c->failure, sizeof(c->failure), "%s", a->detail);
	}
	if (a->status == DNS_NO_NAME)
		c->has_no_name = true;
	keep_addresses(c, a, is_v6);
	if (--c->pending == 0)
		dane_begin(c);
	resolution_go_on(r);
}

static void on_v4(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	take_answer(arg, a, ttl_s, false);
}

static void on_v6(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	take_answer(arg, a, ttl_s, true);
}

static bool take_hosts_file(struct candidate *c)
{
	const struct resolution *r = c->resolution;
	struct dns_answer *v4, *v6;

	if (r->kind != RESOLVE_HOST || !r->options.hosts)
		return false;
	v4 = hosts_find(r->options.hosts, c->name, DNS_A);
	v6 = hosts_find(r->options.hosts, c->name, DNS_AAAA);
	if (!v4 && !v6)
		return false;
	c->resolution->ttl_s = HOSTS_TTL_S;
	if (v4)
		keep_addresses(c, v4, false);
	if (v6)
		keep_addresses(c, v6, true);
	dns_answer_release(v4);
	dns_answer_release(v6);
	return true;
}

/* pending counts one for the caller: an answer may come at once. */
static void ask_addresses(struct resolution *r)
{
	struct dns_client *client = r->options.client;

	r->pending = 1;
	if (r->wants_sts)
		sts_begin(r);
	for (size_t i = 0; i < r->ncandidates; i++) {
		struct candidate *c = &r->candidates[i];

		if (!name_is_host(c->name)) {
			c->is_no_host = true;
			continue;
		}
		if (take_hosts_file(c))
			continue;
		r->pending += 2;
		c->pending = 2;
		dns_ask(client, c->name, DNS_AAAA, on_v6, c);
		dns_ask(client, c->name, DNS_A, on_v4, c);
	}
	resolution_go_on(r);
}

/* --- MX ------------------------------------------------------------------- */

static uint32_t random_below(uint32_t n)
{
	uint32_t value = 0;

	/* Without randomness the order is what the server gave. */
	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) < 0)
		return n - 1;
	return value % n;
}

/* RFC 5321 section 5.1: hosts of the same preference share the load. */
static void shuffle(struct candidate *c, size_t n)
{
	struct candidate held;
	size_t from;

	for (; n > 1; n--) {
		from = random_below((uint32_t)n);
		held = c[from];
		c[from] = c[n - 1];
		c[n - 1] = held;
	}
}

static void shuffle_equals(struct candidate *c, size_t n)
{
	size_t begin = 0, end;

	for (; begin < n; begin = end) {
		for (end = begin + 1;
		     end < n && c[end].preference == c[begin].preference;)
			end++;
		shuffle(c + begin, end - begin);
	}
}

static bool has_candidate(const struct resolution *r, const char *name)
{
	for (size_t i = 0; i < r->ncandidates; i++)
		if (strcmp(r->candidates[i].name, name) == 0)
			return true;
	return false;
}

static void add_candidate(
    struct resolution *r, const char *name, uint16_t preference)
{
	struct candidate *c;

	if (r->ncandidates == r->room || has_candidate(r, name))
		return;
	c = &r->candidates[r->ncandidates++];
	c->resolution = r;
	c->preference = preference;
	snprintf(c->name, sizeof(c->name), "%s", name);
}

static int make_room(struct resolution *r, size_t n)
{
	r->room = n < HOSTS_MAX ? n : HOSTS_MAX;
	r->candidates = calloc(r->room ? r->room : 1, sizeof(*r->candidates));
	if (r->candidates)
		return 0;
	return outcome_temp(&r->outcome, "4.3.0", "out of memory");
}

static void ask_one_host(struct resolution *r)
{
	if (make_room(r, 1) < 0) {
		resolution_finish(r);
		return;
	}
	add_candidate(r, r->name, 0);
	ask_addresses(r);
}

/* RFC 7505: a single MX that names the root takes no mail. */
static void take_mx(struct resolution *r, const struct dns_answer *a)
{
	if (a->nrecords == 1 && a->records[0].name[0] == '\0') {
		outcome_perm(&r->outcome, "5.1.10",
		    "%s takes no mail (its MX record is \".\")", r->name);
		resolution_finish(r);
		return;
	}
	if (make_room(r, a->nrecords) < 0) {
		resolution_finish(r);
		return;
	}
	for (size_t i = 0; i < a->nrecords; i++)
		if (a->records[i].name[0])
			add_candidate(
			    r, a->records[i].name, a->records[i].preference);
	shuffle_equals(r->candidates, r->ncandidates);
	ask_addresses(r);
}

static void on_mx(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	struct resolution *r = arg;

	r->ttl_s = ttl_s;
	r->is_validated = a->is_secure;
	switch (a->status) {
	case DNS_FOUND:
		take_mx(r, a);
		return;
	case DNS_NO_DATA:
		r->is_implicit = true;
		ask_one_host(r);
		return;
	case DNS_NO_NAME:
		outcome_perm(&r->outcome, "5.1.2",
		    "the domain %s does not exist (NXDOMAIN)", r->name);
		break;
	case DNS_FAILED:
		r->ttl_s = TTL_TEMP_S;
		outcome_temp(
		    &r->outcome, "4.4.3", "MX of %s: %s", r->name, a->detail);
		break;
	}
	resolution_finish(r);
}

/* --- begin ---------------------------------------------------------------- */

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" and bare addresses. */
static bool parse_literal(struct span name, union net_address *address)
{
	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') {
		name = (struct span){ name.p + 1, name.n - 2 };
		if (span_has_prefix_nocase(name, "ipv6:"))
			name = span_from(name, 5);
	}
	return net_parse(name, 25, address) == 0;
}

static void answer_literal(
    struct resolution *r, const union net_address *address)
{
	struct span bytes = net_bytes(address);
	struct dns_record record = { .nbytes = (uint8_t)bytes.n };
	struct dns_answer a = { .nrecords = 1, .records = &record };

	r->wants_dane = false;
	memcpy(record.bytes, bytes.p, bytes.n);
	if (make_room(r, 1) == 0) {
		add_candidate(r, r->name, 0);
		keep_addresses(&r->candidates[0], &a, bytes.n == 16);
	}
	resolution_finish(r);
}

static int take_name(struct resolution *r, struct span name)
{
	size_t n = name.n;

	if (n > 0 && name.p[n - 1] == '.')
		n--;
	if (n == 0 || n > DNS_NAME_MAX)
		return -1;
	for (size_t i = 0; i < n; i++)
		r->name[i] = (char)tolower((unsigned char)name.p[i]);
	r->name[n] = '\0';
	return 0;
}

static void begin(struct resolution *r, struct span name)
{
	union net_address address;
	bool is_named = take_name(r, name) == 0;

	if (is_named && parse_literal(name, &address)) {
		answer_literal(r, &address);
	} else if (!is_named || !name_is_host(r->name)) {
		outcome_perm(&r->outcome, "5.1.2", "not a domain name: %.*s",
		    (int)(name.n < 100 ? name.n : 100), name.p ? name.p : "");
		resolution_finish(r);
	} else if (r->kind == RESOLVE_MX) {
		dns_ask(r->options.client, r->name, DNS_MX, on_mx, r);
	} else {
		ask_one_host(r);
	}
}

void mx_resolve(const struct mx_options *options,
    const struct resolve_query *query,
    void (*answered)(const struct resolve_answer *a, void *arg), void *arg)
{
	struct resolution *r = calloc(1, sizeof(*r));
	struct resolve_answer none = { 0 };

	if (!r) {
		outcome_temp(&none.outcome, "4.3.0", "out of memory");
		answered(&none, arg);
		return;
	}
	r->options = *options;
	r->kind = query->kind;
	r->port = query->port;
	r->implicit_tls = query->implicit_tls;
	/* A relay is the operator's own choice. */
	r->allow_local = options->allow_local || query->kind == RESOLVE_HOST;
	r->wants_dane = query->wants_policy && options->dane != SWITCH_OFF;
	r->wants_sts = query->wants_policy && options->sts &&
		       options->mta_sts != SWITCH_OFF &&
		       query->kind == RESOLVE_MX;
	r->is_validated = query->kind == RESOLVE_HOST;
	r->ttl_s = DNS_TTL_MAX_S;
	r->answered = answered;
	r->arg = arg;
	begin(r, query->name);
}
