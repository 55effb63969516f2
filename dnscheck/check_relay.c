/* Relays: reached, who they are, whether they take our login and our mail. */
#include "dnscheck/checks.h"
#include "dnscheck/look.h"
#include "dnscheck/look_found.h"
#include "dnscheck/need.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

static const struct look_codes codes = {
	.not_made = "relay-unknown",
	.unresolved = "relay-unresolved",
	.refused = "relay-refused",
	.timeout = "relay-timeout",
	.unreachable = "relay-unreachable",
	.silent = "relay-silent",
	.banner = "relay-banner-refused",
	.ehlo = "relay-ehlo-refused",
	.tls_ok = "relay-tls-ok",
	.tls_none = "relay-tls-none",
	.tls_bad = "relay-tls-bad",
	.tls_expiring = "relay-tls-expiring",
	.login_ok = "relay-login-ok",
	.login_refused = "relay-login-refused",
	.login_unread = "relay-login-unread",
};

struct relay_check {
	const struct conf_relay *relay;
	const struct conf_server *server;
	const struct place *place;
};

/* As a line would ask it (common/route.c). */
static uint8_t level_of(const struct conf *conf, const struct conf_relay *relay)
{
	if (relay->tls >= 0)
		return (uint8_t)relay->tls;
	return relay_has_login(relay) ? TLS_VERIFY : (uint8_t)conf->tls.policy;
}

/* MAIL and RCPT, to somebody who is not the relay's own. */
static void judge_mail(struct run *run, const struct look *look,
    enum look_end end, const struct probed *p)
{
	struct finding f = { .code = "relay-ok",
		.subject = look_server(run, look) };

	if (end == LOOK_MAIL || end == LOOK_RCPT) {
		bool is_later = p->outcome.verdict == VERDICT_OK &&
				p->nrcpts > 0 &&
				p->rcpts[0].verdict == VERDICT_TEMP;

		f.code =
		    end == LOOK_MAIL ? "relay-sender-refused" : "relay-denied";
		f.status = is_later ? FINDING_WARN : FINDING_FAIL;
		f.found = look_why(run, p);
		f.expected = TEXT("250 to MAIL FROM:<%s> and RCPT TO:<%s>",
		    look->sender, look->recipient);
		f.remedy =
		    look->login
			? "the relay's operator allows this login to send as "
			  "that sender and to others"
			: "the relay's operator allows this machine to relay; "
			  "or give the relay block a login (user, "
			  "password-file)";
	} else {
		f.found = TEXT("takes mail from <%s> to others", look->sender);
	}
	run_found(run, look->place, &f);
}

static void judge_limits(
    struct run *run, const struct look *look, const struct probed *p)
{
	struct span size = { NULL, 0 }, limits = { NULL, 0 };
	struct finding f = { .code = "relay-limits-ok",
		.subject = look_server(run, look) };
	bool has_size = look_offers(p->ehlo, "SIZE", &size);
	bool has_limits = look_offers(p->ehlo, "LIMITS", &limits);
	uint64_t most = 0;

	if (has_size)
		span_to_u64(span_trim(size), UINT64_MAX, &most);
	f.found = TEXT("%s%s%s%s%s",
	    most > 0 ? "messages up to " : "no limit of size announced",
	    most > 0 ? look_text(run, size) : "", most > 0 ? " octets" : "",
	    has_limits ? "; LIMITS " : "",
	    has_limits ? look_text(run, limits) : "");
	if (most > 0 && most < run->conf->limits.message_size) {
		f.code = "relay-limits-lower";
		f.status = FINDING_WARN;
		f.expected = TEXT("%llu octets, as limits { message-size } "
				  "lets in",
		    (unsigned long long)run->conf->limits.message_size);
		f.remedy = TEXT("set limits { message-size = %llu } in %s",
		    (unsigned long long)most, run_where(run, NULL));
	}
	run_found(run, look->place, &f);
}

static void check_relay(struct run *run, void *arg)
{
	const struct relay_check *c = arg;
	struct look look = { .place = c->place,
		.host = c->server->host,
		.port = c->server->port,
		.implicit_tls = c->server->implicit_tls,
		.is_relay = true,
		.tls = level_of(run->conf, c->relay),
		.sender = run->conf->postmaster,
		.recipient = TEXT(
		    "postmaster@%s", run->conf->dnscheck.port25.count > 0
					 ? run->conf->dnscheck.port25.items[0]
					 : "example.com") };
	struct probed p;
	enum look_end end;

	if (!look_names_ok(run, &look, &codes))
		goto out;
	if (relay_has_login(c->relay) &&
	    !look_add_login(run, &look, c->relay, &codes))
		look.recipient = NULL; /* without the login it proves nothing */
	end = look_at(run, &look, &p);
	if (!look_reached(run, &look, end, &p, &codes))
		goto out;
	look_judge_tls(run, &look, end, &p, &codes);
	if (look_judge_login(run, &look, end, &p, &codes)) {
		if (look.recipient)
			judge_mail(run, &look, end, &p);
		judge_limits(run, &look, &p);
	}
out:
	free(arg);
}

/* The place that sends by it, or NULL. */
static const struct place *find_place(
    const struct run *run, const struct conf_relay *relay)
{
	for (size_t i = 0; i < run->nplaces; i++) {
		const struct place *p = &run->places[i];
		const char *name = p->conf->relay ? p->conf->relay
				   : run->conf->mode == MODE_RELAY ? "default"
								   : "";

		if (strcmp(name, relay->name) == 0 && p->bind[0] && p->local[0])
			return p;
	}
	return NULL;
}

static void plan_one(struct run *run, const struct conf_relay *relay)
{
	for (size_t i = 0; i < relay->nservers; i++) {
		struct relay_check *c;

		if (relay->servers[i].use_mx)
			continue; /* any of its MX, found at delivery */
		c = need(calloc(1, sizeof(*c)));
		*c = (struct relay_check){ relay, &relay->servers[i],
			find_place(run, relay) };
		run_add(run, check_relay, c);
	}
}

void relay_plan(struct run *run)
{
	const char *only = run->options->relay;
	bool is_all = run->options->mode == RUN_NODE &&
		      !run->options->is_fast && !run->options->is_elsewhere &&
		      !run->options->line;

	if (run->options->mode != RUN_RELAY && !is_all)
		return;
	for (size_t i = 0; i < run->conf->nrelays; i++)
		if (is_all || strcmp(run->conf->relays[i].name, only) == 0)
			plan_one(run, &run->conf->relays[i]);
}
