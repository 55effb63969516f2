/* What the parts of a wire share; only wire*.c include it.
 *
 * wire.c makes and ends it, wire_out.c queues and writes frames, wire_in.c
 * takes frames out of what was read, wire_loop.c hands them to handlers in a
 * program with a loop, wire_alone.c waits for them in one without.
 */
#ifndef COMMON_WIRE_PARTS_H
#define COMMON_WIRE_PARTS_H

#include "common/wire.h"

enum {
	WIRE_HEADER_BYTES = 16,
	WIRE_FDS_WAITING_MAX = 64,
};

/* Descriptors that go out with the frame that begins at this position. */
struct attachment {
	uint64_t position;
	int fds[WIRE_FDS_MAX];
	int nfds;
	struct attachment *next;
};

struct wire {
	struct loop *loop;
	int fd;
	const char *name;
	const struct wire_rule *rules;
	void (*on_closed)(struct wire *wire, const char *why, void *arg);
	void *arg;
	/* input */
	char *in;
	size_t in_cap, in_from, in_to;
	size_t wanted; /* bytes of the frame that began */
	int in_fds[WIRE_FDS_WAITING_MAX];
	int nin_fds;
	/* output */
	struct buf out;
	size_t out_from;
	uint64_t out_position; /* of out.data[out_from] in the stream */
	struct attachment *attached, **attached_end;
	struct deferral push;
	size_t low;
	loop_action *on_low;
	void *on_low_arg;
	uint32_t watched;
	bool is_paused, is_broken, is_closed, is_busy, is_freed;
	bool refuses_fds;
	size_t bound;	 /* queued bytes from which on the peer is not heard */
	bool is_stalled; /* that many are queued */
};

/* wire.c */
/* Close the socket and what waits on either side of it. */
void wire_disconnect(struct wire *wire);
void wire_close_all(int *fds, int nfds);

/* wire_in.c */
const struct wire_rule *wire_rule_of(
    const struct wire_rule *rules, uint16_t type);
/* Bytes read, 0 at the end, -1 with errno (EPROTO: junk descriptors). */
ptrdiff_t wire_read(struct wire *wire);
/* 0 = *message filled, 1 = more bytes needed, -1 = not allowed. */
int wire_take_frame(struct wire *wire, struct message *message);
/* The buffer holds nothing that is needed: give it back. */
void wire_drop_input(struct wire *wire);

/* wire_out.c */
/* Write until all is gone or the socket is full. 0, or -1 with errno. */
int wire_write(struct wire *wire);
void wire_drop_attachment(struct wire *wire);

/* wire_loop.c */
void wire_on_ready(int fd, uint32_t events, void *arg);
/* Ask the loop for what can be done now. */
void wire_watch_as_needed(struct wire *wire);

#endif
