/* The keeper: the only writer of the spool. It takes messages, claims,
 * outcomes and control requests from its connections, stages what changes the
 * spool, and makes all that a round has gathered durable in one commit before
 * it answers.
 */
#ifndef QUEUE_QUEUED_H
#define QUEUE_QUEUED_H

#include "common/loop.h"
#include "common/messages.h"
#include "queue/spool.h"

struct history;
struct tlscount;
struct keeper;

struct keeper_limits {
	uint64_t message_size;	 /* bytes */
	uint64_t spool_bytes;	 /* 0: no limit */
	const struct conf *conf; /* who may send, what is held; or NULL */
	uint32_t recipients;	 /* in one message */
	uint32_t owner_uid;	 /* besides root and ourselves, may do all */
};

/* NULL without memory. Nothing is accepted before keeper_run. */
struct keeper *keeper_new(struct loop *loop);
void keeper_free(struct keeper *keeper); /* closes the spool; NULL is fine */

void keeper_set_limits(
    struct keeper *keeper, const struct keeper_limits *limits);

/* A listening socket, taken over: LISTENER_SUBMIT or LISTENER_QUEUE. */
void keeper_listen(struct keeper *keeper, enum listener_kind kind, int fd);
/* A connected socket, taken over: ROLE_SMTPD or ROLE_RUNNER. */
void keeper_peer(struct keeper *keeper, enum role role, int fd);

/* Before keeper_run; taken over, may be NULL. */
void keeper_set_history(struct keeper *keeper, struct history *history);
/* The same: counts of TLS. */
void keeper_set_tlscount(struct keeper *keeper, struct tlscount *tlscount);
/* Begin to serve; the spool is taken over. */
void keeper_run(struct keeper *keeper, struct spool *spool);
/* To be called after every round of the loop: commit and answer. */
void keeper_after_round(struct keeper *keeper);
/* Take nothing new, wait up to grace_ms for outcomes of running deliveries,
 * close the spool, then stop the loop. */
void keeper_stop(struct keeper *keeper, uint32_t grace_ms);

#endif
