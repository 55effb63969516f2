/* Messages over one open connection: what may be sent ahead of its answers is
 * sent ahead, and every reply finds the command it belongs to.
 *
 * Three ways, by what the server offers:
 *   BDAT   PIPELINING and CHUNKING: MAIL, RCPT..., BDAT n LAST in one write,
 *          the next message follows at once, within a window. RSET stands
 *          between, because a message all of whose recipients were refused
 *          leaves the server in an unknown state (RFC 3030 section 2).
 *   DATA   PIPELINING alone: MAIL, RCPT..., DATA in one write; when all are
 *          answered the content, and the next message behind it.
 *   else   one command, one reply.
 */
#ifndef REMOTE_PIPELINE_H
#define REMOTE_PIPELINE_H

#include "remote/dialogue.h"

enum {
	AWAITED_MAX = 384,
	WINDOW_MESSAGES = 64,
	WINDOW_BYTES = 131072,
};

enum await { AWAIT_RSET, AWAIT_MAIL, AWAIT_RCPT, AWAIT_DATA, AWAIT_CONTENT };

/* A command whose reply has not come. */
struct awaited {
	struct transaction *t; /* NULL: RSET */
	uint64_t end;	       /* offset in the stream behind its last octet */
	uint16_t rcpt;
	uint8_t kind; /* enum await */
};

enum step {
	STEP_MAIL,     /* begin the next message */
	STEP_RCPT,     /* its recipients, from rcpt_at */
	STEP_CALL,     /* DATA or BDAT */
	STEP_GO_AHEAD, /* DATA is answered */
	STEP_CONTENT,
};

struct pipeline {
	struct dialogue *d;
	struct backlog *waiting; /* borrowed: jobs not begun */
	void (*on_done)(struct transaction *t, void *arg); /* takes it over */
	void *arg;
	/* the present connection */
	bool is_ahead, is_bdat;
	struct backlog flight; /* begun and not done, in order */
	struct awaited awaited[AWAITED_MAX];
	unsigned from, nawaited;
	enum step step;
	struct transaction *current; /* being put; the last of flight */
	size_t rcpt_at;
	struct content content;
	bool must_drain; /* put nothing until all is answered */
	bool needs_reset;
	unsigned begun, completed; /* messages on this connection */
	uint64_t answered;	   /* offset behind the last answered command */
	uint64_t mark; /* octets sent when the last round trip ended */
	uint64_t since_ms, since_sent; /* the head's wait began */
	uint64_t write_ms;	       /* the kernel last took octets */
	bool is_head_out;	       /* since_ms counts from its last octet */
	/* how it ended */
	bool is_bad;	  /* it answered what was not asked, or nonsense */
	bool is_bdat_bad; /* CHUNKING was offered and BDAT refused */
	struct outcome why;
	/* by a reply rule */
	bool has_next;	    /* given: there is another address to ask */
	bool has_family;    /* given: among them one of the other family */
	bool leaves_family; /* what was refused is the address we came from */
	bool is_leaving;    /* begin no more messages here */
	bool is_suspended;  /* nor anywhere else in this session */
};

void pipeline_init(struct pipeline *p, struct dialogue *d,
    struct backlog *waiting, void (*on_done)(struct transaction *t, void *arg),
    void *arg);
/* The dialogue has been opened: choose the way, begin afresh. */
void pipeline_start(struct pipeline *p);

/* Put and send what may go now. 0, or -1 with p->why: the connection is of no
 * more use (replies may still be read). */
int pipeline_send(struct pipeline *p);
/* Read and apply the replies at hand. 0, or -1 with p->why: the end. */
int pipeline_receive(struct pipeline *p);

/* A reply rule sends what is left elsewhere, and all replies are in. */
bool pipeline_wants_to_leave(const struct pipeline *p);
bool pipeline_is_empty(const struct pipeline *p); /* nothing begun */
/* As many messages begun as the session allows on one connection. */
bool pipeline_is_used_up(const struct pipeline *p);
/* When the present wait is over (0 = never: nothing is awaited), and its
 * name. */
uint64_t pipeline_deadline_ms(const struct pipeline *p);
void pipeline_timed_out(struct pipeline *p);

/* The connection has ended: every begun message is done (what was decided;
 * UNCERTAIN when its last octet was sent and no final reply seen) or goes back
 * to the front of waiting. Returns whether the server should be met step by
 * step from now on. */
bool pipeline_break(struct pipeline *p);

/* Between pipeline*.c. Apply one reply to the command it answers. 0, or -1 with
 * p->why. (pipeline_reply.c) */
int pipeline_apply(struct pipeline *p, const struct awaited *a);
/* What the reply rules make of a server's words about this message. */
struct reply_verdict pipeline_find_rule(
    const struct dialogue *d, const struct transaction *t, struct span text);
/* The wait for the first awaited reply begins now. (pipeline.c) */
void pipeline_note_head(struct pipeline *p, uint64_t now_ms);
/* Hand over what is done at the front of flight. */
void pipeline_settle(struct pipeline *p);

#endif
