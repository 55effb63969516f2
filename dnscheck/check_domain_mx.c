/* Where answers and bounces to a sender domain go. RFC 5321 section 5.1,
 * RFC 2181 section 10.3 (no alias), RFC 7505 (null MX).
 */
#include "dnscheck/domain.h"
#include "dnscheck/names.h"
#include "dnscheck/place.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { HOSTS_MAX = 20 }; /* that are looked at */

/* What is wrong with a host, the worst last. */
enum fault {
	HOST_OK = 0,
	HOST_UNKNOWN,
	HOST_ALIAS,
	HOST_NOT_PUBLIC,
	HOST_NO_ADDRESS,
	HOST_NULL, /* "." beside others */
};

struct hosts {
	const struct ask_answer *mx, *unknown;
	size_t count, nusable;
	enum fault worst;
	const char *name;   /* of the worst */
	const char *detail; /* its alias's target or address */
	bool has_null;
};

/* The first address that is not public, or NULL. */
static const struct ask_record *find_private(
    const struct ask_answer *answer, uint16_t type, char text[NET_TEXT_MAX])
{
	for (const struct ask_record *r = ask_first(answer, type); r;
	     r = ask_next(answer, r))
		if (address_kind_of(ask_address_text(r, text)) !=
		    ADDRESS_PUBLIC)
			return r;
	return NULL;
}

static enum fault look_at(
    struct run *run, struct hosts *h, struct span name, const char **detail)
{
	const struct ask_answer *a = ask(run->ask, name, ASK_A);
	const struct ask_answer *aaaa = ask(run->ask, name, ASK_AAAA);
	const struct ask_record *alias = ask_first(a, ASK_CNAME);
	char text[NET_TEXT_MAX] = "";

	if (a->status != ASK_FOUND && aaaa->status != ASK_FOUND) {
		if (ask_is_known(a) && ask_is_known(aaaa))
			return HOST_NO_ADDRESS;
		h->unknown = ask_is_known(a) ? aaaa : a;
		return HOST_UNKNOWN;
	}
	if ((a->status == ASK_FOUND && find_private(a, ASK_A, text)) ||
	    (aaaa->status == ASK_FOUND && find_private(aaaa, ASK_AAAA, text))) {
		*detail = TEXT("%s", text);
		return HOST_NOT_PUBLIC;
	}
	h->nusable++;
	if (!alias && aaaa->status == ASK_FOUND)
		alias = ask_first(aaaa, ASK_CNAME);
	if (!alias)
		return HOST_OK;
	*detail = TEXT(
	    "%s", a->status == ASK_FOUND ? a->canonical.p : aaaa->canonical.p);
	return HOST_ALIAS;
}

static void look_at_all(struct run *run, struct hosts *h)
{
	for (const struct ask_record *r = ask_first(h->mx, ASK_MX); r;
	     r = ask_next(h->mx, r)) {
		const char *detail = "";
		enum fault fault;

		h->has_null |= r->name.n == 0;
		if (h->count++ >= HOSTS_MAX)
			continue;
		fault = r->name.n == 0 ? HOST_NULL
				       : look_at(run, h, r->name, &detail);
		if (fault <= h->worst)
			continue;
		h->worst = fault;
		h->name = r->name.p;
		h->detail = detail;
	}
}

/* --- findings ------------------------------------------------------------- */

static const char *mx_record(struct run *run, const char *domain)
{
	const char *host = run->options->localname ? run->options->localname
						   : run->conf->localname;

	return TEXT("%s. IN MX 10 %s.", domain,
	    names_is_host(host) && !names_is_private(host)
		? host
		: "mail.YOUR-DOMAIN");
}

static void expect_mx(struct run *run, const char *domain, struct finding *f)
{
	f->expected = "an MX record that names a host which takes mail for it";
	f->remedy = TEXT("%s, with the host that takes its mail (or send as "
			 "another domain)",
	    domain_publisher(run, domain));
	f->record = mx_record(run, domain);
}

