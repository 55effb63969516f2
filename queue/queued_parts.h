/* What the keeper's files share. */
#ifndef QUEUE_QUEUED_PARTS_H
#define QUEUE_QUEUED_PARTS_H

#include "common/wire.h"
#include "queue/queued.h"
#include "queue/queued_claim.h"

enum {
	LOCAL_CONNECTIONS_MAX = 1000,
	LOCAL_CONNECTIONS_PER_USER = 500,
	LOCAL_IDLE_MS = 600000,
	LOCAL_OPEN_MAX = 4, /* transactions in one connection */
	PEER_OPEN_MAX = 20000,
	LISTENERS_MAX = 4,
	EARLY_PEERS_MAX = 8,
	REPLY_QUEUE_MAX = 4 << 20, /* unread answers of a control client */
	REPLY_QUEUE_LOW = 128 << 10,
	BATCH_ROUNDS = 8, /* rounds that may gather for one commit */
};

/* Bytes of open transactions that may be in memory at once. */
#define OPEN_BYTES_MAX ((uint64_t)256 << 20)

enum conn_kind { CONN_SUBMIT, CONN_QUEUE, CONN_SMTPD, CONN_RUNNER };

/* One message coming in; after staging, what its log line needs. */
struct transaction {
	struct transaction *next;
	uint64_t id;
	struct incoming *incoming; /* NULL once staged */
	uint64_t size_bytes, envelope_bytes, in_memory;
	uint64_t about; /* a report: about which message */
	uint32_t uid, nrecipients;
	uint8_t origin;
	const char *client; /* inside text */
	char text[];	    /* sender, client; each with NUL */
};

/* A message's bytes on their way to a control client. */
struct body_stream {
	bool is_active;
	uint64_t id, message, offset;
};

struct conn {
	struct keeper *keeper;
	struct conn *next, **link;
	struct wire *wire;
	enum conn_kind kind;
	uint32_t uid;
	bool is_admin; /* root, ourselves or the spool's owner */
	uint64_t active_at_ms;
	struct transaction **open; /* buckets by id */
	size_t nbuckets, nopen, max_open;
	unsigned nrequests; /* waiting for a commit */
	struct body_stream body;
};

/* An outcome, ours to keep until it is on disk. */
struct held_record {
	struct attempt attempt; /* spans point into payload */
	struct claim *claim;	/* whom and what it is about, for the log */
	char payload[];
};

/* What a change did, until its answer. */
struct changed {
	struct keeper *keeper;
	uint32_t count;
	struct cursor after;
	bool has_more;
	struct buf pairs; /* u64 message, u16 delivery each */
};

enum request_kind {
	REQUEST_MESSAGE,
	REQUEST_CLAIM,
	REQUEST_UNCLAIM,
	REQUEST_RECORD,
	REQUEST_CHANGE,
};

/* Staged, and to be answered when the batch is on disk or refused. */
struct request {
	enum request_kind kind;
	struct conn *conn; /* NULL: the asker is gone, or it is ourselves */
	uint64_t id;
	uint64_t message;
	uint16_t delivery;
	uint8_t claim_for;
	union {
		struct transaction *transaction;
		struct held_record *record;
		struct changed *changed;
	};
};

struct requests {
	struct request *items;
	size_t count, room;
};

struct listener {
	struct keeper *keeper;
	enum conn_kind kind;
	int fd;
	bool is_watched;
};

struct keeper {
	struct loop *loop;
	struct spool *spool; /* NULL before keeper_run and after the stop */
	struct keeper_limits limits;
	uint32_t own_uid;
	struct listener listeners[LISTENERS_MAX];
	size_t nlisteners;
	struct {
		enum role role;
		int fd;
	} early[EARLY_PEERS_MAX]; /* peers that came before keeper_run */
	size_t nearly;
	struct conn *conns;
	size_t nlocal;
	uint64_t open_bytes;
	/* group commit */
	struct requests batch;
	size_t batch_seen; /* count when the last round ended */
	unsigned batch_rounds;
	struct timer batch_timer;
	/* outcomes that a failed commit left to be staged again */
	struct requests kept;
	struct timer kept_timer;
	uint32_t kept_wait_ms;
	/* the runner */
	struct conn *runner;
	struct claims claims;
	uint32_t window;   /* messages that may still be announced */
	bool is_more_told; /* since the runner last asked */
	struct timer maintain_timer, sweep_timer, accept_timer, stop_timer;
	struct history *history; /* NULL: none */
	struct timer history_timer;
	struct tlscount *tlscount; /* NULL: none */
	uint64_t tlscount_complained_ms;
	bool is_maintain_due, is_stopping, is_grace_over;
	struct buf scratch;
};

