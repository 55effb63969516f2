/* Which server, and which next: features.md, "One attempt: go on to the next
 * host, or stop".
 *
 * What keeps a dialogue from opening (no connection, 4xx or 5xx banner or EHLO,
 * TLS wanted and not had) and 421 anywhere go on to the next address. A server
 * that took messages and then closed may be asked again. Verdicts on a message
 * never come here.
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

/* The present host, or the next that has an address left; NULL: none. */
static const struct host *find_host(struct line *l)
{
	for (; l->host_at < l->session.nhosts; l->host_at++) {
		const struct host *host = &l->session.hosts[l->host_at];

		if (l->address_at < host->naddresses)
			return host;
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
	const struct host *host = &l->session.hosts[l->host_at];

	return l->address_at + 1 < host->naddresses ||
	       l->host_at + 1 < l->session.nhosts;
}

static int try_address(struct line *l, const struct host *host)
{
	struct dialogue *d = &l->dialogue;

	line_set_state(l, LINE_CONNECTING);
	line_flush(l);
	d->is_login_refused = d->is_login_spent = false;
	if (dialogue_open(d, host, l->address_at, &l->why) == 0) {
		l->report.is_login_refused = false;
		pipeline_start(&l->pipeline);
		line_set_state(l, LINE_SENDING);
		return 0;
	}
	log_detail("host-failed", "line", l->options->name, "host",
	    log_text("%.*s", (int)host->name.n, host->name.p), "peer",
	    d->address, "why", l->why.detail, NULL);
	l->report.is_login_refused = d->is_login_refused;
	l->address_at++;
	if (d->is_login_spent)
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

void line_lost(struct line *l)
{
	struct dialogue *d = &l->dialogue;
	bool was_stepwise = d->is_stepwise;
	bool is_working = l->pipeline.completed > 0;
	bool is_closing = d->is_closing;
	bool was_idle = pipeline_is_empty(&l->pipeline);

	if (pipeline_break(&l->pipeline)) {
		d->is_stepwise = true;
		l->report.must_be_stepwise = true;
	}
	l->why = l->pipeline.why;
	log_detail("connection-lost", "line", l->options->name, "peer",
	    d->address, "why", l->why.detail, NULL);
	dialogue_close(d);
	if (is_working)
		l->tries = 0;
	if (is_closing && !was_idle)
		l->report.is_overloaded = true;
	/* The same address once more, now step by step. */
	if (d->is_stepwise && !was_stepwise)
		return;
	if (is_working && (!is_closing || was_idle || !has_next(l)))
		return;
	l->address_at++;
}
