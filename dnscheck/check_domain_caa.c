/* What is only noted of a sender domain: CAA (RFC 8659), which may forbid the
 * certificates that its servers need, and BIMI.
 */
#include "dnscheck/dkim_tags.h"
#include "dnscheck/domain.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { LEVELS_MAX = 10 };

/* The set that applies: of the name, or the nearest above it. */
static const struct ask_answer *climb(struct run *run, const char *name)
{
	const struct ask_answer *answer = NULL;

	for (int i = 0; name && i < LEVELS_MAX; i++) {
		answer = ask(run->ask, span_of(name), ASK_CAA);
		if (answer->status == ASK_FOUND || !ask_is_known(answer))
			return answer;
		name = strchr(name, '.');
		name = name ? name + 1 : NULL;
	}
	return answer;
}

/* Who may issue: "letsencrypt.org, ca.example"; "" nobody. *has_issue: the set
 * says anything about it at all. */
static const char *issuers(
    struct run *run, const struct ask_answer *answer, bool *has_issue)
{
	const char *list;
	struct buf out;

	buf_init(&out, 500);
	for (const struct ask_record *r = ask_first(answer, ASK_CAA); r;
	     r = ask_next(answer, r)) {
		struct span value = r->data, name;

		if (!span_is_equal_nocase(r->tag, SPAN_LITERAL("issue")))
			continue;
		*has_issue = true;
		name = span_trim(span_cut(&value, ';'));
		if (name.n > 0)
			buf_printf(&out, "%s%.*s", out.len ? ", " : "",
			    (int)name.n, name.p);
	}
	list = TEXT("%s", buf_text(&out));
	buf_clear(&out);
	return list;
}

void check_domain_caa(struct run *run, void *arg)
{
	const struct domain *domain = arg;
	struct finding f = { .subject = domain->name, .code = "caa-ok" };
	const struct ask_answer *answer = climb(run, domain->name);
	bool has_issue = false;
	const char *list;

	if (!ask_is_known(answer)) {
		domain_unknown(run, "caa-unknown", answer, &f);
		run_found(run, NULL, &f);
		return;
	}
	list =
	    answer->status == ASK_FOUND ? issuers(run, answer, &has_issue) : "";
	if (!has_issue) {
		f.found = "any authority may issue certificates";
	} else if (list[0]) {
		f.found = TEXT("certificates only by %s", list);
	} else {
		f.code = "caa-forbids";
		f.status = FINDING_WARN;
		f.found = TEXT(
		    "CAA of %s lets nobody issue certificates", answer->name.p);
		f.expected =
		    "the authority whose certificates the servers have";
		f.remedy = TEXT("%s instead, or servers lose TLS when their "
				"certificates expire",
		    domain_publisher(run, answer->name.p));
		f.record = TEXT(
		    "%s. IN CAA 0 issue \"YOUR-AUTHORITY\"", answer->name.p);
	}
	run_found(run, NULL, &f);
}

void check_domain_bimi(struct run *run, void *arg)
{
	const struct domain *domain = arg;
	struct finding f = { .subject = domain->name, .code = "bimi-noted" };
	char owner[DOMAIN_NAME_MAX + 20];
	struct domain_text t;

	snprintf(owner, sizeof(owner), "default._bimi.%s", domain->name);
	t = domain_text(run, owner, "v=BIMI1");
	f.found = !ask_is_known(t.answer) ? "could not be looked up"
		  : t.count ? "a record; it shows a logo where receivers do so"
			    : "no record; none is needed";
	run_found(run, NULL, &f);
}