/* There is no MX record at all. */
static void judge_none(struct run *run, const char *domain,
    const struct ask_answer *mx, struct finding *f)
{
	struct names_found found = names_resolve(run, domain, "0.0.0.0");

	if (mx->status == ASK_NO_NAME) {
		f->code = "mx-no-domain";
		f->found = "the domain does not exist";
		f->status = FINDING_FAIL;
	} else if (found.match == NAMES_UNKNOWN) {
		domain_unknown(run, "mx-unknown", found.answer, f);
		return;
	} else if (found.match == NAMES_NO_ADDRESS ||
		   found.match == NAMES_NO_NAME) {
		f->code = "mx-nowhere";
		f->found = "neither MX nor address: nobody can answer, and "
			   "many receivers refuse such senders";
		f->status = FINDING_FAIL;
	} else {
		f->code = "mx-missing";
		f->found = "no MX record; answers go to its own address";
		f->status = FINDING_WARN;
	}
	expect_mx(run, domain, f);
}

static void judge_host(struct run *run, const char *domain,
    const struct hosts *h, struct finding *f)
{
	f->status = h->nusable ? FINDING_WARN : FINDING_FAIL;
	f->remedy = domain_publisher(run, h->name);
	switch (h->worst) {
	case HOST_ALIAS:
		f->code = "mx-alias";
		f->found = TEXT("%s is a CNAME to %s", h->name, h->detail);
		f->expected = "a host with addresses of its own (RFC 2181)";
		f->remedy = TEXT("%s instead of the one that names %s",
		    domain_publisher(run, domain), h->name);
		f->record = TEXT("%s. IN MX 10 %s.", domain, h->detail);
		return;
	case HOST_NOT_PUBLIC:
		f->code = "mx-not-public";
		f->found = TEXT("%s has the address %s, which nobody else can "
				"reach",
		    h->name, h->detail);
		f->expected = "public addresses only";
		f->record =
		    names_address_record(run, h->name, "PUBLIC-ADDRESS");
		return;
	default:
		f->code = "mx-no-address";
		f->found = TEXT("%s has no address", h->name);
		f->expected = "an A or AAAA record";
		f->record =
		    names_address_record(run, h->name, "ADDRESS-OF-THE-HOST");
	}
}

static void judge(
    struct run *run, const char *domain, struct hosts *h, struct finding *f)
{
	if (h->has_null && h->count == 1) {
		f->code = "mx-null";
		f->status = FINDING_FAIL;
		f->found = "a null MX: it takes no mail (RFC 7505), and "
			   "receivers may refuse what comes from it";
		expect_mx(run, domain, f);
	} else if (h->has_null) {
		f->code = "mx-null-among-others";
		f->status = FINDING_WARN;
		f->found = "a null MX stands beside other hosts";
		f->expected = "one or the other (RFC 7505 section 3)";
		f->remedy = TEXT(
		    "who runs %s removes \"MX 0 .\"", names_zone(run, domain));
	} else if (h->worst == HOST_UNKNOWN) {
		domain_unknown(run, "mx-unknown", h->unknown, f);
	} else if (h->worst > HOST_OK) {
		judge_host(run, domain, h, f);
	} else {
		f->code = "mx-ok";
		f->found = TEXT("%zu host%s: %s%s", h->count,
		    h->count == 1 ? "" : "s", ask_first(h->mx, ASK_MX)->name.p,
		    h->count > 1 ? " first" : "");
	}
}

void check_domain_mx(struct run *run, void *arg)
{
	const struct domain *domain = arg;
	struct finding f = { .subject = domain->name };
	struct hosts h = { .mx = ask(run->ask, span_of(domain->name), ASK_MX) };

	if (!ask_is_known(h.mx)) {
		domain_unknown(run, "mx-unknown", h.mx, &f);
	} else if (h.mx->status != ASK_FOUND) {
		judge_none(run, domain->name, h.mx, &f);
	} else {
		look_at_all(run, &h);
		judge(run, domain->name, &h, &f);
	}
	run_found(run, NULL, &f);
}
