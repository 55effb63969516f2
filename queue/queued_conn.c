/* The keeper's connections: accepting, counting, idling, ending. */
#include "queue/queued_parts.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_A_ROUND = 64, ACCEPT_PAUSE_MS = 1000, SWEEP_MS = 60000 };

static const struct {
	const char *name;
	const struct wire_rule *rules;
	size_t max_open, nbuckets;
} kinds[] = {
	[CONN_SUBMIT] = { "submit", submit_rules, LOCAL_OPEN_MAX, 1 },
	[CONN_QUEUE] = { "queue", control_rules, 0, 0 },
	[CONN_SMTPD] = { "smtpd", submit_rules, PEER_OPEN_MAX, 4096 },
	[CONN_RUNNER] = { "runner", runner_rules, PEER_OPEN_MAX, 256 },
};

static bool is_local(const struct conn *conn)
{
	return conn->kind == CONN_SUBMIT || conn->kind == CONN_QUEUE;
}

static void on_closed(struct wire *wire, const char *why, void *arg)
{
	struct conn *conn = arg;

	(void)wire;
	if (!is_local(conn) || strcmp(why, "closed") != 0)
		log_warn("peer-gone", "peer", kinds[conn->kind].name, "uid",
		    is_local(conn) ? log_text("%u", conn->uid) : NULL, "why",
		    why, NULL);
	conn_drop(conn);
}

static bool is_admin(const struct keeper *keeper, uint32_t uid)
{
	return uid == 0 || uid == keeper->own_uid ||
	       uid == keeper->limits.owner_uid;
}

static int identify(struct conn *conn)
{
	uint32_t gid;
	int32_t pid;

	conn->uid = UINT32_MAX;
	wire_refuse_fds(conn->wire);
	if (!is_local(conn))
		return 0;
	wire_bound(conn->wire, REPLY_QUEUE_MAX);
	if (wire_peer(conn->wire, &conn->uid, &gid, &pid) < 0)
		return -1;
	conn->is_admin = is_admin(conn->keeper, conn->uid);
	return 0;
}

static bool has_too_many(const struct conn *conn)
{
	const struct conn *other = conn->keeper->conns;
	unsigned n = 0;

	if (!is_local(conn) || conn->is_admin)
		return false;
	for (; other; other = other->next)
		n += is_local(other) && other->uid == conn->uid;
	return n >= LOCAL_CONNECTIONS_PER_USER;
}

static void link_in(struct conn *conn)
{
	struct keeper *keeper = conn->keeper;

	conn->next = keeper->conns;
	conn->link = &keeper->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	keeper->conns = conn;
	if (is_local(conn))
		keeper->nlocal++;
}

struct conn *conn_new(struct keeper *keeper, enum conn_kind kind, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		close(fd);
		return NULL;
	}
	*conn = (struct conn){ .keeper = keeper, .kind = kind };
	conn->max_open = kinds[kind].max_open;
	conn->nbuckets = kinds[kind].nbuckets;
	conn->active_at_ms = now_monotonic_ms();
	conn->wire = wire_new(keeper->loop, fd, kinds[kind].name,
	    kinds[kind].rules, on_closed, conn);
	if (!conn->wire)
		goto failed;
	conn->open = calloc(conn->nbuckets + 1, sizeof(struct transaction *));
	if (!conn->open || identify(conn) < 0 || has_too_many(conn))
		goto failed;
	link_in(conn);
	if (is_local(conn))
		conn_start_sweep(keeper);
	return conn;
failed:
	log_warn("connection-refused", "peer", kinds[kind].name, "uid",
	    log_text("%u", conn->uid), NULL);
	wire_free(conn->wire);
	free(conn->open);
	free(conn);
	return NULL;
}

void conn_drop(struct conn *conn)
{
	struct keeper *keeper = conn->keeper;

	submit_drop_all(conn);
	if (conn->nrequests > 0)
		group_forget(keeper, conn);
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	if (is_local(conn))
		keeper->nlocal--;
	wire_free(conn->wire);
	if (keeper->runner == conn) {
		keeper->runner = NULL;
		outcome_runner_lost(keeper);
	}
	conn_accept_more(keeper);
	free(conn->open);
	free(conn);
}

