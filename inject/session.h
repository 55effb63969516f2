/* The server's side of an SMTP session (RFC 5321): bytes in, replies and
 * messages out. No descriptor and no clock inside: the daemon, "sendmail -bs"
 * and the tests drive the same code.
 *
 * Replies keep their order although messages are answered late: what follows a
 * message that is still being written to disk is held back behind its reply,
 * so that a client that pipelines has several messages under way.
 */
#ifndef INJECT_SESSION_H
#define INJECT_SESSION_H

#include "common/messages.h"

enum {
	SESSION_PENDING_MAX = 16,	  /* messages sent on, not answered */
	SESSION_ERRORS_MAX = 20,	  /* refused commands a message */
	SESSION_IDLE_COMMANDS_MAX = 1000, /* NOOP and the like a message */
	SESSION_REPLIES_MAX = 16384,	  /* bytes not taken by the client */
	SESSION_SKIP_MAX = 1 << 18,	  /* bytes of a line that is too long */
};

/* The same for many sessions; kept by reference, and may change meanwhile. */
struct smtp_settings {
	const char *localname;
	uint64_t message_size;
	uint32_t recipients;
	bool has_starttls;
	bool has_chunking;
	/* Domain for a sender without one; NULL: such a sender is refused. */
	const char *sender_domain;
	const struct conf *conf; /* who may write to whom; NULL: all */
};

struct smtp_client {
	const char *address; /* "192.0.2.1", or NULL: a local program */
	bool may_relay;	     /* by address */
	uint32_t uid;	     /* local program; UINT32_MAX: none */
};

struct smtp_hooks {
	bool (*has_queue)(void *arg); /* can a message be sent on now? */
	/* A new transaction; its number, not 0; 0: cannot be sent on. */
	uint64_t (*begin)(const struct envelope *envelope, void *arg);
	void (*data)(uint64_t transaction, struct span data, void *arg);
	void (*end)(uint64_t transaction, uint64_t total, void *arg);
	void (*abort)(uint64_t transaction, void *arg);
	/* Each command and reply, for the detailed log; may be NULL. */
	void (*said)(bool by_client, struct span line, void *arg);
	/* The connection is cut off for this; may be NULL. */
	void (*cut)(const char *why, void *arg);
};

struct smtp_session;

/* settings and hooks are borrowed, client is copied. NULL without memory. */
struct smtp_session *smtp_new(const struct smtp_settings *settings,
    const struct smtp_client *client, const struct smtp_hooks *hooks,
    void *arg);
/* What was begun and not ended is aborted. NULL is fine. */
void smtp_free(struct smtp_session *s);

/* The greeting; once, and not again after STARTTLS. */
void smtp_greet(struct smtp_session *s);

/* Take bytes of the client, which are changed in place. Returns how many were
 * used; the rest must come again with more behind it, or when the session is
 * no longer blocked. now_utc: for the trace header. */
size_t smtp_input(
    struct smtp_session *s, char *data, size_t n, int64_t now_utc);

/* Nothing is taken until replies have gone out or messages were answered. */
bool smtp_is_blocked(const struct smtp_session *s);

/* Replies to write; the caller consumes what it has written. With overflow set
 * one was lost for want of memory: hang up, or the client waits for it and
 * takes the next one for it. */
struct buf *smtp_output(struct smtp_session *s);

/* A message has been accepted, or refused (which may come before its end). */
void smtp_accepted(
    struct smtp_session *s, uint64_t transaction, uint64_t message);
void smtp_refused(
    struct smtp_session *s, uint64_t transaction, const struct outcome *why);

/* 220 to STARTTLS is in the output: write it, then begin TLS. */
bool smtp_wants_tls(const struct smtp_session *s);
/* TLS is up: all that was said before is forgotten. */
void smtp_tls_started(struct smtp_session *s);

/* Write the output and close. */
bool smtp_is_over(const struct smtp_session *s);
/* In the middle of a message's text. */
bool smtp_is_receiving(const struct smtp_session *s);
/* Nothing is under way: no transaction, no message that waits for an answer. */
bool smtp_is_idle(const struct smtp_session *s);
/* Messages accepted so far. */
uint64_t smtp_messages(const struct smtp_session *s);

/* End it: 421 with this status and text, in its place behind what is still to
 * be answered. In the middle of a text the reply comes at once and the message
 * is aborted. */
void smtp_end(struct smtp_session *s, const char *status, const char *text);

#endif
