/* The history's reading. */
#include "queue/history_parts.h"

static int failed(struct outcome *why, int rc)
{
	return outcome_temp(why, "4.3.0", "the history: %s", mdb_strerror(rc));
}

static int begin(struct history *h, enum history_db db, MDB_txn **txn,
    MDB_cursor **cursor, struct outcome *why)
{
	int rc = mdb_txn_begin(h->env, NULL, MDB_RDONLY, txn);

	if (rc != 0)
		return failed(why, rc);
	rc = mdb_cursor_open(*txn, h->db[db], cursor);
	if (rc == 0)
		return 0;
	mdb_txn_abort(*txn);
	return failed(why, rc);
}

static int end(MDB_txn *txn, MDB_cursor *cursor, int rc, struct outcome *why)
{
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : failed(why, rc);
}

int history_replies(struct history *h,
    bool (*visit)(const struct stored_reply *reply, void *arg), void *arg,
    struct outcome *why)
{
	MDB_cursor *cursor = NULL;
	bool goes_on = true;
	MDB_txn *txn = NULL;
	MDB_val k, v;
	int rc;

	if (begin(h, HISTORY_TIME, &txn, &cursor, why) < 0)
		return -1;
	rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
	for (; rc == 0 && goes_on;
	     rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV)) {
		struct history_key key = history_key(history_key_at(&k, 8));
		MDB_val of = history_val(&key);
		struct stored_reply x;

		if (mdb_get(txn, h->db[HISTORY_REPLY], &of, &v) == 0 &&
		    stored_reply_get(
			(struct span){ v.mv_data, v.mv_size }, &x) == 0)
			goes_on = visit(&x, arg);
	}
	return end(txn, cursor, rc, why);
}

int history_sessions(struct history *h, uint64_t message,
    bool (*visit)(const struct transcript *t, void *arg), void *arg,
    struct outcome *why)
{
	struct history_key from = history_key_pair(message, 0);
	MDB_val k = history_val(&from), v;
	MDB_cursor *cursor = NULL;
	bool goes_on = true;
	MDB_txn *txn = NULL;
	int rc;

	if (begin(h, HISTORY_MESSAGE, &txn, &cursor, why) < 0)
		return -1;
	rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	for (; rc == 0 && goes_on && history_key_at(&k, 0) == message;
	     rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
		struct history_key key = history_key(history_key_at(&k, 8));
		MDB_val of = history_val(&key);
		struct transcript t;
		struct reader r;

		if (mdb_get(txn, h->db[HISTORY_SESSION], &of, &v) != 0)
			continue;
		r = reader_of((struct span){ v.mv_data, v.mv_size });
		transcript_get(&r, &t);
		if (reader_is_done(&r))
			goes_on = visit(&t, arg);
	}
	return end(txn, cursor, rc, why);
}
