/* Messages between programs: frames over a local stream socket. */
#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	HEADER_BYTES = 16,
	READ_BYTES = 65536,
	READ_BUDGET = 1 << 20, /* bytes taken from one peer in a round */
	PUSH_BYTES = 1 << 18,  /* queued bytes that are written at once */
	QUEUE_MAX = 1 << 28,
	FDS_WAITING_MAX = 64,
};

/* Descriptors that go out with the frame that begins at this position. */
struct attachment {
	uint64_t position;
	int fds[WIRE_FDS_MAX];
	int nfds;
	struct attachment *next;
};

struct wire {
	struct loop *loop;
	int fd;
	const char *name;
	const struct wire_rule *rules;
	void (*on_closed)(struct wire *wire, const char *why, void *arg);
	void *arg;
	/* input */
	char *in;
	size_t in_cap, in_from, in_to;
	int in_fds[FDS_WAITING_MAX];
	int nin_fds;
	/* output */
	struct buf out;
	size_t out_from;
	uint64_t out_position; /* of out.data[out_from] in the stream */
	struct attachment *attached, **attached_end;
	struct deferral push;
	size_t low;
	loop_action *on_low;
	void *on_low_arg;
	uint32_t watched;
	bool is_paused, is_broken, is_closed, is_busy, is_freed;
	bool refuses_fds;
	size_t bound;	 /* queued bytes from which on the peer is not heard */
	bool is_stalled; /* that many are queued */
};

static const struct wire_rule *rule_of(
    const struct wire_rule *rules, uint16_t type)
{
	for (; rules->type != 0; rules++)
		if (rules->type == type)
			return rules;
	return NULL;
}

int wire_parse(struct span input, const struct wire_rule *rules,
    struct message *message, size_t *size)
{
	struct reader header = { { input.p, HEADER_BYTES }, false };
	const struct wire_rule *rule;
	uint32_t length;

	if (input.n < HEADER_BYTES)
		return 1;
	message->type = get_u16(&header);
	message->nfds = get_u16(&header);
	length = get_u32(&header);
	message->id = get_u64(&header);
	rule = rule_of(rules, message->type);
	if (!rule || length > rule->max_size || length > WIRE_FRAME_MAX ||
	    message->nfds > WIRE_FDS_MAX)
		return -1;
	*size = HEADER_BYTES + (size_t)length;
	if (input.n < *size)
		return 1;
	message->payload = (struct span){ input.p + HEADER_BYTES, length };
	return 0;
}

static void on_ready(int fd, uint32_t events, void *arg);
static void push_deferred(void *arg);

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

struct wire *wire_new(struct loop *loop, int fd, const char *name,
    const struct wire_rule *rules,
    void (*on_closed)(struct wire *wire, const char *why, void *arg), void *arg)
{
	struct wire *wire = calloc(1, sizeof(*wire));

	if (!wire)
		goto failed;
	wire->loop = loop;
	wire->fd = fd;
	wire->name = name;
	wire->rules = rules;
	wire->on_closed = on_closed;
	wire->arg = arg;
	wire->attached_end = &wire->attached;
	wire->watched = EPOLLIN;
	buf_init(&wire->out, QUEUE_MAX);
	if (set_nonblocking(fd) < 0)
		goto failed;
	if (loop && loop_add(loop, fd, EPOLLIN, on_ready, wire) < 0)
		goto failed;
	return wire;
failed:
	free(wire);
	close(fd);
	return NULL;
}

