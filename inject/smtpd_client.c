/* One connection: its bytes, TLS and time limits. What the bytes mean is the
 * session's business.
 */
#include "inject/smtpd_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	COMMAND_MS = 5 * 60 * 1000, /* RFC 5321 4.5.3.2.7 */
	DATA_MS = 10 * 60 * 1000,   /* a text that comes slower than a byte a
				     * millisecond uses this up */
	ANSWER_MS = 10 * 60 * 1000, /* the keeper, and taking our replies */
	HANDSHAKE_MS = 60 * 1000,
	UNPRODUCTIVE_MS =
	    60 * 60 * 1000, /* without a message accepted, and a
			     * millisecond for each of its bytes */
	GOODBYE_MS = 2000,
	TLS_RECORD_BYTES = 16384, /* RFC 8446 section 5.1 */
};

static void on_ready(int fd, uint32_t events, void *arg);
static void on_deadline(void *arg);
static void step(struct client *c);

/* --- time limits
 * ----------------------------------------------------------------*/

static void set_deadline(struct client *c, uint64_t at_ms)
{
	c->deadline_ms = at_ms;
	/* A later one is seen when the timer fires: most never do. */
	if (c->timer.place == 0 || at_ms < c->timer.at_ms)
		loop_timer_set(
		    c->smtpd->loop, &c->timer, at_ms, on_deadline, c);
}

static void allow_command(struct client *c, uint64_t now)
{
	uint64_t at = now + COMMAND_MS;

	if (at > c->productive_ms + UNPRODUCTIVE_MS)
		at = c->productive_ms + UNPRODUCTIVE_MS;
	set_deadline(c, at);
}

/* After bytes were used: how long until the next ones must have come. */
static void note_progress(struct client *c, size_t used)
{
	uint64_t now = now_monotonic_ms();
	uint64_t messages = smtp_messages(c->session);

	if (messages != c->nmessages)
		c->productive_ms = now;
	c->nmessages = messages;
	if (!smtp_is_receiving(c->session)) {
		c->was_receiving = false;
		if (used > 0)
			allow_command(c, now);
		return;
	}
	if (!c->was_receiving)
		c->deadline_ms = now + DATA_MS;
	else
		c->deadline_ms += used;
	c->was_receiving = true;
	c->productive_ms = now;
	set_deadline(
	    c, c->deadline_ms < now + DATA_MS ? c->deadline_ms : now + DATA_MS);
}

static void on_deadline(void *arg)
{
	struct client *c = arg;

	if (now_monotonic_ms() < c->deadline_ms) {
		set_deadline(c, c->deadline_ms);
		return;
	}
	if (c->is_closing || c->is_handshaking || c->is_cut) {
		client_free(c);
		return;
	}
	log_event("client-cut", "client", c->peer, "listener",
	    c->listener->name, "why", "timeout", NULL);
	client_end(c, "4.4.2", "timeout");
}

/* --- writing
 * --------------------------------------------------------------------*/

static ptrdiff_t put_bytes(struct client *c, const char *p, size_t n)
{
	if (c->tls)
		return tls_stream_write(c->tls, p, n);
	return send(c->fd, p, n, MSG_NOSIGNAL);
}

/* 0, or -1: broken. */
static int write_replies(struct client *c)
{
	struct buf *out = smtp_output(c->session);

	if (out->overflow)
		return -1;
	while (out->len > 0) {
		ptrdiff_t n = put_bytes(c, out->data, out->len);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return -1;
		buf_consume(out, (size_t)n);
	}
	if (out->cap > 1024)
		buf_clear(out);
	return 0;
}

/* --- reading
 * --------------------------------------------------------------------*/

static void use_input(struct client *c, char *data, size_t n)
{
	size_t used = smtp_input(c->session, data, n, now_utc());

	note_progress(c, used);
	if (data == c->in.data) {
		buf_consume(&c->in, used);
		if (c->in.len == 0)
			buf_clear(&c->in);
	} else {
		buf_put(&c->in, data + used, n - used);
	}
}

/* Only with room for a whole record: of what stayed in the library, epoll would
 * not tell. Returns bytes, 0 at the end, -1 with errno. */
