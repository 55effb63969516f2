/* What the parts of the SMTP session share; nobody else includes it. */
#ifndef INJECT_SESSION_PARTS_H
#define INJECT_SESSION_PARTS_H

#include "inject/command.h"
#include "inject/datain.h"
#include "inject/hops.h"
#include "inject/session.h"

enum phase {
	PHASE_COMMAND = 0,
	PHASE_SKIP,  /* the rest of a line that is too long */
	PHASE_DATA,  /* after 354 */
	PHASE_CHUNK, /* after BDAT */
	PHASE_TLS,   /* after 220 to STARTTLS */
};

enum {
	TEXT_MAX = 1 << 19,    /* bytes of all addresses of a message */
	SWALLOW_MAX = 1 << 30, /* bytes of refused text that are read */
	HELO_MAX = 255,
};

/* Offsets into the transaction's text. */
struct rcpt {
	uint32_t address, orcpt;
	uint16_t address_bytes, orcpt_bytes;
	uint8_t notify;
};

struct transaction {
	bool has_sender, is_utf8, requires_tls;
	uint64_t hold_until, expires_at; /* UTC seconds; 0: none */
	uint8_t body, ret;
	int8_t priority;
	size_t sender_bytes, envid, envid_bytes; /* the sender comes first */
	struct buf text;
	struct rcpt *rcpts;
	size_t nrcpts, room;
	unsigned refused_rcpts, excess_rcpts;
	/* its text */
	struct datain datain;
	struct hops hops;
	bool is_chunked, is_last_chunk;
	bool is_spoiled; /* a chunk came out of order: refuse the others */
	uint64_t chunk_left;
	uint64_t number; /* given by begin; 0: not begun */
	uint64_t sent;	 /* bytes sent on */
	uint64_t swallowed;
	bool is_too_big;
	struct outcome *refusal; /* by the queue, before the end */
};

struct pending {
	uint64_t number, message;
	struct outcome *refusal;
	size_t held; /* bytes of s->held that come after its reply */
	bool is_done;
};

struct smtp_session {
	const struct smtp_settings *settings;
	const struct smtp_hooks *hooks;
	void *arg;
	struct smtp_client client;
	enum phase phase;
	bool is_esmtp, is_tls;
	bool is_at_barrier; /* a command waits until all is answered */
	bool is_ending;	    /* over when all is answered */
	bool must_reset;
	bool lacks_queue; /* the latest MAIL found none */
	char *helo;	  /* NULL: not said */
	unsigned nerrors, nidle;
	size_t skipped;
	uint64_t nmessages;
	int64_t now_utc;
	struct transaction t;
	struct buf out, held;
	struct pending pending[SESSION_PENDING_MAX];
	unsigned first, npending;
};

/* session_reply.c */
void smtp_say(struct smtp_session *s, const struct answer *answer);
void smtp_sayf(struct smtp_session *s, uint16_t code, const char *status,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Raw lines with CRLF. */
void smtp_say_raw(struct smtp_session *s, struct span lines);
/* One refused command more; 421 beyond the bound. */
void smtp_refuse(struct smtp_session *s, const struct answer *answer);
/* Out of order: no error of a client that was told so by MAIL. */
void smtp_refuse_order(struct smtp_session *s, const struct answer *answer);
extern const struct answer smtp_no_queue;
void smtp_cut(struct smtp_session *s, const struct answer *answer);
void smtp_wait_for(struct smtp_session *s, uint64_t number);
/* The reply to a message's end, for what the queue said. */
void smtp_say_outcome(struct smtp_session *s, const struct outcome *why);

/* smtp_mail.c */
void smtp_mail(struct smtp_session *s, const struct command *c);
void smtp_rcpt(struct smtp_session *s, const struct command *c);

/* smtp_data.c */
void smtp_data(struct smtp_session *s);
void smtp_bdat(struct smtp_session *s, const struct command *c);
/* Bytes used. */
size_t smtp_take_data(struct smtp_session *s, char *in, size_t n);
size_t smtp_take_chunk(struct smtp_session *s, char *in, size_t n);

/* smtp_trace.c */
/* The Received header without the id and the last CRLF; returns the bytes that
 * stand before the id. */
size_t smtp_trace(const struct smtp_session *s, struct buf *out);

#endif
