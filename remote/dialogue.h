/* The SMTP dialogue with one server (RFC 5321), split by stage: this file asks
 * one command at a time; dialogue_greeting.c opens (banner, EHLO, TLS),
 * dialogue_envelope.c and dialogue_content.c compose what pipeline.c sends.
 */
#ifndef REMOTE_DIALOGUE_H
#define REMOTE_DIALOGUE_H

#include "common/messages.h"
#include "common/net.h"
#include "remote/connect.h"
#include "remote/ehlo.h"
#include "remote/stream.h"
#include "remote/stuff.h"
#include "remote/talk.h"
#include "remote/tls_client.h"
#include "remote/transaction.h"

/* Longest waits in milliseconds (RFC 5321 4.5.3.2). */
struct dialogue_waits {
	uint32_t connect, greeting, ehlo, tls;
	uint32_t envelope;    /* MAIL, RCPT, RSET */
	uint32_t data;	      /* 354 */
	uint32_t block;	      /* no octet taken while sending */
	uint32_t final;	      /* after the last octet */
	uint32_t closing;     /* more replies after a 421 */
	uint32_t idle;	      /* an open connection without a message */
	uint32_t lowest_rate; /* octets a second, after one block wait */
};
extern const struct dialogue_waits dialogue_waits;

struct dialogue {
	/* given, borrowed */
	const struct session *session;
	const struct dialogue_waits *waits;
	SSL_CTX *tls;
	const struct replyrules *rules;	 /* or NULL: replies as they are */
	struct talk *talk;		 /* or NULL: where words are kept */
	void (*on_connected)(void *arg); /* or NULL: before the banner */
	/* or NULL: after each reply that dialogue_ask read */
	void (*on_reply)(
	    void *arg, const char *step, const struct reply *reply);
	void *arg;
	/* the present connection */
	bool is_open;
	bool is_reached;		 /* a connection was made to host */
	const struct host *host;	 /* borrowed from the session */
	struct connect_report connected; /* of the last dialogue_open */
	char address[NET_TEXT_MAX];
	char source[NET_TEXT_MAX];   /* our end, "" when not connected */
	char tls_text[TLS_TEXT_MAX]; /* tls_evidence.h */
	struct tls_link link;
	struct stream stream;
	struct ehlo ehlo;
	struct reply reply;    /* the last */
	bool is_closing;       /* it said 421 */
	bool is_broken;	       /* no reply, or nonsense: not worth a QUIT */
	bool is_login_refused; /* AUTH failed by the server's word */
	bool is_login_spent;   /* and must not be tried elsewhere */
	const char *shown; /* what the log has in place of the command, while
			    * AUTH goes on; else NULL */
	struct deadline login_until; /* all of AUTH together */
	/* over all connections of the session */
	bool is_stepwise; /* no commands ahead of their answers, no BDAT */
	uint32_t connections, round_trips;
};

void dialogue_init(
    struct dialogue *d, const struct dialogue_waits *waits, SSL_CTX *tls);
void dialogue_clear(struct dialogue *d);

/* Connect to one of the host's addresses from number first to number last,
 * read the banner, EHLO or HELO, TLS as session and policy ask. 0, or with
 * *why, and nothing is open then, -1: those addresses that were tried
 * (d->connected) will not do, DIALOGUE_TLS_FAILED: the one that was connected
 * in clear, DIALOGUE_TICKET_FAILED: it without the ticket. */
enum { DIALOGUE_TLS_FAILED = 1, DIALOGUE_TICKET_FAILED = 2 };
enum { DIALOGUE_MAY_TLS = 1, DIALOGUE_MAY_RESUME = 2 };
int dialogue_open(struct dialogue *d, const struct host *host, unsigned first,
    unsigned last, unsigned how, struct outcome *why);
/* The part of it behind connect, on the stream that is open. */
int dialogue_greet(struct dialogue *d, unsigned how, struct outcome *why);
/* AUTH as the session asks, at the end of the greeting. 0 (also: no login is
 * asked for), or -1 with *why (4.7.x) and the two flags set. */
int dialogue_login(struct dialogue *d, struct outcome *why);
/* QUIT when nothing is unanswered, then close; the answer is not waited for.*/
void dialogue_quit(struct dialogue *d);
/* Close at once. */
void dialogue_close(struct dialogue *d);

/* Send one command (without CRLF; NULL: only wait) and read its reply into
 * d->reply. step: for *why. Returns 0, or -1 with *why (4.4.2 lost or timed
 * out, 4.5.0 malformed). */
int dialogue_ask(struct dialogue *d, const char *step, const char *command,
    uint32_t wait_ms, struct outcome *why);
/* The reply as a reason: *why set to TEMP (PERM: only for 5xx when may_fail).
 * Always -1. */
int dialogue_refused(const struct dialogue *d, const char *step, bool may_fail,
    struct outcome *why);
/* One command, reply or other event of the connection: kept for the transcript,
 * at the detailed level logged. */
void dialogue_log(
    const struct dialogue *d, enum talk_kind kind, struct span text);

/* Whether the server can take the message, converted where it must be. 0, or
 * -1 with *why. */
int dialogue_fits(
    const struct dialogue *d, struct transaction *t, struct outcome *why);
/* Append MAIL or RCPT with its parameters and CRLF. -1: an address or
 * parameter that must not be sent (5.1.3, 5.1.7). */
int dialogue_put_mail(const struct dialogue *d, const struct transaction *t,
    struct buf *out, struct outcome *why);
int dialogue_put_rcpt(const struct dialogue *d, const struct transaction *t,
    size_t i, struct buf *out, struct outcome *why);

/* The content, piece by piece. */
struct content {
	struct stuff stuff;
	uint64_t at;
	bool is_stuffed, has_begun;
};
void content_init(struct content *c, struct transaction *t, bool is_stuffed);
/* Append the next piece of at most STREAM_PIECE bytes. 1 = there is more,
 * 0 = that was the last (with "." when stuffed), -1 = the body cannot be read,
 * *why set (4.3.0). */
int content_put(struct content *c, struct transaction *t, struct buf *out,
    struct outcome *why);

#endif
