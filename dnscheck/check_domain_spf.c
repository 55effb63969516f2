/* SPF of a sender domain: does every address that we send from pass, and what
 * would the record have to be. RFC 7208.
 */
#include "dnscheck/domain.h"
#include "dnscheck/names.h"
#include "dnscheck/spf_parts.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { PROPOSAL_MAX = 8192 };

static const char fewer_lookups[] =
    "take out what no longer sends for it, and name networks by ip4: and ip6: "
    "instead of include:, a and mx";

static const char *localname_of(const struct run *run)
{
	return run->options->localname ? run->options->localname
				       : run->conf->localname;
}

static void evaluate(struct run *run, const struct domain *domain,
    const char *address, bool walks_all, struct spf_report *report)
{
	char sender[DOMAIN_NAME_MAX + 12];
	union net_address ip;
	struct spf_query query = { .dns = spf_dns_of(run->ask),
		.helo = span_of(localname_of(run)),
		.receiver = localname_of(run),
		.now = now_utc(),
		.deadline =
		    deadline_min(run->deadline, deadline_in_ms(SPF_LIMIT_MS)),
		.walks_all = walks_all };

	if (net_parse(span_of(address), 0, &ip) < 0)
		net_parse(SPAN_LITERAL("192.0.2.1"), 0, &ip);
	snprintf(sender, sizeof(sender), "postmaster@%s", domain->name);
	query.sender = span_of(sender);
	query.ip = net_bytes(&ip);
	spf_check(&query, report);
	spf_report_clear(report);
}

void domain_spf(struct run *run, const struct domain *domain,
    const struct place *place, struct spf_report *report)
{
	*report = (struct spf_report){ .result = SPF_NONE };
	if (place->external[0])
		evaluate(run, domain, place->external, false, report);
}

/* --- the record as it should be ------------------------------------------- */

/* All terms of a record that can be read; without is_first no "all" and no
 * modifiers. */
static void put_terms(struct span record, bool is_first, struct buf *out)
{
	struct span rest = span_from(record, 6);
	bool had[SPF_OTHER + 1] = { false };
	struct spf_term term;
	const char *why;
	int more;

	while ((more = spf_term_next(&rest, &term, &why)) != 0) {
		bool is_once = term.kind == SPF_ALL ||
			       term.kind == SPF_REDIRECT ||
			       term.kind == SPF_EXP;

		if (more < 0 || (is_once && (!is_first || had[term.kind])))
			continue;
		had[term.kind] = true;
		buf_putc(out, ' ');
		buf_put_raw(out, term.text);
	}
}

/* The records of the domain in one: what cannot be read is left out, the end
 * is that of the first. */
static void put_merged(const struct domain_text *t, struct buf *out)
{
	const struct ask_record *r;

	buf_puts(out, "v=spf1");
	for (r = ask_first(t->answer, ASK_TXT); r; r = ask_next(t->answer, r))
		if (spf_is_record(r->data) && r->data.p != t->first.p)
			put_terms(r->data, false, out);
	put_terms(t->first, true, out);
}

static bool was_before(const struct run *run, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(run->places[i].external, run->places[at].external) ==
		    0)
			return true;
	return false;
}

/* The whole record, with every address of ours that it does not pass. */
static const char *propose(
    struct run *run, const struct domain *domain, const struct domain_text *t)
{
	struct spf_report report;
	struct buf record, next;
	union net_address ip;
	const char *kept;

	buf_init(&record, PROPOSAL_MAX);
	buf_init(&next, PROPOSAL_MAX);
	if (t->count > 0)
		put_merged(t, &record);
	for (size_t i = run->nplaces; i-- > 0;) {
		const struct place *p = &run->places[i];

		if (!domain_has_place(domain, p) || was_before(run, i) ||
		    net_parse(span_of(p->external), 0, &ip) < 0)
			continue;
		domain_spf(run, domain, p, &report);
		if (report.result == SPF_PASS)
			continue;
		buf_reset(&next);
		spf_add_address(buf_span(&record), net_bytes(&ip), &next);
		buf_reset(&record);
		buf_put_raw(&record, buf_span(&next));
	}
	kept = domain_txt_record(run, domain->name, buf_span(&record));
	buf_clear(&record);
	buf_clear(&next);
	return kept;
}