static ptrdiff_t read_tls(struct client *c, char *to, size_t size)
{
	size_t have = 0;
	ptrdiff_t n = 1;

	while (size - have >= TLS_RECORD_BYTES && n > 0) {
		n = tls_stream_read(c->tls, to + have, size - have);
		if (n > 0)
			have += (size_t)n;
	}
	return have > 0 ? (ptrdiff_t)have : n;
}

/* 0, or -1: over. */
static int read_input(struct client *c)
{
	char *to = c->smtpd->input;
	ptrdiff_t n;

	if (c->tls)
		n = read_tls(c, to, INPUT_BYTES);
	else
		n = recv(c->fd, to, INPUT_BYTES, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	if (c->is_closing)
		return 0;
	if (c->in.len > 0) {
		buf_put(&c->in, to, (size_t)n);
		if (c->in.overflow)
			return -1;
		use_input(c, c->in.data, c->in.len);
	} else {
		use_input(c, to, (size_t)n);
	}
	return c->in.overflow ? -1 : 0;
}

/* --- TLS
 * ------------------------------------------------------------------------*/

static void note_tls(struct client *c)
{
	struct buf text;

	if (log_get_level() != LOG_LEVEL_DETAILED)
		return;
	buf_init(&text, 256);
	tls_stream_print(c->tls, &text);
	log_detail("tls", "client", c->peer, "with", buf_text(&text), NULL);
	buf_clear(&text);
}

static int begin_tls(struct client *c)
{
	c->tls = tls_stream_new(c->listener->tls, c->fd);
	c->is_handshaking = true;
	set_deadline(c, now_monotonic_ms() + HANDSHAKE_MS);
	return c->tls ? 0 : -1;
}

/* 0: goes on, -1: failed. */
static int handshake(struct client *c)
{
	int status = tls_stream_handshake(c->tls);

	if (status < 0 && errno == EAGAIN)
		return 0;
	if (status < 0) {
		log_event("client-cut", "client", c->peer, "listener",
		    c->listener->name, "why", "TLS handshake", "error",
		    tls_stream_error(c->tls), NULL);
		return -1;
	}
	c->is_handshaking = false;
	smtp_tls_started(c->session);
	note_tls(c);
	allow_command(c, now_monotonic_ms());
	if (!c->is_greeted)
		smtp_greet(c->session);
	c->is_greeted = true;
	return 0;
}

/* --- what to do next
 * --------------------------------------------------------------*/

static uint32_t wanted(const struct client *c)
{
	uint32_t events = 0;

	if (c->is_handshaking)
		return tls_stream_wants_write(c->tls) ? EPOLLOUT : EPOLLIN;
	if (c->is_closing)
		return EPOLLIN;
	if (!c->is_held && !smtp_is_blocked(c->session))
		events |= EPOLLIN;
	if (smtp_output(c->session)->len > 0)
		events |= EPOLLOUT;
	return events;
}

static void watch(struct client *c)
{
	uint32_t events = wanted(c);

	if (events == c->watched)
		return;
	c->watched = events;
	if (loop_change(c->smtpd->loop, c->fd, events) < 0)
		log_warn("epoll", "why", strerror(errno), NULL);
}

/* The last reply is written. A client that was cut off while it sends would
 * lose it to a reset: so read on for a moment. */
static void say_goodbye(struct client *c)
{
	if (!c->is_cut) {
		client_free(c);
		return;
	}
	shutdown(c->fd, SHUT_WR);
	c->is_closing = true;
	buf_clear(&c->in);
	set_deadline(c, now_monotonic_ms() + GOODBYE_MS);
	watch(c);
}

static bool can_use_input(const struct client *c)
{
	return c->in.len > 0 && !c->is_held && !smtp_is_blocked(c->session);
}

static void step(struct client *c)
{
	size_t before;
	bool was_blocked;

	if (c->is_closing || c->is_handshaking) {
		watch(c);
		return;
	}
	do {
		before = c->in.len;
		if (can_use_input(c))
			use_input(c, c->in.data, c->in.len);
		was_blocked = smtp_is_blocked(c->session);
		if (write_replies(c) < 0) {
			client_free(c);
			return;
		}
	} while ((c->in.len < before || was_blocked) && can_use_input(c));
	if (c->smtpd->is_stopping && smtp_is_idle(c->session))
		smtp_end(c->session, "4.3.2", "closing down");
	if (smtp_output(c->session)->len == 0) {
		if (smtp_is_over(c->session)) {
			say_goodbye(c);
			return;
		}
		if (smtp_wants_tls(c->session) && begin_tls(c) < 0) {
			client_free(c);
			return;
		}
	}
	watch(c);
}

static void on_ready(int fd, uint32_t events, void *arg)
{
	struct client *c = arg;

	(void)fd;
	if (c->is_handshaking) {
		if (handshake(c) < 0) {
			client_free(c);
			return;
		}
	} else if (events & EPOLLIN) {
		if (keeper_is_congested(c->smtpd) && !c->is_closing)
			keeper_hold(c);
		else if (read_input(c) < 0) {
			client_free(c);
			return;
		}
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		client_free(c);
		return;
	}
	step(c);
}

static void step_deferred(void *arg)
{
	struct client *c = arg;

	note_progress(c, 1);
	step(c);
}

void client_step_later(struct client *c)
{
	loop_defer(c->smtpd->loop, &c->step, step_deferred, c);
}

void client_release(struct client *c)
{
	LIST_REMOVE(c, held_link);
	c->is_held = false;
	client_step_later(c);
}

void client_end(struct client *c, const char *status, const char *text)
{
	c->is_cut = true;
	smtp_end(c->session, status, text);
	set_deadline(c, now_monotonic_ms() + GOODBYE_MS);
	client_step_later(c);
}

/* --- beginning and end
 * -------------------------------------------------------------*/

static bool may_relay(const struct listener *l, const union net_address *a)
{
	if (a->sa.sa_family == AF_UNIX)
		return true; /* who may connect, its mode says */
	for (size_t i = 0; i < l->nallow; i++)
		if (network_has(&l->allow[i], a))
			return true;
	return false;
}

/* A local program is known by its uid. */
static struct smtp_client identify(const struct client *c)
{
	struct smtp_client who = { .address = c->ip,
		.may_relay = may_relay(c->listener, &c->address),
		.uid = UINT32_MAX };
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (c->address.sa.sa_family != AF_UNIX)
		return who;
	who.address = NULL;
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		who.uid = peer.uid;
	return who;
}

static int set_up(struct client *c)
{
	const struct smtp_client who = identify(c);

	c->session = smtp_new(&c->listener->settings, &who, &keeper_hooks, c);
	if (!c->session ||
	    loop_add(c->smtpd->loop, c->fd, EPOLLIN, on_ready, c) < 0)
		return -1;
	c->watched = EPOLLIN;
	if (c->listener->is_implicit)
		return begin_tls(c);
	c->is_greeted = true;
	smtp_greet(c->session);
	allow_command(c, c->productive_ms);
	return 0;
}

void client_new(struct listener *l, int fd, const union net_address *address)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		client_count_remove(l->smtpd->counts, address);
		return;
	}
	c->smtpd = l->smtpd;
	c->listener = l;
	c->fd = fd;
	c->address = *address;
	c->productive_ms = now_monotonic_ms();
	buf_init(&c->in, 2 * INPUT_BYTES);
	net_print(address, c->peer);
	net_print_ip(address, c->ip);
	LIST_INSERT_HEAD(&c->smtpd->clients, c, link);
	c->smtpd->nclients++;
	if (set_up(c) < 0)
		client_free(c);
	else
		step(c);
}

void client_free(struct client *c)
{
	struct smtpd *d = c->smtpd;

	smtp_free(c->session); /* aborts what was not ended */
	keeper_forget(c);
	loop_defer_cancel(&c->step);
	loop_timer_cancel(d->loop, &c->timer);
	loop_remove(d->loop, c->fd);
	tls_stream_free(c->tls);
	close(c->fd);
	buf_clear(&c->in);
	LIST_REMOVE(c, link);
	d->nclients--;
	client_count_remove(d->counts, &c->address);
	free(c);
	smtpd_client_gone(d);
}
