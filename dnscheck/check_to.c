/* The way that a message would take to one recipient: rule, line group, hosts,
 * what each host says up to RCPT, and what the runner would do with it.
 */
#include "common/address.h"
#include "common/replyrule.h"
#include "common/route.h"
#include "dnscheck/checks.h"
#include "dnscheck/look.h"
#include "dnscheck/need.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { TO_HOSTS_MAX = 10 };

struct to {
	const char *address, *domain; /* domain: in A-labels */
	struct route route;
	const struct place *place;
	struct replyrules *rules; /* or NULL: none could be had */
	bool is_secure;		  /* the MX set came by DNSSEC */
};

struct to_host {
	struct to *to;
	char *name;
	unsigned number, preference;
	uint16_t port;
	bool implicit_tls;
};

static void say(struct run *run, const struct to *to, struct finding *f)
{
	run_found(run, to->place, f);
}

/* --- one host ------------------------------------------------------------- */

/* Secure TLSA records: RFC 7672, as outpost-resolve finds them. */
static const char *find_dane(struct run *run, const struct to *to,
    struct look *look, struct host_policy *policy)
{
	const struct ask_answer *a, *tlsa;
	char name[300];

	if (run->conf->tls.dane != SWITCH_ON || !to->is_secure ||
	    to->route.servers)
		return "";
	a = ask(run->ask, span_of(look->host), ASK_A);
	if (!a->is_secure)
		return "";
	snprintf(name, sizeof(name), "_%u._tcp.%s", look->port, look->host);
	tlsa = ask(run->ask, span_of(name), ASK_TLSA);
	if (!ask_is_known(tlsa))
		return TEXT("; TLSA of %s could not be looked up: its mail "
			    "waits",
		    name);
	if (tlsa->status != ASK_FOUND || !tlsa->is_secure)
		return "";
	policy->kind = TLS_POLICY_DANE_BLIND;
	policy->is_secure = true;
	policy->domain = policy->names[policy->nnames++] = span_of(look->host);
	for (const struct ask_record *r = ask_first(tlsa, ASK_TLSA);
	     r && policy->ntlsa < TLSA_MAX; r = ask_next(tlsa, r)) {
		if ((r->usage != 2 && r->usage != 3) || r->matching > 2)
			continue;
		policy->kind = TLS_POLICY_DANE;
		policy->tlsa[policy->ntlsa++] = (struct tlsa){ r->usage,
			r->selector, r->matching, r->data };
	}
	look->policy = policy;
	return TEXT("; DANE: TLSA at %s, secure", name);
}

static const struct outcome *refusal_of(const struct probed *p)
{
	return p->outcome.verdict == VERDICT_OK && p->nrcpts > 0 ? &p->rcpts[0]
								 : &p->outcome;
}

/* What the runner makes of it where no rule says otherwise. */
static void judge_end(
    enum look_end end, const struct probed *p, struct finding *f)
{
	bool is_perm = end == LOOK_RCPT || end == LOOK_MAIL;
	f->status = FINDING_WARN;
	f->expected = "250 to RCPT";
	is_perm &= refusal_of(p)->verdict == VERDICT_PERM;
	switch (end) {
	case LOOK_REFUSED:
	case LOOK_TIMEOUT:
	case LOOK_NO_ROUTE:
	case LOOK_SILENT:
		f->code = "to-host-unreachable";
		f->remedy = "the runner goes on to the next host; when none "
			    "answers, the message waits";
		break;
	case LOOK_BANNER:
	case LOOK_EHLO:
		f->code = "to-host-refuses";
		f->remedy = "the runner goes on to the next host; when all "
			    "say so, the message waits";
		break;
	case LOOK_TLS:
		f->code = "to-host-tls";
		f->remedy = "the runner goes on to the next host; when none "
			    "can prove who it is, the message waits (TLS is "
			    "required there)";
		break;
	case LOOK_LOGIN:
		f->code = "to-host-login";
		f->remedy = "the runner stops the relay until the login is "
			    "corrected; its mail waits";
		break;
	case LOOK_MAIL:
	case LOOK_RCPT:
		f->code = is_perm ? end == LOOK_RCPT ? "to-rcpt-refused"
						     : "to-sender-refused"
				  : "to-deferred";
		f->status = is_perm ? FINDING_FAIL : FINDING_WARN;
		f->remedy =
		    is_perm ? "the runner asks no other host: the message "
			      "bounces, with these words"
			    : "the runner asks no other host: the message is "
			      "deferred and tried again later";
		break;
	default:
		f->code = "to-host-unknown";
		f->status = FINDING_SKIP;
		f->expected = "";
		f->remedy = "nothing was learned: try again, with a longer "
			    "--timeout";
		break;
	}
}

