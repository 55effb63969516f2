/* The addresses that line groups send from: on this machine or not, public or
 * behind what, and whether their names look like those of dialled-up machines.
 */
#include "dnscheck/checks.h"
#include "dnscheck/names.h"
#include "dnscheck/place.h"

#include <ctype.h>
#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

static const char *bind_setting(struct run *run, const struct place *p)
{
	return TEXT("bind in line \"%s\" (%s)", p->line,
	    run_where(run, &p->conf->place));
}

static void judge_missing(
    struct run *run, const struct place *p, struct finding *f)
{
	f->status = FINDING_FAIL;
	f->found = p->how;
	if (p->bind[0]) {
		f->code = "address-not-here";
		f->expected = "an address of this machine";
		f->remedy = TEXT("give the machine this address, or change %s",
		    bind_setting(run, p));
	} else {
		f->code = "address-none";
		f->expected = "a route to the Internet";
		f->remedy = "the administrator of this network connects the "
			    "machine, or Outpost sends by a relay that it can "
			    "reach (mode = \"relay\")";
	}
}

/* Nobody has said how the world sees it. */
static void judge_hidden(struct run *run, const struct place *p,
    enum address_kind kind, struct finding *f)
{
	f->status = FINDING_FAIL;
	f->found = TEXT("%s address", address_kind_name(kind));
	f->expected = "a public address, or one behind NAT";
	f->remedy = p->bind[0] ? TEXT("change %s", bind_setting(run, p))
			       : "give the machine another address";
	switch (kind) {
	case ADDRESS_LOOPBACK:
		f->code = "address-loopback";
		break;
	case ADDRESS_LINK_LOCAL:
		f->code = "address-link-local";
		break;
	case ADDRESS_UNUSABLE:
		f->code = "address-unusable";
		break;
	default:
		f->status = FINDING_SKIP;
		f->code =
		    kind == ADDRESS_CGNAT ? "address-cgnat" : "address-private";
		f->found = TEXT("%s address: the one that the world sees is "
				"not known%s%s",
		    address_kind_name(kind), p->how[0] ? "; " : "", p->how);
		f->remedy = TEXT("say which it is: --ip %s=ADDRESS, or "
				 "dnscheck { external = { \"%s=ADDRESS\" } } "
				 "in %s",
		    p->local, p->local, run_where(run, NULL));
		break;
	}
}

static void judge_outside(
    struct run *run, const struct place *p, struct finding *f)
{
	enum address_kind inside = address_kind_of(p->local),
			  outside = address_kind_of(p->external);
	bool is_direct = strcmp(p->local, p->external) == 0;

	f->code = is_direct ? "address-ok" : "address-nat";
	f->found = is_direct
		       ? "public"
		       : TEXT("%s, seen outside as %s (%s)",
			     address_kind_name(inside), p->external, p->how);
	if (outside == ADDRESS_TUNNEL) {
		f->code = "address-tunnel";
		f->status = FINDING_WARN;
		f->found = TEXT(
		    "%s is of a %s", p->external, address_kind_name(outside));
		f->expected = "an address of one's own network: many receivers "
			      "refuse mail from tunnels";
		f->remedy = TEXT("send from IPv4 or a native IPv6 address: %s",
		    bind_setting(run, p));
	} else if (outside != ADDRESS_PUBLIC) {
		f->code = "address-not-public";
		f->status = FINDING_FAIL;
		f->found = TEXT("%s (%s) is %s", p->external, p->how,
		    address_kind_name(outside));
		f->expected = "a public address";
		f->remedy = "give the one that the world sees";
	} else if (inside == ADDRESS_CGNAT) {
		f->code = "address-shared";
		f->status = FINDING_WARN;
		f->expected = "an address of one's own: this one is shared "
			      "with other customers";
		f->remedy = "the provider of the line gives a public address, "
			    "or Outpost sends by a relay (mode = \"relay\")";
	}
}

/* Said of this very address, even loopback is somebody's NAT. */
static bool is_believed(const struct place *p)
{
	enum address_kind kind = address_kind_of(p->local);

	return p->is_mapped || kind == ADDRESS_PUBLIC ||
	       kind == ADDRESS_PRIVATE || kind == ADDRESS_CGNAT ||
	       kind == ADDRESS_TUNNEL;
}

