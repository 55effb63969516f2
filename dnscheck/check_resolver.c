/* The resolvers, each by itself: reachable, how fast, UDP, TCP, EDNS; and
 * whether it validates DNSSEC, proven by a signed name and by one whose
 * signatures are wrong on purpose.
 */
#include "dnscheck/checks.h"

#include "dnscheck/need.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { SLOW_MS = 1000, TRY_MS = 3000 };

static const char *signed_name(const struct run *run)
{
	return run->options->signed_name ? run->options->signed_name
					 : run->conf->dnscheck.signed_name;
}

static const char *bogus_name(const struct run *run)
{
	return run->options->bogus_name ? run->options->bogus_name
					: run->conf->dnscheck.bogus_name;
}

/* A second try: a resolver may drop a slow question and answer the next one
 * from its cache. */
static struct ask_answer *ask_twice(
    struct run *run, const struct ask_way *way, const char *name)
{
	struct ask_answer *a = ask_one(run->ask, way, span_of(name), ASK_SOA);

	if (a->status != ASK_TIMEOUT)
		return a;
	ask_answer_free(a);
	return ask_one(run->ask, way, span_of(name), ASK_SOA);
}

/* Anything that is an answer of a server. */
static bool has_answered(const struct ask_answer *a)
{
	return ask_is_known(a) || a->status == ASK_SERVFAIL ||
	       a->status == ASK_REFUSED;
}

static const char *setting(struct run *run)
{
	const char *from = ask_resolvers_from(run->ask);

	if (strcmp(from, "configuration") == 0)
		return TEXT("resolvers in %s", run_where(run, NULL));
	return from;
}

/* --- DNSSEC --------------------------------------------------------------- */

struct proof {
	bool says_secure;    /* AD on the signed name */
	bool gives_bogus;    /* and yet the forged name is given out */
	bool bogus_is_known; /* the forged name is there: unchecked it is given
			      */
	const char *why;     /* what could not be found out */
};

static void prove(struct run *run, struct ask_way way,
    const struct ask_answer *known, struct proof *proof)
{
	struct ask_answer *checked, *unchecked;

	*proof = (struct proof){ .says_secure = known->says_secure, .why = "" };
	if (!ask_is_known(known))
		proof->why = TEXT("%s: %s", signed_name(run), known->why.p);
	if (!known->says_secure)
		return;
	checked = ask_twice(run, &way, bogus_name(run));
	way.checking_disabled = true;
	unchecked = ask_twice(run, &way, bogus_name(run));
	proof->gives_bogus = ask_is_known(checked);
	proof->bogus_is_known =
	    ask_is_known(unchecked) && unchecked->status != ASK_NO_NAME;
	if (!proof->bogus_is_known)
		proof->why = TEXT("%s is not to be had even unchecked (%s)",
		    bogus_name(run),
		    unchecked->status == ASK_NO_NAME ? "no such name"
						     : unchecked->why.p);
	ask_answer_free(checked);
	ask_answer_free(unchecked);
}

static void judge_proof(
    struct run *run, const struct proof *p, bool is_trusted, struct finding *f)
{
	static const char *const remedy =
	    "run a validating resolver on this machine (unbound with its "
	    "default settings) and set resolvers = { \"127.0.0.1\" }, or set "
	    "tls { dane = off }";

	f->code = "node-dnssec-ok";
	f->found = "validates: the signed name is marked, the forged one is "
		   "refused";
	f->expected = f->remedy = "";
	if (!p->says_secure && p->why[0]) {
		f->code = "node-dnssec-unknown";
		f->status = FINDING_SKIP;
		f->found = p->why;
		f->remedy = "name a signed zone that this resolver can reach: "
			    "--signed-name, or dnscheck { signed-name }";
		return;
	}
	if (!p->says_secure) {
		f->code = "node-dnssec-off";
		f->found = TEXT("does not validate: %s is signed, but not "
				"marked as such",
		    signed_name(run)[0] == '.' ? "the root" : signed_name(run));
	} else if (p->gives_bogus && p->bogus_is_known) {
		f->code = "node-dnssec-bogus";
		f->found = TEXT("gives out %s, whose signatures are wrong",
		    bogus_name(run));
	} else if (!p->bogus_is_known) {
		f->code = "node-dnssec-unproven";
		f->status = FINDING_SKIP;
		f->found = TEXT("marks the signed name; that it refuses a "
				"forged one could not be seen: %s",
		    p->why);
		f->remedy = "name a zone with wrong signatures: --bogus-name, "
			    "or dnscheck { bogus-name }";
		return;
	} else if (!is_trusted) {
		f->code = "node-dnssec-distrusted";
		f->found = "validates, but is neither on this machine nor "
			   "marked \"trusted\": its word is not believed";
	} else {
		return;
	}
	f->status = FINDING_WARN;
	f->expected = "a validating resolver, without which there is no DANE";
	f->remedy = remedy;
}

