/* The control socket RUNTIME/outpost.sock: anybody may ask how things are, only
 * root and the supervisor's own user may change them. */
#include "runner/supervisor_parts.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPT_PAUSE_MS = 1000,
	REPLIES_MAX = 128 << 10, /* bytes that a client has not read */
};

static void answer_end(struct client *c, uint64_t id)
{
	wire_send(c->wire, MSG_END, id, (struct span){ 0 });
}

static void answer_failed(
    struct client *c, uint64_t id, const struct outcome *why)
{
	struct buf payload;

	buf_init(&payload, 4096);
	outcome_put(&payload, why);
	wire_send(c->wire, MSG_FAILED, id, buf_span(&payload));
	buf_clear(&payload);
}

static bool is_admin(const struct wire *wire)
{
	uint32_t uid, gid;
	int32_t pid;

	return wire_peer(wire, &uid, &gid, &pid) == 0 &&
	       (uid == 0 || uid == geteuid());
}

static bool may_change(struct client *c, uint64_t id)
{
	struct outcome why;

	if (c->is_admin)
		return true;
	outcome_perm(&why, "5.7.1",
	    "only root and the user who started Outpost may do this");
	answer_failed(c, id, &why);
	return false;
}

/* --- status --------------------------------------------------------------- */

static void answer_object(struct client *c, uint64_t id, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	struct buf payload;

	json_decref(object);
	if (!text)
		return;
	buf_init(&payload, 65536);
	put_span(&payload, span_of(text));
	if (!payload.overflow)
		wire_send(c->wire, MSG_STATUS_LINE, id, buf_span(&payload));
	buf_clear(&payload);
	free(text);
}

static json_int_t seconds_since(uint64_t at_ms)
{
	return (json_int_t)((now_monotonic_ms() - at_ms) / 1000);
}

bool control_is_outbound_on(const struct supervisor *s)
{
	return s->outbound >= 0 ? s->outbound : s->conf->outbound;
}

static json_t *own_status(const struct supervisor *s)
{
	json_t *stopped = json_array();

	for (size_t i = 0; i < s->nscopes && i < 100; i++)
		json_array_append_new(stopped, json_string(s->scopes[i]));
	for (size_t i = 0; i < s->guard.nheld && i < 100; i++)
		json_array_append_new(
		    stopped, json_sprintf("check:%s", s->guard.held[i]));
	return json_pack(
	    "{s:s, s:i, s:s, s:i, s:I, s:s, s:s, s:s, s:b, s:b, s:o, s:o}",
	    "program", "outpost", "pid", (int)getpid(), "state",
	    s->is_stopping ? "stopping"
	    : s->was_ready ? "ready"
			   : "starting",
	    "restarts", 0, "uptime_seconds", seconds_since(s->started_ms),
	    "file", s->conf->file, "log",
	    logs_level(s) == LOG_LEVEL_DETAILED ? "detailed" : "basic",
	    "log_to", s->conf->log_to, "log_overridden", s->log_level >= 0,
	    "outbound", control_is_outbound_on(s), "outbound_off", stopped,
	    "checks", guard_status(s));
}

static json_t *program_status(const struct program *p)
{
	json_t *object = json_pack("{s:s, s:i, s:s, s:i, s:I}", "program",
	    p->name, "pid", (int)p->pid, "state", program_state_name(p->state),
	    "restarts", (int)p->restarts, "uptime_seconds",
	    program_is_alive(p) ? seconds_since(p->started_ms) : 0);

	if (object && p->note[0])
		json_object_set_new(object, "note", json_string(p->note));
	return object;
}

static void on_status(struct wire *wire, struct message *message, void *arg)
{
	struct client *c = arg;
	struct supervisor *s = c->supervisor;

	(void)wire;
	answer_object(c, message->id, own_status(s));
	for (int role = 0; role < PROGRAMS; role++)
		if (program_is_wanted(s, (enum role)role))
			answer_object(
			    c, message->id, program_status(&s->programs[role]));
	answer_end(c, message->id);
}

/* --- changes -------------------------------------------------------------- */

static void on_do_stop(struct wire *wire, struct message *message, void *arg)
{
	struct client *c = arg;

	(void)wire;
	if (!may_change(c, message->id))
		return;
	c->waits_for_stop = true;
	c->id = message->id;
	if (!c->supervisor->is_stopping)
		supervisor_stop(c->supervisor);
}