static void check_address(struct run *run, void *arg)
{
	const struct place *p = arg;
	enum address_kind kind = address_kind_of(p->local);
	struct finding f = { .subject = p->local[0] ? p->local : p->bind };

	if (!p->local[0])
		judge_missing(run, p, &f);
	else if (p->external[0] && is_believed(p))
		judge_outside(run, p, &f);
	else
		judge_hidden(run, p, kind, &f);
	run_found(run, p, &f);
}

static void check_relayed(struct run *run, void *arg)
{
	const struct place *p = arg;
	const char *relay = p->conf->relay ? p->conf->relay : "default";
	struct finding f = { .code = "address-relayed", .subject = p->local };

	f.found = TEXT("sends by relay \"%s\": what receivers see is the "
		       "relay's address and name",
	    relay);
	run_found(run, p, &f);
}

/* --- names of dialled-up machines ----------------------------------------- */

/* name has all numbers of an IPv4 address, in one order or the other, parted
 * by a dot or a dash; or the address in hex. */
static bool has_numbers(const char *name, const unsigned char *b)
{
	char texts[6][40];

	snprintf(texts[0], 40, "%u-%u-%u-%u", b[0], b[1], b[2], b[3]);
	snprintf(texts[1], 40, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	snprintf(texts[2], 40, "%u-%u-%u-%u", b[3], b[2], b[1], b[0]);
	snprintf(texts[3], 40, "%u.%u.%u.%u", b[3], b[2], b[1], b[0]);
	snprintf(texts[4], 40, "%03u%03u%03u%03u", b[0], b[1], b[2], b[3]);
	snprintf(texts[5], 40, "%02x%02x%02x%02x", b[0], b[1], b[2], b[3]);
	for (size_t i = 0; i < 6; i++)
		if (strstr(name, texts[i]))
			return true;
	return false;
}

/* A label's part, between dots, dashes and digits, is one of these words. */
static bool has_word(const char *name)
{
	static const char *const words[] = { "dyn", "dynamic", "dialup", "dial",
		"dhcp", "dsl", "adsl", "vdsl", "ppp", "pppoe", "pool", "cable",
		"broadband", "home", "res", "customer" };
	size_t n;

	for (; *name; name += n ? n : 1) {
		n = 0;
		while (isalpha((unsigned char)name[n]))
			n++;
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (n == strlen(words[i]) &&
			    strncmp(name, words[i], n) == 0)
				return true;
	}
	return false;
}

bool address_looks_dynamic(const char *name, const char *address)
{
	union net_address a;

	if (strstr(name, "static") || net_parse(span_of(address), 0, &a) < 0)
		return false;
	if (a.sa.sa_family == AF_INET &&
	    has_numbers(name, (const unsigned char *)net_bytes(&a).p))
		return true;
	return has_word(name);
}

static void check_dynamic(struct run *run, void *arg)
{
	const struct place *p = arg;
	struct finding f = { .code = "address-static", .subject = p->external };
	const struct ask_record *pointer;
	union net_address a;

	if (net_parse(span_of(p->external), 0, &a) < 0)
		return;
	pointer = ask_first(ask_reverse(run->ask, net_bytes(&a)), ASK_PTR);
	if (!pointer)
		return; /* the check of reverse says so */
	f.found = TEXT("its name is %s", pointer->name.p);
	if (strcasecmp(pointer->name.p, p->localname) != 0 &&
	    address_looks_dynamic(pointer->name.p, p->external)) {
		f.code = "address-dynamic";
		f.status = FINDING_WARN;
		f.found = TEXT("its name, %s, looks like that of a dialled-up "
			       "machine",
		    pointer->name.p);
		f.expected =
		    TEXT("a name of one's own, such as %s", p->localname);
		f.remedy = "the provider of the address publishes this, and "
			   "says that the address is static; or Outpost sends "
			   "by a relay (mode = \"relay\")";
		f.record =
		    names_pointer_record(run, NULL, p->external, p->localname);
	}
	run_found(run, p, &f);
}

void address_plan(struct run *run)
{
	if (run->options->mode != RUN_NODE)
		return;
	for (size_t i = 0; i < run->nplaces; i++) {
		struct place *p = &run->places[i];

		if (p->is_relayed && p->local[0]) {
			run_add(run, check_relayed, p);
			continue;
		}
		run_add(run, check_address, p);
		if (p->external[0])
			run_add(run, check_dynamic, p);
	}
}
