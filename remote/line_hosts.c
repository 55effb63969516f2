/* Which server, and which next: features.md, "One attempt: go on to the next
 * host, or stop".
 *
 * What keeps a dialogue from opening (no connection, 4xx or 5xx banner or EHLO,
 * TLS wanted and not had) and 421 anywhere go on to the next address. A server
 * that took messages and then closed may be asked again. Verdicts on a message
 * come here only when a reply rule sends it to the next host.
 */
#include "remote/line_parts.h"

#include "common/log.h"

#include <poll.h>

enum {
	TRIES_MAX = 16,		/* addresses without a message taken */
	TRYING_MAX_MS = 600000, /* no new address after that */
};

static bool is_runner_there(struct line *l)
{
	struct pollfd p = { .fd = wire_fd(l->runner) };

	if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		l->is_runner_gone = true;
	return !l->is_runner_gone;
}

static void tell_forbidden(struct line *l, const struct host *host);

/* The present host, or the next that has an address left; NULL: none. */
static const struct host *find_host(struct line *l)
{
	for (; l->host_at < l->session.nhosts; l->host_at++) {
		const struct host *host = &l->session.hosts[l->host_at];

		if (l->address_at < host->naddresses)
			return host;
		if (host->naddresses == 0 && l->address_at == 0)
			tell_forbidden(l, host);
		if (host->naddresses == 0)
			outcome_temp(&l->why,
			    host->why.status[0] == '4' ? host->why.status
						       : "4.4.3",
			    "%.*s: %s", (int)host->name.n, host->name.p,
			    host->why.detail);
		l->address_at = 0;
	}
	return NULL;
}

static bool has_next(const struct line *l)
{
	const struct session *s = &l->session;

	if (l->address_at + 1 < s->hosts[l->host_at].naddresses)
		return true;
	for (size_t i = l->host_at + 1; i < s->nhosts; i++)
		if (s->hosts[i].naddresses > 0)
			return true;
	return false;
}

/* An address to come whose family the present one is not of. */
static bool has_family(const struct line *l)
{
	size_t family = l->session.hosts[l->host_at].addresses[l->address_at].n;

	for (size_t i = l->host_at; i < l->session.nhosts; i++) {
		const struct host *host = &l->session.hosts[i];

		for (unsigned k = 0; k < host->naddresses; k++)
			if (host->addresses[k].n != family &&
			    (i > l->host_at || k > l->address_at))
				return true;
	}
	return false;
}

/* The address that we come from is not welcome: the others of its family are
 * left out. */
static void leave_family(struct line *l)
{
	size_t family = l->session.hosts[l->host_at].addresses[l->address_at].n;

	for (size_t i = l->host_at; i < l->session.nhosts; i++) {
		struct host *host = &l->session.hosts[i];
		unsigned n = i == l->host_at ? l->address_at + 1u : 0;

		for (unsigned k = n; k < host->naddresses; k++)
			if (host->addresses[k].n != family)
				host->addresses[n++] = host->addresses[k];
		if (n == 0 && host->naddresses > 0)
			outcome_temp(&host->why, "4.7.1",
			    "not asked over the family that was refused");
		host->naddresses = (uint8_t)n;
	}
}

/* For the runner's memory of hosts, and for TLSRPT. */
static void tell_tried(struct line *l, const struct host_tried *tried)
{
	struct buf payload;

	buf_init(&payload, 8192);
	host_tried_put(&payload, tried);
	line_tell(l, MSG_HOST_TRIED, &payload);
}

/* Passed over because of what is published about TLS with it. */
static void tell_forbidden(struct line *l, const struct host *host)
{
	struct host_tried tried = { .host = host->name,
		.domain = host->policy.domain,
		.policy = host->policy.kind,
		.tls = host_policy_result(host),
		.outcome = host->why };

	if (tried.tls != TLS_RESULT_NOT_TRIED)
		tell_tried(l, &tried);
}

