/* The index's tables: values, transactions, growth. */
#include "queue/index_parts.h"

#include <errno.h>
#include <sys/mman.h>

#include "common/deadline.h"

#include "queue/index_map.h"

enum { LET_GO_MS = 200 };

int index_note(struct index *ix, int rc)
{
	if (rc != 0 && rc != MDB_NOTFOUND && ix->error == 0)
		ix->error = rc;
	return rc;
}

static MDB_val val_of(struct span s)
{
	return (MDB_val){ s.n, (void *)(uintptr_t)s.p };
}

int index_get(struct index *ix, MDB_txn *txn, enum index_db db, struct span key,
    struct span *value)
{
	MDB_val k = val_of(key), v;
	int rc = mdb_get(txn, ix->db[db], &k, &v);

	if (rc == 0)
		*value = (struct span){ v.mv_data, v.mv_size };
	return index_note(ix, rc);
}

void index_put(struct index *ix, enum index_db db, struct span key,
    struct span value, unsigned flags)
{
	MDB_val k = val_of(key), v = val_of(value);

	if (ix->error == 0)
		index_note(ix, mdb_put(ix->write, ix->db[db], &k, &v, flags));
}

void index_del(struct index *ix, enum index_db db, struct span key)
{
	MDB_val k = val_of(key);

	if (ix->error == 0)
		index_note(ix, mdb_del(ix->write, ix->db[db], &k, NULL));
}

/* --- Transactions --------------------------------------------------------- */

int index_begin(struct index *ix)
{
	int rc;

	if (ix->write)
		return ix->error;
	rc = mdb_txn_begin(ix->env, NULL, 0, &ix->write);
	if (rc != 0) {
		ix->write = NULL;
		return rc;
	}
	ix->error = 0;
	ix->staged = ix->now;
	buf_reset(&ix->gone_large);
	return 0;
}

/* The map is as large as the queue's index; what is mapped in need not be. */
void index_let_go(struct index *ix)
{
	ix->let_go_ms = now_monotonic_ms();
	if (ix->is_touched && ix->map)
		madvise(ix->map, ix->map_bytes, MADV_DONTNEED);
	ix->is_touched = false;
}

static void index_touched(struct index *ix)
{
	ix->is_touched = true;
	if (now_monotonic_ms() - ix->let_go_ms >= LET_GO_MS)
		index_let_go(ix);
}

static void staged_forget(struct index *ix)
{
	ix->write = NULL;
	ix->error = 0;
	buf_reset(&ix->gone_large);
	if (index_read_begin(ix) == 0) {
		usage_load(ix, ix->read);
		index_read_end(ix);
	}
}

int index_commit(struct index *ix)
{
	int rc = ix->error;

	if (!ix->write)
		return 0;
	if (rc != 0) {
		index_abort(ix);
		return rc;
	}
	rc = mdb_txn_commit(ix->write);
	if (rc != 0) {
		staged_forget(ix);
		return rc;
	}
	ix->write = NULL;
	ix->now = ix->staged;
	index_touched(ix);
	return 0;
}

void index_abort(struct index *ix)
{
	if (!ix->write)
		return;
	mdb_txn_abort(ix->write);
	staged_forget(ix);
}

void index_map_note(struct index *ix)
{
	MDB_envinfo info;

	mdb_env_info(ix->env, &info);
	ix->map_bytes = info.me_mapsize;
	ix->map = ix->read_only ? NULL : index_map_find(ix->env);
}

int index_grow(struct index *ix)
{
	size_t wanted = ix->map_bytes * 2;
	int rc;

	if (ix->write || ix->is_reading)
		return EBUSY;
	rc = mdb_env_set_mapsize(ix->env, wanted);
	if (rc == 0)
		index_map_note(ix);
	return rc;
}

int index_begin_reading(struct index *ix, MDB_txn **txn)
{
	int rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, txn), dead;

	if (rc == MDB_READERS_FULL && mdb_reader_check(ix->env, &dead) == 0)
		rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, txn);
	return rc;
}

static int reader_start(struct index *ix)
{
	int rc;

	if (ix->read)
		return mdb_txn_renew(ix->read);
	rc = index_begin_reading(ix, &ix->read);
	if (rc != 0)
		ix->read = NULL;
	return rc;
}

static int cursors_start(struct index *ix)
{
	for (int i = 0; i < DB_COUNT; i++) {
		int rc =
		    ix->cursor[i]
			? mdb_cursor_renew(ix->read, ix->cursor[i])
			: mdb_cursor_open(ix->read, ix->db[i], &ix->cursor[i]);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int index_read_begin(struct index *ix)
{
	int rc;

	if (ix->is_reading)
		return 0;
	rc = reader_start(ix);
	if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(ix->env, 0) == 0)
		rc = reader_start(ix);
	if (rc != 0)
		return rc;
	ix->is_reading = true;
	rc = cursors_start(ix);
	if (rc == 0 && ix->read_only && index_state_load(ix, ix->read) < 0)
		rc = MDB_CORRUPTED;
	if (rc != 0)
		index_read_end(ix);
	return rc;
}

void index_read_end(struct index *ix)
{
	if (!ix->is_reading)
		return;
	mdb_txn_reset(ix->read);
	ix->is_reading = false;
	index_touched(ix);
}