/* A rule of the configuration or the table may say otherwise. */
static const char *find_rule(
    struct run *run, const struct to *to, const struct outcome *why)
{
	struct reply_verdict v;
	const struct reply_builtin *builtin;

	if (!to->rules)
		return "";
	v = replyrules_find(to->rules, replyrule_text(span_of(why->detail)),
	    span_of(to->domain));
	if (v.rule == 0)
		return "";
	builtin = reply_builtin(v.rule);
	return TEXT("; but %s says of such a reply: %s",
	    builtin ? TEXT("the built-in rule \"%s\"", builtin->name)
		    : "a reply rule of the configuration",
	    reply_action_name(v.action));
}

static const char *addresses_of(struct run *run, const struct look *look)
{
	const char *text = "";

	for (unsigned i = 0; i < look->naddresses; i++) {
		union net_address a;
		char one[NET_TEXT_MAX];

		if (net_from_bytes(look->addresses[i], 0, &a) < 0)
			continue;
		net_print_ip(&a, one);
		text = TEXT("%s%s%s", text, i ? ", " : "", one);
	}
	return text;
}

static bool add_login(
    struct run *run, const struct to *to, struct look *look, struct finding *f)
{
	struct outcome why;

	if (!to->route.relay || !relay_has_login(to->route.relay))
		return true;
	look->secret = prober_login(run->prober, to->route.relay, &why);
	if (look->secret && to->route.relay->token_command.count == 0) {
		look->login = to->route.relay;
		return true;
	}
	f->code = "to-host-unknown";
	f->status = FINDING_SKIP;
	f->found = look->secret
		       ? "the login's token comes of a command, which "
			 "is run by outpost only"
		       : TEXT("the login cannot be read: %s", why.detail);
	f->remedy = "run this as root";
	return false;
}

static void check_host(struct run *run, void *arg)
{
	struct to_host *h = arg;
	const struct to *to = h->to;
	struct host_policy policy = { 0 };
	struct look look = { .place = to->place,
		.host = look_text(run, span_of(h->name)),
		.port = h->port,
		.implicit_tls = h->implicit_tls,
		.is_relay = to->route.relay,
		.tls = to->route.tls,
		.sender = run->conf->postmaster,
		.recipient = to->address };
	struct finding f = { .code = "to-host-ok" };
	const char *why, *dane;
	struct probed p;
	enum look_names names = look_resolve(run, &look, &why);
	enum look_end end;

	f.subject = TEXT("%s:%u", look.host, look.port);
	if (names != LOOK_NAMED) {
		f.code = names == LOOK_UNKNOWN ? "to-host-dns"
					       : "to-host-no-address";
		f.status = names == LOOK_UNKNOWN ? FINDING_SKIP : FINDING_WARN;
		f.found = TEXT("host %u: %s", h->number, why);
		f.expected = "an address";
		f.remedy = "the runner goes on to the next host; when none "
			   "has one, the message waits";
		say(run, to, &f);
		goto out;
	}
	if (!add_login(run, to, &look, &f)) {
		say(run, to, &f);
		goto out;
	}
	dane = find_dane(run, to, &look, &policy);
	end = look_at(run, &look, &p);
	f.found = TEXT("host %u (%u) at %s: %s%s%s%s", h->number, h->preference,
	    addresses_of(run, &look),
	    end == LOOK_DONE
		? TEXT("takes it, at %s", look_text(run, p.address))
		: look_why(run, &p),
	    p.tls.n ? "; TLS: " : "", look_text(run, p.tls), dane);
	if (end != LOOK_DONE) {
		judge_end(end, &p, &f);
		f.remedy =
		    TEXT("%s%s", f.remedy, find_rule(run, to, refusal_of(&p)));
	}
	say(run, to, &f);
out:
	free(h->name);
	free(h);
}

