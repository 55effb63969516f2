/* Reverse DNS: the address has one name, which leads back to it and is the
 * local name of its line group. RFC 1912 section 2.1, RFC 2317.
 */
#include "dnscheck/checks.h"
#include "dnscheck/names.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { POINTERS_MAX = 10 }; /* that are looked at */

struct pointers {
	const struct place *place;
	const struct ask_answer *answer;
	const struct ask_record *items[POINTERS_MAX];
	struct names_found found[POINTERS_MAX];
	size_t count; /* of all, also those beyond POINTERS_MAX */
	size_t nshown;
	size_t nconfirmed;
	int ours;      /* the one that is the local name; -1: none */
	int confirmed; /* the first that leads back; -1: none */
	int unknown;   /* the first that could not be looked up; -1 */
};

/* What should be the address's name. */
static const char *wanted(const struct place *p)
{
	return names_is_host(p->localname) && !names_is_private(p->localname)
		   ? p->localname
		   : "mail.YOUR-DOMAIN";
}

/* Who can change what the address is called. */
static const char *provider(struct run *run, const struct pointers *p)
{
	if (p->answer->canonical.n > 0 &&
	    !span_is_equal(p->answer->canonical, p->answer->name))
		return TEXT("who runs %s (your own name server, when the "
			    "provider has delegated it to you, RFC 2317)",
		    names_zone(run, p->answer->canonical.p));
	return TEXT("the provider of the address, who runs %s",
	    names_zone(run, p->answer->name.p));
}

static const char *pointer_record(struct run *run, const struct pointers *p)
{
	return names_pointer_record(
	    run, p->answer->canonical.p, p->place->external, wanted(p->place));
}

static const char *list_names(struct run *run, const struct pointers *p)
{
	const char *list;
	struct buf out;

	buf_init(&out, FINDING_TEXT_MAX);
	for (size_t i = 0; i < p->nshown; i++)
		buf_printf(&out, "%s%s", i ? ", " : "", p->items[i]->name.p);
	if (p->count > p->nshown)
		buf_printf(&out, " and %zu more", p->count - p->nshown);
	list = TEXT("%s", buf_text(&out));
	buf_clear(&out);
	return list;
}

static const char *by_alias(struct run *run, const struct pointers *p)
{
	if (span_is_equal(p->answer->canonical, p->answer->name))
		return "";
	return TEXT(" (by CNAME to %s)", p->answer->canonical.p);
}

/* --- what is wrong, the worst first --------------------------------------- */

static void judge_missing(
    struct run *run, const struct pointers *p, struct finding *f)
{
	bool is_alias = ask_first(p->answer, ASK_CNAME) != NULL;

	f->status = FINDING_FAIL;
	f->code = is_alias ? "reverse-alias-empty" : "reverse-missing";
	f->found = is_alias ? TEXT("its reverse name is a CNAME to %s, which "
				   "has no PTR record",
				  p->answer->canonical.p)
			    : "no PTR record";
	f->expected = TEXT("PTR %s", wanted(p->place));
	f->remedy = TEXT("%s publishes this", provider(run, p));
	f->record = pointer_record(run, p);
}

static void judge_bad_name(
    struct run *run, const struct pointers *p, struct finding *f)
{
	f->status = FINDING_FAIL;
	f->code = "reverse-bad-name";
	f->found = TEXT("its name%s is %s: not the full name of a host",
	    by_alias(run, p), list_names(run, p));
	f->expected = TEXT("PTR %s", wanted(p->place));
	f->remedy = TEXT("%s publishes this instead", provider(run, p));
	f->record = pointer_record(run, p);
}

/* No name leads back to the address. */
static void judge_unconfirmed(
    struct run *run, const struct pointers *p, struct finding *f)
{
	int at = p->ours >= 0 ? p->ours : 0;
	const char *name = p->items[at]->name.p, *address = p->place->external;
	const struct names_found *found = &p->found[at];

	f->status = FINDING_FAIL;
	f->code = found->match == NAMES_OTHER ? "reverse-forward-other"
					      : "reverse-forward-missing";
	if (found->match == NAMES_OTHER)
		f->found = TEXT("its name%s, %s, leads to %s", by_alias(run, p),
		    name, names_addresses(run, found->answer));
	else
		f->found = TEXT("its name%s, %s, has no %s record",
		    by_alias(run, p), name, p->place->is_v6 ? "AAAA" : "A");
	f->expected = TEXT("a name that leads back to %s", address);
	if (p->ours >= 0) {
		f->remedy =
		    TEXT("who runs %s publishes this", names_zone(run, name));
		f->record = names_address_record(run, name, address);
	} else {
		f->remedy = TEXT("%s publishes this instead", provider(run, p));
		f->record = pointer_record(run, p);
	}
}

static void judge_other_name(
    struct run *run, const struct pointers *p, struct finding *f)
{
	const char *name = p->items[p->confirmed]->name.p;