/* Addresses that could not be connected, or were slower than another. */
static void tell_unconnected(struct line *l, const struct host *host)
{
	const struct connect_report *c = &l->dialogue.connected;

	for (unsigned i = 0; i < host->naddresses; i++) {
		struct host_tried tried = { .host = host->name,
			.domain = host->policy.domain,
			.policy = host->policy.kind,
			.is_shadow = host->policy.is_shadow };
		union net_address address;
		char text[NET_TEXT_MAX];

		if ((c->results[i] != CONNECT_FAILED &&
			c->results[i] != CONNECT_SLOW) ||
		    net_from_bytes(host->addresses[i], host->port, &address) <
			0)
			continue;
		net_print(&address, text);
		tried.address = span_of(text);
		if (c->results[i] == CONNECT_FAILED)
			tried.outcome = c->why[i];
		else
			outcome_temp(&tried.outcome, "4.4.1",
			    "slower than another address");
		log_detail("address-passed-over", "line", l->options->name,
		    "host", log_escape(host->name), "peer", text, "why",
		    tried.outcome.detail, NULL);
		tell_tried(l, &tried);
	}
}

static void tell_connected(struct line *l, const struct host *host, int status)
{
	const struct dialogue *d = &l->dialogue;
	struct host_tried tried = { .host = host->name,
		.address = span_of(d->address),
		.source = span_of(d->source),
		.domain = host->policy.domain,
		.policy = host->policy.kind,
		.tls = tls_link_result(&d->link),
		.is_shadow = host->policy.is_shadow };

	outcome_ok(&tried.outcome);
	if (status != 0)
		tried.outcome = l->why;
	if (d->is_reached)
		tell_tried(l, &tried);
}

/* data: empty: what there is is to be forgotten. */
static void tell_ticket(
    struct line *l, const struct host *host, struct span data)
{
	struct ticket ticket = { host->name, data };
	struct buf payload;

	buf_init(&payload, TICKET_MAX + 1024);
	ticket_put(&payload, &ticket);
	line_tell(l, MSG_TICKET, &payload);
}

static void pass_ticket(struct line *l, const struct host *host)
{
	struct buf data;

	buf_init(&data, TICKET_MAX);
	if (tls_client_take_ticket(&l->dialogue.link, &data) == 0 &&
	    !data.overflow)
		tell_ticket(l, host, buf_span(&data));
	buf_clear(&data);
}

/* What comes after the address that is used: those not yet tried, then those
 * that were only slower; what failed is left out. */
static void reorder(struct line *l, const struct connect_report *c)
{
	struct host *host = &l->session.hosts[l->host_at];
	static const uint8_t order[] = { CONNECT_DONE, CONNECT_UNTRIED,
		CONNECT_SLOW };
	struct span kept[ADDRESSES_MAX] = { 0 };
	unsigned n = 0;

	for (unsigned k = 0; k < sizeof(order); k++)
		for (unsigned i = l->address_at; i < host->naddresses; i++)
			if (c->results[i] == order[k])
				kept[n++] = host->addresses[i];
	for (unsigned i = 0; i < n; i++)
		host->addresses[l->address_at + i] = kept[i];
	host->naddresses = (uint8_t)(l->address_at + n);
}

/* Once with all we have, then without what did not work. */
static int open_address(struct line *l, const struct host *host)
{
	unsigned how = DIALOGUE_MAY_TLS | DIALOGUE_MAY_RESUME;
	unsigned last = host->naddresses - 1u;
	struct dialogue *d = &l->dialogue;

	for (;;) {
		int status;

		line_talk_begin(l);
		status =
		    dialogue_open(d, host, l->address_at, last, how, &l->why);
		if (status != 0) {
			line_talk_undone(l, &l->waiting);
			line_talk_end(l, &l->why);
		}
		tell_unconnected(l, host);
		tell_connected(l, host, status);
		if (!d->is_reached) {
			l->address_at = last;
			return -1;
		}
		reorder(l, &d->connected);
		last = l->address_at;
		if (status == DIALOGUE_TICKET_FAILED) {
			tell_ticket(l, host, (struct span){ 0 });
			how &= ~(unsigned)DIALOGUE_MAY_RESUME;
		} else if (status == DIALOGUE_TLS_FAILED) {
			log_event("tls-failed", "peer", d->address, "host",
			    log_escape(host->name), "why", l->why.detail,
			    "then", "in clear", NULL);
			how &= ~(unsigned)DIALOGUE_MAY_TLS;
		} else {
			return status;
		}
	}
}

