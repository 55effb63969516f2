/* What the checks of addresses and names ask alike. */
#include "dnscheck/names.h"

#include "common/address.h"
#include "common/hostname.h"

#include <ctype.h>
#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { ADDRESSES_SHOWN = 4, ZONE_LABELS_MAX = 40 };

static bool has_address(
    const struct ask_answer *answer, uint16_t type, struct span bytes)
{
	for (const struct ask_record *r = ask_first(answer, type); r;
	     r = ask_next(answer, r))
		if (span_is_equal(r->data, bytes))
			return true;
	return false;
}

struct names_found names_resolve(
    struct run *run, const char *name, const char *address)
{
	struct names_found found = { .match = NAMES_UNKNOWN };
	const struct ask_answer *other;
	union net_address a;
	uint16_t type, other_type;

	if (net_parse(span_of(address), 0, &a) < 0)
		return found;
	type = a.sa.sa_family == AF_INET6 ? ASK_AAAA : ASK_A;
	other_type = type == ASK_A ? ASK_AAAA : ASK_A;
	found.answer = ask(run->ask, span_of(name), type);
	if (found.answer->status == ASK_BAD_NAME)
		found.match = NAMES_NO_NAME;
	if (!ask_is_known(found.answer))
		return found;
	if (found.answer->status == ASK_FOUND) {
		found.match = has_address(found.answer, type, net_bytes(&a))
				  ? NAMES_HAS
				  : NAMES_OTHER;
		return found;
	}
	found.match = NAMES_NO_NAME;
	if (found.answer->status == ASK_NO_NAME)
		return found;
	other = ask(run->ask, span_of(name), other_type);
	found.match =
	    other->status == ASK_FOUND ? NAMES_NO_FAMILY : NAMES_NO_ADDRESS;
	return found;
}

const char *names_addresses(struct run *run, const struct ask_answer *answer)
{
	char text[NET_TEXT_MAX];
	const char *list;
	size_t n = 0;
	struct buf out;

	buf_init(&out, FINDING_TEXT_MAX);
	for (const struct ask_record *r = ask_first(answer, answer->type); r;
	     r = ask_next(answer, r)) {
		if (n++ >= ADDRESSES_SHOWN)
			continue;
		buf_puts(&out, n > 1 ? ", " : "");
		buf_puts(&out, ask_address_text(r, text));
	}
	if (n > ADDRESSES_SHOWN)
		buf_printf(&out, " and %zu more", n - ADDRESSES_SHOWN);
	list = TEXT("%s", buf_text(&out));
	buf_clear(&out);
	return list;
}

static bool is_digits(const char *label)
{
	return *label && label[strspn(label, "0123456789")] == '\0';
}

bool names_is_host(const char *name)
{
	const char *dot = strrchr(name, '.');

	return domain_is_valid(span_of(name), 2) &&
	       hostname_is_full(span_of(name)) && dot && !is_digits(dot + 1);
}

bool names_is_private(const char *name)
{
	static const char *const ends[] = { "localhost", "localdomain", "local",
		"lan", "internal", "home.arpa", "home", "intranet", "corp",
		"invalid" };
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t end = strlen(ends[i]);

		if (n >= end && strcasecmp(name + n - end, ends[i]) == 0 &&
		    (n == end || name[n - end - 1] == '.'))
			return true;
	}
	return strncasecmp(name, "localhost.", 10) == 0;
}

const char *names_address_record(
    struct run *run, const char *name, const char *address)
{
	return TEXT(
	    "%s. IN %s %s", name, strchr(address, ':') ? "AAAA" : "A", address);
}

const char *names_pointer_record(
    struct run *run, const char *owner, const char *address, const char *name)
{
	char reverse[ASK_REVERSE_MAX];
	union net_address a;

	if (!owner && net_parse(span_of(address), 0, &a) == 0) {
		ask_reverse_name(net_bytes(&a), reverse);
		owner = reverse;
	}
	return TEXT("%s. IN PTR %s.", owner ? owner : "?", name);
}

/* Below ip6.arpa zones are cut at every fourth nibble, or at 56 bits. */
static bool may_be_zone(const char *name)
{
	size_t n = strlen(name), nibbles;

	if (n < 9 || strcmp(name + n - 9, ".ip6.arpa") != 0)
		return true;
	nibbles = (n - 8) / 2;
	return nibbles == 8 || nibbles == 12 || nibbles == 14 || nibbles == 16;
}

const char *names_zone(struct run *run, const char *name)
{
	const char *at = name;

	for (int i = 0; i < ZONE_LABELS_MAX && at && *at; i++) {
		const struct ask_answer *a;
		const struct ask_record *soa;

		if (may_be_zone(at)) {
			a = ask(run->ask, span_of(at), ASK_SOA);
			soa = ask_first(a, ASK_SOA);
			if (soa && strchr(at, '.'))
				return TEXT("the zone %s (primary server %s)",
				    at, soa->name.p);
			if (!ask_is_known(a) || soa)
				break;
		}
		at = strchr(at, '.');
		at = at ? at + 1 : NULL;
	}
	return TEXT("the zone of %s", name);
}
