/* The SMTP listener: its life as a child of the supervisor. */
#include "inject/smtpd_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS_OTHERWISE = 64 };

/* All that may be had: more connections may be allowed later. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* No more connections than there are descriptors for. */
static unsigned connections_possible(unsigned wanted)
{
	struct rlimit limit;
	rlim_t needed = wanted + DESCRIPTORS_OTHERWISE;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return wanted;
	if (limit.rlim_cur >= needed)
		return wanted;
	log_warn("descriptors", "limit",
	    log_text("%llu", (unsigned long long)limit.rlim_cur), "wanted",
	    log_text("%llu", (unsigned long long)needed), NULL);
	return limit.rlim_cur > 2 * DESCRIPTORS_OTHERWISE
		   ? (unsigned)limit.rlim_cur - DESCRIPTORS_OTHERWISE
		   : DESCRIPTORS_OTHERWISE;
}

static void open_smtpd(struct child *child, struct sandbox *sandbox)
{
	struct smtpd *d = calloc(1, sizeof(*d));

	(void)sandbox;
	if (!d)
		fatal(EXIT_TRY_LATER, "out of memory");
	d->child = child;
	d->loop = child->loop;
	d->conf = child->conf;
	d->counts = client_count_new();
	raise_descriptors();
	d->clients_max =
	    connections_possible((unsigned)d->conf->limits.connections);
	LIST_INIT(&d->clients);
	LIST_INIT(&d->held);
	buf_init(&d->scratch, WIRE_FRAME_MAX);
	d->spare_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (!d->counts)
		fatal(EXIT_TRY_LATER, "out of memory");
	tls_library_open();
	child->state = d;
}

static void on_listener(struct child *child, enum listener_kind kind,
    uint32_t index, int fds[], int nfds)
{
	if (kind == LISTENER_SMTP) {
		listener_open(child->state, index, fds, nfds);
		return;
	}
	for (int i = 0; i < nfds; i++)
		close(fds[i]);
}

static void on_peer(struct child *child, enum role role, int fd)
{
	if (role == ROLE_QUEUED)
		keeper_attach(child->state, fd);
	else
		close(fd);
}

static void on_run(struct child *child)
{
	struct smtpd *d = child->state;

	for (size_t i = 0; i < d->nlisteners; i++)
		listener_begin(&d->listeners[i]);
}

/* The supervisor sends another configuration when the listen blocks are the
 * same; else it starts another process. Sessions go on. */
static void on_reload(struct child *child, struct conf *fresh)
{
	struct smtpd *d = child->state;

	if (fresh->nlistens != d->conf->nlistens)
		fatal(EXIT_TRY_LATER, "other listeners need another process");
	d->conf = fresh;
	d->clients_max =
	    connections_possible((unsigned)fresh->limits.connections);
	for (size_t i = 0; i < d->nlisteners; i++)
		listener_renew(&d->listeners[i]);
}

/* --- stopping
 * -------------------------------------------------------------------*/

void smtpd_client_gone(struct smtpd *d)
{
	if (d->is_stopping && LIST_EMPTY(&d->clients))
		loop_stop(d->loop);
}

/* The grace is over. */
static void cut_all(void *arg)
{
	struct smtpd *d = arg;

	while (!LIST_EMPTY(&d->clients))
		client_free(LIST_FIRST(&d->clients));
	loop_stop(d->loop);
}

static void on_stop(struct child *child, uint32_t grace_ms)
{
	struct smtpd *d = child->state;
	struct client *c;

	d->is_stopping = true;
	for (size_t i = 0; i < d->nlisteners; i++)
		listener_close(&d->listeners[i]);
	LIST_FOREACH(c, &d->clients, link)
	client_step_later(c); /* says goodbye where nothing is open */
	loop_timer_set(
	    d->loop, &d->stop_timer, now_monotonic_ms() + grace_ms, cut_all, d);
	smtpd_client_gone(d);
}

const struct child_program smtpd_program = {
	.name = "outpost-smtpd",
	.user = "outpost-in",
	.sandbox = SANDBOX_ACCEPT,
	.open = open_smtpd,
	.on_listener = on_listener,
	.on_peer = on_peer,
	.on_run = on_run,
	.on_reload = on_reload,
	.on_stop = on_stop,
};
