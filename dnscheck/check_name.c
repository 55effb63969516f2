/* The local name, by which a line group greets: a full name that leads to its
 * addresses. RFC 5321 section 2.3.5 and 4.1.4.
 */
#include "dnscheck/checks.h"
#include "dnscheck/names.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

static void advise_name(
    struct run *run, const struct place *p, struct finding *f)
{
	f->expected = "a full name that leads to this address, such as "
		      "mail.example.com";
	f->remedy =
	    TEXT("set %s to such a name in a domain of yours, and publish its "
		 "address",
		run_localname_setting(run, p));
	if (p->external[0])
		f->record =
		    names_address_record(run, "mail.YOUR-DOMAIN", p->external);
}

static bool is_bare_address(const char *name)
{
	union net_address a;

	return net_parse(span_of(name), 0, &a) == 0;
}

static bool literal_fits(const struct place *p)
{
	struct span text = span_from(span_of(p->localname), 1);
	union net_address a, b;

	if (text.n < 2)
		return false;
	text.n--;
	if (span_has_prefix_nocase(text, "IPv6:"))
		text = span_from(text, 5);
	return net_parse(text, 0, &a) == 0 &&
	       net_parse(span_of(p->external), 0, &b) == 0 &&
	       span_is_equal(net_bytes(&a), net_bytes(&b));
}

/* What needs no DNS to be wrong. false: nothing. */
static bool judge_form(
    struct run *run, const struct place *p, struct finding *f)
{
	const char *name = p->localname;

	f->status = FINDING_FAIL;
	if (name[0] == '[') {
		bool is_wrong = p->external[0] && !literal_fits(p);

		f->code = is_wrong ? "name-literal-other" : "name-literal";
		f->status = is_wrong ? FINDING_FAIL : FINDING_WARN;
		f->found = is_wrong ? TEXT("an address literal, but the "
					   "address is %s",
					  p->external)
				    : "an address literal: many receivers "
				      "refuse it";
	} else if (is_bare_address(name)) {
		f->code = "name-is-address";
		f->found = "an address in the place of a name";
	} else if (strcasecmp(name, "localhost") == 0 ||
		   strncasecmp(name, "localhost.", 10) == 0) {
		f->code = "name-localhost";
		f->found = "what every machine calls itself";
	} else if (!names_is_host(name)) {
		f->code = "name-bare";
		f->found = "not the full name of a host";
	} else if (names_is_private(name)) {
		f->code = "name-private";
		f->found = "below a domain that is not in the public DNS";
	} else {
		f->status = FINDING_OK;
		return false;
	}
	advise_name(run, p, f);
	return true;
}

/* The top of a zone that takes mail: a domain, hardly the name of a machine. */
static bool is_mail_domain(struct run *run, const char *name)
{
	return ask_first(ask(run->ask, span_of(name), ASK_SOA), ASK_SOA) &&
	       ask_first(ask(run->ask, span_of(name), ASK_MX), ASK_MX);
}

static void judge_other(struct run *run, const struct place *p,
    const struct names_found *found, struct finding *f)
{
	f->code = "name-other-address";
	f->found = TEXT("it leads to %s", names_addresses(run, found->answer));
	f->expected = TEXT("to %s", p->external);
	f->record = names_address_record(run, p->localname, p->external);
	f->remedy = TEXT("who runs %s publishes this; or set %s to the name "
			 "of this address",
	    names_zone(run, p->localname), run_localname_setting(run, p));
	if (!is_mail_domain(run, p->localname))
		return;
	f->code = "name-foreign-domain";
	f->found = TEXT("a mail domain that leads to %s: not the name of this "
			"machine",
	    names_addresses(run, found->answer));
	advise_name(run, p, f);
}

static void judge_without(struct run *run, const struct place *p,
    const struct names_found *found, struct finding *f)
{
	const char *type = p->is_v6 ? "AAAA" : "A";

	f->code = "name-missing";
	f->found = "the DNS has no such name";
	if (found->match == NAMES_NO_ADDRESS)
		f->found = "the name has no address";
	if (found->match == NAMES_NO_FAMILY) {
		f->code = p->is_v6 ? "name-no-aaaa" : "name-no-a";
		f->found = TEXT("the name has no %s record", type);
	}
	f->expected = TEXT("%s %s", type, p->external);
	f->remedy =
	    TEXT("who runs %s publishes this", names_zone(run, p->localname));
	f->record = names_address_record(run, p->localname, p->external);
}