static void add_host(struct run *run, struct to *to, const char *name,
    unsigned number, unsigned preference, uint16_t port, bool implicit_tls)
{
	struct to_host *h = need(calloc(1, sizeof(*h)));

	*h = (struct to_host){ .to = to,
		.name = need(strdup(name)),
		.number = number,
		.preference = preference,
		.port = port,
		.implicit_tls = implicit_tls };
	run_add(run, check_host, h);
}

/* --- the way -------------------------------------------------------------- */

static int by_preference(const void *one, const void *other)
{
	const struct ask_record *const *a = one, *const *b = other;

	return (int)(*a)->preference - (int)(*b)->preference;
}

static void add_mx(struct run *run, struct to *to, const char *domain,
    uint16_t port, const struct ask_answer *mx)
{
	const struct ask_record *all[ASK_RECORDS_MAX] = { NULL };
	size_t n = 0;

	for (const struct ask_record *r = ask_first(mx, ASK_MX);
	     r && n < ASK_RECORDS_MAX; r = ask_next(mx, r))
		all[n++] = r;
	qsort(all, n, sizeof(const struct ask_record *), by_preference);
	to->is_secure = mx->is_secure;
	for (size_t i = 0; i < n && i < TO_HOSTS_MAX; i++)
		add_host(run, to, look_text(run, all[i]->name), (unsigned)i + 1,
		    all[i]->preference, port, false);
	if (n == 0)
		add_host(run, to, domain, 1, 0, port, false);
}

static bool judge_mx(struct run *run, struct to *to, const char *domain,
    const struct ask_answer *mx)
{
	const struct ask_record *first = ask_first(mx, ASK_MX);
	struct finding f = { .code = "to-mx-ok", .subject = domain };

	if (mx->status == ASK_NO_NAME) {
		f.code = "to-no-domain";
		f.status = FINDING_FAIL;
		f.found = "there is no such domain";
		f.expected = "a domain with MX hosts or an address";
		f.remedy = "correct the address: the message would bounce at "
			   "once";
	} else if (!ask_is_known(mx)) {
		f.code = "to-mx-unknown";
		f.status = FINDING_SKIP;
		f.found = look_text(run, mx->why);
		f.remedy = "the message waits until the DNS answers; see "
			   "outpost dnscheck";
	} else if (first && first->name.n == 0) {
		f.code = "to-null-mx";
		f.status = FINDING_FAIL;
		f.found = "a null MX: the domain takes no mail (RFC 7505)";
		f.expected = "MX hosts";
		f.remedy = "correct the address: the message would bounce at "
			   "once";
	} else {
		f.found = first ? TEXT("%zu MX hosts%s", mx->nrecords,
				      mx->is_secure ? ", by DNSSEC" : "")
				: "no MX: the domain's own address is used";
		say(run, to, &f);
		return true;
	}
	say(run, to, &f);
	return false;
}

static void add_hosts(struct run *run, struct to *to)
{
	const struct route *route = &to->route;
	const struct ask_answer *mx;

	for (size_t i = 0; i < route->nservers; i++) {
		const struct conf_server *s = &route->servers[i];

		if (!s->use_mx) {
			add_host(run, to, s->host, (unsigned)i + 1, 0, s->port,
			    s->implicit_tls);
			continue;
		}
		mx = ask(run->ask, span_of(s->host), ASK_MX);
		if (judge_mx(run, to, s->host, mx))
			add_mx(run, to, s->host, s->port, mx);
	}
	if (route->servers)
		return;
	if (to->domain[0] == '[') {
		add_host(run, to, to->domain, 1, 0, route->port, false);
		return;
	}
	mx = ask(run->ask, span_of(to->domain), ASK_MX);
	if (judge_mx(run, to, to->domain, mx))
		add_mx(run, to, to->domain, route->port, mx);
}

