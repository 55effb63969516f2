/* Messages between programs: framing over a local stream socket.
 *
 * A frame is a 16-byte header (type, descriptors, payload length, id; all
 * big-endian) and the payload. Descriptors travel with the frame's first byte.
 * A receiver has one table of rules that says which types may come and how
 * long they may be; anything else breaks the connection: the peer is cut off,
 * the receiver lives on.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include "common/buf.h"
#include "common/deadline.h"
#include "common/loop.h"

enum { WIRE_FRAME_MAX = 1 << 20 }; /* longest payload, bytes */
enum { WIRE_FDS_MAX = 4 };	   /* descriptors in one frame */

struct message {
	uint16_t type;
	uint64_t id;
	struct span payload;   /* borrowed until the next receive */
	int fds[WIRE_FDS_MAX]; /* the handler's to keep (set to -1) or they
				* are closed after it returns */
	int nfds;
};

struct wire;

struct wire_rule {
	uint16_t type;	   /* 0 ends the table */
	uint32_t max_size; /* longest payload */
	void (*handler)(struct wire *wire, struct message *message, void *arg);
};

/* Take over fd (a connected AF_UNIX stream socket).
 * name: for logs. rules: kept by reference.
 * on_closed: called once when the peer went or was cut off (*why printable,
 * "closed" for an orderly end); it must call wire_free, now or later.
 * With loop: fd becomes non-blocking, frames are handled as they come and
 * what is sent goes out by itself. With loop NULL: use the blocking calls.
 * NULL with errno on failure (fd is then closed). */
struct wire *wire_new(struct loop *loop, int fd, const char *name,
    const struct wire_rule *rules,
    void (*on_closed)(struct wire *wire, const char *why, void *arg),
    void *arg);
/* Closes the socket and all it holds. Safe inside a handler. NULL is fine. */
void wire_free(struct wire *wire);

/* Queue a frame: payload copied, descriptors (at most WIRE_FDS_MAX) taken
 * over. Never fails visibly: a broken connection is reported to on_closed. */
void wire_send(
    struct wire *wire, uint16_t type, uint64_t id, struct span payload);
void wire_send_fds(struct wire *wire, uint16_t type, uint64_t id,
    struct span payload, const int *fds, int nfds);
/* The same without a copy into a buffer first: two parts of one payload. */
void wire_send_two(struct wire *wire, uint16_t type, uint64_t id,
    struct span head, struct span tail);

/* Bytes queued and not yet taken by the kernel: the sender's measure for
 * holding back. When the queue falls to low bytes, on_low is called once. */
size_t wire_queued(const struct wire *wire);
void wire_when_low(
    struct wire *wire, size_t low, loop_action *on_low, void *arg);
/* Try to write what is queued now (for use after a round). */
void wire_push(struct wire *wire);

/* This peer has no descriptors to give: none is received, and who sends one is
 * cut off. For strangers, who could use up ours with half a frame. */
void wire_refuse_fds(struct wire *wire);

/* Hear the peer only while less than bytes are queued for it: who asks and does
 * not read costs no more than that. 0: no such bound. */
void wire_bound(struct wire *wire, size_t bytes);

/* Stop and resume reading from the peer (back-pressure). */
void wire_pause(struct wire *wire);
void wire_resume(struct wire *wire);

/* SO_PEERCRED of the other side, as it was when it connected. */
int wire_peer(
    const struct wire *wire, uint32_t *uid, uint32_t *gid, int32_t *pid);
int wire_fd(const struct wire *wire); /* borrowed; for poll in a line */
void *wire_arg(const struct wire *wire);

/* Blocking use (loop NULL). flush: 0, or -1 with errno (ETIMEDOUT).
 * receive: 1 = *message filled (its descriptors are the caller's), 0 = orderly
 * end, -1 = broken or ETIMEDOUT. Rules are checked as above; handlers unused.
 * has_next: a whole frame is already in memory. */
int wire_flush(struct wire *wire, struct deadline deadline);
int wire_receive(
    struct wire *wire, struct message *message, struct deadline deadline);
bool wire_has_next(const struct wire *wire);
/* Memory for an answer that must not be missed for want of it. 0, or -1. */
int wire_reserve(struct wire *wire);
/* Give back the memory of buffers that are empty. */
void wire_trim(struct wire *wire);

/* The header parser alone, for tests and fuzzing: 0 = frame complete (*size =
 * header and payload), 1 = more bytes needed, -1 = not allowed by rules. */
int wire_parse(struct span input, const struct wire_rule *rules,
    struct message *message, size_t *size);

/* A connected pair, both CLOEXEC, roomy buffers. 0 or -1 with errno. */
int wire_pair(int fds[2]);
/* Connect to the socket at path; -1 with errno. */
int wire_connect(const char *path);
/* Bind and listen at path (an old socket there is replaced); mode as chmod.
 * -1 with errno. */
int wire_listen(const char *path, unsigned mode);

#endif
