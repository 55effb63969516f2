/* The mechanisms of SPF that compare addresses (RFC 7208 section 5). */
#include "dnscheck/spf_parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_within(
    const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned bytes = bits / 8, left = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return left == 0 || (a[bytes] ^ b[bytes]) >> (8 - left) == 0;
}

static unsigned bits_of(const struct spf *spf, const struct spf_term *term)
{
	return spf->nip == 4 ? term->bits4 : term->bits6;
}

/* Not known: an answer that may be another one later. */
static enum spf_match no_answer(
    struct spf *spf, const struct ask_answer *answer, struct span name)
{
	if (ask_is_known(answer) || answer->status == ASK_BAD_NAME)
		return MATCH_NO;
	spf_why(spf, "%s of %.*s: %s", ask_type_name(answer->type), (int)name.n,
	    name.p, answer->why.n ? answer->why.p : "no answer");
	return MATCH_TEMPERROR;
}

/* One of the addresses of the answer is ours, or in its network. */
static bool has_address(
    const struct spf *spf, const struct ask_answer *answer, unsigned bits)
{
	uint16_t type = spf->nip == 4 ? ASK_A : ASK_AAAA;
	const struct ask_record *r;

	if (answer->status != ASK_FOUND)
		return false;
	for (r = ask_first(answer, type); r; r = ask_next(answer, r))
		if (r->data.n == spf->nip &&
		    is_within((const unsigned char *)r->data.p, spf->ip, bits))
			return true;
	return false;
}

static uint16_t address_type(const struct spf *spf)
{
	return spf->nip == 4 ? ASK_A : ASK_AAAA;
}

static enum spf_match match_a(
    struct spf *spf, const struct spf_term *term, struct span name)
{
	const struct ask_answer *answer =
	    spf_look(spf, name, address_type(spf));

	if (has_address(spf, answer, bits_of(spf, term)))
		return MATCH_YES;
	return no_answer(spf, answer, name);
}

static size_t count_of(const struct ask_answer *answer, uint16_t type)
{
	const struct ask_record *r;
	size_t n = 0;

	for (r = ask_first(answer, type); r; r = ask_next(answer, r))
		n++;
	return n;
}

static enum spf_match match_mx(
    struct spf *spf, const struct spf_term *term, struct span name)
{
	const struct ask_answer *hosts = spf_look(spf, name, ASK_MX), *answer;
	const struct ask_record *r;
	enum spf_match match;

	if (hosts->status != ASK_FOUND)
		return no_answer(spf, hosts, name);
	if (count_of(hosts, ASK_MX) > SPF_NAMES_MAX) {
		spf_why(spf, "%.*s has more than %d MX hosts", (int)name.n,
		    name.p, SPF_NAMES_MAX);
		return MATCH_PERMERROR;
	}
	for (r = ask_first(hosts, ASK_MX); r; r = ask_next(hosts, r)) {
		if (r->name.n == 0) /* RFC 7505: "." */
			continue;
		answer = spf_look_again(spf, r->name, address_type(spf));
		if (has_address(spf, answer, bits_of(spf, term)))
			return MATCH_YES;
		match = no_answer(spf, answer, r->name);
		if (match != MATCH_NO)
			return match;
	}
	return MATCH_NO;
}

static enum spf_match match_exists(struct spf *spf, struct span name)
{
	const struct ask_answer *answer = spf_look(spf, name, ASK_A);

	if (answer->status == ASK_FOUND && ask_first(answer, ASK_A))
		return MATCH_YES;
	return no_answer(spf, answer, name);
}

/* --- validated names ------------------------------------------------------ */

static bool is_same_or_below(struct span name, struct span domain)
{
	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (name.n < domain.n || domain.n == 0 ||
	    strncasecmp(name.p + (name.n - domain.n), domain.p, domain.n) != 0)
		return false;
	return name.n == domain.n || name.p[name.n - domain.n - 1] == '.';
}

static const struct ask_answer *reverse(struct spf *spf)
{
	char name[ASK_REVERSE_MAX];

	ask_reverse_name(
	    (struct span){ (const char *)spf->ip, spf->nip }, name);
	return spf_look_again(spf, span_of(name), ASK_PTR);
}

/* Leads back to the address? An error only skips the name (section 5.5). */
static bool is_validated(struct spf *spf, struct span name)
{
	return has_address(spf, spf_look_again(spf, name, address_type(spf)),
	    spf->nip == 4 ? 32 : 128);
}

static enum spf_match match_ptr(struct spf *spf, struct span domain)
{
	const struct ask_answer *names = reverse(spf);
	const struct ask_record *r;
	int n = 0;

	if (names->status != ASK_FOUND)
		return MATCH_NO;
	for (r = ask_first(names, ASK_PTR); r && n < SPF_NAMES_MAX;
	     r = ask_next(names, r), n++)
		if (is_same_or_below(r->name, domain) &&
		    is_validated(spf, r->name))
			return MATCH_YES;
	return MATCH_NO;
}

/* 2: the domain itself; 1: below it; 0: another one (section 7.3). */
static int rank_of(struct span name, struct span domain)
{
	if (!is_same_or_below(name, domain))
		return 0;
	return name.n == domain.n ? 2 : 1;
}

const char *spf_validated(struct spf *spf, struct span domain)
{
	const struct ask_answer *names = reverse(spf);
	const struct ask_record *r;
	int n = 0, best = -1, rank;

	snprintf(spf->validated, sizeof(spf->validated), "unknown");
	if (names->status != ASK_FOUND)
		return spf->validated;
	for (r = ask_first(names, ASK_PTR); r && n < SPF_NAMES_MAX;
	     r = ask_next(names, r), n++) {
		rank = rank_of(r->name, domain);
		if (rank <= best || r->name.n == 0 ||
		    r->name.n >= sizeof(spf->validated) ||
		    !is_validated(spf, r->name))
			continue;
		best = rank;
		snprintf(spf->validated, sizeof(spf->validated), "%.*s",
		    (int)r->name.n, r->name.p);
	}
	return spf->validated;
}

/* -------------------------------------------------------------------------- */

enum spf_match spf_match(
    struct spf *spf, const struct spf_term *term, struct span domain)
{
	char text[SPF_NAME_MAX + 1];
	struct span name;

	switch (term->kind) {
	case SPF_ALL:
		return MATCH_YES;
	case SPF_IP4:
		return spf->nip == 4 &&
		       is_within(spf->ip, term->network, term->bits4);
	case SPF_IP6:
		return spf->nip == 16 &&
		       is_within(spf->ip, term->network, term->bits6);
	default:
		break;
	}
	if (spf_target(spf, term, domain, text) < 0)
		return MATCH_NO;
	spf->had_void = false; /* of a %{p} in the name */
	name = span_of(text);
	switch (term->kind) {
	case SPF_A:
		return match_a(spf, term, name);
	case SPF_MX:
		return match_mx(spf, term, name);
	case SPF_EXISTS:
		return match_exists(spf, name);
	case SPF_PTR:
		return match_ptr(spf, name);
	default:
		return MATCH_NO;
	}
}
