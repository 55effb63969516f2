/* The opening of a dialogue: connect, banner, EHLO or HELO, STARTTLS. */
#include "remote/dialogue.h"

#include "common/log.h"
#include "remote/connect.h"
#include "remote/tls_evidence.h"

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

static void use_clear(struct dialogue *d, const char *why)
{
	tls_evidence_clear_text(why, d->tls_text, sizeof(d->tls_text));
}

static int start_tls(struct dialogue *d, unsigned how, struct outcome *why)
{
	struct tls_link *link = &d->link;
	int status = tls_client_start(&d->stream, d->tls, link,
	    how & DIALOGUE_MAY_RESUME, deadline_in_ms(d->waits->tls), why);

	tls_evidence_print(&d->stream, link, d->tls_text, sizeof(d->tls_text));
	if (d->tls_text[0] != '\0')
		dialogue_log(d, TALK_TLS, span_of(d->tls_text));
	if (status < 0) {
		d->is_broken = true;
		return link->has_ticket ? DIALOGUE_TICKET_FAILED : -1;
	}
	if (link->demand.is_shadow && link->shadow.result != TLS_RESULT_OK)
		log_event("tls-would-fail", "peer", d->address, "policy",
		    tls_policy_word(d->host->policy.kind), "why",
		    link->shadow.why.detail, NULL);
	return 0;
}

/* No TLS for want of STARTTLS. 0: in clear then, or -1. */
static int lack_tls(struct dialogue *d, const char *status, const char *what,
    struct outcome *why)
{
	char code[sizeof(why->status)];
	struct buf text;

	tls_link_lacks(&d->link);
	if (!d->link.demand.is_required) {
		use_clear(d, what);
		return 0;
	}
	snprintf(code, sizeof(code), "%s", status); /* may be that of why */
	buf_init(&text, sizeof(why->detail) + 200);
	buf_puts(&text, what);
	tls_demand_explain(&d->link.demand, d->host, false, &text);
	outcome_temp(why, code, "%s", buf_text(&text));
	buf_clear(&text);
	return -1;
}

static int start_tls_or_clear(
    struct dialogue *d, unsigned how, struct outcome *why)
{
	int status = start_tls(d, how, why);

	if (status == 0)
		return say_ehlo(d, why);
	if (status > 0 || d->link.demand.is_required)
		return status;
	use_clear(d, why->detail);
	return DIALOGUE_TLS_FAILED;
}

static int ask_starttls(struct dialogue *d, unsigned how, struct outcome *why)
{
	if (!d->ehlo.has_starttls)
		return lack_tls(d, "4.7.4",
		    d->link.demand.is_required
			? "TLS is required, but the server does not offer it"
			: "the server does not offer TLS",
		    why);
	if (dialogue_ask(d, "STARTTLS", "STARTTLS", d->waits->ehlo, why) < 0)
		return lack_tls(d, why->status, why->detail, why) < 0
			   ? -1
			   : DIALOGUE_TLS_FAILED;
	if (d->reply.code != 220) {
		dialogue_refused(d, "STARTTLS", false, why);
		return d->is_closing
			   ? -1
			   : lack_tls(d, why->status, why->detail, why);
	}
	/* What came in clear behind the 220 was put there by somebody who
	 * wants it believed after the handshake. */
	if (stream_input(&d->stream).n > 0) {
		d->is_broken = true;
		return tls_link_fail(
		    &d->link, "STARTTLS: text in clear after the reply", why);
	}
	memset(&d->ehlo, 0, sizeof(d->ehlo));
	return start_tls_or_clear(d, how, why);
}

int dialogue_greet(struct dialogue *d, unsigned how, struct outcome *why)
{
	int status = 0;

	memset(&d->ehlo, 0, sizeof(d->ehlo));
	if (d->host->implicit_tls)
		status = start_tls(d, how, why);
	if (status != 0)
		return status;
	if (read_banner(d, why) < 0 || say_ehlo(d, why) < 0)
		return -1;
	if (!d->host->implicit_tls && how & DIALOGUE_MAY_TLS)
		status = ask_starttls(d, how, why);
	if (status != 0)
		return status;
	return dialogue_login(d, why);
}

static void note_source(struct dialogue *d)
{
	union net_address own;
	socklen_t size = sizeof(own);

	memset(&own, 0, sizeof(own));
	if (getsockname(d->stream.fd, &own.sa, &size) == 0)
		net_print_ip(&own, d->source);
}

static void note_peer(struct dialogue *d)
{
	union net_address peer;

	if (net_from_bytes(d->host->addresses[d->connected.used], d->host->port,
		&peer) == 0)
		net_print(&peer, d->address);
}

int dialogue_open(struct dialogue *d, const struct host *host, unsigned first,
    unsigned last, unsigned how, struct outcome *why)
{
	int fd, status;

	d->host = host;
	d->is_reached = false;
	d->source[0] = '\0';
	if (how & DIALOGUE_MAY_TLS)
		d->tls_text[0] = '\0'; /* else it says why not */
	if (d->session->tls == TLS_NONE)
		how &= ~(unsigned)DIALOGUE_MAY_TLS;
	tls_link_init(&d->link, d->session, host);
	d->connected.used = first;
	note_peer(d); /* for the state and the log, until one is reached */
	fd = connect_host(d->session, host, first, last, d->waits->connect,
	    &d->connected, why);
	if (fd < 0)
		return -1;
	note_peer(d);
	stream_open(&d->stream, fd);
	d->is_open = d->is_reached = true;
	d->connections++;
	note_source(d);
	if (d->on_connected)
		d->on_connected(d->arg);
	status = dialogue_greet(d, how, why);
	if (status == 0 && !d->is_closing)
		return 0;
	if (status <= 0)
		dialogue_quit(d);
	dialogue_close(d);
	return status == 0 ? -1 : status;
}
