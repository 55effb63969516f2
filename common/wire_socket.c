/* Local sockets that wires run over: pairs, listeners, connections. */
#include "common/wire.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20, BACKLOG = 1024 };

static void make_roomy(int fd)
{
	int size = BUFFER_BYTES;

	/* Best effort: the kernel's own limit wins. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int wire_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	make_roomy(fds[0]);
	make_roomy(fds[1]);
	return 0;
}

static int set_path(struct sockaddr_un *name, const char *path)
{
	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(name->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name->sun_path, path, strlen(path));
	return 0;
}

static int close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

int wire_connect(const char *path)
{
	struct sockaddr_un name;
	int fd;

	if (set_path(&name, path) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		return close_keeping_errno(fd);
	make_roomy(fd);
	return fd;
}

/* Make place for a socket: whatever else is there is somebody's file. */
static int remove_socket(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	return unlink(path);
}

/* With its mode from the start: chmod could be led elsewhere by a link. */
static int bind_as(int fd, const struct sockaddr_un *name, unsigned mode)
{
	mode_t old = umask(~mode & 0777);
	int status = bind(fd, (const struct sockaddr *)name, sizeof(*name));

	umask(old);
	return status;
}

int wire_listen(const char *path, unsigned mode)
{
	struct sockaddr_un name;
	int fd;

	if (set_path(&name, path) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (remove_socket(path) < 0 || bind_as(fd, &name, mode) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return close_keeping_errno(fd);
	return fd;
}
