/* Opening the index, and whether it can be believed. */
#include "queue/index_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "queue/index_home.h"

enum { MAP_BYTES_FIRST = 32 << 20, READERS_MAX = 64 };

static const char *const db_names[DB_COUNT] = {
	[DB_META] = "meta",
	[DB_MESSAGE] = "message",
	[DB_DELIVERY] = "delivery",
	[DB_SCHEDULE] = "schedule",
	[DB_DESTINATION] = "destination",
	[DB_ATTEMPT] = "attempt",
	[DB_CLAIM] = "claim",
	[DB_SEGMENT] = "segment",
};

static int env_open(struct index *ix, const char *folder, size_t map_bytes)
{
	unsigned flags =
	    MDB_NOTLS | MDB_NORDAHEAD |
	    (ix->read_only ? MDB_RDONLY : MDB_NOSYNC | MDB_NOMETASYNC);
	int rc = mdb_env_create(&ix->env);

	if (rc != 0)
		return rc;
	mdb_env_set_maxdbs(ix->env, DB_COUNT);
	mdb_env_set_maxreaders(ix->env, READERS_MAX);
	/* smaller than the data: LMDB takes what the data needs */
	mdb_env_set_mapsize(
	    ix->env, map_bytes ? map_bytes : (size_t)MAP_BYTES_FIRST);
	rc = mdb_env_open(ix->env, folder, flags, 0600);
	if (rc != 0)
		return rc;
	index_map_note(ix);
	return 0;
}

static int tables_open(struct index *ix, MDB_txn *txn)
{
	unsigned flags = ix->read_only ? 0 : MDB_CREATE;

	for (int i = 0; i < DB_COUNT; i++) {
		int rc = mdb_dbi_open(txn, db_names[i], flags, &ix->db[i]);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int format_check(struct index *ix, MDB_txn *txn)
{
	static const char format[1] = { INDEX_FORMAT };
	struct span key = SPAN_LITERAL("format"), value;
	int rc = index_get(ix, txn, DB_META, key, &value);

	if (rc == MDB_NOTFOUND && !ix->read_only) {
		index_put(ix, DB_META, key, (struct span){ format, 1 }, 0);
		return ix->error;
	}
	if (rc == 0 && (value.n != 1 || value.p[0] != INDEX_FORMAT))
		return MDB_VERSION_MISMATCH;
	return rc;
}

static int everything_load(struct index *ix)
{
	MDB_txn *txn;
	int rc = ix->read_only ? index_begin_reading(ix, &txn)
			       : mdb_txn_begin(ix->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	ix->write = txn; /* for format_check's put */
	rc = tables_open(ix, txn);
	if (rc == 0)
		rc = format_check(ix, txn);
	if (rc == 0 && index_state_load(ix, txn) < 0)
		rc = MDB_CORRUPTED;
	if (rc == 0)
		rc = usage_load(ix, txn);
	ix->write = NULL;
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int mark_take(struct index *ix)
{
	int result =
	    index_take_clean_mark(ix->env, ix->read_only, &ix->was_clean);

	if (result < 0)
		return errno;
	return result == 0 ? 0 : MDB_CORRUPTED;
}

struct index *index_open(const char *folder, bool read_only, size_t map_bytes,
    bool *is_damaged, struct outcome *why)
{
	struct index *ix = calloc(1, sizeof(*ix));
	int rc;

	*is_damaged = false;
	if (!ix) {
		outcome_temp(why, "4.3.0", "index: out of memory");
		return NULL;
	}
	ix->read_only = read_only;
	buf_init(&ix->value, (size_t)1 << 30);
	buf_init(&ix->scratch, (size_t)1 << 30);
	buf_init(&ix->message_scratch, (size_t)1 << 30);
	buf_init(&ix->gone_large, (size_t)1 << 30);
	rc = index_is_in_doubt(folder) ? MDB_CORRUPTED
				       : env_open(ix, folder, map_bytes);
	if (rc == 0)
		rc = mark_take(ix);
	if (rc == 0)
		rc = everything_load(ix);
	if (rc == 0)
		return ix;
	/* EINVAL: not a file of LMDB's */
	*is_damaged = rc < 0 || rc == EINVAL || rc == EIO;
	outcome_temp(why, "4.3.0", "index %s: %s%s", folder, mdb_strerror(rc),
	    *is_damaged && read_only
		? " (outpost start makes it anew from the journal)"
		: "");
	index_close(ix, false);
	return NULL;
}

static void readers_close(struct index *ix)
{
	for (int i = 0; i < DB_COUNT; i++)
		if (ix->cursor[i])
			mdb_cursor_close(ix->cursor[i]);
	if (ix->read)
		mdb_txn_abort(ix->read);
}

void index_close(struct index *ix, bool is_clean)
{
	if (!ix)
		return;
	index_abort(ix);
	readers_close(ix);
	if (ix->env) {
		if (is_clean && !ix->read_only)
			index_mark_clean(ix->env);
		mdb_env_close(ix->env);
	}
	free(ix->usage);
	buf_clear(&ix->value);
	buf_clear(&ix->scratch);
	buf_clear(&ix->message_scratch);
	buf_clear(&ix->gone_large);
	free(ix);
}

bool index_is_trusted(struct index *ix, const char *home)
{
	struct span value = { NULL, 0 };
	bool is_same = false;

	if (ix->was_clean)
		return true;
	if (index_read_begin(ix) != 0)
		return false;
	if (index_get(ix, ix->read, DB_META, SPAN_LITERAL("home"), &value) == 0)
		is_same = home[0] && span_is_equal(value, span_of(home));
	index_read_end(ix);
	return is_same;
}

int index_claim_home(struct index *ix, const char *home)
{
	int rc;

	/* an index that has outgrown the first map comes with a full one */
	do {
		rc = index_begin(ix);
		if (rc != 0)
			return -1;
		index_put(ix, DB_META, SPAN_LITERAL("home"), span_of(home), 0);
		rc = index_commit(ix);
	} while (rc == MDB_MAP_FULL && index_grow(ix) == 0);
	return rc == 0 ? 0 : -1;
}

int index_remove(const char *folder)
{
	static const char *const names[] = { "clean", "data.mdb", "lock.mdb",
		"doubt" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			return -1;
	}
	return 0;
}
