/* A TCP connection to one of a host's addresses. */
#include "remote/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

/* An attempt under way. */
struct attempt_at {
	int fd;
	unsigned address;
	uint64_t until_ms;
};

struct race {
	const struct session *session;
	const struct host *host;
	struct connect_report *report;
	uint32_t wait_ms;
	unsigned next, end;
	uint64_t started_ms; /* the last attempt; 0: start another at once */
	struct attempt_at attempts[CONNECT_AT_ONCE];
	unsigned n;
};

/* --- our own address ------------------------------------------------------ */

/* A mail that is tried again should come from the address that was seen before
 * (greylisting): the choice depends on the destination alone. */
static unsigned choice_of(struct span destination)
{
	unsigned h = 2166136261u;

	for (size_t i = 0; i < destination.n; i++)
		h = (h ^ (unsigned char)destination.p[i]) * 16777619u;
	return h ^ h >> 15;
}

/* 1 = bind to *a, 0 = any will do, -1 = none of this family. */
static int find_source(
    const struct session *session, int family, union net_address *a)
{
	union net_address
	    found[sizeof(session->binds) / sizeof(session->binds[0])];
	unsigned n = 0;

	for (unsigned i = 0; i < session->nbinds; i++)
		if (net_from_bytes(session->binds[i], 0, &found[n]) == 0 &&
		    found[n].sa.sa_family == family)
			n++;
	if (n == 0)
		return session->nbinds > 0 ? -1 : 0;
	*a = found[choice_of(session->destination) % n];
	return 1;
}

static int bind_source(
    int fd, const union net_address *source, struct outcome *why)
{
	char text[NET_TEXT_MAX];
	int one = 1, saved;

	/* The port is chosen at connect: many lines share one address. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, &source->sa, net_size(source)) == 0)
		return 0;
	saved = errno;
	net_print_ip(source, text);
	return outcome_temp(why, "4.4.1",
	    "bind to %s: %s; the bind of the line group must name addresses "
	    "of this machine",
	    text, strerror(saved));
}

/* --- one attempt ---------------------------------------------------------- */

const char *connect_remedy(int error, uint16_t port)
{
	bool may_be_blocked = port == 25;

	switch (error) {
	case ECONNREFUSED:
		return may_be_blocked
			   ? "; its mail server does not run, or port 25 is "
			     "blocked on the way: when every host refuses, "
			     "send by a relay"
			   : "; nothing listens there or a firewall refuses: "
			     "check host and port";
	case ETIMEDOUT:
		return may_be_blocked
			   ? "; it is down, or port 25 is blocked on the way: "
			     "when no host answers, send by a relay"
			   : "; it is down or a firewall swallows it: check "
			     "host, port and firewalls";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "; no way leads there: check this machine's routes and "
		       "firewall";
	case EACCES:
	case EPERM:
		return "; this machine's firewall forbids it: let the user "
		       "of outpost-remote connect there";
	default:
		return "";
	}
}

static void fail(struct race *r, unsigned address, int error)
{
	union net_address peer;
	char text[NET_TEXT_MAX] = "?";

	if (net_from_bytes(r->host->addresses[address], r->host->port, &peer) ==
	    0)
		net_print(&peer, text);
	/* no route for a family: as if we had no address of it */
	r->report->results[address] = error == ENETUNREACH ||
					      error == EAFNOSUPPORT ||
					      error == EADDRNOTAVAIL
					  ? CONNECT_NO_FAMILY
					  : CONNECT_FAILED;
	outcome_temp(&r->report->why[address], "4.4.1", "connect to %s: %s%s",
	    text, strerror(error), connect_remedy(error, r->host->port));
}

/* A socket that connects, or -1: why is in the report. */
static int begin(struct race *r, unsigned address)
{
	union net_address peer, source;
	struct connect_report *report = r->report;
	int has_source, one = 1, fd;

	if (net_from_bytes(r->host->addresses[address], r->host->port, &peer) <
	    0) {
		fail(r, address, EINVAL);
		return -1;
	}
	has_source = find_source(r->session, peer.sa.sa_family, &source);
	fd = has_source < 0
		 ? -1
		 : socket(peer.sa.sa_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		fail(r, address, has_source < 0 ? EAFNOSUPPORT : errno);
		return -1;
	}
	if (has_source > 0 &&
	    bind_source(fd, &source, &report->why[address]) < 0) {
		report->results[address] = CONNECT_FAILED;
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, &peer.sa, net_size(&peer)) < 0 &&
	    errno != EINPROGRESS) {
		fail(r, address, errno);
		close(fd);
		return -1;
	}
	return fd;
}