static void close_all(int *fds, int nfds)
{
	for (int i = 0; i < nfds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void drop_attachment(struct wire *wire)
{
	struct attachment *first = wire->attached;

	wire->attached = first->next;
	if (!wire->attached)
		wire->attached_end = &wire->attached;
	close_all(first->fds, first->nfds);
	free(first);
}

static void disconnect(struct wire *wire)
{
	if (wire->fd < 0)
		return;
	if (wire->loop) {
		loop_remove(wire->loop, wire->fd);
		loop_defer_cancel(&wire->push);
	}
	close(wire->fd);
	wire->fd = -1;
	while (wire->attached)
		drop_attachment(wire);
	close_all(wire->in_fds, wire->nin_fds);
	wire->nin_fds = 0;
}

void wire_free(struct wire *wire)
{
	if (!wire)
		return;
	disconnect(wire);
	wire->is_closed = true;
	if (wire->is_busy) {
		wire->is_freed = true;
		return;
	}
	buf_clear(&wire->out);
	free(wire->in);
	free(wire);
}

/* --- output --------------------------------------------------------------- */

/* How far one sendmsg may go: to the next frame that carries descriptors. */
static size_t sendable(const struct wire *wire, const struct attachment **with)
{
	size_t n = wire->out.len - wire->out_from;
	const struct attachment *next = wire->attached;

	*with = NULL;
	if (next && next->position == wire->out_position) {
		*with = next;
		next = next->next;
	}
	if (next && next->position - wire->out_position < n)
		n = (size_t)(next->position - wire->out_position);
	return n;
}

static ptrdiff_t send_some(struct wire *wire)
{
	const struct attachment *with;
	struct iovec part = { .iov_base = wire->out.data + wire->out_from };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control = { 0 };

	part.iov_len = sendable(wire, &with);
	if (with) {
		size_t size = sizeof(int) * (size_t)with->nfds;
		struct cmsghdr *c;

		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(size);
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(c), with->fds, size);
	}
	ptrdiff_t n = sendmsg(wire->fd, &header, MSG_NOSIGNAL);

	if (n > 0 && with)
		drop_attachment(wire);
	return n;
}

/* Write until all is gone or the socket is full. 0, or -1 with errno. */
static int write_out(struct wire *wire)
{
	while (wire->out_from < wire->out.len) {
		ptrdiff_t n = send_some(wire);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		wire->out_from += (size_t)n;
		wire->out_position += (uint64_t)n;
	}
	wire->out_from = 0;
	if (wire->out.cap > PUSH_BYTES * 2)
		buf_clear(&wire->out);
	else
		buf_reset(&wire->out);
	return 0;
}

static void watch(struct wire *wire, uint32_t events)
{
	if (!wire->loop || wire->fd < 0 || wire->watched == events)
		return;
	wire->watched = events;
	loop_change(wire->loop, wire->fd, events);
}

static void watch_as_needed(struct wire *wire)
{
	/* A stalled peer's turn comes by EPOLLOUT, in a later round. */
	bool has_output = wire_queued(wire) > 0 || wire->is_stalled;

	watch(wire, (wire->is_paused || wire->is_stalled ? 0 : EPOLLIN) |
			(has_output && !wire->is_broken ? EPOLLOUT : 0));
}

/* The reading side reports the end: shutdown makes it come at once. */
static void break_off(struct wire *wire)
{
	wire->is_broken = true;
	wire->out_from = 0;
	buf_clear(&wire->out);
	shutdown(wire->fd, SHUT_RDWR);
}

void wire_push(struct wire *wire)
{
	if (wire->fd < 0 || wire->is_broken)
		return;
	if (wire_queued(wire) > 0 && write_out(wire) < 0 && errno != EAGAIN)
		break_off(wire);
	watch_as_needed(wire);
	if (wire->on_low && wire_queued(wire) <= wire->low) {
		loop_action *action = wire->on_low;

		wire->on_low = NULL;
		action(wire->on_low_arg);
	}
}

static void push_deferred(void *arg)
{
	wire_push(arg);
}

static void compact_out(struct wire *wire)
{
	if (wire->out_from < PUSH_BYTES)
		return;
	buf_consume(&wire->out, wire->out_from);
	wire->out_from = 0;
}

static void attach(struct wire *wire, const int *fds, int nfds)
{
	struct attachment *a = calloc(1, sizeof(*a));

	if (!a) {
		for (int i = 0; i < nfds; i++)
			close(fds[i]);
		wire->out.overflow = true;
		return;
	}
	a->position = wire->out_position + wire->out.len - wire->out_from;
	memcpy(a->fds, fds, sizeof(int) * (size_t)nfds);
	a->nfds = nfds;
	*wire->attached_end = a;
	wire->attached_end = &a->next;
}

static void send_frame(struct wire *wire, uint16_t type, uint64_t id,
    struct span head, struct span tail, const int *fds, int nfds)
{
	if (wire->fd < 0 || wire->is_broken) {
		for (int i = 0; i < nfds; i++)
			close(fds[i]);
		return;
	}
	compact_out(wire);
	if (nfds > 0)
		attach(wire, fds, nfds);
	put_u16(&wire->out, type);
	put_u16(&wire->out, (uint16_t)nfds);
	put_u32(&wire->out, (uint32_t)(head.n + tail.n));
	put_u64(&wire->out, id);
	buf_put_raw(&wire->out, head);
	buf_put_raw(&wire->out, tail);
	if (wire->out.overflow) {
		break_off(wire);
		return;
	}
	if (!wire->loop)
		return;
	loop_defer(wire->loop, &wire->push, push_deferred, wire);
	if (wire_queued(wire) >= PUSH_BYTES && !(wire->watched & EPOLLOUT) &&
	    write_out(wire) < 0 && errno != EAGAIN)
		break_off(wire);
}

void wire_send(
    struct wire *wire, uint16_t type, uint64_t id, struct span payload)
{
	send_frame(wire, type, id, payload, (struct span){ 0 }, NULL, 0);
}

void wire_send_fds(struct wire *wire, uint16_t type, uint64_t id,
    struct span payload, const int *fds, int nfds)
{
	send_frame(wire, type, id, payload, (struct span){ 0 }, fds, nfds);
}

void wire_send_two(struct wire *wire, uint16_t type, uint64_t id,
    struct span head, struct span tail)
{
	send_frame(wire, type, id, head, tail, NULL, 0);
}

size_t wire_queued(const struct wire *wire)
{
	return wire->out.len - wire->out_from;
}

void wire_when_low(
    struct wire *wire, size_t low, loop_action *on_low, void *arg)
{
	wire->low = low;
	wire->on_low = on_low;
	wire->on_low_arg = arg;
}

/* --- input ---------------------------------------------------------------- */

static int make_room(struct wire *wire)
{
	size_t have = wire->in_to - wire->in_from, cap = wire->in_cap;
	char *grown;

	if (wire->in_from > 0 && have > 0)
		memmove(wire->in, wire->in + wire->in_from, have);
	wire->in_from = 0;
	wire->in_to = have;
	if (cap - have >= READ_BYTES / 2)
		return 0;
	/* Frames are bounded by their rules before they are waited for. */
	cap = cap ? cap * 2 : READ_BYTES;
	grown = realloc(wire->in, cap);
	if (!grown)
		return -1;
	wire->in = grown;
	wire->in_cap = cap;
	return 0;
}

int wire_reserve(struct wire *wire)
{
	return make_room(wire);
}

static int keep_fds(struct wire *wire, struct msghdr *header)
{
	int status = header->msg_flags & MSG_CTRUNC ? -1 : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c;
	     c = CMSG_NXTHDR(header, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(
			    &fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (wire->nin_fds < FDS_WAITING_MAX) {
				wire->in_fds[wire->nin_fds++] = fd;
			} else {
				close(fd);
				status = -1;
			}
		}
	}
	return status;
}

/* Bytes read, 0 at the end, -1 with errno (EPROTO: junk descriptors). */
static ptrdiff_t read_some(struct wire *wire)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control;
	struct iovec part;
	struct msghdr header = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ptrdiff_t n;

	if (make_room(wire) < 0) {
		errno = ENOMEM;
		return -1;
	}
	if (wire->refuses_fds)
		header.msg_controllen = 0; /* MSG_CTRUNC tells */
	part.iov_base = wire->in + wire->in_to;
	part.iov_len = wire->in_cap - wire->in_to;
	do
		n = recvmsg(wire->fd, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	if (keep_fds(wire, &header) < 0) {
		errno = EPROTO;
		return -1;
	}
	wire->in_to += (size_t)n;
	return n;
}

/* 0 = *message filled, 1 = more bytes needed, -1 = not allowed. */
static int take_frame(struct wire *wire, struct message *message)
{
	struct span input = { wire->in + wire->in_from,
		wire->in_to - wire->in_from };
	size_t size = 0;
	int status = wire_parse(input, wire->rules, message, &size);

	if (status != 0)
		return status;
	if (message->nfds > wire->nin_fds)
		return -1;
	for (int i = 0; i < message->nfds; i++)
		message->fds[i] = wire->in_fds[i];
	wire->nin_fds -= message->nfds;
	memmove(wire->in_fds, wire->in_fds + message->nfds,
	    sizeof(int) * (size_t)wire->nin_fds);
	wire->in_from += size;
	return 0;
}

bool wire_has_next(const struct wire *wire)
{
	struct span input = { wire->in + wire->in_from,
		wire->in_to - wire->in_from };
	struct message message;
	size_t size;

	return wire_parse(input, wire->rules, &message, &size) == 0;
}

static void report_closed(struct wire *wire, const char *why)
{
	if (wire->is_closed)
		return;
	wire->is_closed = true;
	disconnect(wire);
	if (wire->on_closed)
		wire->on_closed(wire, why, wire->arg);
}

static bool is_heard(struct wire *wire)
{
	if (wire->bound && wire_queued(wire) >= wire->bound)
		wire->is_stalled = true;
	return !wire->is_closed && !wire->is_paused && !wire->is_stalled;
}

/* Handle the frames at hand. false: the connection is over. */
static bool handle_frames(struct wire *wire)
{
	struct message message;
	int status;

	while (is_heard(wire) && (status = take_frame(wire, &message)) <= 0) {
		if (status < 0) {
			report_closed(wire, "sent what it may not send");
			return false;
		}
		rule_of(wire->rules, message.type)
		    ->handler(wire, &message, wire->arg);
		close_all(message.fds, message.nfds);
	}
	if (!wire->is_closed && wire->in_from == wire->in_to) {
		free(wire->in);
		wire->in = NULL;
		wire->in_cap = wire->in_from = wire->in_to = 0;
		if (wire->nin_fds > 0) {
			report_closed(wire, "sent descriptors without a frame");
			return false;
		}
	}
	return !wire->is_closed;
}

static void read_frames(struct wire *wire)
{
	size_t budget = READ_BUDGET;

	if (!handle_frames(wire))
		return;
	while (is_heard(wire) && budget > 0) {
		ptrdiff_t n = read_some(wire);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			report_closed(
			    wire, n == 0 ? "closed" : strerror(errno));
			return;
		}
		budget -= (size_t)n < budget ? (size_t)n : budget;
		if (!handle_frames(wire))
			return;
	}
}

