/* A server of the operator's choice: what it says and how it sees us. */
#include "dnscheck/checks.h"
#include "dnscheck/look.h"
#include "dnscheck/look_found.h"
#include "dnscheck/need.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

static const struct look_codes codes = {
	.not_made = "server-unknown",
	.unresolved = "server-unresolved",
	.refused = "server-refused",
	.timeout = "server-timeout",
	.unreachable = "server-unreachable",
	.silent = "server-silent",
	.banner = "server-banner-refused",
	.ehlo = "server-ehlo-refused",
	.tls_ok = "server-tls-ok",
	.tls_none = "server-tls-none",
	.tls_bad = "server-tls-bad",
	.tls_expiring = "server-tls-expiring",
	.login_ok = "server-login-ok",
	.login_refused = "server-login-refused",
	.login_unread = "server-login-unread",
};

static void say(struct run *run, const struct look *look, const char *code,
    const char *found)
{
	const struct finding f = {
		.code = code, .subject = look_server(run, look), .found = found
	};

	run_found(run, look->place, &f);
}

/* Its own end, or what the server says of it. */
static void say_source(
    struct run *run, const struct look *look, const struct probed *p)
{
	struct span greeting = p->ehlo, line = span_cut(&greeting, '\n');
	struct finding f = { .code = "server-source-ok",
		.subject = look_server(run, look) };
	char seen[64];

	f.found = TEXT("we are %s on our side", look_text(run, p->source));
	if (look_find_address(line, seen) == 0 &&
	    strcmp(seen, look_text(run, p->source)) != 0)
		f.found = TEXT("%s; the server sees %s", f.found, seen);
	else if (look_find_address(line, seen) == 0)
		f.found = TEXT("%s; the server sees the same", f.found);
	run_found(run, look->place, &f);
}

static void say_words(
    struct run *run, const struct look *look, const struct probed *p)
{
	if (p->banner.n > 0 && p->banner.p[0] == '2')
		say(run, look, "server-banner-ok", look_text(run, p->banner));
	if (p->ehlo.n > 0 && p->ehlo.p[0] == '2') {
		say(run, look, "server-ehlo-ok",
		    TEXT("to EHLO %s: %s", run->conf->localname,
			look_text(run, p->ehlo)));
		say_source(run, look, p);
	}
}

/* The relay of the configuration that this server is. */
static const struct conf_relay *find_login(
    const struct conf *conf, const struct conf_server *server)
{
	for (size_t i = 0; i < conf->nrelays; i++)
		for (size_t j = 0; j < conf->relays[i].nservers; j++) {
			const struct conf_server *s =
			    &conf->relays[i].servers[j];

			if (relay_has_login(&conf->relays[i]) &&
			    strcasecmp(s->host, server->host) == 0 &&
			    s->port == server->port)
				return &conf->relays[i];
		}
	return NULL;
}

static void say_no_login(struct run *run, const struct look *look)
{
	const struct finding f = { .code = "server-login-none",
		.status = FINDING_SKIP,
		.subject = look_server(run, look),
		.found = "no relay of the configuration has a login for this "
			 "server and port" };

	run_found(run, look->place, &f);
}

static void check_server(struct run *run, void *arg)
{
	struct conf_server *server = arg;
	struct look look = { .host = server->host,
		.port = server->port,
		.implicit_tls = server->implicit_tls,
		.tls = TLS_MAY };
	const struct conf_relay *relay = find_login(run->conf, server);
	struct probed p;
	enum look_end end;

	if (run->options->line && run->nplaces > 0)
		look.place = &run->places[0];
	if (!look_names_ok(run, &look, &codes))
		goto out;
	if (relay && look_add_login(run, &look, relay, &codes))
		look.tls = look.login->tls >= 0 ? (uint8_t)look.login->tls
						: TLS_VERIFY;
	end = look_at(run, &look, &p);
	say_words(run, &look, &p);
	if (!look_reached(run, &look, end, &p, &codes))
		goto out;
	look_judge_tls(run, &look, end, &p, &codes);
	if (relay)
		look_judge_login(run, &look, end, &p, &codes);
	else
		say_no_login(run, &look);
out:
	free(server->host);
	free(server);
}

void server_plan(struct run *run)
{
	struct conf_server *server;
	struct finding f = { .code = "server-unresolved",
		.status = FINDING_FAIL,
		.subject = run->options->server,
		.found = "this is not a server",
		.expected = "HOST, HOST:PORT, [v6]:PORT or smtps://HOST",
		.remedy = "correct --server" };

	if (run->options->mode != RUN_SERVER)
		return;
	server = need(calloc(1, sizeof(*server)));
	if (conf_parse_server(run->options->server, server) < 0 ||
	    server->use_mx) {
		run_found(run, NULL, &f);
		free(server->host);
		free(server);
		return;
	}
	server->implicit_tls |= server->port == 465;
	run_add(run, check_server, server);
}
