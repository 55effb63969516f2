/* One job on its way: the message, and what became of each recipient.
 *
 * A recipient is open, then taken (the server said yes to RCPT on the present
 * connection), then decided. What is decided stays so on every later host.
 */
#ifndef REMOTE_TRANSACTION_H
#define REMOTE_TRANSACTION_H

#include "common/messages.h"
#include "common/reply.h"
#include "common/replyrule.h"
#include "common/wire.h"
#include "remote/fit.h"

#include <sys/types.h>

enum rcpt_stage {
	RCPT_OPEN = 0,
	RCPT_TAKEN = 1,
	RCPT_DECIDED = 2,
	RCPT_PASSED = 3, /* refused here, to be tried at the next host: open
			  * again on the next connection */
};

struct rcpt_state {
	uint8_t stage, result;	     /* enum rcpt_stage, enum rcpt_result */
	uint8_t action, reply_stage; /* as in struct rcpt_outcome */
	uint16_t rule;
	uint32_t after_s;
	uint16_t code, text_bytes;
	uint32_t text_at; /* in texts */
	char status[12];
};

struct transaction {
	struct transaction *next;
	uint64_t number; /* the runner's job number */
	struct job job;	 /* its spans are inside payload */
	char *payload;
	size_t payload_cap, payload_bytes;
	int body_fd; /* large body, or -1 */
	uint64_t body_bytes;
	bool has_long_line; /* beyond 998 octets; not looked for in a file */
	struct fit fit;
	struct rcpt_state *rcpts;
	size_t rcpts_cap;
	struct buf texts;
	unsigned nopen, ntaken, npassed; /* passed ones are open too */
	uint64_t began_ms;		 /* 0: not begun */
	unsigned losses;		 /* connections that ended under it */
	/* on the present connection */
	unsigned nawaited; /* replies asked for */
	bool is_put;	   /* all of it is in the stream */
	bool is_mail_refused, has_go_ahead;
	uint64_t end; /* offset in the stream behind its last octet */
};

/* Jobs in order. */
struct backlog {
	struct transaction *first, **last;
	unsigned count;
	size_t bytes; /* of payloads */
};
void backlog_init(struct backlog *b);
void backlog_put(struct backlog *b, struct transaction *t);
void backlog_put_first(struct backlog *b, struct transaction *t);
struct transaction *backlog_take(struct backlog *b); /* NULL: empty */

struct transaction *transaction_new(void); /* NULL without memory */
void transaction_free(struct transaction *t);
/* Fill a new or used transaction from MSG_DELIVER. A descriptor is taken over.
 * -1: malformed. */
int transaction_fill(struct transaction *t, struct message *message);
/* Forget the job, keep the memory for the next. */
void transaction_clear(struct transaction *t);

/* Before another connection: taken recipients are open again. */
void transaction_restart(struct transaction *t);

bool transaction_is_decided(const struct transaction *t);
void transaction_take_rcpt(struct transaction *t, size_t i);
/* What became of one recipient. text: printable, cut to REPLY_MAX. */
void transaction_decide_rcpt(struct transaction *t, size_t i,
    enum rcpt_result result, uint16_t code, const char *status,
    struct span text);
/* The same of those that the server has taken: one that a 421 left open stays
 * so. */
void transaction_decide_taken(struct transaction *t, enum rcpt_result result,
    uint16_t code, const char *status, struct span text);
/* The same of all that are not decided. */
void transaction_decide_all(struct transaction *t, enum rcpt_result result,
    uint16_t code, const char *status, struct span text);
/* The same by a server's refusal, with what a reply rule says of it. rcpt:
 * index, or EVERY_RCPT. */
struct refusal {
	enum rcpt_result result;
	uint16_t code;
	const char *status;
	struct span text;
	enum reply_stage stage;
	struct reply_verdict verdict;
};
enum { EVERY_RCPT = -1 };
void transaction_refuse(
    struct transaction *t, int rcpt, const struct refusal *refusal);
/* Not decided: refused here, and the next host is to be asked. */
void transaction_pass(struct transaction *t, int rcpt);
/* All that is not decided has been passed on: nothing is expected here. */
bool transaction_is_passed(const struct transaction *t);
/* The recipients' domain in A-labels, for reply rules. */
void transaction_domain(const struct transaction *t, struct buf *out);
/* What was not passed on may have been delivered. */
void transaction_decide_uncertain(
    struct transaction *t, const struct outcome *why);
void transaction_decide_why(
    struct transaction *t, enum rcpt_result result, const struct outcome *why);

/* The recipients' part of a result; at most n. */
void transaction_outcomes(
    const struct transaction *t, struct rcpt_outcome *to, size_t n);

#endif
