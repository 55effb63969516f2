/* Frames on their way out: queued, written when the round is over. */
#include "common/wire_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PUSH_BYTES = 1 << 18 }; /* queued bytes that are written at once */

void wire_drop_attachment(struct wire *wire)
{
	struct attachment *first = wire->attached;

	wire->attached = first->next;
	if (!wire->attached)
		wire->attached_end = &wire->attached;
	wire_close_all(first->fds, first->nfds);
	free(first);
}

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
		wire_drop_attachment(wire);
	return n;
}

int wire_write(struct wire *wire)
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
	if (wire_queued(wire) > 0 && wire_write(wire) < 0 && errno != EAGAIN)
		break_off(wire);
	wire_watch_as_needed(wire);
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
	    wire_write(wire) < 0 && errno != EAGAIN)
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