static void on_do_reload(struct wire *wire, struct message *message, void *arg)
{
	struct client *c = arg;
	struct outcome why;

	(void)wire;
	if (!may_change(c, message->id))
		return;
	if (supervisor_reload(c->supervisor, &why) < 0) {
		log_warn("reload-refused", "why", why.detail, NULL);
		answer_failed(c, message->id, &why);
	} else {
		answer_end(c, message->id);
	}
}

static void send_outbound(struct wire *runner, bool on, struct span scope)
{
	struct buf payload;

	buf_init(&payload, 2048);
	put_u8(&payload, on);
	put_span(&payload, scope);
	wire_send(runner, MSG_OUTBOUND, 0, buf_span(&payload));
	buf_clear(&payload);
}

void control_send_scope(struct wire *runner, bool on, const char *scope)
{
	send_outbound(runner, on, span_of(scope));
}

void control_send_outbound(struct supervisor *s, struct wire *runner)
{
	send_outbound(runner, control_is_outbound_on(s), (struct span){ 0 });
	for (size_t i = 0; i < s->nscopes; i++)
		send_outbound(runner, false, span_of(s->scopes[i]));
	guard_send(s, runner);
}

static void forget_scope(struct supervisor *s, struct span scope)
{
	for (size_t i = 0; i < s->nscopes; i++)
		if (span_is_equal(span_of(s->scopes[i]), scope)) {
			free(s->scopes[i]);
			s->scopes[i--] = s->scopes[--s->nscopes];
		}
}

static int remember(
    struct supervisor *s, bool on, struct span scope, struct outcome *why)
{
	char *copy;

	if (scope.n == 0) {
		s->outbound = on;
		return 0;
	}
	forget_scope(s, scope);
	if (on)
		return 0;
	copy = s->nscopes < SCOPES_MAX ? span_dup(scope) : NULL;
	if (!copy)
		return outcome_temp(why, "4.3.2",
		    "more than %d stopped lines and destinations", SCOPES_MAX);
	s->scopes[s->nscopes++] = copy;
	return 0;
}

/* A domain in A-labels, an address literal, a relay: of the printable kind. */
static bool is_destination(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
			return false;
	return name.n > 0;
}

/* "", "line:NAME" of a line group there is, or "destination:NAME". */
static int check_scope(
    const struct conf *conf, struct span scope, struct outcome *why)
{
	struct span name = scope, kind = span_cut(&name, ':');
	bool is_known = false;

	if (scope.n == 0)
		return 0;
	if (span_is_equal(kind, SPAN_LITERAL("destination")))
		is_known = is_destination(name);
	for (size_t i = 0; i < conf->nlines; i++)
		if (span_is_equal(kind, SPAN_LITERAL("line")) &&
		    span_is_equal(name, span_of(conf->lines[i].name)))
			is_known = true;
	if (is_known)
		return 0;
	return outcome_perm(
	    why, "5.5.4", "no line group or destination %s", log_escape(name));
}

static void on_do_outbound(
    struct wire *wire, struct message *message, void *arg)
{
	struct client *c = arg;
	struct supervisor *s = c->supervisor;
	struct reader r = reader_of(message->payload);
	bool on = get_u8(&r);
	struct span scope = get_span(&r);
	struct outcome why;

	if (!reader_is_done(&r)) {
		shutdown(wire_fd(wire), SHUT_RDWR);
		return;
	}
	if (!may_change(c, message->id))
		return;
	if (check_scope(s->conf, scope, &why) < 0 ||
	    remember(s, on, scope, &why) < 0) {
		answer_failed(c, message->id, &why);
		return;
	}
	if (on && guard_holds(s, scope)) {
		outcome_perm(&why, "5.7.0",
		    "it stays stopped: require-check = on, and dnscheck finds "
		    "it failing (outpost dnscheck); correct that, then: "
		    "outpost reload");
		answer_failed(c, message->id, &why);
		return;
	}
	if (s->programs[ROLE_RUNNER].wire)
		send_outbound(s->programs[ROLE_RUNNER].wire, on, scope);
	log_event("outbound", "to", on ? "on" : "off", "scope",
	    scope.n ? log_escape(scope) : "all", NULL);
	answer_end(c, message->id);
}

