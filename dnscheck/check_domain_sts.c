/* How others are to deliver to a sender domain: MTA-STS (RFC 8461), reports
 * about it (RFC 8460), and TLSA records of its MX hosts (RFC 7672).
 */
#include "dnscheck/dkim_tags.h"
#include "dnscheck/domain.h"
#include "dnscheck/names.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { OWNER_MAX = DOMAIN_NAME_MAX + 20, HOSTS_MAX = 20 };

/* --- MTA-STS -------------------------------------------------------------- */

/* id: 1 to 32 letters and digits (section 3.1). */
static bool is_id(struct span id)
{
	for (size_t i = 0; i < id.n; i++)
		if ((id.p[i] < '0' || id.p[i] > '9') &&
		    ((id.p[i] | 0x20) < 'a' || (id.p[i] | 0x20) > 'z'))
			return false;
	return id.n >= 1 && id.n <= 32;
}

static const char *sts_fault(struct domain_text *t)
{
	const char *why = "";
	struct tags tags;

	if (t->count > 1)
		return "there are several records: none applies";
	if (tags_parse(t->first, &tags, &why) < 0)
		return why;
	if (!tags_begin(&tags, "v", "STSv1"))
		return "it does not begin with v=STSv1;";
	if (!is_id(tags_find(&tags, "id")))
		return "its id= is not 1 to 32 letters and digits";
	return NULL;
}

static void judge_policy_host(
    struct run *run, const struct domain *domain, struct finding *f)
{
	const char *host = TEXT("mta-sts.%s", domain->name);
	struct names_found found = names_resolve(run, host, "0.0.0.0");

	if (found.match == NAMES_UNKNOWN) {
		domain_unknown(run, "sts-unknown", found.answer, f);
		return;
	}
	if (found.match == NAMES_NO_NAME || found.match == NAMES_NO_ADDRESS) {
		f->code = "sts-no-host";
		f->status = FINDING_FAIL;
		f->found =
		    TEXT("a record, but %s, which has the policy, has no "
			 "address",
			host);
		f->expected = "a web server with the policy";
		f->remedy = domain_publisher(run, host);
		f->record =
		    names_address_record(run, host, "ADDRESS-OF-A-WEB-SERVER");
		return;
	}
	f->code = "sts-policy-unread";
	f->status = FINDING_SKIP;
	f->found = TEXT("the record and %s are there; the policy itself is not "
			"fetched by this check",
	    host);
	f->remedy =
	    TEXT("look at it: curl https://%s/.well-known/mta-sts.txt", host);
}

static void check_sts(
    struct run *run, const struct domain *domain, bool *is_used)
{
	struct finding f = { .subject = domain->name };
	char owner[OWNER_MAX];
	struct domain_text t;
	const char *fault;

	snprintf(owner, sizeof(owner), "_mta-sts.%s", domain->name);
	t = domain_text(run, owner, "v=STSv1");
	fault = t.count ? sts_fault(&t) : NULL;
	*is_used |= t.count > 0;
	if (!ask_is_known(t.answer)) {
		domain_unknown(run, "sts-unknown", t.answer, &f);
	} else if (t.count == 0) {
		f.code = "sts-none";
		f.found = "no record: MTA-STS is not used";
	} else if (fault) {
		f.code = "sts-invalid";
		f.status = FINDING_FAIL;
		f.found = TEXT("its record cannot be used: %s", fault);
		f.expected = "one record of RFC 8461";
		f.remedy =
		    TEXT("%s instead, with a new id at every change of the "
			 "policy",
			domain_publisher(run, owner));
		f.record = domain_txt_record(
		    run, owner, SPAN_LITERAL("v=STSv1; id=1"));
	} else {
		judge_policy_host(run, domain, &f);
	}
	run_found(run, NULL, &f);
}

/* --- TLSRPT --------------------------------------------------------------- */

static const char *tlsrpt_fault(struct domain_text *t)
{
	const char *why = "";
	struct span rest, uri;
	struct tags tags;

	if (t->count > 1)
		return "there are several records: none applies";
	if (tags_parse(t->first, &tags, &why) < 0)
		return why;
	rest = tags_find(&tags, "rua");
	if (!tags_begin(&tags, "v", "TLSRPTv1"))
		return "it does not begin with v=TLSRPTv1;";
	if (rest.n == 0)
		return "it has no rua=";
	while (rest.n > 0) {
		uri = span_trim(span_cut(&rest, ','));
		if (!span_has_prefix_nocase(uri, "mailto:") &&
		    !span_has_prefix_nocase(uri, "https://"))
			return "an address in rua= is neither mailto: nor "
			       "https:";
	}
	return NULL;
}

static void check_tlsrpt(
    struct run *run, const struct domain *domain, bool is_used)
{
	struct finding f = { .subject = domain->name };
	char owner[OWNER_MAX], text[DOMAIN_NAME_MAX + 60];
	struct domain_text t;
	const char *fault;

