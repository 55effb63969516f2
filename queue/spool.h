/* The spool: journal (the truth), large bodies, and the LMDB index.
 *
 * One process (the keeper) opens it for writing; readers may open it read-only
 * at any time. Changes are staged, then made durable together by spool_commit:
 * one pwritev, one fdatasync, one index transaction. Nothing staged is visible
 * or promised before commit returns; after a failed commit nothing staged has
 * happened (see spool_commit).
 *
 * Times in milliseconds are UTC. Spans in what is returned are borrowed until
 * the next call on the same spool.
 */
#ifndef QUEUE_SPOOL_H
#define QUEUE_SPOOL_H

#include "common/messages.h"
#include "common/outcome.h"

struct spool;
struct disk; /* queue/disk.h: the system calls, replaceable in tests */

struct spool_options {
	const char *path;
	bool read_only;
	uint64_t max_bytes;	 /* journal and large bodies; 0: no limit */
	uint64_t segment_bytes;	 /* 0: 64 MiB */
	const struct disk *disk; /* NULL: the real one */
};

/* Open, creating what is missing (not when read_only), recover: replay the
 * journal's tail after a crash, rebuild the index after a reboot, another
 * mount or at any doubt. Deliveries that were claimed when the keeper died are
 * recorded as uncertain and due now. progress (may be NULL) is called now and
 * then during long work. NULL with *why on failure: what cannot be understood
 * is refused, never guessed. */
struct spool *spool_open(const struct spool_options *options,
    void (*progress)(const char *what, uint64_t done, uint64_t of),
    struct outcome *why);
/* Another max_bytes, from a new configuration. */
void spool_set_max_bytes(struct spool *spool, uint64_t max_bytes);
/* Clean close: syncs the index and marks it so. NULL is fine. */
void spool_close(struct spool *spool);

/* --- Enqueue ------------------------------------------------------------ */

/* A message coming in. The content given with spool_incoming_data is collected
 * in memory up to INLINE_BODY_MAX, beyond that in a file under large/. */
struct incoming;
struct incoming *spool_incoming_new(struct spool *spool,
    const struct envelope *envelope, struct outcome *why); /* copies it */
int spool_incoming_data(
    struct incoming *in, struct span data, struct outcome *why);
uint64_t spool_incoming_size(const struct incoming *in);
void spool_incoming_free(struct incoming *in); /* aborts; NULL is fine */

/* Give it an id, compose the trace header, split the recipients into
 * deliveries (by address_domain_key, at most RCPTS_PER_DELIVERY each,
 * duplicates merged), stage it. Takes over in on success. A report (origin
 * REPORT) settles its refs in the same record. Returns 0 with *id, or -1 with
 * *why (4.3.1 full, 4.3.0 system, 5.1.3 address): then in still belongs to the
 * caller. */
int spool_stage_message(struct spool *spool, struct incoming *in, uint64_t *id,
    struct outcome *why);

/* --- Changes to deliveries, staged too ----------------------------------- */

/* Claim for an attempt or a report. -1: not there, claimed, held or not due. */
int spool_stage_claim(struct spool *spool, uint64_t message, uint16_t delivery,
    enum claim_for claim_for);
/* Give a claim back without an attempt; due as before. */
int spool_stage_unclaim(
    struct spool *spool, uint64_t message, uint16_t delivery);
/* Record what came of an attempt and end the claim. Recipients DELIVERED or
 * FAILED without a report to make leave the queue; the rest is due at
 * next_try_ms. -1: no such claim. Delivery and message go when empty. */
int spool_stage_attempt(struct spool *spool, const struct attempt *attempt);
/* One page of a change by filter. Returns messages changed; *after moves on,
 * *has_more says whether to call again. Claimed deliveries are left alone
 * (retract answers so by not counting them). for each changed delivery,
 * changed() is called after staging. owner: UINT32_MAX for an administrator,
 * else only messages of that uid are touched. */