	f->status = FINDING_WARN;
	f->code = "reverse-other-name";
	f->found = TEXT("its name%s is %s, which leads back to it; but the "
			"local name is %s",
	    by_alias(run, p), list_names(run, p), p->place->localname);
	f->expected = "the same name in both";
	f->remedy = TEXT("set %s to \"%s\"; or %s publishes this instead",
	    run_localname_setting(run, p->place), name, provider(run, p));
	f->record = pointer_record(run, p);
}

static void judge_many(
    struct run *run, const struct pointers *p, struct finding *f)
{
	f->status = FINDING_WARN;
	f->code = "reverse-many";
	f->found = TEXT("%zu names: %s", p->count, list_names(run, p));
	f->expected = TEXT(
	    "%s alone: receivers take any one of them", p->place->localname);
	f->remedy = TEXT("%s removes all others than this", provider(run, p));
	f->record = pointer_record(run, p);
}

static void judge_ok(
    struct run *run, const struct pointers *p, struct finding *f)
{
	f->code = "reverse-ok";
	f->found = TEXT("%s%s and back", p->items[0]->name.p, by_alias(run, p));
}

static void judge_unknown(
    struct run *run, const struct ask_answer *answer, struct finding *f)
{
	f->code = "reverse-unknown";
	f->status = FINDING_SKIP;
	f->found = TEXT("%s %s: %s (%s)", ask_type_name(answer->type),
	    answer->name.p, ask_status_name(answer->status), answer->why.p);
	f->remedy = "see the findings of the resolvers; then run this again";
}

/* --- the check ------------------------------------------------------------ */

static void collect(struct run *run, struct pointers *p)
{
	p->ours = p->confirmed = p->unknown = -1;
	for (const struct ask_record *r = ask_first(p->answer, ASK_PTR); r;
	     r = ask_next(p->answer, r)) {
		size_t i = p->nshown;

		if (p->count++ >= POINTERS_MAX)
			continue;
		p->nshown++;
		p->items[i] = r;
		p->found[i].match = NAMES_NO_NAME;
		if (names_is_host(r->name.p))
			p->found[i] =
			    names_resolve(run, r->name.p, p->place->external);
		if (strcasecmp(r->name.p, p->place->localname) == 0)
			p->ours = (int)i;
		if (p->found[i].match == NAMES_UNKNOWN && p->unknown < 0)
			p->unknown = (int)i;
		if (p->found[i].match != NAMES_HAS)
			continue;
		p->nconfirmed++;
		if (p->confirmed < 0)
			p->confirmed = (int)i;
	}
}

static void judge(struct run *run, const struct pointers *p, struct finding *f)
{
	if (!ask_is_known(p->answer))
		judge_unknown(run, p->answer, f);
	else if (p->count == 0)
		judge_missing(run, p, f);
	else if (p->count == 1 && !names_is_host(p->items[0]->name.p))
		judge_bad_name(run, p, f);
	else if (p->nconfirmed == 0 && p->unknown >= 0)
		judge_unknown(run, p->found[p->unknown].answer, f);
	else if (p->nconfirmed == 0)
		judge_unconfirmed(run, p, f);
	else if (p->ours >= 0 && p->found[p->ours].match == NAMES_UNKNOWN)
		judge_unknown(run, p->found[p->ours].answer, f);
	else if (p->ours < 0 || p->found[p->ours].match != NAMES_HAS)
		judge_other_name(run, p, f);
	else if (p->count > 1)
		judge_many(run, p, f);
	else
		judge_ok(run, p, f);
}

static void check_reverse(struct run *run, void *arg)
{
	const struct place *place = arg;
	struct finding f = { .subject = place->external };
	struct pointers pointers = { .place = place };
	union net_address a;

	if (net_parse(span_of(place->external), 0, &a) < 0)
		return;
	pointers.answer = ask_reverse(run->ask, net_bytes(&a));
	collect(run, &pointers);
	judge(run, &pointers, &f);
	run_found(run, place, &f);
}

static void check_unseen(struct run *run, void *arg)
{
	const struct place *p = arg;
	struct finding f = { .code = "reverse-unknown",
		.status = FINDING_SKIP,
		.subject = p->local[0] ? p->local : p->bind,
		.found = "the address that the world sees is not known" };

	f.remedy = TEXT("say which it is: --ip %s=ADDRESS", f.subject);
	run_found(run, p, &f);
}

void reverse_plan(struct run *run)
{
	if (run->options->mode != RUN_NODE)
		return;
	for (size_t i = 0; i < run->nplaces; i++) {
		struct place *p = &run->places[i];

		if (p->is_relayed)
			continue;
		if (p->external[0])
			run_add(run, check_reverse, p);
		else if (p->local[0])
			run_add(run, check_unseen, p);
	}
}
