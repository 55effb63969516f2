/* The control socket: what "outpost status", "outpost lines" and "outpost
 * outbound" ask. Anyone may look; root and our own user may change. */
#include "runner/runner.h"

#include "runner/lines.h"
#include "runner/sites.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SCOPE_MAX = 1024,
	LINES_MAX = 10000, /* as count in the configuration */
	ACCEPT_PAUSE_MS = 1000,
	REPLIES_MAX = 128 << 10, /* bytes that a client has not read */
};

static void send_empty(struct wire *wire, uint16_t type, uint64_t id)
{
	wire_send(wire, type, id, (struct span){ NULL, 0 });
}

static void drop_client(struct control *client)
{
	struct wire *wire = client->wire;

	client->wire = NULL;
	tlsrpt_client_gone(client);
	wire_free(wire);
}

/* --- status ----------------------------------------------------------------*/

static json_t *status_object(struct runner *runner)
{
	struct schedule_counts n;

	schedule_count(runner->schedule, &n);
	return json_pack(
	    "{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, "
	    "s:I, s:I, s:o}",
	    "program", "outpost-runner", "outbound",
	    schedule_is_on(runner->schedule), "window",
	    (json_int_t)RUNNER_WINDOW, "in_memory", (json_int_t)n.in_memory,
	    "waiting", (json_int_t)n.waiting, "active", (json_int_t)n.given,
	    "recording", (json_int_t)n.recording, "reports",
	    (json_int_t)n.awaiting, "lines_busy", (json_int_t)n.lines_busy,
	    "lines", (json_int_t)n.lines, "destinations",
	    (json_int_t)n.destinations, "destinations_down", (json_int_t)n.down,
	    "logins_refused", login_status(runner), "sites",
	    (json_int_t)n.sites, "flows_limited", (json_int_t)n.parked,
	    "limited", sites_limited(&n));
}

static void on_status(struct wire *wire, struct message *message, void *arg)
{
	struct control *client = arg;
	struct runner *runner = client->runner;
	json_t *object = status_object(runner);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	if (text) {
		buf_reset(&runner->scratch);
		put_span(&runner->scratch, span_of(text));
		wire_send(wire, MSG_STATUS_LINE, message->id,
		    buf_span(&runner->scratch));
	}
	free(text);
	json_decref(object);
	send_empty(wire, MSG_END, message->id);
}

/* --- lines -----------------------------------------------------------------*/

struct listing {
	struct control *client;
	uint64_t id;
};

static void send_line(struct line *line, void *arg)
{
	const struct listing *listing = arg;
	struct buf *scratch = &listing->client->runner->scratch;
	struct line_info info;

	if (line->phase == LINE_RETIRED)
		return;
	line_describe(line, &info);
	buf_reset(scratch);
	line_info_put(scratch, &info);
	wire_send(
	    listing->client->wire, MSG_LINE, listing->id, buf_span(scratch));
}

static void on_lines(struct wire *wire, struct message *message, void *arg)
{
	struct control *client = arg;
	struct listing listing = { client, message->id };

	schedule_each_line(client->runner->schedule, send_line, &listing);
	send_empty(wire, MSG_END, message->id);
}

/* --- outbound --------------------------------------------------------------*/

static void fail(
    struct control *client, uint64_t id, const char *status, const char *detail)
{
	struct buf *scratch = &client->runner->scratch;
	struct outcome why;

	outcome_perm(&why, status, "%s", detail);
	buf_reset(scratch);
	outcome_put(scratch, &why);
	wire_send(client->wire, MSG_FAILED, id, buf_span(scratch));
}

static void on_outbound(struct wire *wire, struct message *message, void *arg)
{
	struct control *client = arg;
	struct reader r = reader_of(message->payload);
	bool on = get_u8(&r);
	struct span scope = get_span(&r);

	if (!reader_is_done(&r)) {
		drop_client(client);
		return;
	}
	if (!client->is_admin) {
		fail(client, message->id, "5.7.1",
		    "only root and Outpost's own user may do this");
		return;
	}
	if (!runner_outbound(client->runner, scope, on)) {
		fail(client, message->id, "5.5.4",
		    "no such line group or destination");
		return;
	}
	log_event("outbound", "scope", scope.n ? log_escape(scope) : "all",
	    "now", on ? "on" : "off", NULL);
	send_empty(wire, MSG_END, message->id);
}