static void on_ready(int fd, uint32_t events, void *arg)
{
	struct wire *wire = arg;
	bool was_stalled = wire->is_stalled;

	(void)fd;
	wire->is_busy = true;
	if (events & EPOLLOUT)
		wire_push(wire);
	if (events & (EPOLLHUP | EPOLLERR))
		wire->is_paused = wire->is_stalled = false;
	if (was_stalled && wire_queued(wire) < wire->bound)
		wire->is_stalled = false;
	if (!wire->is_closed &&
	    (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || was_stalled))
		read_frames(wire);
	if (was_stalled || wire->is_stalled)
		watch_as_needed(wire);
	wire->is_busy = false;
	if (wire->is_freed)
		wire_free(wire);
}

void wire_bound(struct wire *wire, size_t bytes)
{
	wire->bound = bytes;
}

void wire_refuse_fds(struct wire *wire)
{
	wire->refuses_fds = true;
}

void wire_pause(struct wire *wire)
{
	wire->is_paused = true;
	watch_as_needed(wire);
}

static void resume_deferred(void *arg)
{
	struct wire *wire = arg;

	wire->is_busy = true;
	wire_push(wire);
	if (!wire->is_closed)
		read_frames(wire);
	if (wire->is_stalled)
		watch_as_needed(wire);
	wire->is_busy = false;
	if (wire->is_freed)
		wire_free(wire);
}

