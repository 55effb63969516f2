/* The index: LMDB over what the journal says. It can be thrown away and made
 * anew from the journal at any time, and is never synced on the way.
 *
 *   meta         "format", "home", "clean", "state"
 *   message      id                      message_info
 *   delivery     id, number              delivery
 *   schedule     due_ms, id, number      version; neither claimed nor NEVER
 *   destination  domain 0, id, number    version
 *   attempt      id, number, count       version, ATTEMPT's contents
 *   claim        id, number              version, enum claim_for
 *   segment      number                  live messages, live bytes
 *
 * Records are applied inside one write transaction while they are staged, so
 * that later ones see them; it is committed when they are on disk, or aborted.
 * What readers see is the last commit.
 */
#ifndef QUEUE_INDEX_H
#define QUEUE_INDEX_H

#include <lmdb.h>

#include "queue/delivery.h"

enum index_db {
	DB_META,
	DB_MESSAGE,
	DB_DELIVERY,
	DB_SCHEDULE,
	DB_DESTINATION,
	DB_ATTEMPT,
	DB_CLAIM,
	DB_SEGMENT,
	DB_COUNT
};

enum {
	ATTEMPTS_KEPT = 50, /* of one delivery, the latest */
	INDEX_KEY_MAX = 300,
	LINE_DEATHS_MAX = 3,
};

struct position {
	uint32_t segment;
	uint64_t offset;
};

/* Kept beside the tables and written with each commit. */
struct index_state {
	struct position next;  /* where the batch after this state begins */
	struct position batch; /* the last one applied; offset 0: none */
	uint64_t batch_number;
	uint64_t last_id;
	struct ledger ledger;
	uint64_t messages, recipients, bytes; /* in the queue */
	uint64_t large_files, large_bytes;
	uint64_t by_state[STATE_COUNT];
};

struct usage { /* of one segment */
	uint32_t segment;
	bool is_dirty;
	uint64_t messages, bytes;
};

struct index {
	MDB_env *env;
	MDB_dbi db[DB_COUNT];
	MDB_txn *write, *read;
	MDB_cursor *cursor[DB_COUNT]; /* of read */
	bool read_only, was_clean;
	bool is_replaying;  /* what is known may be older than the records */
	bool is_reading;    /* read is live */
	bool is_touched;    /* pages were mapped in since index_let_go */
	uint64_t let_go_ms; /* monotonic */
	int error;	    /* LMDB's; sticky until the transaction ends */
	size_t map_bytes;
	void *map; /* where LMDB mapped its file; NULL: not known */
	struct index_state now;	   /* as committed */
	struct index_state staged; /* with what write holds */
	struct usage *usage;	   /* in order of segments */
	size_t nusage, usage_cap;
	struct buf value, scratch, message_scratch;
	struct buf gone_large; /* u64 ids whose files can go after commit */
};

/* Open or create the folder. map_bytes 0: a small one; it grows by itself.
 * NULL with *why; *is_damaged says whether a new one would help. */
struct index *index_open(const char *folder, bool read_only, size_t map_bytes,
    bool *is_damaged, struct outcome *why);
/* is_clean: everything is applied; sync it and say so. */
void index_close(struct index *ix, bool is_clean);
/* Remove the files of a closed index. 0, or -1 with errno. */
int index_remove(const char *folder);

/* Was it closed cleanly, or last written at this home (index_home.h)? */
bool index_is_trusted(struct index *ix, const char *home);
int index_claim_home(struct index *ix, const char *home);

/* Write transaction: begun on first use. commit returns 0 or an LMDB error;
 * after either the staged state is gone. */
int index_begin(struct index *ix);
int index_save_state(struct index *ix); /* before the journal is written */
int index_commit(struct index *ix);
void index_abort(struct index *ix);
/* Double the map after MDB_MAP_FULL (nothing may be open for writing). */
int index_grow(struct index *ix);

/* Readers: a snapshot of the last commit, until end. */
int index_read_begin(struct index *ix);
void index_read_end(struct index *ix);