/* --- number of lines -------------------------------------------------------*/

static void on_set_lines(struct wire *wire, struct message *message, void *arg)
{
	struct control *client = arg;
	struct reader r = reader_of(message->payload);
	struct span group = get_span(&r);
	uint32_t count = get_u32(&r);

	if (!reader_is_done(&r) || count == 0 || count > LINES_MAX) {
		drop_client(client);
		return;
	}
	if (!client->is_admin) {
		fail(client, message->id, "5.7.1",
		    "only root and Outpost's own user may do this");
		return;
	}
	if (!runner_set_lines(client->runner, group, count)) {
		fail(client, message->id, "5.5.4", "no such line group");
		return;
	}
	log_event("lines-set", "group", log_escape(group), "now",
	    log_text("%u", count), NULL);
	send_empty(wire, MSG_END, message->id);
}

/* --- log -------------------------------------------------------------------*/

/* u8 level, span scope, u32 seconds (0: until it is taken back) */
static void on_log_level(struct wire *wire, struct message *message, void *arg)
{
	struct control *client = arg;
	struct runner *runner = client->runner;
	struct reader r = reader_of(message->payload);
	bool is_detailed = get_u8(&r);
	struct span scope = get_span(&r);
	uint32_t seconds = get_u32(&r);
	uint64_t now = now_monotonic_ms();

	if (!reader_is_done(&r)) {
		drop_client(client);
		return;
	}
	if (!client->is_admin) {
		fail(client, message->id, "5.7.1",
		    "only root and Outpost's own user may do this");
		return;
	}
	if (!details_set(&runner->details, scope, is_detailed,
		seconds ? now + (uint64_t)seconds * 1000 : UINT64_MAX, now)) {
		fail(client, message->id, "5.5.4",
		    "no line group or destination, or too many of them");
		return;
	}
	log_event("log-level", "scope", log_escape(scope), "now",
	    is_detailed ? "detailed" : "basic", "seconds",
	    seconds ? log_text("%u", seconds) : NULL, NULL);
	send_empty(wire, MSG_END, message->id);
}

/* --- reports about TLS -----------------------------------------------------*/

static void on_tls_send(struct wire *wire, struct message *message, void *arg)
{
	struct control *client = arg;
	struct reader r = reader_of(message->payload);
	struct tls_send s;
	struct outcome why;

	(void)wire;
	tls_send_get(&r, &s);
	if (!reader_is_done(&r))
		drop_client(client);
	else if (!client->is_admin)
		fail(client, message->id, "5.7.1",
		    "only root and Outpost's own user may do this");
	else if (tlsrpt_send(client, message->id, &s, &why) < 0)
		fail(client, message->id, why.status, why.detail);
}

/* --- sites and what mail waits for -----------------------------------------*/

static void send_json(struct control *client, uint64_t id, json_t *object)
{
	struct buf *scratch = &client->runner->scratch;
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	if (text) {
		buf_reset(scratch);
		put_span(scratch, span_of(text));
		wire_send(client->wire, MSG_STATUS_LINE, id, buf_span(scratch));
	}
	free(text);
	json_decref(object);
}

struct site_listing {
	struct control *client;
	uint64_t id;
	struct span name; /* empty: all */
};

static void send_site(const struct site *site, void *arg)
{
	const struct site_listing *listing = arg;

	if (listing->client->wire &&
	    (listing->name.n == 0 || sites_matches(site, listing->name)))
		send_json(listing->client, listing->id,
		    sites_object(site, now_monotonic_ms(), runner_utc_ms()));
}

static void on_sites(struct wire *wire, struct message *message, void *arg)
{
	struct control *client = arg;
	struct reader r = reader_of(message->payload);
	struct site_listing listing = { client, message->id, get_span(&r) };

	if (!reader_is_done(&r)) {
		drop_client(client);
		return;
	}
	schedule_each_site(client->runner->schedule, send_site, &listing);
	send_empty(wire, MSG_END, message->id);
}

