/* The opening of a dialogue: connect, banner, EHLO or HELO, STARTTLS. */
#include "remote/dialogue.h"

#include "common/log.h"
#include "remote/connect.h"
#include "remote/tls_client.h"

#include <stdio.h>

static int read_banner(struct dialogue *d, struct outcome *why)
{
	if (dialogue_ask(d, "banner", NULL, d->waits->greeting, why) < 0)
		return -1;
	if (d->reply.code / 100 != 2)
		return dialogue_refused(d, "banner", false, why);
	return 0;
}

/* The session's local name; an address stands in brackets; without a name the
 * literal of the connection's own end. */
static void print_localname(const struct dialogue *d, char *to, size_t size)
{
	struct span name = d->session->localname;
	union net_address own;
	socklen_t length = sizeof(own);
	char text[NET_TEXT_MAX];

	memset(&own, 0, sizeof(own));
	if (name.n > 0 && net_parse(name, 0, &own) < 0) {
		snprintf(to, size, "%.*s", (int)name.n, name.p);
		return;
	}
	if (name.n == 0)
		getsockname(d->stream.fd, &own.sa, &length);
	net_print_ip(&own, text);
	snprintf(to, size, own.sa.sa_family == AF_INET6 ? "[IPv6:%s]" : "[%s]",
	    text);
}

static int say_helo(struct dialogue *d, const char *name, struct outcome *why)
{
	char command[LOCALNAME_MAX + 16];

	snprintf(command, sizeof(command), "HELO %s", name);
	if (dialogue_ask(d, "HELO", command, d->waits->ehlo, why) < 0)
		return -1;
	if (d->reply.code / 100 != 2)
		return dialogue_refused(d, "HELO", false, why);
	ehlo_parse_helo(&d->reply, &d->ehlo);
	return 0;
}

static int say_ehlo(struct dialogue *d, struct outcome *why)
{
	char name[LOCALNAME_MAX + 8], command[LOCALNAME_MAX + 16];

	print_localname(d, name, sizeof(name));
	snprintf(command, sizeof(command), "EHLO %s", name);
	if (dialogue_ask(d, "EHLO", command, d->waits->ehlo, why) < 0)
		return -1;
	if (d->reply.code / 100 == 5 && !d->stream.ssl)
		return say_helo(d, name, why);
	if (d->reply.code / 100 != 2)
		return dialogue_refused(d, "EHLO", false, why);
	ehlo_parse(&d->reply, &d->ehlo);
	return 0;
}

static int start_tls(struct dialogue *d, struct outcome *why)
{
	if (tls_client_start(&d->stream, d->tls, d->host->name,
		deadline_in_ms(d->waits->tls), why) < 0) {
		d->is_broken = true;
		return -1;
	}
	tls_client_print(&d->stream, d->tls_text, sizeof(d->tls_text));
	dialogue_log(d, "smtp-tls", span_of(d->tls_text));
	return 0;
}

/* 0 = done or not needed, DIALOGUE_TLS_FAILED, -1. */
static int ask_starttls(struct dialogue *d, struct outcome *why)
{
	bool is_required = d->session->tls >= TLS_REQUIRE;

	if (!d->ehlo.has_starttls)
		return is_required ? outcome_temp(why, "4.7.4",
					 "TLS is required, but the server "
					 "does not offer it")
				   : 0;
	if (dialogue_ask(d, "STARTTLS", "STARTTLS", d->waits->ehlo, why) < 0)
		return is_required ? -1 : DIALOGUE_TLS_FAILED;
	if (d->is_closing)
		return dialogue_refused(d, "STARTTLS", false, why);
	if (d->reply.code != 220) {
		dialogue_refused(d, "STARTTLS", false, why);
		return is_required ? -1 : 0;
	}
	/* What came in clear behind the 220 was put there by somebody who
	 * wants it believed after the handshake. */
	if (stream_input(&d->stream).n > 0) {
		d->is_broken = true;
		return outcome_temp(
		    why, "4.7.5", "STARTTLS: text in clear after the reply");
	}
	memset(&d->ehlo, 0, sizeof(d->ehlo));
	if (start_tls(d, why) < 0)
		return is_required ? -1 : DIALOGUE_TLS_FAILED;
	return say_ehlo(d, why);
}

int dialogue_greet(struct dialogue *d, bool may_tls, struct outcome *why)
{
	d->tls_text[0] = '\0';
	memset(&d->ehlo, 0, sizeof(d->ehlo));
	if (d->host->implicit_tls && start_tls(d, why) < 0)
		return -1;
	if (read_banner(d, why) < 0 || say_ehlo(d, why) < 0)
		return -1;
	if (!d->host->implicit_tls && may_tls) {
		int status = ask_starttls(d, why);

		if (status != 0)
			return status;
	}
	return dialogue_login(d, why);
}

static int open_once(struct dialogue *d, const union net_address *peer,
    bool may_tls, struct outcome *why)
{
	int fd = connect_to(
	    d->session, peer, deadline_in_ms(d->waits->connect), why);
	int status;

	if (fd < 0)
		return -1;
	stream_open(&d->stream, fd);
	d->is_open = d->is_reached = true;
	d->connections++;
	if (d->on_connected)
		d->on_connected(d->arg);
	status = dialogue_greet(d, may_tls, why);
	if (status == 0 && !d->is_closing)
		return 0;
	if (status < 0)
		dialogue_quit(d);
	dialogue_close(d);
	return status;
}

int dialogue_open(struct dialogue *d, const struct host *host, unsigned index,
    struct outcome *why)
{
	bool may_tls = d->session->tls != TLS_NONE;
	union net_address peer;
	int status;

	d->host = host;
	d->is_reached = false;
	if (d->session->tls == TLS_VERIFY)
		return outcome_temp(
		    why, "4.7.5", "verified TLS is not supported yet");
	if (net_from_bytes(host->addresses[index], host->port, &peer) < 0)
		return outcome_temp(why, "4.4.3", "not an address");
	net_print(&peer, d->address);
	status = open_once(d, &peer, may_tls, why);
	if (status != DIALOGUE_TLS_FAILED)
		return status;
	log_event("tls-failed", "peer", d->address, "host",
	    log_text("%.*s", (int)host->name.n, host->name.p), "why",
	    why->detail, "then", "in clear", NULL);
	return open_once(d, &peer, false, why);
}
