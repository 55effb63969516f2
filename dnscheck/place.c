/* The places of a run. */
#include "dnscheck/place.h"

#include "dnscheck/need.h"
#include "dnscheck/whoami.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *place_address(const struct place *p)
{
	if (p->external[0])
		return p->external;
	return p->local[0] ? p->local : p->bind;
}

/* --- kinds of addresses --------------------------------------------------- */

enum address_kind address_kind_of(const char *text)
{
	static const struct {
		const char *network;
		enum address_kind kind;
	} kinds[] = {
		{ "10.0.0.0/8", ADDRESS_PRIVATE },
		{ "172.16.0.0/12", ADDRESS_PRIVATE },
		{ "192.168.0.0/16", ADDRESS_PRIVATE },
		{ "fc00::/7", ADDRESS_PRIVATE },
		{ "fec0::/10", ADDRESS_PRIVATE },
		{ "100.64.0.0/10", ADDRESS_CGNAT },
		{ "169.254.0.0/16", ADDRESS_LINK_LOCAL },
		{ "fe80::/10", ADDRESS_LINK_LOCAL },
		{ "127.0.0.0/8", ADDRESS_LOOPBACK },
		{ "::1/128", ADDRESS_LOOPBACK },
		{ "2002::/16", ADDRESS_TUNNEL },
		{ "2001::/32", ADDRESS_TUNNEL },
		{ "0.0.0.0/8", ADDRESS_UNUSABLE },
		{ "224.0.0.0/3", ADDRESS_UNUSABLE },
		{ "::/128", ADDRESS_UNUSABLE },
		{ "ff00::/8", ADDRESS_UNUSABLE },
	};
	union net_address a;
	struct network n;

	if (net_parse(span_of(text), 0, &a) < 0)
		return ADDRESS_UNUSABLE;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (network_parse(span_of(kinds[i].network), &n) == 0 &&
		    network_has(&n, &a))
			return kinds[i].kind;
	return ADDRESS_PUBLIC;
}

const char *address_kind_name(enum address_kind kind)
{
	static const char *const names[] = { "public", "private",
		"carrier-grade NAT (RFC 6598)", "link-local", "loopback",
		"tunnel (6to4 or Teredo)", "reserved or multicast" };

	return names[kind];
}

/* --- what this machine has ------------------------------------------------ */

/* Addresses that are everywhere reached by the default route: root servers.
 * Connecting a UDP socket sends nothing. */
static const char *const far_away[2] = { "198.41.0.4", "2001:503:ba3e::2:30" };

/* The address that the kernel would send from; "" with errno. */
static void find_chosen(bool is_v6, char local[64])
{
	union net_address to, own;
	socklen_t size = sizeof(own);
	int fd;

	local[0] = '\0';
	if (net_parse(span_of(far_away[is_v6]), 53, &to) < 0)
		return;
	fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, &to.sa, net_size(&to)) == 0 &&
	    getsockname(fd, &own.sa, &size) == 0)
		net_print_ip(&own, local);
	close(fd);
}

