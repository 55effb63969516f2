/* What a line is told: sessions, jobs, the end of a session. */
#include "runner/lines_parts.h"

#include "common/replyrule.h"

#include "common/net.h"

#include <stdlib.h>

static void send_session_end(struct line_peer *p)
{
	p->is_to_end = false;
	if (p->wire)
		wire_send(p->wire, MSG_SESSION_END, p->line->session,
		    (struct span){ NULL, 0 });
}

void line_session_end(struct line *line)
{
	struct line_peer *p = line_peer_of(line);

	p->is_to_end = true;
	if (p->nclaims == 0)
		send_session_end(p);
}

void line_close(struct line *line)
{
	struct line_peer *p = line_peer_of(line);

	p->is_to_close = true;
	line_close_when_done(p);
}

static void claim_came(struct line_peer *p)
{
	p->nclaims--;
	if (p->is_to_end && p->nclaims == 0)
		send_session_end(p);
}

void line_expects(struct line *line, struct task *task)
{
	struct line_peer *p = line_peer_of(line);

	task->line = line;
	task->session = line->session;
	LIST_INSERT_HEAD(&p->tasks, task, of_line);
	p->nclaims++;
}

void line_expects_not(struct task *task)
{
	struct line_peer *p;

	if (!task->line)
		return;
	p = line_peer_of(task->line);
	LIST_REMOVE(task, of_line);
	task->line = NULL;
	claim_came(p);
}

bool line_deliver(struct task *task, struct message *message)
{
	struct line_peer *p;

	if (!task->line)
		return false;
	p = line_peer_of(task->line);
	if (!p->wire || task->session != p->line->session) {
		line_expects_not(task);
		return false;
	}
	task->state = TASK_AT_LINE;
	task->given_ms = now_monotonic_ms();
	p->message = task->delivery->message;
	wire_send_fds(p->wire, MSG_DELIVER, task->id, message->payload,
	    message->fds, message->nfds);
	for (int i = 0; i < message->nfds; i++)
		message->fds[i] = -1;
	claim_came(p);
	return true;
}

/* Those that the schedule counts the session for. */
static uint8_t bind_addresses(const struct line *line,
    union net_address addresses[BINDS_MAX], struct span binds[BINDS_MAX])
{
	const char *names[BINDS_MAX];
	size_t count = schedule_sources(line, names);
	uint8_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (net_parse(span_of(names[i]), 0, &addresses[n]) < 0)
			continue;
		binds[n] = net_bytes(&addresses[n]);
		n++;
	}
	return n;
}

/* A line was forked with the rules of its time. */
static void tell_rules(struct runner *runner, struct line_peer *p)
{
	if (p->rules_at == runner->nreloads)
		return;
	p->rules_at = runner->nreloads;
	buf_reset(&runner->scratch);
	replyrules_put(&runner->scratch, runner->conf);
	wire_send(p->wire, MSG_RULES, 0, buf_span(&runner->scratch));
}

void line_session(
    struct runner *runner, struct line *line, struct destination *d)
{
	const struct conf *conf = runner->conf;
	const struct conf_line *group =
	    conf_line(conf, schedule_group_name(line));
	const struct way *way = d->owned;
	union net_address addresses[BINDS_MAX];
	struct session session = {
		.destination = span_of(d->name),
		.localname = span_of(
		    group->localname ? group->localname : conf->localname),
		.tls = way->tls,
		.messages = (uint16_t)group->messages_per_connection,
		.is_stepwise = way->is_stepwise,
		.is_detailed = log_get_level() == LOG_LEVEL_DETAILED ||
			       details_has(&runner->details, group->name,
				   d->name, now_monotonic_ms()),
		.is_relay = way->servers != NULL,
	};
	struct outcome why;

	if (login_session(runner, d, &session, &why) < 0) {
		schedule_login_refused(
		    runner->schedule, now_monotonic_ms(), line, &why);
		return;
	}
	session.nbinds = bind_addresses(line, addresses, session.binds);
	if (way_hosts(way, &session.hosts, &session.nhosts) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a session");
	host_memory_order(
	    runner->hosts, session.hosts, session.nhosts, now_monotonic_ms());
	host_memory_tickets(runner->hosts, span_of(group->name),
	    session.destination, session.hosts, session.nhosts);
	tell_rules(runner, line_peer_of(line));
	buf_reset(&runner->scratch);
	session_put(&runner->scratch, &session);
	wire_send(line_peer_of(line)->wire, MSG_SESSION, line->session,
	    buf_span(&runner->scratch));
	if (session.login.secret.n > 0)
		explicit_bzero(runner->scratch.data, runner->scratch.len);
	free(session.hosts);
}
