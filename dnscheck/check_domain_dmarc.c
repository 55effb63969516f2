/* DMARC of a sender domain: the record that applies, and whether what we send
 * would be aligned. Records: RFC 7489. Which one applies: the tree walk of
 * draft-ietf-dmarc-dmarcbis section 4.10, which needs no list of public
 * suffixes: _dmarc of the domain, then of each parent, 8 look-ups at most; the
 * organizational domain is what has psd=n, or stands below psd=y, or else has
 * the fewest labels of those with a record.
 */
#include "dnscheck/dkim_tags.h"
#include "dnscheck/dmarc.h"
#include "dnscheck/domain.h"
#include "dnscheck/spf.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { WALK_MAX = 8, OWNER_MAX = DOMAIN_NAME_MAX + 8 };

struct walk {
	const char *organization;     /* part of the domain's name */
	struct dmarc_record own, top; /* of the domain, of the organization */
	bool has_own, has_top;
	/* why the domain has none of its own, or a walk ended */
	const struct ask_answer *unknown;
	size_t own_count;
	const char *own_why; /* of a record that cannot be read */
};

/* --- the walk ------------------------------------------------------------- */

static const char *parent_of(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : NULL;
}

static size_t labels_of(const char *name)
{
	size_t n = 1;

	for (; *name; name++)
		n += *name == '.';
	return n;
}

/* All that are meant to be records there; blanks may stand around the "=". */
static struct domain_text find_records(struct run *run, const char *owner)
{
	struct domain_text t = { .answer =
				     ask(run->ask, span_of(owner), ASK_TXT) };
	const struct ask_record *r = ask_first(t.answer, ASK_TXT);

	if (t.answer->status != ASK_FOUND)
		return t;
	for (; r; r = ask_next(t.answer, r))
		if (dmarc_is_record(r->data) && t.count++ == 0)
			t.first = r->data;
	return t;
}

/* 1: that name has exactly one record that can be read. */
static int read_at(struct run *run, struct walk *w, const char *name,
    bool is_own, struct dmarc_record *record)
{
	char owner[OWNER_MAX];
	struct domain_text t;
	const char *why = "";

	snprintf(owner, sizeof(owner), "_dmarc.%s", name);
	t = find_records(run, owner);
	if (!ask_is_known(t.answer)) {
		w->unknown = t.answer;
		return -1;
	}
	if (is_own)
		w->own_count = t.count;
	if (t.count != 1)
		return 0;
	if (dmarc_record_parse(t.first, record, &why) == 0)
		return 1;
	if (is_own)
		w->own_why = why;
	return 0;
}

static void walk(struct run *run, const char *domain, struct walk *w)
{
	const char *name = domain, *below = domain;
	struct dmarc_record record;
	int found;

	*w = (struct walk){ .organization = domain };
	for (int i = 0; name && i < WALK_MAX; i++) {
		found = read_at(run, w, name, name == domain, &record);
		if (found < 0)
			return;
		if (found && name == domain) {
			w->own = record;
			w->has_own = true;
		}
		if (found && record.psd == 'y' && name != domain) {
			w->organization = below;
			return;
		}
		if (found) {
			w->top = record;
			w->has_top = true;
			w->organization = name;
		}
		if (found && record.psd == 'n')
			return;
		below = name;
		name = parent_of(name);
		/* of names with many labels only the last seven */
		while (i == 0 && name && labels_of(name) > WALK_MAX - 1)
			name = parent_of(name);
	}
}

/* --- what applies --------------------------------------------------------- */

static enum dmarc_policy policy_of(const struct walk *w)
{
	if (w->has_own)
		return w->own.policy;
	return w->top.subdomains ? w->top.subdomains : w->top.policy;
}

/* How many of our addresses pass SPF. The envelope sender is of the domain
 * itself, so that what passes is aligned, strict or relaxed. */
static size_t count_passing(
    struct run *run, const struct domain *domain, size_t *count)
{
	struct spf_report report;
	size_t n = 0;

	*count = 0;
	for (size_t i = 0; i < run->nplaces; i++) {
		const struct place *p = &run->places[i];

		if (!domain_has_place(domain, p) || !p->external[0])
			continue;
		(*count)++;
		domain_spf(run, domain, p, &report);
		n += report.result == SPF_PASS;
	}
	return n;
}

/* A selector of ours has a key that can be used. */
static bool has_dkim(struct run *run, const struct domain *domain)
{
	for (size_t i = 0; i < run->domains->nselectors; i++) {
		char name[DOMAIN_NAME_MAX * 2 + 12];
		const struct ask_answer *answer;

		snprintf(name, sizeof(name), "%s._domainkey.%s",
		    run->domains->selectors[i].name, domain->name);
		answer = ask(run->ask, span_of(name), ASK_TXT);
		if (answer->status == ASK_FOUND)
			return true;
	}
	return false;
}

/* --- reports to others ---------------------------------------------------- */

