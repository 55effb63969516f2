/* What the files of the history share. */
#ifndef QUEUE_HISTORY_PARTS_H
#define QUEUE_HISTORY_PARTS_H

#include "queue/history.h"

#include <lmdb.h>

enum history_db {
	HISTORY_REPLY,	 /* u64 hash -> stored_reply */
	HISTORY_TIME,	 /* u64 last, u64 hash -> nothing */
	HISTORY_SESSION, /* u64 number -> transcript */
	HISTORY_MESSAGE, /* u64 message, u64 number -> nothing */
	HISTORY_MEMORY,	 /* key -> value, both the runner's */
	HISTORY_DBS
};

struct history {
	char *folder;
	MDB_env *env;
	MDB_dbi db[HISTORY_DBS];
	bool is_read_only;
	uint64_t nreplies, nsessions, session_bytes, last_session;
	struct buf noted; /* u8 kind, span contents, one after the other */
};
enum { NOTED_REPLY = 1, NOTED_SESSION = 2 };

/* Big-endian keys. */
struct history_key {
	char bytes[16];
	size_t n;
};
struct history_key history_key(uint64_t a);
struct history_key history_key_pair(uint64_t a, uint64_t b);
uint64_t history_key_at(const MDB_val *key, size_t offset);
MDB_val history_val(const struct history_key *key);

void stored_reply_put(struct buf *b, const struct stored_reply *x);
int stored_reply_get(struct span value, struct stored_reply *x);

/* history_write.c. LMDB's code. */
int history_write(struct history *h, MDB_txn *txn);
/* What the bounds need to know of what is there. */
int history_measure(struct history *h);

#endif