/* Connections (queued_conn.c). conn_new: fd is taken over; NULL (logged) when
 * it cannot be. conn_cut logs and ends one; the conn is gone then. */
struct conn *conn_new(struct keeper *keeper, enum conn_kind kind, int fd);
void conn_cut(struct conn *conn, const char *why);
void conn_drop(struct conn *conn);
void conn_accept_more(struct keeper *keeper); /* listeners watched again */
void conn_accept(int fd, uint32_t events, void *arg);
void conn_start_sweep(struct keeper *keeper);
/* Hold the peer back while it does not read its answers. */
void conn_hold_back(struct conn *conn);
/* Start of every handler: the connection is in use. */
void conn_touch(struct conn *conn);

/* Submissions (queued_submit.c). */
extern const struct wire_rule submit_rules[];
void submit_on_begin(struct wire *wire, struct message *message, void *arg);
void submit_on_data(struct wire *wire, struct message *message, void *arg);
void submit_on_end(struct wire *wire, struct message *message, void *arg);
void submit_on_abort(struct wire *wire, struct message *message, void *arg);
void submit_drop_all(struct conn *conn);
void transaction_free(struct keeper *keeper, struct transaction *t);
void submit_answer(struct keeper *keeper, struct request *request,
    const struct outcome *failure);

/* The runner (queued_runner.c). */
extern const struct wire_rule runner_rules[];
void runner_announce(struct keeper *keeper, uint64_t message);
void runner_tell_changed(
    struct keeper *keeper, uint64_t message, uint16_t delivery);
void runner_answer_claim(struct keeper *keeper, struct request *request,
    const struct outcome *failure);

/* What came of claims (queued_outcome.c). */
void outcome_on_attempt(struct wire *wire, struct message *message, void *arg);
void outcome_on_unclaim(struct wire *wire, struct message *message, void *arg);
void outcome_unclaim(
    struct keeper *keeper, uint64_t message, uint16_t delivery, bool is_known);
/* An attempt of our own making, the same for all recipients of a claim. like:
 * what it says but for these. Takes the claim over. */
void outcome_record_ourselves(struct keeper *keeper, struct claim *claim,
    const struct attempt *like, enum rcpt_result result, const char *reply);
void outcome_runner_lost(struct keeper *keeper);
void outcome_answer_unclaim(struct keeper *keeper, struct request *request,
    const struct outcome *failure);
void outcome_answer_record(struct keeper *keeper, struct request *request,
    const struct outcome *failure);
void outcome_stage_kept(struct keeper *keeper, struct request *request);
void held_record_free(struct held_record *record);

/* Inspection and control (queued_control.c). */
extern const struct wire_rule control_rules[];
void control_on_low(struct conn *conn);
void control_on_change(struct wire *wire, struct message *message, void *arg);
void control_answer_change(struct keeper *keeper, struct request *request,
    const struct outcome *failure);

/* The history (queued_history.c). */
void history_note_attempt(
    struct keeper *keeper, const struct held_record *record);
/* All that the runner wanted to know again. */
void history_tell_memories(struct keeper *keeper);
void history_on_remember(struct wire *wire, struct message *message, void *arg);
void history_on_transcript(
    struct wire *wire, struct message *message, void *arg);

/* Counts of TLS (queued_tlsrpt.c). */
void tlsrpt_on_counts(struct wire *wire, struct message *message, void *arg);
void tlsrpt_on_mark(struct wire *wire, struct message *message, void *arg);
void tlsrpt_on_read(struct wire *wire, struct message *message, void *arg);

/* Group commit (queued_group.c). group_add: false without memory: then nothing
 * can be promised, though the change may still be staged. */
bool group_add(struct keeper *keeper, const struct request *request);
void group_wake(struct keeper *keeper);	     /* something is staged */
bool group_end_round(struct keeper *keeper); /* true: committed */
void group_forget(struct keeper *keeper, struct conn *conn);
/* A record that must not be lost: stage it again later. */
void group_keep(struct keeper *keeper, const struct request *request);
void group_clear(struct keeper *keeper);

/* Log lines (queued_log.c). */
void log_accepted(const struct transaction *t, uint64_t message);
void log_attempt(const struct held_record *record);

/* uid bits of a refusal, for clients. */
void send_outcome(
    struct conn *conn, uint16_t type, uint64_t id, const struct outcome *why);

#endif
