/* The history's writing: what was noted goes in, what is too old or too much
 * goes out, in one transaction. */
#include "queue/history_parts.h"

#include "common/deadline.h"

/* --- replies ---------------------------------------------------------------*/

static uint64_t mix(uint64_t hash, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 0x100000001b3u;
	return (hash ^ n) * 0x100000001b3u;
}

/* FNV-1a: two that are taken for one another cost a count. */
static uint64_t hash_of(const struct stored_reply *x)
{
	uint64_t hash = 0xcbf29ce484222325u;

	hash = mix(hash, x->domain.p, x->domain.n);
	hash = mix(hash, x->stage.p, x->stage.n);
	hash = mix(hash, x->reply.p, x->reply.n);
	hash = mix(hash, x->rule.p, x->rule.n);
	hash = mix(hash, &x->action, sizeof(x->action));
	return mix(hash, &x->after_s, sizeof(x->after_s));
}

static int drop_time(
    struct history *h, MDB_txn *txn, uint64_t last, uint64_t hash)
{
	struct history_key key = history_key_pair(last, hash);
	MDB_val k = history_val(&key);
	int rc = mdb_del(txn, h->db[HISTORY_TIME], &k, NULL);

	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int put_reply(struct history *h, MDB_txn *txn, uint64_t hash,
    const struct stored_reply *x)
{
	struct history_key key = history_key(hash),
			   time = history_key_pair(x->last, hash);
	MDB_val k = history_val(&key), t = history_val(&time), v, none = { 0 };
	struct buf value;
	int rc;

	buf_init(&value, 16384);
	stored_reply_put(&value, x);
	v = (MDB_val){ value.len, value.data };
	rc = value.overflow ? 0 : mdb_put(txn, h->db[HISTORY_REPLY], &k, &v, 0);
	if (rc == 0 && !value.overflow)
		rc = mdb_put(txn, h->db[HISTORY_TIME], &t, &none, 0);
	buf_clear(&value);
	return rc;
}

static int add_reply(struct history *h, MDB_txn *txn, struct span contents)
{
	struct stored_reply x, old;
	struct history_key key;
	uint64_t hash;
	MDB_val k, v;
	int rc;

	if (stored_reply_get(contents, &x) < 0)
		return 0;
	hash = hash_of(&x);
	key = history_key(hash);
	k = history_val(&key);
	rc = mdb_get(txn, h->db[HISTORY_REPLY], &k, &v);
	if (rc == 0 && stored_reply_get(
			   (struct span){ v.mv_data, v.mv_size }, &old) == 0) {
		x.first = old.first;
		x.count += old.count;
		rc = drop_time(h, txn, old.last, hash);
	} else if (rc == MDB_NOTFOUND) {
		h->nreplies++;
		rc = 0;
	}
	return rc == 0 ? put_reply(h, txn, hash, &x) : rc;
}

/* The oldest goes while there are too many or it is too old. 1: gone, 0: none
 * is to go, else an error (they are negative or above 1). */
static int drop_reply(struct history *h, MDB_txn *txn, MDB_cursor *cursor)
{
	uint64_t now = (uint64_t)now_utc(), last, hash;
	struct history_key key;
	MDB_val k, v;
	int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	last = history_key_at(&k, 0);
	hash = history_key_at(&k, 8);
	if (h->nreplies <= HISTORY_REPLIES_MAX &&
	    last + HISTORY_DAYS * 86400ull >= now)
		return 0;
	rc = mdb_cursor_del(cursor, 0);
	key = history_key(hash);
	k = history_val(&key);
	if (rc == 0)
		rc = mdb_del(txn, h->db[HISTORY_REPLY], &k, NULL);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	h->nreplies -= h->nreplies > 0;
	return 1;
}

static int drop_replies(struct history *h, MDB_txn *txn)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, h->db[HISTORY_TIME], &cursor);

	if (rc != 0)
		return rc;
	do
		rc = drop_reply(h, txn, cursor);
	while (rc == 1);
	mdb_cursor_close(cursor);
	return rc;
}

/* --- sessions --------------------------------------------------------------*/

static int add_session(struct history *h, MDB_txn *txn, struct span contents)
{
	struct reader r = reader_of(contents);
	uint64_t number = ++h->last_session;
	struct history_key key = history_key(number);
	MDB_val k = history_val(&key), v = { contents.n, (void *)contents.p },
		none = { 0 };
	struct transcript t;
	int rc;

	transcript_get(&r, &t);
	if (!reader_is_done(&r))
		return 0;
	rc = mdb_put(txn, h->db[HISTORY_SESSION], &k, &v, MDB_APPEND);
	for (unsigned i = 0; rc == 0 && i < t.nmessages; i++) {
		key = history_key_pair(t.messages[i], number);
		k = history_val(&key);
		rc = mdb_put(txn, h->db[HISTORY_MESSAGE], &k, &none, 0);
	}
	h->nsessions++;
	h->session_bytes += contents.n;
	return rc;
}

static int drop_session(struct history *h, MDB_txn *txn, MDB_cursor *cursor)
{
	struct transcript t;
	struct reader r;
	uint64_t number;
	MDB_val k, v;
	int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);

	if (rc != 0)
		return rc;
	number = history_key_at(&k, 0);
	r = reader_of((struct span){ v.mv_data, v.mv_size });
	h->nsessions--;
	h->session_bytes -= v.mv_size;
	transcript_get(&r, &t);
	for (unsigned i = 0; !r.bad && i < t.nmessages; i++) {
		struct history_key key =
		    history_key_pair(t.messages[i], number);

		k = history_val(&key);
		rc = mdb_del(txn, h->db[HISTORY_MESSAGE], &k, NULL);
		if (rc != 0 && rc != MDB_NOTFOUND)
			return rc;
	}
	return mdb_cursor_del(cursor, 0);
}

static int drop_sessions(struct history *h, MDB_txn *txn)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, h->db[HISTORY_SESSION], &cursor);

	if (rc != 0)
		return rc;
	while (rc == 0 && (h->nsessions > HISTORY_SESSIONS_MAX ||
			      h->session_bytes > HISTORY_SESSION_BYTES_MAX))
		rc = drop_session(h, txn, cursor);
	mdb_cursor_close(cursor);
	return rc;
}

/* --- all of it -------------------------------------------------------------*/

int history_write(struct history *h, MDB_txn *txn)
{
	struct reader r = reader_of(buf_span(&h->noted));
	int rc = 0;

	while (rc == 0 && r.rest.n > 0 && !r.bad) {
		uint8_t kind = get_u8(&r);
		struct span contents = get_span(&r);

		rc = kind == NOTED_REPLY ? add_reply(h, txn, contents)
					 : add_session(h, txn, contents);
	}
	if (rc == 0)
		rc = drop_replies(h, txn);
	return rc == 0 ? drop_sessions(h, txn) : rc;
}

static int measure_sessions(struct history *h, MDB_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, h->db[HISTORY_SESSION], &cursor);

	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		h->nsessions++;
		h->session_bytes += v.mv_size;
		h->last_session = history_key_at(&k, 0);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int history_measure(struct history *h)
{
	MDB_stat stat;
	MDB_txn *txn;
	int rc = mdb_txn_begin(h->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return rc;
	rc = mdb_stat(txn, h->db[HISTORY_REPLY], &stat);
	if (rc == 0)
		h->nreplies = stat.ms_entries;
	if (rc == 0)
		rc = measure_sessions(h, txn);
	mdb_txn_abort(txn);
	return rc;
}
