/* Frames out of what was read, within the rules of the receiver. */
#include "common/wire_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_BYTES = 65536,	  /* a round's step of a program with a loop */
	READ_BYTES_ALONE = 16384, /* of one that has few of them: a line */
};

const struct wire_rule *wire_rule_of(
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
	struct reader header = { { input.p, WIRE_HEADER_BYTES }, false };
	const struct wire_rule *rule;
	uint32_t length;

	if (input.n < WIRE_HEADER_BYTES)
		return 1;
	message->type = get_u16(&header);
	message->nfds = get_u16(&header);
	length = get_u32(&header);
	message->id = get_u64(&header);
	rule = wire_rule_of(rules, message->type);
	if (!rule || length > rule->max_size || length > WIRE_FRAME_MAX ||
	    message->nfds > WIRE_FDS_MAX)
		return -1;
	*size = WIRE_HEADER_BYTES + (size_t)length;
	if (input.n < *size)
		return 1;
	message->payload = (struct span){ input.p + WIRE_HEADER_BYTES, length };
	return 0;
}

static int make_room(struct wire *wire)
{
	size_t have = wire->in_to - wire->in_from, cap = wire->in_cap;
	size_t step = wire->loop ? READ_BYTES : READ_BYTES_ALONE;
	size_t least = wire->wanted > step ? wire->wanted : step;
	char *grown;

	if (wire->in_from > 0 && have > 0)
		memmove(wire->in, wire->in + wire->in_from, have);
	wire->in_from = 0;
	wire->in_to = have;
	/* Frames are bounded by their rules before they are waited for. */
	if (cap >= least && cap > have)
		return 0;
	if (cap == 0)
		cap = step;
	while (cap < least || cap == have)
		cap *= 2;
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
			if (wire->nin_fds < WIRE_FDS_WAITING_MAX) {
				wire->in_fds[wire->nin_fds++] = fd;
			} else {
				close(fd);
				status = -1;
			}
		}
	}
	return status;
}

ptrdiff_t wire_read(struct wire *wire)
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

/* Nothing has been allocated before the first byte. */
static struct span input_of(const struct wire *wire)
{
	if (!wire->in)
		return (struct span){ 0 };
	return (struct span){ wire->in + wire->in_from,
		wire->in_to - wire->in_from };
}

int wire_take_frame(struct wire *wire, struct message *message)
{
	struct span input = input_of(wire);
	size_t size = 0;
	int status = wire_parse(input, wire->rules, message, &size);

	wire->wanted = status > 0 ? size : 0;
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
	struct span input = input_of(wire);
	struct message message;
	size_t size;

	return wire_parse(input, wire->rules, &message, &size) == 0;
}

void wire_drop_input(struct wire *wire)
{
	free(wire->in);
	wire->in = NULL;
	wire->in_cap = wire->in_from = wire->in_to = wire->wanted = 0;
}
