/* A wire between two programs: its beginning, its end, who is there. */
#include "common/wire_parts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_MAX = 1 << 28 }; /* bytes queued for a peer: then it is broken */

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || flags & O_NONBLOCK)
		return flags < 0 ? -1 : 0;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK);
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
	if (loop && loop_add(loop, fd, EPOLLIN, wire_on_ready, wire) < 0)
		goto failed;
	return wire;
failed:
	free(wire);
	close(fd);
	return NULL;
}

void wire_close_all(int *fds, int nfds)
{
	for (int i = 0; i < nfds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

void wire_disconnect(struct wire *wire)
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
		wire_drop_attachment(wire);
	wire_close_all(wire->in_fds, wire->nin_fds);
	wire->nin_fds = 0;
}

void wire_free(struct wire *wire)
{
	if (!wire)
		return;
	wire_disconnect(wire);
	wire->is_closed = true;
	if (wire->is_busy) {
		wire->is_freed = true;
		return;
	}
	buf_clear(&wire->out);
	free(wire->in);
	free(wire);
}

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
