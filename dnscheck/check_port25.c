/* Whether port 25 of the world can be reached from each place, and whether who
 * answers there is whom we asked for: networks that forbid mail close it, drop
 * it, or answer it themselves.
 *
 * All targets of a place are looked at side by side; the last look done judges
 * them together, since a server alone that does not answer says nothing of our
 * network.
 */
#include "dnscheck/checks.h"
#include "dnscheck/look.h"
#include "dnscheck/need.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { TARGETS_MAX = 8, MX_TRIED = 3 };

enum target_end {
	TARGET_OPEN = 0,
	TARGET_UNKNOWN, /* nothing learned of port 25: found says why */
	TARGET_REFUSED,
	TARGET_TIMEOUT,
	TARGET_UNREACHABLE,
	TARGET_SILENT,
	TARGET_INTERCEPTED,
	TARGET_LISTED,
	TARGET_DENIED, /* the greeting says no, without a word of lists */
	TARGET_NO_TLS, /* open, but nothing is encrypted */
};

struct target {
	struct way *way;
	const char *domain;
	const char *host; /* the MX host that was looked at */
	enum target_end end;
	const char *found;
};

struct way {
	const struct place *place;
	struct target targets[TARGETS_MAX];
	size_t ntargets, nleft;
	pthread_mutex_t lock;
};

/* --- one target ----------------------------------------------------------- */

/* The best MX host with an address of the place's family. */
static bool find_host(struct run *run, struct target *t, struct look *look)
{
	const struct ask_answer *mx = ask(run->ask, span_of(t->domain), ASK_MX);
	const struct ask_record *best = NULL;
	int tried = 0;

	t->end = TARGET_UNKNOWN;
	t->found = TEXT("%s has no MX host to try: %s", t->domain,
	    mx->why.n ? mx->why.p : ask_status_name(mx->status));
	for (int below = -1; tried < MX_TRIED; tried++) {
		const struct ask_record *r = ask_first(mx, ASK_MX);

		best = NULL;
		for (; r; r = ask_next(mx, r))
			if (r->preference > below &&
			    (!best || r->preference < best->preference))
				best = r;
		if (!best || best->name.n == 0)
			return false;
		below = best->preference;
		look->host = t->host = look_text(run, best->name);
		if (look_resolve(run, look, &t->found) == LOOK_NAMED)
			return true;
		t->found =
		    TEXT("%s, MX of %s: %s", t->host, t->domain, t->found);
	}
	return false;
}

static bool is_masked(struct span banner)
{
	return banner.n >= 7 && memcmp(banner.p + 3, " ***", 4) == 0;
}

/* Somebody who calls himself otherwise and cannot prove that he is the host. */
static bool is_foreign(struct run *run, const struct target *t,
    const struct look *look, const struct probed *p)
{
	const char *banner = look_name(run, p->banner);
	const char *ehlo = look_name(run, p->ehlo);
	struct look strict = *look;
	struct probed again;

	if (look_is_related(banner, t->host) || look_is_related(ehlo, t->host))
		return is_masked(p->banner);
	if (p->expires == 0)
		return true;
	strict.tls = TLS_VERIFY;
	look_point(&strict, look);
	if (look_at(run, &strict, &again) == LOOK_DONE)
		return false;
	return again.tls_result != TLS_RESULT_NOT_TRIED;
}

static bool names_blocklist(struct span banner)
{
	static const char *const words[] = { "spamhaus", "blocklist",
		"block list", "blacklist", "black list", "dnsbl", "rbl",
		"spamcop", "barracuda", "sorbs", "uceprotect", "listed",
		"blocked using", "reputation" };
	char text[1200];

	snprintf(text, sizeof(text), "%.*s", (int)banner.n,
	    banner.n ? banner.p : "");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasestr(text, words[i]))
			return true;
	return false;
}

static enum target_end judge(struct run *run, const struct target *t,
    const struct look *look, enum look_end end, const struct probed *p)
{
	switch (end) {
	case LOOK_NOT_MADE:
		return TARGET_UNKNOWN;
	case LOOK_REFUSED:
		return TARGET_REFUSED;
	case LOOK_TIMEOUT:
		return TARGET_TIMEOUT;
	case LOOK_NO_ROUTE:
		return TARGET_UNREACHABLE;
	case LOOK_SILENT:
		return TARGET_SILENT;
	case LOOK_BANNER:
	case LOOK_EHLO:
		if (names_blocklist(p->banner) || names_blocklist(p->ehlo))
			return TARGET_LISTED;
		if (!look_is_related(look_name(run, p->banner), t->host) &&
		    !look_is_related(look_name(run, p->ehlo), t->host) &&
		    p->banner.n > 0 && p->banner.p[0] == '2')
			return TARGET_INTERCEPTED;
		return TARGET_DENIED;
	default:
		break;
	}
	if (is_foreign(run, t, look, p))
		return TARGET_INTERCEPTED;
	return p->expires == 0 ? TARGET_NO_TLS : TARGET_OPEN;
}

