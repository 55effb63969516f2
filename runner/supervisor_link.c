/* The streams between the programs: each pair gets one when either starts, and
 * a new one when a program says that it has lost a neighbour who still lives:
 * one of them sent the other what it may not, and was cut off. */
#include "runner/supervisor_parts.h"

#include <errno.h>

enum { MEND_MS = 1000 }; /* a death is seen by then */

/* Who talks to whom. */
static const struct {
	enum role one, other;
} pairs[LINKS] = {
	{ ROLE_SMTPD, ROLE_QUEUED },
	{ ROLE_RUNNER, ROLE_QUEUED },
	{ ROLE_RUNNER, ROLE_RESOLVE },
	{ ROLE_RUNNER, ROLE_REMOTE },
	{ ROLE_RESOLVE, ROLE_FETCH },
};

static void send_peer(
    struct program *to, enum role role, uint64_t number, int fd)
{
	wire_send_fds(to->wire, MSG_PEER, role | number << PEER_ROLE_BITS,
	    (struct span){ 0 }, &fd, 1);
}

static void connect_pair(struct supervisor *s, size_t i)
{
	struct program *one = &s->programs[pairs[i].one];
	struct program *other = &s->programs[pairs[i].other];
	struct link *link = &s->links[i];
	int fds[2];

	if (!one->wire || !other->wire)
		return;
	loop_timer_cancel(s->loop, &link->timer);
	link->number++;
	if (wire_pair(fds) < 0) {
		log_warn("not-connected", "program", one->name, "to",
		    other->name, "why", strerror(errno), NULL);
		program_kill(one);
		return;
	}
	send_peer(one, other->role, link->number, fds[0]);
	send_peer(other, one->role, link->number, fds[1]);
}

void links_connect_all(struct supervisor *s)
{
	for (size_t i = 0; i < LINKS; i++)
		connect_pair(s, i);
}

void links_connect(struct program *p)
{
	for (size_t i = 0; i < LINKS; i++)
		if (pairs[i].one == p->role || pairs[i].other == p->role)
			connect_pair(p->supervisor, i);
}

static bool is_serving(const struct program *p)
{
	return p->wire && p->state != PROGRAM_STOPPING;
}

/* Neither has died or is about to end, or there would be a new stream. */
static void mend(void *arg)
{
	struct link *link = arg;
	struct supervisor *s = link->supervisor;
	size_t i = (size_t)(link - s->links);
	struct program *one = &s->programs[pairs[i].one];
	struct program *other = &s->programs[pairs[i].other];

	if (s->is_stopping || !is_serving(one) || !is_serving(other))
		return;
	log_warn(
	    "connected-anew", "program", one->name, "to", other->name, NULL);
	connect_pair(s, i);
}

void links_mend(struct program *p, uint64_t id)
{
	struct supervisor *s = p->supervisor;
	uint64_t role = id & ((1 << PEER_ROLE_BITS) - 1);

	for (size_t i = 0; i < LINKS; i++) {
		struct link *link = &s->links[i];

		if (pairs[i].one != p->role || pairs[i].other != role ||
		    link->number != id >> PEER_ROLE_BITS ||
		    link->timer.place != 0)
			continue;
		link->supervisor = s;
		loop_timer_set(s->loop, &link->timer,
		    now_monotonic_ms() + MEND_MS, mend, link);
	}
}
