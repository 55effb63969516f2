/* New connections and their limits. */
#include "inject/smtpd_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_A_ROUND = 64, AGAIN_MS = 1000, LOG_EVERY_MS = 1000 };

static void on_connection(int fd, uint32_t events, void *arg);

/* --- set-up
 * ---------------------------------------------------------------------*/

static void take_allow(struct listener *l, const struct conf_listen *block)
{
	l->allow = calloc(block->allow.count + 1, sizeof(*l->allow));
	if (!l->allow)
		fatal(EXIT_TRY_LATER, "out of memory");
	for (size_t i = 0; i < block->allow.count; i++)
		if (network_parse(span_of(block->allow.items[i]),
			&l->allow[l->nallow]) == 0)
			l->nallow++;
		else
			fatal(EXIT_CONFIGURATION,
			    "%s:%d: allow: \"%s\" is no network",
			    block->place.file, block->place.line,
			    block->allow.items[i]);
}

static void take_tls(struct listener *l, const struct conf_listen *block,
    const int fds[], int nfds)
{
	struct outcome why;

	if (block->tls == LISTEN_TLS_NONE) {
		for (int i = 1; i < nfds; i++)
			close(fds[i]);
		return;
	}
	if (nfds != 3)
		fatal(EXIT_CONFIGURATION,
		    "%s:%d: no certificate and key came with the listener",
		    block->place.file, block->place.line);
	l->tls = tls_server_new(fds[1], fds[2], &why);
	if (!l->tls)
		fatal(EXIT_CONFIGURATION, "%s:%d: listen \"%s\": %s",
		    block->place.file, block->place.line, block->address,
		    why.detail);
	l->is_implicit = block->tls == LISTEN_TLS_IMPLICIT;
	l->settings.has_starttls = !l->is_implicit;
}

/* What may change while sessions are open. */
void listener_renew(struct listener *l)
{
	const struct conf *conf = l->smtpd->conf;
	uint32_t recipients = (uint32_t)conf->limits.recipients;

	l->name = conf->listens[l->index].address;
	l->settings.localname = conf->localname;
	l->settings.conf = conf;
	l->settings.message_size = conf->limits.message_size;
	l->settings.recipients = recipients < RCPTS_PER_MESSAGE_MAX
				     ? recipients
				     : RCPTS_PER_MESSAGE_MAX;
}

void listener_open(struct smtpd *d, uint32_t index, const int fds[], int nfds)
{
	const struct conf *conf = d->conf;
	struct listener *l = &d->listeners[d->nlisteners];

	if (index >= conf->nlistens || d->nlisteners == LISTENERS_MAX) {
		log_warn(
		    "listener-not-taken", "index", log_text("%u", index), NULL);
		for (int i = 0; i < nfds; i++)
			close(fds[i]);
		return;
	}
	l->smtpd = d;
	l->fd = fds[0];
	l->index = index;
	l->settings.has_chunking = true;
	listener_renew(l);
	take_allow(l, &conf->listens[index]);
	take_tls(l, &conf->listens[index], fds, nfds);
	fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_NONBLOCK);
	d->nlisteners++;
}

void listener_begin(struct listener *l)
{
	if (loop_add(l->smtpd->loop, l->fd, EPOLLIN, on_connection, l) < 0)
		fatal(EXIT_TRY_LATER, "listen \"%s\": %s", l->name,
		    strerror(errno));
}

void listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	loop_timer_cancel(l->smtpd->loop, &l->again);
	loop_remove(l->smtpd->loop, l->fd);
	close(l->fd);
	l->fd = -1;
}

/* --- refusals
 * ---------------------------------------------------------------------*/

static void log_refusal(
    struct smtpd *d, const union net_address *address, const char *why)
{
	uint64_t now = now_monotonic_ms();
	char peer[NET_TEXT_MAX];

	d->nrefused++;
	if (now < d->refused_logged_ms + LOG_EVERY_MS)
		return;
	net_print(address, peer);
	log_event("client-refused", "client", peer, "why", why, "refused",
	    log_text("%u", d->nrefused), NULL);
	d->refused_logged_ms = now;
	d->nrefused = 0;
}

static void refuse(struct listener *l, int fd, const union net_address *address,
    const char *why)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "421 4.7.0 %s %s\r\n",
	    l->settings.localname, why);

	/* Nothing to hear before TLS where TLS is spoken from the start. */
	if (!l->is_implicit)
		send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	log_refusal(l->smtpd, address, why);
}

/* Out of descriptors: take one connection with the spare one to say so, then
 * leave the others in the backlog for a moment. */
static void listen_again(void *arg)
{
	struct listener *l = arg;

	if (l->fd >= 0)
		loop_change(l->smtpd->loop, l->fd, EPOLLIN);
}

static void on_shortage(struct listener *l)
{
	struct smtpd *d = l->smtpd;
	union net_address address = { 0 };
	int fd;

	close(d->spare_fd);
	fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		refuse(l, fd, &address, "out of resources, try again later");
	d->spare_fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	loop_change(d->loop, l->fd, 0);
	loop_timer_set(
	    d->loop, &l->again, now_monotonic_ms() + AGAIN_MS, listen_again, l);
}

/* --- connections
 * --------------------------------------------------------------------*/

static void admit(struct listener *l, int fd, const union net_address *address)
{
	struct smtpd *d = l->smtpd;
	int one = 1;

	if (d->nclients >= d->clients_max) {
		refuse(l, fd, address, "too many connections, try again later");
		return;
	}
	if (!client_count_add(d->counts, address,
		(unsigned)d->conf->limits.connections_per_client)) {
		refuse(
		    l, fd, address, "too many connections from your address");
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	client_new(l, fd, address);
}

static void on_connection(int listen_fd, uint32_t events, void *arg)
{
	struct listener *l = arg;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
		union net_address address = { 0 };
		socklen_t size = sizeof(address);
		int fd = accept4(listen_fd, &address.sa, &size,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM)
				on_shortage(l);
			return;
		}
		if (address.sa.sa_family == AF_UNSPEC)
			address.sa.sa_family = AF_UNIX;
		admit(l, fd, &address);
	}
}