/* 0: this machine has it; else errno. */
static int try_bind(const union net_address *address)
{
	int error = 0;
	int fd = socket(address->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	if (bind(fd, &address->sa, net_size(address)) < 0)
		error = errno;
	close(fd);
	return error;
}

/* --- the places ----------------------------------------------------------- */

static struct place *add_place(struct run *run, const struct conf_line *line)
{
	const struct conf *conf = run->conf;
	struct place *p;

	if (run->nplaces == PLACES_MAX) {
		findings_drop(&run->findings);
		return NULL;
	}
	run->places = need(
	    reallocarray(run->places, run->nplaces + 1, sizeof(*run->places)));
	p = &run->places[run->nplaces++];
	*p = (struct place){ .line = line->name, .conf = line };
	p->localname = line->localname ? line->localname : conf->localname;
	if (run->options->localname)
		p->localname = run->options->localname;
	p->is_relayed = line->relay || conf->mode == MODE_RELAY;
	return p;
}

static void add_bound(
    struct run *run, const struct conf_line *line, const char *bind_to)
{
	struct place *p = add_place(run, line);
	union net_address a;
	char reason[100];
	int error;

	if (!p)
		return;
	snprintf(p->bind, sizeof(p->bind), "%s", bind_to);
	if (net_parse(span_of(bind_to), 0, &a) < 0)
		return;
	net_print_ip(&a, p->bind);
	p->is_v6 = a.sa.sa_family == AF_INET6;
	error = run->options->is_elsewhere ? 0 : try_bind(&a);
	if (error)
		snprintf(p->how, sizeof(p->how), "this machine: %s",
		    strerror_r(error, reason, sizeof(reason)));
	else
		snprintf(p->local, sizeof(p->local), "%s", p->bind);
}

static void add_chosen(struct run *run, const struct conf_line *line)
{
	char local[2][64];

	for (int v6 = 0; v6 < 2; v6++)
		find_chosen(v6, local[v6]);
	for (int v6 = 0; v6 < 2; v6++) {
		struct place *p;

		/* One family is enough; without either IPv4 is what misses. */
		if (!local[v6][0] && (v6 || local[1][0]))
			continue;
		p = add_place(run, line);
		if (!p)
			return;
		p->is_v6 = v6;
		memcpy(p->local, local[v6], sizeof(p->local));
		if (!local[v6][0])
			snprintf(
			    p->how, sizeof(p->how), "no route to the Internet");
	}
}

/* --- what the world sees -------------------------------------------------- */

static bool is_same(struct span text, const char *address)
{
	union net_address a, b;

	return net_parse(text, 0, &a) == 0 &&
	       net_parse(span_of(address), 0, &b) == 0 &&
	       span_is_equal(net_bytes(&a), net_bytes(&b));
}

/* "[LOCAL=]ADDRESS" is about this place: its outside. */
static bool take_given(
    struct place *p, const char *given, bool is_pair, const char *by)
{
	struct span rest = span_of(given), first = span_cut(&rest, '=');
	union net_address a;

	if (is_pair != (span_find(span_of(given), '=') >= 0) ||
	    (is_pair && !is_same(first, p->local[0] ? p->local : p->bind)))
		return false;
	if (net_parse(is_pair ? rest : first, 0, &a) < 0 ||
	    (a.sa.sa_family == AF_INET6) != p->is_v6)
		return false;
	net_print_ip(&a, p->external);
	p->is_mapped = is_pair;
	snprintf(p->how, sizeof(p->how), "given by %s", by);
	return true;
}

/* What is said of one address wins over what is said of all. */
static void take_all_given(struct run *run, struct place *p)
{
	const struct run_options *o = run->options;
	const struct strings *set = &run->conf->dnscheck.external;
	bool is_pair = true;

	do {
		for (size_t i = 0; i < o->nip; i++)
			if (take_given(p, o->ip[i], is_pair, "--ip"))
				return;
		for (size_t i = 0; i < set->count && o->nip == 0; i++)
			if (take_given(p, set->items[i], is_pair,
				"dnscheck { external }"))
				return;
		is_pair = !is_pair;
	} while (!is_pair);
}

static void find_outside(struct run *run, struct place *p)
{
	enum address_kind kind;

	take_all_given(run, p);
	if (p->external[0] || !p->local[0])
		return;
	kind = address_kind_of(p->local);
	if (kind == ADDRESS_PUBLIC || kind == ADDRESS_TUNNEL)
		snprintf(p->external, sizeof(p->external), "%s", p->local);
}

void places_find(struct run *run)
{
	for (size_t i = 0; i < run->conf->nlines; i++) {
		const struct conf_line *line = &run->conf->lines[i];

		if (run->options->line &&
		    strcmp(run->options->line, line->name) != 0)
			continue;
		for (size_t j = 0; j < line->bind.count; j++)
			add_bound(run, line, line->bind.items[j]);
		if (line->bind.count == 0)
			add_chosen(run, line);
	}
	for (size_t i = 0; i < run->nplaces; i++)
		find_outside(run, &run->places[i]);
	whoami_find(run);
}

void places_free(struct run *run)
{
	free(run->places);
	run->places = NULL;
	run->nplaces = 0;
}