static void on_why(struct wire *wire, struct message *message, void *arg)
{
	struct control *client = arg;
	struct runner *runner = client->runner;
	struct reader r = reader_of(message->payload);
	uint64_t id = get_u64(&r);
	uint16_t number = get_u16(&r);
	const struct delivery *d;

	if (!reader_is_done(&r)) {
		drop_client(client);
		return;
	}
	d = schedule_find(runner->schedule, id, number);
	if (d)
		send_json(client, message->id,
		    sites_why(runner->schedule, d, now_monotonic_ms(),
			runner_utc_ms()));
	send_empty(wire, MSG_END, message->id);
}

/* --- clients ---------------------------------------------------------------*/

static const struct wire_rule rules[] = {
	{ MSG_STATUS, 0, on_status },
	{ MSG_LINES, 0, on_lines },
	{ MSG_DO_OUTBOUND, SCOPE_MAX, on_outbound },
	{ MSG_SITES, SCOPE_MAX, on_sites },
	{ MSG_WHY, 10, on_why },
	{ MSG_TLS_SEND, 512, on_tls_send },
	{ MSG_LOG_LEVEL, SCOPE_MAX, on_log_level },
	{ MSG_DO_LINES, SCOPE_MAX, on_set_lines },
	{ 0 },
};

static void on_client_closed(struct wire *wire, const char *why, void *arg)
{
	(void)wire;
	(void)why;
	drop_client(arg);
}

/* A free place, or that of the stranger who came first: nobody keeps root out
 * by holding connections. */
static struct control *find_place(struct runner *runner)
{
	struct control *first = NULL;

	for (size_t i = 0; i < CONTROLS_MAX; i++) {
		struct control *c = &runner->controls[i];

		if (!c->wire)
			return c;
		if (!c->is_admin && (!first || c->came_ms < first->came_ms))
			first = c;
	}
	if (first)
		drop_client(first);
	return first;
}

static void on_accept(int fd, uint32_t events, void *arg);

static void accept_again(void *arg)
{
	struct runner *runner = arg;

	loop_add(runner->loop, runner->listener, EPOLLIN, on_accept, runner);
}

/* Out of descriptors: trying at once would only spin. */
static void accept_later(struct runner *runner)
{
	log_warn("accept-failed", "why", strerror(errno), NULL);
	loop_remove(runner->loop, runner->listener);
	loop_timer_set(runner->loop, &runner->accept_timer,
	    now_monotonic_ms() + ACCEPT_PAUSE_MS, accept_again, runner);
}

static void on_accept(int fd, uint32_t events, void *arg)
{
	struct runner *runner = arg;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control *client;
	uint32_t uid, gid;
	int32_t pid;

	(void)events;
	if (peer < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			accept_later(runner);
		return;
	}
	client = find_place(runner);
	if (!client) {
		close(peer);
		return;
	}
	client->runner = runner;
	client->came_ms = now_monotonic_ms();
	client->wire = wire_new(
	    runner->loop, peer, "control", rules, on_client_closed, client);
	if (!client->wire)
		return;
	wire_refuse_fds(client->wire);
	wire_bound(client->wire, REPLIES_MAX);
	client->is_admin = wire_peer(client->wire, &uid, &gid, &pid) == 0 &&
			   (uid == 0 || uid == getuid());
}

void control_listen(struct runner *runner, int fd)
{
	if (runner->listener >= 0 ||
	    loop_add(runner->loop, fd, EPOLLIN, on_accept, runner) < 0) {
		close(fd);
		return;
	}
	runner->listener = fd;
}

void control_clear(struct runner *runner)
{
	for (size_t i = 0; i < CONTROLS_MAX; i++)
		if (runner->controls[i].wire)
			drop_client(&runner->controls[i]);
	loop_timer_cancel(runner->loop, &runner->accept_timer);
	if (runner->listener >= 0)
		close(runner->listener);
}