void wire_resume(struct wire *wire)
{
	if (!wire->is_paused)
		return;
	wire->is_paused = false;
	watch_as_needed(wire);
	/* Frames already in memory would wake no epoll. */
	if (wire->loop && wire->fd >= 0 && wire->in_from < wire->in_to) {
		loop_defer_cancel(&wire->push);
		loop_defer(wire->loop, &wire->push, resume_deferred, wire);
	}
}

/* --- the rest ------------------------------------------------------------- */

int wire_peer(
    const struct wire *wire, uint32_t *uid, uint32_t *gid, int32_t *pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(wire->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -1;
	*uid = peer.uid;
	*gid = peer.gid;
	*pid = peer.pid;
	return 0;
}

int wire_fd(const struct wire *wire)
{
	return wire->fd;
}

void *wire_arg(const struct wire *wire)
{
	return wire->arg;
}

static int wait_for(struct wire *wire, short events, struct deadline deadline)
{
	struct pollfd p = { .fd = wire->fd, .events = events };
	int n;

	do
		n = poll(&p, 1, deadline_left_ms(deadline));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? 0 : -1;
}

int wire_flush(struct wire *wire, struct deadline deadline)
{
	if (wire->fd < 0 || wire->is_broken) {
		errno = EPIPE;
		return -1;
	}
	while (wire_queued(wire) > 0 && write_out(wire) < 0) {
		if (errno != EAGAIN)
			return -1;
		if (wait_for(wire, POLLOUT, deadline) < 0)
			return -1;
	}
	return 0;
}

int wire_receive(
    struct wire *wire, struct message *message, struct deadline deadline)
{
	int status;

	if (wire->fd < 0)
		return 0;
	while ((status = take_frame(wire, message)) == 1) {
		ptrdiff_t n = read_some(wire);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n < 0 && wait_for(wire, POLLIN, deadline) < 0)
			return -1;
	}
	if (status < 0)
		errno = EPROTO;
	return status < 0 ? -1 : 1;
}

void wire_trim(struct wire *wire)
{
	if (wire_queued(wire) == 0) {
		wire->out_from = 0;
		buf_clear(&wire->out);
	}
	if (wire->in_from < wire->in_to)
		return;
	free(wire->in);
	wire->in = NULL;
	wire->in_cap = wire->in_from = wire->in_to = 0;
}
