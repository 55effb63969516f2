/* Reload: all of a new configuration, or none of it. Programs take it over
 * while they run; only the listener is replaced, when its sockets or
 * certificates are others. */
#include "runner/supervisor.h"
#include "runner/supervisor_parts.h"

#include "common/log_sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 5000 };

/* --- what is refused ------------------------------------------------------ */

static int refuse_fixed(
    const struct conf *old, const struct conf *fresh, struct outcome *why)
{
	const char *name = NULL;

	if (strcmp(old->spool, fresh->spool) != 0)
		name = "spool";
	else if (strcmp(old->runtime, fresh->runtime) != 0)
		name = "runtime";
	if (!name)
		return 0;
	return outcome_perm(why, "5.3.5",
	    "%s cannot change while running: stop and start", name);
}

static void first_line(struct buf *text, struct outcome *why)
{
	struct span rest = buf_span(text), line = span_cut(&rest, '\n');

	outcome_perm(why, "5.3.5", "%.*s%s", (int)line.n, line.p,
	    rest.n ? " (and more: outpost check shows all)" : "");
}

static struct conf *load_fresh(struct supervisor *s, struct outcome *why)
{
	struct buf errors;
	struct conf *fresh;

	buf_init(&errors, 1 << 20);
	fresh = conf_load(s->file, &errors);
	if (!fresh)
		first_line(&errors, why);
	buf_clear(&errors);
	if (fresh && (refuse_fixed(s->conf, fresh, why) < 0 ||
			 certificates_check(fresh, why) < 0 ||
			 secrets_check(fresh, why) < 0)) {
		conf_free(fresh);
		return NULL;
	}
	if (fresh)
		logs_choose(s, fresh);
	return fresh;
}

static int open_sink(
    struct log_sink *sink, const struct conf *conf, struct outcome *why)
{
	if (log_sink_open(sink, conf->log_to) == 0)
		return 0;
	return outcome_temp(why, "4.3.0", "%s: log-to: %s: %s", conf->file,
	    conf->log_to, strerror(errno));
}

static void close_sink(const struct log_sink *sink)
{
	if (sink->fd > STDERR_FILENO)
		close(sink->fd);
}

/* --- the listener --------------------------------------------------------- */

static bool has_what_it_needs(const struct supervisor *s)
{
	char *needs = smtpd_needs(s->conf);
	bool is_same =
	    needs && s->smtpd_has && strcmp(needs, s->smtpd_has) == 0;

	free(needs);
	return is_same;
}

static void renew_smtpd(struct supervisor *s)
{
	struct program *p = &s->programs[ROLE_SMTPD];

	if (p->wire && p->state != PROGRAM_STOPPING &&
	    program_is_wanted(s, ROLE_SMTPD) && has_what_it_needs(s))
		program_send_conf(p);
	else if (program_is_alive(p))
		program_stop(p, STOP_GRACE_MS);
	else if (program_is_wanted(s, ROLE_SMTPD))
		program_start(p);
}

/* --- taking it over ------------------------------------------------------- */

/* One that cannot take it over in place ends and is started again. */
static void renew_program(struct program *p)
{
	if (!program_is_wanted(p->supervisor, p->role)) {
		if (program_is_alive(p))
			program_stop(p, STOP_GRACE_MS);
	} else if (p->wire) {
		p->is_renewing = true;
		program_send_conf(p);
	} else if (p->state == PROGRAM_DOWN) {
		program_start(p);
	}
}

static void take_over(
    struct supervisor *s, struct conf *fresh, const struct log_sink *sink)
{
	bool was_on = control_is_outbound_on(s);
	struct wire *runner = s->programs[ROLE_RUNNER].wire;

	conf_free(s->conf);
	s->conf = fresh;
	logs_renew(s, sink);
	for (int role = 0; role < PROGRAMS; role++)
		if (role != ROLE_SMTPD)
			renew_program(&s->programs[role]);
	if (runner && was_on != control_is_outbound_on(s))
		control_send_outbound(s, runner);
	renew_smtpd(s);
	log_event("reloaded", "file", fresh->file, NULL);
	guard_renew(s);
}

int supervisor_reload(struct supervisor *s, struct outcome *why)
{
	struct listeners fresh_listeners = { .count = 0 };
	struct log_sink sink;
	struct conf *fresh;

	if (s->is_stopping)
		return outcome_temp(why, "4.3.2", "stopping");
	fresh = load_fresh(s, why);
	if (!fresh)
		return -1;
	if (open_sink(&sink, fresh, why) < 0) {
		conf_free(fresh);
		return -1;
	}
	if (listeners_open(&fresh_listeners, fresh, &s->listeners, why) < 0) {
		close_sink(&sink);
		conf_free(fresh);
		return -1;
	}
	listeners_close(&s->listeners, &fresh_listeners);
	s->listeners = fresh_listeners;
	take_over(s, fresh, &sink);
	return outcome_ok(why);
}