	snprintf(owner, sizeof(owner), "_smtp._tls.%s", domain->name);
	t = domain_text(run, owner, "v=TLSRPTv1");
	fault = t.count ? tlsrpt_fault(&t) : NULL;
	f.expected = "one record of RFC 8460";
	f.status = FINDING_WARN;
	snprintf(text, sizeof(text), "v=TLSRPTv1; rua=mailto:postmaster@%s",
	    domain->name);
	if (!ask_is_known(t.answer)) {
		domain_unknown(run, "tlsrpt-unknown", t.answer, &f);
	} else if (fault) {
		f.code = "tlsrpt-invalid";
		f.found = TEXT("its record cannot be used: %s", fault);
		f.remedy = TEXT("%s instead", domain_publisher(run, owner));
		f.record = domain_txt_record(run, owner, span_of(text));
	} else if (t.count == 0 && is_used) {
		f.code = "tlsrpt-missing";
		f.found = "no record, though MTA-STS or DANE is used: nobody "
			  "reports when mail cannot be delivered";
		f.remedy = domain_publisher(run, owner);
		f.record = domain_txt_record(run, owner, span_of(text));
	} else {
		f.code = t.count ? "tlsrpt-ok" : "tlsrpt-none";
		f.status = FINDING_OK;
		f.found = t.count ? "reports are asked for"
				  : "no record, and nothing to report about";
	}
	run_found(run, NULL, &f);
}

/* --- TLSA ----------------------------------------------------------------- */

/* NULL: a record that RFC 7672 lets senders use. */
static const char *tlsa_fault(const struct ask_record *r)
{
	static const size_t lengths[] = { 0, 32, 64 };

	if (r->usage != 2 && r->usage != 3)
		return "its usage is neither 2 nor 3";
	if (r->selector > 1 || r->matching > 2)
		return "its selector or matching type is not known";
	if (r->matching && r->data.n != lengths[r->matching])
		return "its digest has the wrong length";
	return r->data.n ? NULL : "it is empty";
}

static void judge_tlsa(
    struct run *run, const struct ask_answer *answer, struct finding *f)
{
	const char *fault = NULL, *one;
	size_t count = 0, nusable = 0;

	for (const struct ask_record *r = ask_first(answer, ASK_TLSA); r;
	     r = ask_next(answer, r)) {
		one = tlsa_fault(r);
		fault = one ? one : fault;
		nusable += !one;
		count++;
	}
	f->found =
	    TEXT("%zu of %zu TLSA records usable, signed", nusable, count);
	f->code = "dane-ok";
	if (!fault && answer->is_secure)
		return;
	f->expected = "DANE-TA(2) or DANE-EE(3) records in a signed zone";
	if (fault) {
		f->code = "dane-unusable";
		f->status = nusable ? FINDING_WARN : FINDING_FAIL;
		f->found = TEXT("%zu of %zu TLSA records cannot be used: %s",
		    count - nusable, count, fault);
		f->remedy = TEXT("%s, with the digest of the certificate's key",
		    domain_publisher(run, answer->name.p));
		f->record = TEXT(
		    "%s. IN TLSA 3 1 1 SHA-256-OF-THE-KEY", answer->name.p);
		return;
	}
	f->code = "dane-unsigned";
	f->status = FINDING_WARN;
	f->found = "TLSA records, but the zone is not signed, or no resolver "
		   "here validates: nobody may use them";
	f->remedy = "have the zone signed (DNSSEC), or remove the records; "
		    "see also the node-dnssec- findings";
}

static void check_host(
    struct run *run, const struct ask_record *mx, bool *is_used)
{
	const char *owner = TEXT("_25._tcp.%s", mx->name.p);
	const struct ask_answer *answer =
	    ask(run->ask, span_of(owner), ASK_TLSA);
	struct finding f = { .subject = mx->name.p };

	if (!ask_is_known(answer)) {
		domain_unknown(run, "dane-unknown", answer, &f);
		f.found = TEXT(
		    "%s; senders that use DANE defer mail meanwhile", f.found);
	} else if (answer->status == ASK_FOUND) {
		*is_used = true;
		judge_tlsa(run, answer, &f);
	} else {
		f.code = "dane-none";
		f.found = "no TLSA record: DANE is not used";
	}
	run_found(run, NULL, &f);
}

static void check_dane(
    struct run *run, const struct domain *domain, bool *is_used)
{
	const struct ask_answer *mx =
	    ask(run->ask, span_of(domain->name), ASK_MX);
	int n = 0;

	if (mx->status != ASK_FOUND)
		return;
	for (const struct ask_record *r = ask_first(mx, ASK_MX);
	     r && n < HOSTS_MAX; r = ask_next(mx, r), n++)
		if (r->name.n > 0)
			check_host(run, r, is_used);
}

/* One after the other: whether reports are missed depends on the others. */
void check_domain_sts(struct run *run, void *arg)
{
	bool is_used = false;

	check_sts(run, arg, &is_used);
	check_dane(run, arg, &is_used);
	check_tlsrpt(run, arg, is_used);
}
