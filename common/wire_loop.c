/* A wire in a program with a loop: frames are handled as they come. */
#include "common/wire_parts.h"

#include <errno.h>

enum { READ_BUDGET = 1 << 20 }; /* bytes taken from one peer in a round */

static void watch(struct wire *wire, uint32_t events)
{
	if (!wire->loop || wire->fd < 0 || wire->watched == events)
		return;
	wire->watched = events;
	loop_change(wire->loop, wire->fd, events);
}

void wire_watch_as_needed(struct wire *wire)
{
	/* A stalled peer's turn comes by EPOLLOUT, in a later round. */
	bool has_output = wire_queued(wire) > 0 || wire->is_stalled;

	watch(wire, (wire->is_paused || wire->is_stalled ? 0 : EPOLLIN) |
			(has_output && !wire->is_broken ? EPOLLOUT : 0));
}

static void report_closed(struct wire *wire, const char *why)
{
	if (wire->is_closed)
		return;
	wire->is_closed = true;
	wire_disconnect(wire);
	if (wire->on_closed)
		wire->on_closed(wire, why, wire->arg);
}

static bool is_heard(struct wire *wire)
{
	if (wire->bound && wire_queued(wire) >= wire->bound)
		wire->is_stalled = true;
	return !wire->is_closed && !wire->is_paused && !wire->is_stalled;
}

/* Handle the frames at hand. false: the connection is over. */
static bool handle_frames(struct wire *wire)
{
	struct message message;
	int status;

	while (
	    is_heard(wire) && (status = wire_take_frame(wire, &message)) <= 0) {
		if (status < 0) {
			report_closed(wire, "sent what it may not send");
			return false;
		}
		wire_rule_of(wire->rules, message.type)
		    ->handler(wire, &message, wire->arg);
		wire_close_all(message.fds, message.nfds);
	}
	if (!wire->is_closed && wire->in_from == wire->in_to) {
		wire_drop_input(wire);
		if (wire->nin_fds > 0) {
			report_closed(wire, "sent descriptors without a frame");
			return false;
		}
	}
	return !wire->is_closed;
}

static void read_frames(struct wire *wire)
{
	size_t budget = READ_BUDGET;

	if (!handle_frames(wire))
		return;
	while (is_heard(wire) && budget > 0) {
		ptrdiff_t n = wire_read(wire);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			report_closed(
			    wire, n == 0 ? "closed" : strerror(errno));
			return;
		}
		budget -= (size_t)n < budget ? (size_t)n : budget;
		if (!handle_frames(wire))
			return;
	}
}

void wire_on_ready(int fd, uint32_t events, void *arg)
{
	struct wire *wire = arg;
	bool was_stalled = wire->is_stalled;

	(void)fd;
	wire->is_busy = true;
	if (events & EPOLLOUT)
		wire_push(wire);
	if (events & (EPOLLHUP | EPOLLERR))
		wire->is_paused = wire->is_stalled = false;
	if (was_stalled && wire_queued(wire) < wire->bound)
		wire->is_stalled = false;
	if (!wire->is_closed &&
	    (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || was_stalled))
		read_frames(wire);
	if (was_stalled || wire->is_stalled)
		wire_watch_as_needed(wire);
	wire->is_busy = false;
	if (wire->is_freed)
		wire_free(wire);
}

void wire_bound(struct wire *wire, size_t bytes)
{
	wire->bound = bytes;
}

void wire_refuse_fds(struct wire *wire)
{
	wire->refuses_fds = true;
}

void wire_pause(struct wire *wire)
{
	wire->is_paused = true;
	wire_watch_as_needed(wire);
}

static void resume_deferred(void *arg)
{
	struct wire *wire = arg;

	wire->is_busy = true;
	wire_push(wire);
	if (!wire->is_closed)
		read_frames(wire);
	if (wire->is_stalled)
		wire_watch_as_needed(wire);
	wire->is_busy = false;
	if (wire->is_freed)
		wire_free(wire);
}

void wire_resume(struct wire *wire)
{
	if (!wire->is_paused)
		return;
	wire->is_paused = false;
	wire_watch_as_needed(wire);
	/* Frames already in memory would wake no epoll. */
	if (wire->loop && wire->fd >= 0 && wire->in_from < wire->in_to) {
		loop_defer_cancel(&wire->push);
		loop_defer(wire->loop, &wire->push, resume_deferred, wire);
	}
}