void conn_cut(struct conn *conn, const char *why)
{
	log_warn("peer-cut-off", "peer", kinds[conn->kind].name, "uid",
	    is_local(conn) ? log_text("%u", conn->uid) : NULL, "why", why,
	    NULL);
	conn_drop(conn);
}

void conn_touch(struct conn *conn)
{
	conn->active_at_ms = now_monotonic_ms();
}

static void on_low(void *arg)
{
	struct conn *conn = arg;

	wire_resume(conn->wire);
	if (conn->kind == CONN_QUEUE)
		control_on_low(conn);
}

void conn_hold_back(struct conn *conn)
{
	if (wire_queued(conn->wire) >= REPLY_QUEUE_MAX)
		wire_pause(conn->wire);
	if (wire_queued(conn->wire) >= REPLY_QUEUE_MAX || conn->body.is_active)
		wire_when_low(conn->wire, REPLY_QUEUE_LOW, on_low, conn);
}

void send_outcome(
    struct conn *conn, uint16_t type, uint64_t id, const struct outcome *why)
{
	struct buf *out = &conn->keeper->scratch;

	buf_reset(out);
	outcome_put(out, why);
	wire_send(conn->wire, type, id, buf_span(out));
}

/* --- accepting ------------------------------------------------------------ */

static void listener_stop(struct listener *listener)
{
	if (!listener->is_watched)
		return;
	loop_remove(listener->keeper->loop, listener->fd);
	listener->is_watched = false;
}

void conn_accept_more(struct keeper *keeper)
{
	if (!keeper->spool || keeper->is_stopping ||
	    keeper->nlocal >= LOCAL_CONNECTIONS_MAX)
		return;
	for (size_t i = 0; i < keeper->nlisteners; i++) {
		struct listener *listener = &keeper->listeners[i];

		if (!listener->is_watched &&
		    loop_add(keeper->loop, listener->fd, EPOLLIN, conn_accept,
			listener) == 0)
			listener->is_watched = true;
	}
}

static void accept_again(void *arg)
{
	conn_accept_more(arg);
}

/* Out of descriptors or memory: trying at once would only spin. */
static void accept_later(struct listener *listener)
{
	struct keeper *keeper = listener->keeper;

	log_warn("accept-failed", "why", strerror(errno), NULL);
	listener_stop(listener);
	loop_timer_set(keeper->loop, &keeper->accept_timer,
	    now_monotonic_ms() + ACCEPT_PAUSE_MS, accept_again, keeper);
}

void conn_accept(int fd, uint32_t events, void *arg)
{
	struct listener *listener = arg;
	struct keeper *keeper = listener->keeper;

	(void)events;
	for (int i = 0; i < ACCEPT_A_ROUND; i++) {
		int client;

		if (keeper->nlocal >= LOCAL_CONNECTIONS_MAX) {
			listener_stop(listener);
			return;
		}
		client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client >= 0) {
			conn_new(keeper, listener->kind, client);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			accept_later(listener);
		return;
	}
}

/* --- idling ---------------------------------------------------------------
 * One timer for all, and none while nobody is connected. */

static void sweep(void *arg)
{
	struct keeper *keeper = arg;
	struct conn *conn = keeper->conns, *next;
	uint64_t now = now_monotonic_ms();

	for (; conn; conn = next) {
		next = conn->next;
		if (is_local(conn) && now - conn->active_at_ms > LOCAL_IDLE_MS)
			conn_cut(conn, "idle");
	}
	conn_start_sweep(keeper);
}

void conn_start_sweep(struct keeper *keeper)
{
	if (keeper->nlocal > 0 && keeper->sweep_timer.place == 0)
		loop_timer_set(keeper->loop, &keeper->sweep_timer,
		    now_monotonic_ms() + SWEEP_MS, sweep, keeper);
}