/* --- the race ------------------------------------------------------------- */

static bool may_begin(const struct race *r)
{
	return r->next < r->end && r->n < CONNECT_AT_ONCE;
}

static void begin_next(struct race *r)
{
	unsigned address = r->next++;
	int fd = begin(r, address);

	if (fd < 0)
		return;
	r->started_ms = now_monotonic_ms();
	r->attempts[r->n++] =
	    (struct attempt_at){ fd, address, r->started_ms + r->wait_ms };
}

static void drop(struct race *r, unsigned i)
{
	close(r->attempts[i].fd);
	r->attempts[i] = r->attempts[--r->n];
	r->started_ms = 0;
}

/* Milliseconds until something is due. */
static int timeout_of(const struct race *r)
{
	uint64_t at = UINT64_MAX;

	for (unsigned i = 0; i < r->n; i++)
		if (r->attempts[i].until_ms < at)
			at = r->attempts[i].until_ms;
	if (may_begin(r) && r->started_ms + CONNECT_HEAD_START_MS < at)
		at = r->started_ms + CONNECT_HEAD_START_MS;
	return deadline_left_ms((struct deadline){ at });
}

static int error_of(int fd)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return errno;
	return error;
}

/* Wait once. The attempt that is connected, or -1. */
static int wait_once(struct race *r)
{
	struct pollfd p[CONNECT_AT_ONCE];
	uint64_t now;

	for (unsigned i = 0; i < r->n; i++)
		p[i] = (struct pollfd){ r->attempts[i].fd, POLLOUT, 0 };
	if (poll(p, r->n, timeout_of(r)) < 0 && errno != EINTR)
		return -1;
	now = now_monotonic_ms();
	for (unsigned i = r->n; i-- > 0;) {
		unsigned address = r->attempts[i].address;
		int error = p[i].revents ? error_of(p[i].fd) : ETIMEDOUT;

		if (p[i].revents && error == 0)
			return (int)i;
		if (!p[i].revents && now < r->attempts[i].until_ms)
			continue;
		fail(r, address, error);
		drop(r, i);
	}
	return -1;
}

static int run(struct race *r)
{
	while (r->next < r->end || r->n > 0) {
		int won;

		if (may_begin(r) &&
		    (r->n == 0 || r->started_ms == 0 ||
			now_monotonic_ms() >=
			    r->started_ms + CONNECT_HEAD_START_MS)) {
			begin_next(r);
			continue;
		}
		won = wait_once(r);
		if (won >= 0)
			return won;
	}
	return -1;
}

/* Of several reasons one that is not just a family we lack. */
static void explain(const struct race *r, unsigned first, struct outcome *why)
{
	unsigned at = first;

	for (unsigned i = first; i < r->end; i++)
		if (r->report->results[i] == CONNECT_FAILED &&
		    r->report->results[at] != CONNECT_FAILED)
			at = i;
	*why = r->report->why[at];
	if (r->report->results[at] == CONNECT_NO_FAMILY)
		outcome_temp(why, "4.4.1",
		    "no address of ours is of the family that %.*s has: %s",
		    (int)r->host->name.n, r->host->name.p,
		    r->report->why[at].detail);
}

int connect_host(const struct session *session, const struct host *host,
    unsigned first, unsigned last, uint32_t wait_ms,
    struct connect_report *report, struct outcome *why)
{
	struct race r = { .session = session,
		.host = host,
		.report = report,
		.wait_ms = wait_ms,
		.next = first,
		.end = last + 1 };
	int won, fd;

	memset(report->results, CONNECT_UNTRIED, sizeof(report->results));
	won = run(&r);
	if (won < 0) {
		explain(&r, first, why);
		return -1;
	}
	fd = r.attempts[won].fd;
	report->used = r.attempts[won].address;
	report->results[report->used] = CONNECT_DONE;
	for (unsigned i = 0; i < r.n; i++)
		if ((int)i != won) {
			report->results[r.attempts[i].address] = CONNECT_SLOW;
			close(r.attempts[i].fd);
		}
	return fd;
}