static void look_at_target(struct run *run, struct target *t)
{
	struct look look = {
		.place = t->way->place, .port = run->conf->port, .tls = TLS_MAY
	};
	struct probed p;
	enum look_end end;

	if (!find_host(run, t, &look))
		return;
	end = look_at(run, &look, &p);
	t->end = judge(run, t, &look, end, &p);
	if (end == LOOK_DONE || t->end == TARGET_INTERCEPTED)
		t->found = TEXT("%s says: %s%s%s", look_text(run, p.address),
		    look_text(run, p.banner),
		    p.expires ? "; certificate of " : "",
		    p.expires ? look_text(run, p.names) : "");
	else
		t->found = look_why(run, &p);
}

/* --- all of a place ------------------------------------------------------- */

static const struct {
	const char *code;
	uint8_t status;
	const char *expected, *remedy;
} words[] = {
	[TARGET_OPEN] = { "port25-ok", FINDING_OK, "", "" },
	[TARGET_UNKNOWN] = { "port25-unknown", FINDING_SKIP,
	    "a server to try port 25 with",
	    "see the findings about the resolvers; other domains can be set "
	    "by dnscheck { port25 }" },
	[TARGET_REFUSED] = { "port25-refused", FINDING_FAIL,
	    "a connection to port 25",
	    "a firewall refuses it: have the provider of this network (or its "
	    "administrator) open outbound port 25, or send by a relay (mode = "
	    "\"relay\")" },
	[TARGET_TIMEOUT] = { "port25-timeout", FINDING_FAIL,
	    "a connection to port 25",
	    "outbound port 25 is dropped, as many providers do until asked: "
	    "have it opened (in the provider's console or by its support), or "
	    "send by a relay (mode = \"relay\")" },
	[TARGET_UNREACHABLE] = { "port25-unreachable", FINDING_FAIL,
	    "a connection to port 25",
	    "there is no way out from this address: check routes and bind" },
	[TARGET_SILENT] = { "port25-silent", FINDING_FAIL,
	    "a greeting, \"220 ...\"",
	    "something on the way takes the connection and says nothing: a "
	    "firewall that looks into SMTP, perhaps; ask the provider, or send "
	    "by a relay" },
	[TARGET_INTERCEPTED] = { "port25-intercepted", FINDING_FAIL,
	    "the greeting or the certificate of that host",
	    "somebody else answers: the provider or a firewall redirects port "
	    "25. Have that turned off, or send by a relay (mode = \"relay\")" },
	[TARGET_LISTED] = { "port25-listed", FINDING_FAIL,
	    "a greeting with 220",
	    "the address stands on a blocklist: follow what the greeting says "
	    "to have it taken off, or send from another address" },
	[TARGET_DENIED] = { "port25-denied", FINDING_FAIL,
	    "a greeting with 220",
	    "what it says is why; often the address's reverse name or its "
	    "network" },
	[TARGET_NO_TLS] = { "port25-no-tls", FINDING_WARN, "STARTTLS",
	    "if that server is known to offer TLS, somebody on the way takes "
	    "it out: a firewall that \"inspects\" SMTP; have that turned "
	    "off" },
};

static bool is_open(enum target_end end)
{
	return end == TARGET_OPEN || end == TARGET_NO_TLS;
}

static void report_all(struct run *run, const struct way *way)
{
	bool has_open = false;

	for (size_t i = 0; i < way->ntargets; i++)
		has_open |= is_open(way->targets[i].end);
	for (size_t i = 0; i < way->ntargets; i++) {
		const struct target *t = &way->targets[i];
		struct finding f = { .code = words[t->end].code,
			.status = words[t->end].status,
			.subject = t->host ? t->host : t->domain,
			.found = t->found,
			.expected = words[t->end].expected,
			.remedy = words[t->end].remedy };

		if (has_open && t->end >= TARGET_REFUSED &&
		    t->end <= TARGET_SILENT) {
			f.status = FINDING_WARN;
			f.remedy = "others can be reached from here: it is "
				   "this server alone, or its way";
		}
		run_found(run, way->place, &f);
	}
}

static void check_target(struct run *run, void *arg)
{
	struct target *t = arg;
	struct way *way = t->way;
	bool is_last;

	look_at_target(run, t);
	pthread_mutex_lock(&way->lock);
	is_last = --way->nleft == 0;
	pthread_mutex_unlock(&way->lock);
	if (!is_last)
		return;
	report_all(run, way);
	pthread_mutex_destroy(&way->lock);
	free(way);
}

static void plan_place(struct run *run, const struct place *place)
{
	const struct strings *domains = &run->conf->dnscheck.port25;
	struct way *way;

	if (domains->count == 0)
		return;
	way = need(calloc(1, sizeof(*way)));
	way->place = place;
	pthread_mutex_init(&way->lock, NULL);
	for (size_t i = 0; i < domains->count && i < TARGETS_MAX; i++)
		way->targets[way->ntargets++] = (struct target){
			.way = way, .domain = domains->items[i], .found = ""
		};
	way->nleft = way->ntargets;
	for (size_t i = 0, n = way->ntargets; i < n; i++)
		run_add(run, check_target, &way->targets[i]);
}

void port25_plan(struct run *run)
{
	const struct run_options *o = run->options;

	if ((o->mode != RUN_NODE && o->mode != RUN_PROPOSE) || o->is_fast ||
	    o->is_elsewhere)
		return;
	/* without an address there is a finding already */
	for (size_t i = 0; i < run->nplaces; i++)
		if (run->places[i].local[0] && !run->places[i].is_relayed)
			plan_place(run, &run->places[i]);
}