uint32_t spool_stage_change(struct spool *spool, const struct change *change,
    uint32_t owner, struct cursor *after, bool *has_more,
    void (*changed)(uint64_t message, uint16_t delivery, void *arg), void *arg);
/* Held deliveries whose time has come are simply due then; nothing to do. */

bool spool_has_staged(const struct spool *spool);
size_t spool_staged_bytes(const struct spool *spool);
/* As much as should be staged for one commit; beyond several times that, what
 * is staged is refused (4.3.1). Depends on the size of segments. */
size_t spool_batch_bytes(const struct spool *spool);

/* Make all that is staged durable and visible. On failure (-1 with *why)
 * nothing staged has happened: the caller refuses all of it; the segment is
 * closed and verified by reading, so that the next commit starts on sound
 * ground. */
int spool_commit(struct spool *spool, struct outcome *why);

/* --- Reading --------------------------------------------------------------*/

/* Visit deliveries in due order, starting after the query's key, claimed ones
 * left out. Stops when visit returns false. Returns the number visited;
 * *next_due_ms: first due time beyond what was visited (0: none), or when to
 * ask again because the index could not be read. */
size_t spool_due(struct spool *spool, const struct due_query *query,
    bool (*visit)(const struct waiting *w, void *arg), void *arg,
    uint64_t *next_due_ms, bool *has_more);

/* Visit the deliveries of one message that are not claimed, whatever their due
 * time: to announce what a commit has just made visible. Returns the number
 * visited. */
size_t spool_waiting(struct spool *spool, uint64_t message,
    bool (*visit)(const struct waiting *w, void *arg), void *arg);

/* The job of a claimed delivery. Small bodies: content filled. Large: *fd is a
 * new read-only descriptor. For CLAIM_REPORT all recipients of the message
 * that await a report are listed, and a body that cannot be read is left out
 * (content empty). Else -1 with *why: the body cannot be read.
 * job_free releases it; content is borrowed until the next call. */
int spool_job(struct spool *spool, uint64_t message, uint16_t delivery,
    enum claim_for claim_for, struct job *job, int *fd, struct outcome *why);

/* Items after the cursor that match the filter, in order of id (or by
 * destination when that is what the filter gives). Stops when visit returns
 * false or after examining max_examined recipients; *after moves on. Returns
 * whether more may follow. */
bool spool_list(struct spool *spool, const struct filter *filter,
    struct cursor *after, size_t max_examined,
    bool (*visit)(const struct item *item, void *arg), void *arg);

/* Whether the last spool_list ended before its end because the index could not
 * be read: -1 with *why; else 0. */
int spool_list_result(const struct spool *spool, struct outcome *why);

/* The envelope as accepted, with all recipients. -1: not there. */
int spool_envelope(struct spool *spool, uint64_t message,
    struct envelope *envelope, uint64_t *accepted_at); /* envelope_free */
/* Recorded attempts, oldest first. */
void spool_attempts(struct spool *spool, uint64_t message,
    void (*visit)(uint64_t at, const struct attempt *attempt, void *arg),
    void *arg);
/* The message's bytes from offset: up to max into *out. Returns bytes, 0 at
 * the end, -1 with *why. */
ptrdiff_t spool_body(struct spool *spool, uint64_t message, uint64_t offset,
    size_t max, struct buf *out, struct outcome *why);

void spool_stats(struct spool *spool, struct spool_stats *stats);

/* --- Space and health ------------------------------------------------------*/

/* Do a bounded piece of background work: copy live messages of the oldest
 * segment forward (staged: commit follows), give free segments back, prepare
 * the next one. Returns true when there is more to do soon. */
bool spool_maintain(struct spool *spool);

/* Read everything, report each record, body or index entry that does not fit;
 * changes nothing. Returns the number of problems. */
uint64_t spool_verify(struct spool *spool,
    void (*report)(const char *where, const char *what, void *arg), void *arg,
    void (*progress)(const char *what, uint64_t done, uint64_t of));

#endif
