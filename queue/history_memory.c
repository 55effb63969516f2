/* The history's memory: what the runner wants to know again after a restart, by
 * key. */
#include "queue/history_parts.h"

static int put(
    struct history *h, MDB_txn *txn, struct span key, struct span value)
{
	MDB_val k = { key.n, (void *)key.p }, v = { value.n, (void *)value.p };
	MDB_val old;
	MDB_stat stat;
	int rc = mdb_get(txn, h->db[HISTORY_MEMORY], &k, &old);

	if (rc == MDB_NOTFOUND) {
		rc = mdb_stat(txn, h->db[HISTORY_MEMORY], &stat);
		if (rc == 0 && stat.ms_entries >= HISTORY_MEMORIES_MAX)
			return 0; /* enough: those there are go on */
	}
	return rc == 0 ? mdb_put(txn, h->db[HISTORY_MEMORY], &k, &v, 0) : rc;
}

void history_remember(struct history *h, struct span key, struct span value)
{
	MDB_txn *txn;
	int rc;

	if (!h || !h->env || key.n == 0 || key.n > HISTORY_KEY_MAX ||
	    value.n > HISTORY_MEMORY_MAX)
		return;
	rc = mdb_txn_begin(h->env, NULL, 0, &txn);
	if (rc != 0)
		return;
	if (put(h, txn, key, value) == 0)
		mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
}

void history_memories(struct history *h,
    void (*visit)(struct span key, struct span value, void *arg), void *arg)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k, v;

	if (!h || !h->env || mdb_txn_begin(h->env, NULL, MDB_RDONLY, &txn) != 0)
		return;
	if (mdb_cursor_open(txn, h->db[HISTORY_MEMORY], &cursor) == 0) {
		while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
			visit((struct span){ k.mv_data, k.mv_size },
			    (struct span){ v.mv_data, v.mv_size }, arg);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
}