static bool is_same_organization(
    struct run *run, const struct walk *w, const char *other)
{
	struct walk theirs;

	walk(run, other, &theirs);
	return strcasecmp(theirs.organization, w->organization) == 0;
}

/* RFC 7489 section 7.1: another domain must say that it takes the reports.
 * false: it does not, *f says so. */
static bool check_reports(struct run *run, const char *domain,
    const struct walk *w, const struct dmarc_record *record, struct finding *f)
{
	struct span rest = record->reports, to;
	char other[DOMAIN_NAME_MAX], owner[DOMAIN_NAME_MAX * 2 + 20];
	struct domain_text t;
	int more;

	for (int i = 0; i < 10 && (more = dmarc_next_report(&rest, &to)); i++) {
		if (more < 0 || to.n >= sizeof(other)) {
			f->code = "dmarc-bad-report-address";
			f->status = FINDING_WARN;
			f->found = "an address in rua= is no mailto: URI";
			f->expected = "rua=mailto:USER@DOMAIN";
			f->remedy = "mend it, or nobody sends reports";
			return false;
		}
		snprintf(other, sizeof(other), "%.*s", (int)to.n, to.p);
		if (is_same_organization(run, w, other))
			continue;
		snprintf(owner, sizeof(owner), "%s._report._dmarc.%s",
		    w->has_own ? domain : w->organization, other);
		t = find_records(run, owner);
		if (t.count > 0 || !ask_is_known(t.answer))
			continue;
		f->code = "dmarc-report-refused";
		f->status = FINDING_WARN;
		f->found = TEXT("reports go to %s, which does not say that it "
				"takes them",
		    other);
		f->expected = "its consent (RFC 7489 section 7.1)";
		f->remedy = domain_publisher(run, other);
		f->record =
		    domain_txt_record(run, owner, SPAN_LITERAL("v=DMARC1"));
		return false;
	}
	return true;
}

/* --- findings ------------------------------------------------------------- */

static void expect_record(
    struct run *run, const char *domain, const char *instead, struct finding *f)
{
	char owner[OWNER_MAX], text[DOMAIN_NAME_MAX + 60];

	snprintf(owner, sizeof(owner), "_dmarc.%s", domain);
	snprintf(text, sizeof(text),
	    "v=DMARC1; p=none; rua=mailto:postmaster@%s", domain);
	f->expected = "one record of RFC 7489";
	f->remedy = TEXT("%s%s", domain_publisher(run, domain), instead);
	f->record = domain_txt_record(run, owner, span_of(text));
}

static void judge_alignment(struct run *run, const struct domain *domain,
    const struct walk *w, struct finding *f)
{
	size_t count, passing = count_passing(run, domain, &count);
	bool is_signed = has_dkim(run, domain);
	const char *policy = dmarc_policy_name(policy_of(w));
	const struct dmarc_record *record = w->has_own ? &w->own : &w->top;

	f->found = TEXT("p=%s by _dmarc.%s (tree walk), aligned by SPF from "
			"%zu of %zu addresses%s; %s",
	    policy, w->has_own ? domain->name : w->organization, passing, count,
	    is_signed ? " and by DKIM" : "",
	    record->reports.n ? "with reports" : "no rua=, so no reports");
	if (passing < count && !is_signed) {
		f->code = "dmarc-not-aligned";
		f->status =
		    policy_of(w) == DMARC_NONE ? FINDING_WARN : FINDING_FAIL;
		f->expected = "SPF that passes from every address, or DKIM "
			      "signatures of this domain";
		f->remedy = "see its spf- and dkim- findings";
		return;
	}
	if (check_reports(run, domain->name, w, record, f))
		f->code = "dmarc-ok";
}

static void judge(struct run *run, const struct domain *domain,
    const struct walk *w, struct finding *f)
{
	f->status = FINDING_FAIL;
	if (w->unknown) {
		domain_unknown(run, "dmarc-unknown", w->unknown, f);
	} else if (w->own_count > 1) {
		f->code = "dmarc-multiple";
		f->found = TEXT("%zu records at _dmarc.%s: none applies",
		    w->own_count, domain->name);
		expect_record(run, domain->name, " instead of all of them", f);
	} else if (w->own_why) {
		f->code = "dmarc-invalid";
		f->found = TEXT("its record cannot be used: %s", w->own_why);
		expect_record(run, domain->name, " instead", f);
	} else if (!w->has_own && !w->has_top) {
		f->code = "dmarc-missing";
		f->status = FINDING_WARN;
		f->found = "no record, here or above";
		expect_record(run, w->organization, "", f);
	} else {
		f->status = FINDING_OK;
		judge_alignment(run, domain, w, f);
	}
}

void check_domain_dmarc(struct run *run, void *arg)
{
	const struct domain *domain = arg;
	struct finding f = { .subject = domain->name };
	struct walk w;

	walk(run, domain->name, &w);
	judge(run, domain, &w, &f);
	run_found(run, NULL, &f);
}