/* Take the pages looked at out of this process; they stay in the page cache.
 * Happens by itself every 200 ms of use; call it when use ends. */
void index_let_go(struct index *ix);

/* Tables. txn: ix->write or ix->read. MDB_NOTFOUND is no error. */
int index_get(struct index *ix, MDB_txn *txn, enum index_db db, struct span key,
    struct span *value);
void index_put(struct index *ix, enum index_db db, struct span key,
    struct span value, unsigned flags);
void index_del(struct index *ix, enum index_db db, struct span key);
/* Take note of an LMDB result; returns it. */
int index_note(struct index *ix, int rc);

/* Keys, in the caller's memory. */
struct key {
	size_t n;
	char bytes[INDEX_KEY_MAX];
};
void key_message(struct key *k, uint64_t id);
void key_delivery(struct key *k, uint64_t id, uint16_t number);
void key_schedule(struct key *k, uint64_t due_ms, uint64_t id, uint16_t number);
void key_destination(
    struct key *k, struct span domain, uint64_t id, uint16_t number);
void key_attempt(struct key *k, uint64_t id, uint16_t number, uint32_t count);
static inline struct span key_span(const struct key *k)
{
	return (struct span){ k->bytes, k->n };
}
/* The id and number a delivery, destination or schedule key ends with. */
void key_tail(struct span key, uint64_t *id, uint16_t *number);
uint64_t get_be64(const char *p);
uint32_t get_be32(const char *p);

/* --- index_delivery.c: rows that belong together ----------------------------
 */

/* A delivery in hand: loaded, changed, saved (or removed when empty). */
struct held_delivery {
	uint64_t id;
	uint16_t number;
	uint8_t claim; /* 0: none, else enum claim_for + 1 */
	bool is_new, is_appended, is_changed;
	uint8_t was_claim, was_state;
	uint16_t was_n;
	uint64_t was_scheduled;
	struct delivery d;
};

/* In the write transaction; spans are good until the next load. Set is_changed
 * when d is touched (a change of claim alone does not need it). Save removes
 * what has no recipients left, and with it, perhaps, the message. */
bool held_load(
    struct index *ix, uint64_t id, uint16_t number, struct held_delivery *h);
void held_new(
    struct held_delivery *h, uint64_t id, uint16_t number, bool is_appended);
void held_save(struct index *ix, struct held_delivery *h);
/* A delivery and its claim as a reader sees it. */
bool delivery_read(struct index *ix, MDB_txn *txn, uint64_t id, uint16_t number,
    struct delivery *d, uint8_t *claim);
uint8_t claim_read(
    struct index *ix, MDB_txn *txn, uint64_t id, uint16_t number);
bool message_read(
    struct index *ix, MDB_txn *txn, uint64_t id, struct message_info *m);
enum row { ROW_CHANGED, ROW_NEW, ROW_APPENDED }; /* APPENDED: sorts last */
void message_save(
    struct index *ix, uint64_t id, const struct message_info *m, enum row row);
/* All of a message's rows; the ledger stays. */
void message_drop(struct index *ix, uint64_t id);
/* Delete a delivery's recorded attempts from first to before end. */
void attempts_drop(struct index *ix, uint64_t id, uint16_t number,
    uint32_t first, uint32_t end);
void attempt_save(struct index *ix, uint64_t id, uint16_t number,
    uint32_t count, struct span contents);

/* --- index_usage.c ----------------------------------------------------------
 */

void usage_add(struct index *ix, const struct place *place);
void usage_sub(struct index *ix, const struct place *place);
const struct usage *usage_of(struct index *ix, uint32_t segment);
int usage_load(struct index *ix, MDB_txn *txn);
void usage_save(struct index *ix);

/* --- index_message.c: messages and reports ----------------------------------
 */

int apply_message(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place);
int apply_move(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place);

/* --- index_apply.c ----------------------------------------------------------
 */

/* Apply one record to the write transaction. -1: contents not understood. An
 * LMDB error is noted in ix->error. */
int index_apply(struct index *ix, const struct record_head *head,
    struct span contents, const struct place *place);

#endif
