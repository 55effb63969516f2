/* The sockets that children get from the supervisor: the configuration's
 * listen blocks and the local ones below the runtime folder. */
#include "runner/supervisor_parts.h"

#include "common/net.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEFAULT_PORT = 25, BACKLOG = 4096 };

static const char *hint(int error)
{
	if (error == EADDRINUSE)
		return " (another program listens there)";
	if (error == EACCES)
		return " (ports below 1024 are for root)";
	return "";
}

static int open_tcp(const char *address, struct outcome *why)
{
	union net_address at;
	int on = 1, fd;

	if (net_parse(span_of(address), DEFAULT_PORT, &at) < 0)
		return outcome_perm(why, "5.3.5", "not an address");
	fd = socket(
	    at.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return outcome_temp(why, "4.3.0", "%s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &at.sa, net_size(&at)) < 0 || listen(fd, BACKLOG) < 0) {
		outcome_temp(
		    why, "4.3.0", "%s%s", strerror(errno), hint(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int open_unix(const char *path, struct outcome *why)
{
	int fd = wire_listen(path, 0666);

	if (fd < 0)
		outcome_temp(why, "4.3.0", "%s", strerror(errno));
	return fd;
}

static int open_listener(const char *address, struct outcome *why)
{
	if (strncmp(address, "unix:", 5) == 0)
		return open_unix(address + 5, why);
	return open_tcp(address, why);
}

static int add(struct listeners *all, enum listener_kind kind, uint32_t index,
    const char *address, int fd)
{
	struct listener *l = &all->items[all->count];

	l->address = strdup(address);
	if (!l->address) {
		close(fd);
		return -1;
	}
	l->kind = kind;
	l->index = index;
	l->fd = fd;
	all->count++;
	return 0;
}

/* The same socket as before a reload, so that no connection is lost. */
static int reuse(
    const struct listeners *old, enum listener_kind kind, const char *address)
{
	for (size_t i = 0; old && i < old->count; i++)
		if (old->items[i].kind == kind &&
		    strcmp(old->items[i].address, address) == 0)
			return old->items[i].fd;
	return -1;
}

static int open_local(struct listeners *all, const struct conf *conf,
    const struct listeners *old, enum listener_kind kind, const char *name,
    struct outcome *why)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", conf->runtime, name);
	fd = reuse(old, kind, path);
	if (fd < 0)
		fd = wire_listen(path, 0666);
	if (fd < 0)
		return outcome_temp(
		    why, "4.3.0", "%s: %s", path, strerror(errno));
	return add(all, kind, 0, path, fd);
}

static int open_blocks(struct listeners *all, const struct conf *conf,
    const struct listeners *old, struct outcome *why)
{
	for (size_t i = 0; i < conf->nlistens; i++) {
		const struct conf_listen *block = &conf->listens[i];
		struct outcome reason;
		int fd = reuse(old, LISTENER_SMTP, block->address);

		if (all->count == LISTENERS_MAX)
			return outcome_perm(why, "5.3.5",
			    "%s:%d: more than %d listeners", block->place.file,
			    block->place.line, LISTENERS_MAX);
		if (fd < 0)
			fd = open_listener(block->address, &reason);
		if (fd < 0)
			return outcome_temp(why, "4.3.0",
			    "%s:%d: listen \"%s\": %s", block->place.file,
			    block->place.line, block->address, reason.detail);
		if (add(all, LISTENER_SMTP, (uint32_t)i, block->address, fd) <
		    0)
			return outcome_temp(why, "4.3.0", "no memory");
	}
	return 0;
}

int listeners_open(struct listeners *all, const struct conf *conf,
    const struct listeners *old, struct outcome *why)
{
	all->count = 0;
	if (open_local(all, conf, old, LISTENER_SUBMIT, "submit.sock", why) ==
		0 &&
	    open_local(all, conf, old, LISTENER_QUEUE, "queue.sock", why) ==
		0 &&
	    open_local(all, conf, old, LISTENER_RUNNER, "runner.sock", why) ==
		0 &&
	    open_blocks(all, conf, old, why) == 0)
		return 0;
	listeners_close(all, old);
	return -1;
}

static bool has_fd(const struct listeners *all, int fd)
{
	for (size_t i = 0; all && i < all->count; i++)
		if (all->items[i].fd == fd)
			return true;
	return false;
}

void listeners_close(struct listeners *all, const struct listeners *kept)
{
	for (size_t i = 0; i < all->count; i++) {
		if (!has_fd(kept, all->items[i].fd))
			close(all->items[i].fd);
		free(all->items[i].address);
	}
	all->count = 0;
}

static int open_secret(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		log_warn("certificate-not-opened", "file", path, "why",
		    strerror(errno), NULL);
	return fd;
}

static void send_one(
    const struct listener *l, const struct conf_listen *block, struct wire *to)
{
	int fds[3], nfds = 0;
	struct buf payload;

	fds[nfds++] = fcntl(l->fd, F_DUPFD_CLOEXEC, 3);
	if (block && block->certificate && block->key) {
		fds[nfds++] = open_secret(block->certificate);
		fds[nfds++] = open_secret(block->key);
	}
	for (int i = 0; i < nfds; i++) {
		if (fds[i] >= 0)
			continue;
		log_warn("listener-left-out", "address", l->address, NULL);
		for (int k = 0; k < nfds; k++)
			if (fds[k] >= 0)
				close(fds[k]);
		return;
	}
	buf_init(&payload, 64);
	put_u32(&payload, l->index);
	wire_send_fds(to, MSG_LISTENER, l->kind, buf_span(&payload), fds, nfds);
	buf_clear(&payload);
}

void listeners_send(const struct listeners *all, const struct conf *conf,
    enum listener_kind kind, struct wire *to)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->items[i].kind == kind)
			send_one(&all->items[i],
			    kind == LISTENER_SMTP
				? &conf->listens[all->items[i].index]
				: NULL,
			    to);
}
