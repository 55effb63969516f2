/* The words of one connection: every command and reply with its time, kept in
 * a few kilobytes while it lasts, so that a transcript can be given of one that
 * went badly. The beginning (banner, EHLO, TLS) stays, then the latest. What
 * must not be seen is masked by whoever notes it.
 */
#ifndef REMOTE_TALK_H
#define REMOTE_TALK_H

#include "common/buf.h"

enum {
	TALK_HEAD_BYTES = 3072,
	TALK_RING_BYTES = 12288,
	TALK_TEXT_MAX = 700, /* bytes kept of one command or reply */
};

enum talk_kind { TALK_COMMAND = 0, TALK_REPLY, TALK_TLS, TALK_NOTE, TALK_DATA };

struct talk {
	char *bytes; /* NULL until something is noted */
	size_t head_n, ring_from, ring_n;
	uint64_t began_ms;     /* monotonic */
	uint64_t began_utc_ms; /* 0: no connection */
	uint64_t noted;	       /* bytes ever, on this connection */
	uint64_t ndropped;
};

void talk_init(struct talk *t);
/* Give the memory back. */
void talk_clear(struct talk *t);
/* A new connection begins. */
void talk_begin(struct talk *t);
void talk_note(struct talk *t, enum talk_kind kind, struct span text);
void talk_note_octets(struct talk *t, uint64_t octets);
/* "0.012 < 220 mx.example.org ESMTP", one line each. */
void talk_print(const struct talk *t, struct buf *out);

#endif
