/* The history: replies of the last 14 days, distinct ones counted, and the
 * words of the last sessions that went badly. In an LMDB environment of its own
 * below the spool, SPOOL/history/, written by the keeper alone and read by the
 * queue tool. No part of any promise: it is never synced, and one that is
 * damaged, or may be after a crash of the keeper or the machine, is thrown away
 * and begun anew.
 */
#ifndef QUEUE_HISTORY_H
#define QUEUE_HISTORY_H

#include "common/messages.h"

enum {
	HISTORY_DAYS = 14,
	HISTORY_REPLIES_MAX = 20000,
	HISTORY_SESSIONS_MAX = 500,
	HISTORY_SESSION_BYTES_MAX = 16 << 20,
	HISTORY_MEMORIES_MAX = 5000,
	HISTORY_KEY_MAX = 64,
	HISTORY_MEMORY_MAX = 2048, /* bytes */
};

struct history;

/* One distinct refusal. */
struct stored_reply {
	uint64_t first, last; /* UTC seconds */
	uint64_t count;	      /* recipients that got it */
	struct span domain;   /* of the recipient */
	struct span stage;    /* "MAIL", "banner"... */
	struct span host;     /* that said it last */
	struct span reply;    /* as it stands in the record */
	struct span rule;     /* that decided; empty: none */
	uint8_t result;	      /* enum rcpt_result, after the rule */
	uint8_t action;	      /* enum reply_action */
	uint32_t after_s;
};

/* No crash of the keeper left the spool in doubt. To be asked before the spool
 * is opened, which ends the doubt. */
bool history_is_whole(const char *spool);
/* For the keeper, once it has opened the spool: one that it refuses is left as
 * it is. Not is_whole: begun anew. NULL, logged: there is none then, and all
 * below do nothing. */
struct history *history_open(const char *spool, bool is_whole);
/* For reading only. NULL with *why. */
struct history *history_open_read(const char *spool, struct outcome *why);
void history_close(struct history *h); /* NULL is fine */

/* Noted in memory until history_flush; true: now there is enough for one. */
bool history_note_reply(struct history *h, const struct stored_reply *reply);
bool history_note_session(struct history *h, const struct transcript *t);
/* Write what was noted, forget what is too old or too much. */
void history_flush(struct history *h);

/* What the runner is to know again after a restart; kept at once. */
void history_remember(struct history *h, struct span key, struct span value);
void history_memories(struct history *h,
    void (*visit)(struct span key, struct span value, void *arg), void *arg);

/* Visit until it returns false: replies, the latest first; the sessions in
 * which a message was, the oldest first. 0, or -1 with *why. */
int history_replies(struct history *h,
    bool (*visit)(const struct stored_reply *reply, void *arg), void *arg,
    struct outcome *why);
int history_sessions(struct history *h, uint64_t message,
    bool (*visit)(const struct transcript *t, void *arg), void *arg,
    struct outcome *why);

#endif
