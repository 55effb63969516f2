/* A wire in a program without a loop: calls that wait. */
#include "common/wire_parts.h"

#include <errno.h>
#include <poll.h>

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
	while (wire_queued(wire) > 0 && wire_write(wire) < 0) {
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
	while ((status = wire_take_frame(wire, message)) == 1) {
		ptrdiff_t n = wire_read(wire);

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
	wire_drop_input(wire);
}
