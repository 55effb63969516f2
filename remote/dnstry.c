/* The tries of a question. A try is one socket to one server and ends by an
 * answer, a refusal or silence.
 */
#include "remote/dnsquery_parts.h"

#include "common/deadline.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	TRY_MAX_MS = 14000,
	TCP_MS = 10000,
	FOREIGN_MAX = 100,   /* packets that are not the answer, in one try */
	RESTORE_MS = 300000, /* then the first server has its turn again */
};

static void try_now(struct question *q);
static void try_next_server(struct question *q);

void try_hang_up(struct question *q)
{
	loop_timer_cancel(q->client->loop, &q->timer);
	if (q->fd < 0)
		return;
	loop_remove(q->client->loop, q->fd);
	close(q->fd);
	q->fd = -1;
	q->client->sockets--;
	if (q->is_first)
		q->client->first--;
}

static const char *server_text(const struct question *q)
{
	static char text[NET_TEXT_MAX];

	net_print(&q->client->options.servers[q->server], text);
	return text;
}

static bool may_ask(const struct question *q, size_t server)
{
	return !q->only_trusted || q->client->options.is_trusted[server];
}

static size_t count_servers(const struct question *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->client->options.nservers; i++)
		n += may_ask(q, i);
	return n;
}

/* The server said or did something useless: at once to the next, unless all
 * have had their turn. */
static void refused(struct question *q, const char *why)
{
	snprintf(q->why, sizeof(q->why), "%s from %s", why, server_text(q));
	try_hang_up(q);
	if (++q->failures >= count_servers(q))
		question_fail(q);
	else
		try_next_server(q);
}

static void on_silence(void *arg)
{
	struct question *q = arg;
	struct dns_client *client = q->client;

	snprintf(q->why, sizeof(q->why), "no answer from %s", server_text(q));
	try_hang_up(q);
	if (now_monotonic_ms() - q->began_ms >= client->options.total_ms) {
		question_fail(q);
		return;
	}
	if (q->server == client->preferred && client->options.nservers > 1) {
		client->preferred = (q->server + 1) % client->options.nservers;
		client->preferred_ms = now_monotonic_ms();
	}
	try_next_server(q);
	questions_begin(client);
}

/* Longer with each round through the servers: a resolver that drops a slow
 * question answers the next one from its cache. */
static uint64_t patience_ms(const struct question *q)
{
	const struct dns_options *o = &q->client->options;
	uint64_t left = q->began_ms + o->total_ms, wait = o->first_ms,
		 now = now_monotonic_ms();

	if (q->is_tcp)
		wait = TCP_MS;
	for (size_t round = q->tries / o->nservers;
	     !q->is_tcp && round > 0 && wait < TRY_MAX_MS; round--)
		wait *= 2;
	if (wait > TRY_MAX_MS)
		wait = TRY_MAX_MS;
	left = left > now ? left - now : 1;
	return wait < left ? wait : left;
}

/* The server says that it could not find out: perhaps the next one can. */
static void take_failure(struct question *q, struct dns_answer *a)
{
	char why[sizeof(a->detail)];

	memcpy(why, a->detail, sizeof(why));
	/* Forged answers look like this: who does not validate would give them
	 * out. */
	if (q->client->options.wants_secure &&
	    q->client->options.is_trusted[q->server])
		q->only_trusted = true;
	if (q->failures + 1 < count_servers(q)) {
		dns_answer_release(a);
		refused(q, why);
		return;
	}
	snprintf(
	    a->detail, sizeof(a->detail), "%.80s from %s", why, server_text(q));
	question_finish(q, a);
}

/* The same server once more, in the way that *flag says. */
static void try_otherwise(struct question *q, bool *flag, const char *why)
{
	if (*flag) {
		refused(q, why);
		return;
	}
	try_hang_up(q);
	*flag = true;
	try_now(q);
}

static void finish(struct question *q, struct dns_answer *a)
{
	const struct dns_options *o = &q->client->options;

	a->is_secure =
	    a->is_secure && o->wants_secure && o->is_trusted[q->server];
	net_print_ip(&o->servers[q->server], a->from);
	question_finish(q, a);
}

static void take(struct question *q, struct span packet)
{
	struct dns_answer *a = NULL;

	q->client->counts.packets++;
	switch (dns_answer_read(packet, q->name, q->type, q->id, &a)) {
	case DNS_READ:
		if (a->status == DNS_FAILED)
			take_failure(q, a);
		else
			finish(q, a);
		break;
	case DNS_TRUNCATED:
		try_otherwise(q, &q->is_tcp, "a truncated answer by TCP");
		break;
	case DNS_NO_EDNS:
		try_otherwise(q, &q->no_edns, "FORMERR");
		break;
	case DNS_FOREIGN:
		if (++q->foreign > FOREIGN_MAX || q->is_tcp)
			refused(q, "an answer that cannot be read");
		break;
	}
}

