/* One try: a question to one server, by UDP or TCP, and the wait for its
 * answer.
 */
#include "dnscheck/ask_parts.h"

#include "dnscheck/need.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { FOREIGN_MAX = 100 }; /* packets that are not the answer */

struct
try {
	const struct ask_way *way;
	const char *name;
	uint16_t type, id;
	struct deadline deadline;
	int fd;
	unsigned nforeign, nbroken;
	char *packet; /* ASK_PACKET_MAX bytes */
	struct ask_answer *answer;
};

/* Ends the try: why it has no answer. Returns -1. */
static int give_up(struct try *t, enum ask_status status, const char *why)
{
	ask_answer_free(t->answer);
	t->answer = ask_answer_new(span_of(t->name), t->type, status);
	ask_answer_why(t->answer, status, "%s", why);
	return -1;
}

static int give_up_errno(struct try *t, const char *what)
{
	char why[200], reason[100];
	int error = errno;

	snprintf(why, sizeof(why), "%s: %s", what,
	    strerror_r(error, reason, sizeof(reason)));
	return give_up(
	    t, error == ETIMEDOUT ? ASK_TIMEOUT : ASK_UNREACHABLE, why);
}

/* 0: events have come; -1: the try is over. */
static int wait_for(struct try *t, short events)
{
	struct pollfd p = { .fd = t->fd, .events = events };
	int n;

	for (;;) {
		if (deadline_is_over(t->deadline))
			break;
		n = poll(&p, 1, deadline_left_ms(t->deadline));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return give_up_errno(t, "poll");
	}
	if (t->nbroken > 0)
		return give_up(t, ASK_MALFORMED, "its answer cannot be read");
	return give_up(t, ASK_TIMEOUT,
	    t->nforeign ? "no answer; what came was not asked for"
			: "no answer in time");
}

static int open_socket(struct try *t)
{
	const union net_address *to = &t->way->server;
	int kind = t->way->over_tcp ? SOCK_STREAM : SOCK_DGRAM, error = 0;
	socklen_t size = sizeof(error);

	t->fd =
	    socket(to->sa.sa_family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return give_up_errno(t, "socket");
	if (t->way->from &&
	    bind(t->fd, &t->way->from->sa, net_size(t->way->from)) < 0)
		return give_up_errno(t, "bind");
	/* Connected, a socket hears its server alone. */
	if (connect(t->fd, &to->sa, net_size(to)) < 0 && errno != EINPROGRESS)
		return give_up_errno(t, "connect");
	if (!t->way->over_tcp)
		return 0;
	if (wait_for(t, POLLOUT) < 0)
		return -1;
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return give_up_errno(t, "connect");
	errno = error;
	return error ? give_up_errno(t, "connect") : 0;
}

static int send_all(struct try *t, struct span bytes)
{
	ssize_t n;

	while (bytes.n > 0) {
		n = send(t->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n >= 0)
			bytes = span_from(bytes, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR)
			return give_up_errno(t, "send");
		else if (wait_for(t, POLLOUT) < 0)
			return -1;
	}
	return 0;
}

static int send_question(struct try *t)
{
	struct buf question, out;
	int status = -1;

	buf_init(&question, 1024);
	buf_init(&out, 1024);
	if (getrandom(&t->id, sizeof(t->id), 0) != sizeof(t->id))
		give_up(t, ASK_UNREACHABLE, "no random number");
	else if (ask_packet_put(&question, t->name, t->type, t->id, t->way) < 0)
		give_up(t, ASK_BAD_NAME, "not a name for the DNS");
	else
		status = 0;
	if (t->way->over_tcp)
		put_u16(&out, (uint16_t)question.len);
	buf_put_raw(&out, buf_span(&question));
	if (status == 0)
		status = send_all(t, buf_span(&out));
	buf_clear(&question);
	buf_clear(&out);
	return status;
}

/* n bytes to at (TCP). */
static int receive_all(struct try *t, char *at, size_t n)
{
	size_t have = 0;
	ssize_t got;

	while (have < n) {
		got = recv(t->fd, at + have, n - have, 0);
		if (got > 0)
			have += (size_t)got;
		else if (got == 0)
			return give_up(t, ASK_UNREACHABLE,
			    "it ended the connection without an answer");
		else if (errno != EAGAIN && errno != EINTR)
			return give_up_errno(t, "receive");
		else if (wait_for(t, POLLIN) < 0)
			return -1;
	}
	return 0;
}

/* The next packet, by TCP with two bytes of length before it. */
static int receive(struct try *t, struct span *packet)
{
	unsigned char size[2];
	ssize_t n;

	packet->p = t->packet;
	if (t->way->over_tcp) {
		if (receive_all(t, (char *)size, 2) < 0)
			return -1;
		packet->n = (size_t)(size[0] << 8 | size[1]);
		return receive_all(t, t->packet, packet->n);
	}
	while ((n = recv(t->fd, t->packet, ASK_PACKET_MAX, 0)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return give_up_errno(t, "receive");
		if (wait_for(t, POLLIN) < 0)
			return -1;
	}
	packet->n = (size_t)n;
	return 0;
}

/* Until the answer has come; -1: the try is over without. */
static int receive_answer(struct try *t)
{
	struct span packet;

	for (;;) {
		if (receive(t, &packet) < 0)
			return -1;
		switch (ask_packet_read(
		    packet, t->name, t->type, t->id, &t->answer)) {
		case PACKET_NO_EDNS:
			t->answer->refuses_edns = !t->way->without_edns;
			return 0;
		case PACKET_READ:
			return 0;
		case PACKET_BROKEN:
			t->nbroken++;
			break;
		case PACKET_FOREIGN:
			t->nforeign++;
			break;
		}
		if (t->nforeign + t->nbroken > FOREIGN_MAX)
			return give_up(
			    t, ASK_MALFORMED, "floods of wrong answers");
		/* Nobody else can write into a connection. */
		if (t->way->over_tcp)
			return give_up(t, ASK_MALFORMED,
			    "its answer cannot be read, or is to another "
			    "question");
	}
}

struct ask_answer *ask_try(const struct ask_way *way, const char *name,
    uint16_t type, struct deadline deadline)
{
	struct try t = { .way = way,
		.name = name,
		.type = type,
		.fd = -1,
		.deadline = deadline };
	uint64_t began_ms = now_monotonic_ms();
	char server[NET_TEXT_MAX];

	t.packet = need(malloc(ASK_PACKET_MAX));
	if (open_socket(&t) == 0 && send_question(&t) == 0)
		receive_answer(&t);
	if (t.fd >= 0)
		close(t.fd);
	free(t.packet);
	net_print(&way->server, server);
	t.answer->took_ms = (uint32_t)(now_monotonic_ms() - began_ms);
	t.answer->server = ask_answer_keep(t.answer, span_of(server));
	t.answer->by_tcp = way->over_tcp;
	return t.answer;
}