/* --- findings ------------------------------------------------------------- */

static void expect_pass(struct run *run, const struct domain *domain,
    const struct domain_text *t, const char *instead, struct finding *f)
{
	f->expected = "pass";
	f->remedy = TEXT("%s%s", domain_publisher(run, domain->name), instead);
	f->record = propose(run, domain, t);
}

static bool is_readable(const struct domain_text *t)
{
	struct spf_term redirect, exp;
	struct span bad;
	const char *why;

	return spf_record_check(t->first, &redirect, &exp, &bad, &why) == 0;
}

static void judge_error(struct run *run, const struct domain *domain,
    const struct domain_text *t, const struct spf_report *report,
    struct finding *f)
{
	f->status = FINDING_FAIL;
	f->found = TEXT("permerror: %s", report->why);
	if (t->count > 1) {
		f->code = "spf-multiple";
		expect_pass(run, domain, t, " instead of all of them", f);
	} else if (t->count == 1 && !is_readable(t)) {
		f->code = "spf-invalid";
		expect_pass(run, domain, t, " instead", f);
	} else {
		bool is_limit = report->lookups >= SPF_LOOKUPS_MAX ||
				report->voids > SPF_VOIDS_MAX;

		f->code = is_limit ? "spf-too-many-lookups" : "spf-broken";
		f->expected = "pass";
		f->remedy = is_limit ? fewer_lookups
				     : "take out or mend what is named here";
	}
}

static void judge_pass(struct run *run, const struct domain *domain,
    const struct place *place, const struct spf_report *report,
    struct finding *f)
{
	struct spf_report all;

	evaluate(run, domain, place->external, true, &all);
	f->code = "spf-ok";
	f->found = TEXT("pass by %s; look-ups: %u of %d", report->why,
	    all.lookups, SPF_LOOKUPS_MAX);
	if (all.lookups <= SPF_LOOKUPS_MAX)
		return;
	f->code = "spf-too-many-lookups";
	f->status = FINDING_WARN;
	f->expected = "at most 10 look-ups: others who send for it may get a "
		      "permerror";
	f->remedy = fewer_lookups;
}

static void judge(struct run *run, const struct domain *domain,
    const struct place *place, const struct domain_text *t,
    const struct spf_report *report, struct finding *f)
{

	switch (report->result) {
	case SPF_PASS:
		judge_pass(run, domain, place, report, f);
		return;
	case SPF_TEMPERROR:
		f->code = "spf-unknown";
		f->status = FINDING_SKIP;
		f->found = TEXT("temperror: %s", report->why);
		f->remedy = "see the findings of the resolvers; then run this "
			    "again";
		return;
	case SPF_PERMERROR:
		judge_error(run, domain, t, report, f);
		return;
	case SPF_NONE:
		f->code = "spf-missing";
		f->status = FINDING_FAIL;
		f->found = report->why;
		expect_pass(run, domain, t, "", f);
		return;
	default:
		f->code = "spf-not-listed";
		f->status = FINDING_FAIL;
		f->found = TEXT(
		    "%s by %s", spf_result_name(report->result), report->why);
		expect_pass(run, domain, t, " instead", f);
	}
}

void check_domain_spf(struct run *run, void *arg)
{
	const struct domain *domain = arg;
	struct domain_text t = domain_text(run, domain->name, "v=spf1");
	struct spf_report report;

	for (size_t i = 0; i < run->nplaces; i++) {
		const struct place *p = &run->places[i];
		struct finding f = { .subject = domain->name };

		if (!domain_has_place(domain, p))
			continue;
		if (!p->external[0]) {
			f.code = "spf-unknown";
			f.status = FINDING_SKIP;
			f.found =
			    "the address that the world sees is not known";
			f.remedy = "say which it is: --ip ADDRESS";
			run_found(run, p, &f);
			continue;
		}
		domain_spf(run, domain, p, &report);
		judge(run, domain, p, &t, &report, &f);
		f.found = TEXT("%s: %s", p->external, f.found);
		run_found(run, p, &f);
	}
}
