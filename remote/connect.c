/* A TCP connection to one address. */
#include "remote/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

/* 1 = bind to *a, 0 = any will do, -1 = none of this family. */
static int find_source(
    const struct session *session, int family, union net_address *a)
{
	for (unsigned i = 0; i < session->nbinds; i++)
		if (net_from_bytes(session->binds[i], 0, a) == 0 &&
		    a->sa.sa_family == family)
			return 1;
	return session->nbinds > 0 ? -1 : 0;
}

static int bind_source(
    int fd, const union net_address *source, struct outcome *why)
{
	char text[NET_TEXT_MAX];
	int one = 1;

	/* The port is chosen at connect: many lines share one address. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, &source->sa, net_size(source)) == 0)
		return 0;
	int saved = errno;

	net_print_ip(source, text);
	return outcome_temp(
	    why, "4.4.1", "bind to %s: %s", text, strerror(saved));
}

/* 0, or the errno. */
static int wait_connected(int fd, struct deadline deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(int);
	int error = 0, n;

	do
		n = poll(&p, 1, deadline_left_ms(deadline));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return ETIMEDOUT;
	if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return errno;
	return error;
}

int connect_to(const struct session *session, const union net_address *peer,
    struct deadline deadline, struct outcome *why)
{
	char text[NET_TEXT_MAX];
	union net_address source;
	int family = peer->sa.sa_family;
	int has_source = find_source(session, family, &source);
	int one = 1, error = 0, fd;

	net_print(peer, text);
	if (has_source < 0)
		return outcome_temp(why, "4.4.1",
		    "connect to %s: no local address of its family", text);
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return outcome_temp(
		    why, "4.3.0", "socket: %s", strerror(errno));
	if (has_source && bind_source(fd, &source, why) < 0)
		goto failed;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, &peer->sa, net_size(peer)) < 0)
		error =
		    errno == EINPROGRESS ? wait_connected(fd, deadline) : errno;
	if (error == 0)
		return fd;
	outcome_temp(why, "4.4.1", "connect to %s: %s", text, strerror(error));
failed:
	close(fd);
	return -1;
}