static void set_log_level(struct supervisor *s, enum log_level level)
{
	char payload = (char)level;

	logs_override(s, level);
	log_event("log-level", "now",
	    logs_level(s) == LOG_LEVEL_DETAILED ? "detailed" : "basic", NULL);
	for (int role = 0; role < PROGRAMS; role++)
		if (s->programs[role].wire)
			wire_send(s->programs[role].wire, MSG_LOG_LEVEL, 0,
			    (struct span){ &payload, 1 });
}

static void on_log_time_over(void *arg)
{
	struct supervisor *s = arg;

	set_log_level(s, s->conf->log);
}

/* u8 level, u32 seconds (0: until it is changed again) */
static void on_log_level(struct wire *wire, struct message *message, void *arg)
{
	struct client *c = arg;
	struct supervisor *s = c->supervisor;
	struct reader r = reader_of(message->payload);
	bool is_detailed = get_u8(&r);
	uint32_t seconds = get_u32(&r);

	if (!reader_is_done(&r)) {
		shutdown(wire_fd(wire), SHUT_RDWR);
		return;
	}
	if (!may_change(c, message->id))
		return;
	loop_timer_cancel(s->loop, &s->log_timer);
	set_log_level(s, is_detailed ? LOG_LEVEL_DETAILED : LOG_LEVEL_BASIC);
	if (seconds > 0)
		loop_timer_set(s->loop, &s->log_timer,
		    now_monotonic_ms() + (uint64_t)seconds * 1000,
		    on_log_time_over, s);
	answer_end(c, message->id);
}

static const struct wire_rule rules[] = {
	{ MSG_STATUS, 0, on_status },
	{ MSG_DO_STOP, 0, on_do_stop },
	{ MSG_DO_RELOAD, 0, on_do_reload },
	{ MSG_DO_OUTBOUND, 1100, on_do_outbound },
	{ MSG_LOG_LEVEL, 5, on_log_level },
	{ 0 },
};

/* --- clients -------------------------------------------------------------- */

static void on_client_closed(struct wire *wire, const char *why, void *arg)
{
	struct client *c = arg;

	if (strcmp(why, "closed") != 0)
		log_detail("client-cut-off", "why", why, NULL);
	c->wire = NULL;
	c->waits_for_stop = false;
	wire_free(wire);
}

/* A free place, or that of the stranger who came first: nobody keeps root out
 * by holding connections. */
static struct client *find_place(struct supervisor *s)
{
	struct client *first = NULL;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		if (!c->wire)
			return c;
		if (!c->is_admin && (!first || c->came_ms < first->came_ms))
			first = c;
	}
	if (first) {
		wire_free(first->wire);
		first->wire = NULL;
	}
	return first;
}

static void on_connection(int listen_fd, uint32_t events, void *arg);

static void accept_again(void *arg)
{
	struct supervisor *s = arg;

	loop_add(s->loop, s->control_fd, EPOLLIN, on_connection, s);
}

/* Out of descriptors: trying at once would only spin. */
static void accept_later(struct supervisor *s)
{
	log_warn("accept-failed", "why", strerror(errno), NULL);
	loop_remove(s->loop, s->control_fd);
	loop_timer_set(s->loop, &s->accept_timer,
	    now_monotonic_ms() + ACCEPT_PAUSE_MS, accept_again, s);
}

static void on_connection(int listen_fd, uint32_t events, void *arg)
{
	struct supervisor *s = arg;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct client *c;

	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			accept_later(s);
		return;
	}
	c = find_place(s);
	if (!c) {
		close(fd);
		return;
	}
	*c = (struct client){ .supervisor = s, .came_ms = now_monotonic_ms() };
	c->wire = wire_new(s->loop, fd, "client", rules, on_client_closed, c);
	if (!c->wire)
		return;
	wire_refuse_fds(c->wire);
	wire_bound(c->wire, REPLIES_MAX);
	c->is_admin = is_admin(c->wire);
}

int control_open(struct supervisor *s)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/outpost.sock", s->conf->runtime);
	s->control_fd = wire_listen(path, 0666);
	if (s->control_fd < 0)
		return -1;
	return loop_add(s->loop, s->control_fd, EPOLLIN, on_connection, s);
}

void control_answer_stop(struct supervisor *s)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		if (!c->wire)
			continue;
		if (c->waits_for_stop) {
			answer_end(c, c->id);
			wire_push(c->wire);
		}
		wire_free(c->wire);
		c->wire = NULL;
	}
	if (s->control_fd >= 0)
		close(s->control_fd);
}