static void on_datagram(int fd, uint32_t events, void *arg)
{
	struct question *q = arg;
	ssize_t n = recv(fd, q->client->packet, DNS_PACKET_MAX, 0);

	(void)events;
	if (n >= 0)
		take(q, (struct span){ q->client->packet, (size_t)n });
	else if (errno != EAGAIN && errno != EINTR)
		refused(q, strerror(errno));
}

/* --- TCP: two bytes of length before each packet -------------------------- */

static void tcp_write(struct question *q)
{
	ssize_t n = send(q->fd, q->out.data, q->out.len, MSG_NOSIGNAL);

	if (n >= 0)
		buf_consume(&q->out, (size_t)n);
	if (n >= 0 && q->out.len == 0)
		loop_change(q->client->loop, q->fd, EPOLLIN);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		refused(q, strerror(errno));
}

static void tcp_read(struct question *q)
{
	ssize_t n = recv(q->fd, q->client->packet, DNS_PACKET_MAX, 0);
	struct reader r;
	uint16_t size;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		refused(q, n == 0 ? "connection closed" : strerror(errno));
		return;
	}
	buf_put(&q->in, q->client->packet, (size_t)n);
	if (q->in.len < 2)
		return;
	r = reader_of(buf_span(&q->in));
	size = get_u16(&r);
	if (r.rest.n >= size)
		take(q, (struct span){ r.rest.p, size });
	else if (q->in.overflow)
		refused(q, "too much by TCP");
}

static void on_tcp(int fd, uint32_t events, void *arg)
{
	struct question *q = arg;

	(void)fd;
	if (q->out.len > 0 && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		tcp_write(q);
	else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		tcp_read(q);
}

/* --- the beginning of a try ----------------------------------------------- */

static int open_socket(struct question *q)
{
	const union net_address *to = &q->client->options.servers[q->server];
	int kind = q->is_tcp ? SOCK_STREAM : SOCK_DGRAM;

	q->fd =
	    socket(to->sa.sa_family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd < 0)
		return -1;
	q->is_first = q->tries == 0;
	q->client->sockets++;
	if (q->is_first)
		q->client->first++;
	/* Connected, a socket hears its server alone. */
	if (connect(q->fd, &to->sa, net_size(to)) < 0 && errno != EINPROGRESS)
		return -1;
	return loop_add(q->client->loop, q->fd,
	    q->is_tcp ? EPOLLIN | EPOLLOUT : EPOLLIN,
	    q->is_tcp ? on_tcp : on_datagram, q);
}

static unsigned how_to_ask(const struct question *q)
{
	const struct dns_options *o = &q->client->options;
	unsigned how = q->no_edns ? 0 : DNS_WITH_EDNS;

	if (o->wants_secure && o->is_trusted[q->server])
		how |= DNS_WITH_AD;
	return how;
}

static int compose(struct question *q)
{
	struct buf packet;
	int status;

	if (getrandom(&q->id, sizeof(q->id), 0) != sizeof(q->id))
		return -1;
	buf_init(&packet, 1024);
	status =
	    dns_question_put(&packet, q->name, q->type, q->id, how_to_ask(q));
	buf_reset(&q->out);
	buf_reset(&q->in);
	if (q->is_tcp)
		put_u16(&q->out, (uint16_t)packet.len);
	buf_put_raw(&q->out, buf_span(&packet));
	buf_clear(&packet);
	return status;
}

static void try_now(struct question *q)
{
	q->foreign = 0;
	if (compose(q) < 0) {
		snprintf(q->why, sizeof(q->why), "not a name for the DNS");
		question_fail(q);
		return;
	}
	if (open_socket(q) < 0) {
		refused(q, strerror(errno));
		return;
	}
	if (!q->is_tcp && send(q->fd, q->out.data, q->out.len, 0) < 0) {
		refused(q, strerror(errno));
		return;
	}
	if (!q->is_tcp)
		buf_reset(&q->out);
	loop_timer_set(q->client->loop, &q->timer,
	    now_monotonic_ms() + patience_ms(q), on_silence, q);
}

/* From server on, the first that may be asked; there is one. */
static size_t first_from(const struct question *q, size_t server)
{
	size_t n = q->client->options.nservers;

	for (size_t i = 0; i < n && !may_ask(q, server); i++)
		server = (server + 1) % n;
	return server;
}

static void try_next_server(struct question *q)
{
	size_t next = (q->server + 1) % q->client->options.nservers;

	q->server = first_from(q, next);
	q->is_tcp = q->no_edns = false;
	q->tries++;
	try_now(q);
}

void try_begin(struct question *q)
{
	struct dns_client *client = q->client;

	if (now_monotonic_ms() - client->preferred_ms > RESTORE_MS)
		client->preferred = 0;
	q->only_trusted = q->type == DNS_TLSA;
	if (count_servers(q) == 0) {
		snprintf(q->why, sizeof(q->why), "no resolver is trusted");
		question_fail(q);
		return;
	}
	q->server = first_from(q, client->preferred);
	try_now(q);
}