static void check_dnssec(struct run *run, const struct ask_way *way,
    const struct ask_resolver *resolver, const struct ask_answer *known,
    const char *subject)
{
	struct finding f = { .subject = subject };
	struct proof proof;

	if (run->conf->tls.dane == SWITCH_OFF)
		return;
	prove(run, *way, known, &proof);
	judge_proof(run, &proof, resolver->is_trusted, &f);
	if (strcmp(f.code, "node-dnssec-distrusted") == 0)
		f.remedy = TEXT("if the way to it is safe, mark it in %s: "
				"resolvers = { \"%s trusted\" }; else run a "
				"validating resolver on this machine",
		    run_where(run, NULL), subject);
	run_found(run, NULL, &f);
}

/* --- the ways to ask ------------------------------------------------------ */

static void judge_ways(struct run *run, const struct ask_answer *udp,
    const struct ask_answer *tcp, struct finding *f)
{
	bool has_tcp = has_answered(tcp);

	f->code = "node-resolver-ok";
	f->found =
	    TEXT("answers by UDP after %u ms, by TCP, with EDNS", udp->took_ms);
	if (has_tcp && udp->has_edns && udp->took_ms <= SLOW_MS)
		return;
	f->status = FINDING_WARN;
	if (!has_tcp) {
		f->code = "node-resolver-tcp";
		f->found = TEXT("answers by UDP after %u ms, not by TCP: %s",
		    udp->took_ms, tcp->why.p);
		f->expected = "both: long answers come by TCP only";
		f->remedy = TEXT("who runs it, or the firewall between, lets "
				 "TCP to its port through; or another one: %s",
		    setting(run));
	} else if (!udp->has_edns) {
		f->code = "node-resolver-edns";
		f->found = "answers without EDNS (RFC 6891)";
		f->expected = "EDNS: without it there is no DNSSEC, and long "
			      "answers are cut";
		f->remedy = TEXT("who runs it renews it, or the firewall "
				 "between lets EDNS through; or another one: "
				 "%s",
		    setting(run));
	} else {
		f->code = "node-resolver-slow";
		f->found = TEXT("answers after %u ms", udp->took_ms);
		f->expected = TEXT("below %d ms", SLOW_MS);
		f->remedy = TEXT(
		    "a resolver on this machine or near it: %s", setting(run));
	}
}

static void judge_silence(
    struct run *run, const struct ask_answer *udp, struct finding *f)
{
	struct ask_resolver other;
	bool has_others = ask_resolver(run->ask, 1, &other);

	f->code = "node-resolver-silent";
	f->status = has_others ? FINDING_WARN : FINDING_FAIL;
	f->found = TEXT("%s", udp->why.p);
	f->expected = "an answer";
	f->remedy = TEXT("start it, or let UDP to its port through, or take "
			 "another one: %s",
	    setting(run));
}

static void check_resolver(struct run *run, void *arg)
{
	struct ask_resolver *r = arg;
	struct ask_way way = {
		.server = r->address, .try_ms = TRY_MS, .with_dnssec = true
	};
	char subject[NET_TEXT_MAX];
	struct finding f = { .subject = subject };
	struct ask_answer *udp, *tcp;

	net_print(&r->address, subject);
	udp = ask_twice(run, &way, signed_name(run));
	if (has_answered(udp)) {
		way.over_tcp = true;
		tcp = ask_twice(run, &way, signed_name(run));
		way.over_tcp = false;
		judge_ways(run, udp, tcp, &f);
		check_dnssec(
		    run, &way, r, udp->was_truncated ? tcp : udp, subject);
		ask_answer_free(tcp);
	} else {
		judge_silence(run, udp, &f);
	}
	run_found(run, NULL, &f);
	ask_answer_free(udp);
	free(r);
}

void resolver_plan(struct run *run)
{
	struct ask_resolver r;

	if (run->options->mode != RUN_NODE)
		return;
	for (size_t i = 0; ask_resolver(run->ask, i, &r); i++) {
		struct ask_resolver *own = need(malloc(sizeof(*own)));

		*own = r;
		run_add(run, check_resolver, own);
	}
}