static void say_policy(struct run *run, const struct to *to)
{
	static const char *const levels[] = { "none", "opportunistic",
		"required", "required and verified" };
	struct finding f = { .code = "to-tls-ok", .subject = to->domain };
	const struct ask_answer *sts = NULL;
	char name[300];

	if (!to->route.servers && to->domain[0] != '[' &&
	    run->conf->tls.mta_sts != SWITCH_OFF) {
		snprintf(name, sizeof(name), "_mta-sts.%s", to->domain);
		sts = ask(run->ask, span_of(name), ASK_TXT);
	}
	f.found = TEXT("TLS is %s%s%s", levels[to->route.tls & 3],
	    sts && sts->status == ASK_FOUND ? "; MTA-STS is published: " : "",
	    sts && sts->status == ASK_FOUND
		? look_text(run, ask_first(sts, ASK_TXT)->data)
		: "");
	say(run, to, &f);
}

static void say_route(struct run *run, const struct to *to)
{
	const struct route *r = &to->route;
	static const char *const rules[][2] = {
		{ "route", "a route block" },
		{ "sender", "the sender's relay" },
		{ "line", "the line group's relay" },
		{ "mode", "mode = \"relay\"" },
		{ "mx", "no rule: the domain's own MX" },
		{ "reply", "a reply rule" },
		{ "fallback", "the fallback relay" },
	};
	struct finding f = { .code = "to-route-ok", .subject = to->address };
	const char *rule = r->what;

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (strcmp(r->what, rules[i][0]) == 0)
			rule = rules[i][1];
	f.found = TEXT("line group \"%s\"%s%s, by %s%s%s%s", r->line->name,
	    r->relay ? ", relay " : "", r->relay ? r->relay->name : "", rule,
	    r->place ? " (" : "", r->place ? run_where(run, r->place) : "",
	    r->place ? ")" : "");
	say(run, to, &f);
}

/* From that line group's first address. */
static const struct place *find_place(
    const struct run *run, const struct conf_line *line)
{
	for (size_t i = 0; i < run->nplaces; i++)
		if (run->places[i].conf == line && run->places[i].local[0] &&
		    run->places[i].bind[0])
			return &run->places[i];
	return NULL;
}

static int find_way(struct run *run, struct to *to, struct outcome *why)
{
	struct route_query q = { .uid = UINT32_MAX };
	struct address address;
	struct buf key;
	int status;

	if (address_parse(span_of(run->options->to), &address, why) < 0)
		return -1;
	buf_init(&key, 500);
	status = address_domain_key(&address, &key, why);
	to->domain = look_text(run, buf_span(&key));
	buf_clear(&key);
	if (status < 0)
		return -1;
	to->address = run->options->to;
	q.domain = span_of(to->domain);
	q.sender = span_of(run->conf->postmaster);
	q.line = span_of(run->options->line);
	return route_find(run->conf, &q, &to->route, why);
}

static void check_to(struct run *run, void *arg)
{
	struct to *to = arg;
	struct finding f = { .code = "to-address",
		.status = FINDING_FAIL,
		.subject = run->options->to,
		.expected = "an address that mail can be sent to",
		.remedy = "correct it" };
	struct outcome why;

	if (find_way(run, to, &why) < 0) {
		f.found = TEXT("%s", why.detail);
		run_found(run, NULL, &f);
		return;
	}
	to->place = find_place(run, to->route.line);
	to->rules = replyrules_new(run->conf, &why);
	say_route(run, to);
	say_policy(run, to);
	add_hosts(run, to);
}

void to_plan(struct run *run)
{
	static struct to to; /* alive until the run ends */

	if (run->options->mode != RUN_TO)
		return;
	to = (struct to){ .address = "" };
	run_add(run, check_to, &to);
}