/* A rule may have the last word on what the server said before the first
 * message: then no other is asked. */
static bool is_final(struct line *l)
{
	struct span reason = span_of(l->why.detail);
	struct span reply = replyrule_text(reason);
	struct reply_verdict verdict;

	if (reply.n == reason.n || l->dialogue.is_login_refused ||
	    !l->waiting.first)
		return false;
	verdict = pipeline_find_rule(&l->dialogue, l->waiting.first, reply);
	if (l->dialogue.is_reached && reply_is_ours(&verdict) &&
	    has_family(l)) {
		leave_family(l);
		return false;
	}
	return verdict.action != REPLY_AS_IS &&
	       verdict.action != REPLY_NEXT_HOST;
}

static int try_address(struct line *l, const struct host *host)
{
	struct dialogue *d = &l->dialogue;

	line_set_state(l, LINE_CONNECTING);
	line_flush(l);
	d->is_login_refused = d->is_login_spent = false;
	if (open_address(l, host) == 0) {
		pass_ticket(l, host);
		l->report.is_login_refused = false;
		pipeline_start(&l->pipeline);
		l->pipeline.has_next = has_next(l);
		l->pipeline.has_family = has_family(l);
		line_set_state(l, LINE_SENDING);
		return 0;
	}
	log_detail("host-failed", "line", l->options->name, "host",
	    log_text("%.*s", (int)host->name.n, host->name.p), "peer",
	    d->address, "why", l->why.detail, NULL);
	l->report.is_login_refused = d->is_login_refused;
	l->is_ruled = is_final(l);
	l->address_at++;
	if (d->is_login_spent || l->is_ruled)
		l->host_at = l->session.nhosts;
	return -1;
}

int line_open(struct line *l)
{
	const struct host *host;

	if (l->tries == 0)
		l->trying_ms = now_monotonic_ms();
	while ((host = find_host(l)) != NULL && l->tries++ < TRIES_MAX &&
	       now_monotonic_ms() - l->trying_ms < TRYING_MAX_MS) {
		if (!is_runner_there(l))
			return -1;
		if (try_address(l, host) == 0)
			return 0;
	}
	if (l->why.verdict == VERDICT_OK)
		outcome_temp(&l->why, "4.4.3", "no server to try");
	return -1;
}

static void go_on(struct line *l)
{
	if (l->pipeline.leaves_family)
		leave_family(l);
	l->address_at++;
	if (!l->pipeline.is_suspended)
		return;
	l->is_suspended = true;
	l->host_at = l->session.nhosts;
}

void line_move_on(struct line *l)
{
	l->why = l->pipeline.why;
	line_talk_undone(l, &l->pipeline.flight);
	(void)pipeline_break(&l->pipeline);
	dialogue_quit(&l->dialogue);
	line_talk_end(l, NULL);
	go_on(l);
}

void line_lost(struct line *l)
{
	struct dialogue *d = &l->dialogue;
	bool was_stepwise = d->is_stepwise;
	bool is_working = l->pipeline.completed > 0;
	bool is_closing = d->is_closing;
	bool was_idle = pipeline_is_empty(&l->pipeline);

	line_talk_undone(l, &l->pipeline.flight);
	if (pipeline_break(&l->pipeline)) {
		d->is_stepwise = true;
		l->report.must_be_stepwise = true;
	}
	l->why = l->pipeline.why;
	log_detail("connection-lost", "line", l->options->name, "peer",
	    d->address, "why", l->why.detail, NULL);
	dialogue_close(d);
	line_talk_end(l, was_idle ? NULL : &l->why);
	if (l->pipeline.is_leaving || l->pipeline.is_suspended) {
		go_on(l);
		return;
	}
	if (is_working)
		l->tries = 0;
	if (is_closing && !was_idle)
		l->report.is_overloaded = true;
	/* The same address once more, now step by step. */
	if (d->is_stepwise && !was_stepwise)
		return;
	if (is_working && (!is_closing || was_idle || !has_next(l)))
		return;
	l->is_spent = !was_idle && !has_next(l);
	l->address_at++;
}