static void judge_alias(struct run *run, const struct place *p,
    const struct names_found *found, struct finding *f)
{
	f->code = "name-alias";
	f->status = FINDING_WARN;
	f->found = TEXT("a CNAME to %s", found->answer->canonical.p);
	f->expected = "a name with an address of its own (RFC 5321 2.3.5)";
	f->remedy = TEXT("set %s to \"%s\"; or who runs %s publishes this "
			 "instead of the CNAME",
	    run_localname_setting(run, p), found->answer->canonical.p,
	    names_zone(run, p->localname));
	f->record = names_address_record(run, p->localname, p->external);
}

static void judge_unknown(
    struct run *run, const struct ask_answer *answer, struct finding *f)
{
	f->code = "name-unknown";
	f->status = FINDING_SKIP;
	f->found = TEXT("%s %s: %s (%s)", ask_type_name(answer->type),
	    answer->name.p, ask_status_name(answer->status), answer->why.p);
	f->remedy = "see the findings of the resolvers; then run this again";
}

static void judge_address(
    struct run *run, const struct place *p, struct finding *f)
{
	struct names_found found =
	    names_resolve(run, p->localname, p->external);

	f->status = FINDING_FAIL;
	switch (found.match) {
	case NAMES_HAS:
		f->status = FINDING_OK;
		f->code = "name-ok";
		f->found = TEXT("%s %s", p->is_v6 ? "AAAA" : "A", p->external);
		if (ask_first(found.answer, ASK_CNAME))
			judge_alias(run, p, &found, f);
		break;
	case NAMES_OTHER:
		judge_other(run, p, &found, f);
		break;
	case NAMES_NO_FAMILY:
	case NAMES_NO_ADDRESS:
	case NAMES_NO_NAME:
		judge_without(run, p, &found, f);
		break;
	case NAMES_UNKNOWN:
		judge_unknown(run, found.answer, f);
		break;
	}
}

/* Without the outside address only its absence can be seen. */
static void judge_blindly(
    struct run *run, const struct place *p, struct finding *f)
{
	const struct ask_answer *v4, *v6;

	v4 = ask(run->ask, span_of(p->localname), ASK_A);
	v6 = ask(run->ask, span_of(p->localname), ASK_AAAA);
	f->code = "name-unknown";
	f->status = FINDING_SKIP;
	f->found = "it has an address; whether it is the one that the world "
		   "sees is not known";
	f->remedy = TEXT("say which that is: --ip %s=ADDRESS", p->local);
	if (!ask_is_known(v4)) {
		judge_unknown(run, v4, f);
	} else if (!ask_is_known(v6)) {
		judge_unknown(run, v6, f);
	} else if (v4->status != ASK_FOUND && v6->status != ASK_FOUND) {
		f->code = "name-missing";
		f->status = FINDING_FAIL;
		f->found = "the DNS has no address of it";
		f->expected = "the address that the world sees";
		f->remedy = TEXT("who runs %s publishes this",
		    names_zone(run, p->localname));
		f->record =
		    names_address_record(run, p->localname, "YOUR-ADDRESS");
	}
}

static void check_name(struct run *run, void *arg)
{
	const struct place *p = arg;
	struct finding f = { .subject = p->localname };

	if (!judge_form(run, p, &f)) {
		if (p->external[0])
			judge_address(run, p, &f);
		else
			judge_blindly(run, p, &f);
	}
	run_found(run, p, &f);
}

void name_plan(struct run *run)
{
	if (run->options->mode != RUN_NODE)
		return;
	for (size_t i = 0; i < run->nplaces; i++) {
		struct place *p = &run->places[i];

		if (!p->is_relayed && (p->local[0] || p->external[0]))
			run_add(run, check_name, p);
	}
}
