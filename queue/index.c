/* The index's environment: opening, transactions, growth, state. */
#include "queue/index.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/deadline.h"

#include "queue/index_home.h"
#include "queue/index_map.h"

enum { LET_GO_MS = 200 };
enum { FORMAT = 1, MAP_BYTES_FIRST = 32 << 20, READERS_MAX = 64 };

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

/* --- The state ------------------------------------------------------------ */

static void state_put(struct buf *b, const struct index_state *s)
{
	put_u8(b, FORMAT);
	put_u32(b, s->next.segment);
	put_u64(b, s->next.offset);
	put_u32(b, s->batch.segment);
	put_u64(b, s->batch.offset);
	put_u64(b, s->batch_number);
	put_u64(b, s->last_id);
	ledger_put(b, &s->ledger);
	put_u64(b, s->messages);
	put_u64(b, s->recipients);
	put_u64(b, s->bytes);
	put_u64(b, s->large_files);
	put_u64(b, s->large_bytes);
	for (int i = 0; i < STATE_COUNT; i++)
		put_u64(b, s->by_state[i]);
}

static int state_get(struct span value, struct index_state *s)
{
	struct reader r = reader_of(value);

	if (get_u8(&r) != FORMAT)
		return -1;
	s->next.segment = get_u32(&r);
	s->next.offset = get_u64(&r);
	s->batch.segment = get_u32(&r);
	s->batch.offset = get_u64(&r);
	s->batch_number = get_u64(&r);
	s->last_id = get_u64(&r);
	ledger_get(&r, &s->ledger);
	s->messages = get_u64(&r);
	s->recipients = get_u64(&r);
	s->bytes = get_u64(&r);
	s->large_files = get_u64(&r);
	s->large_bytes = get_u64(&r);
	for (int i = 0; i < STATE_COUNT; i++)
		s->by_state[i] = get_u64(&r);
	return reader_is_done(&r) ? 0 : -1;
}

static const struct span key_state = { "state", 5 };

int index_save_state(struct index *ix)
{
	usage_save(ix);
	buf_reset(&ix->value);
	state_put(&ix->value, &ix->staged);
	index_put(ix, DB_META, key_state, buf_span(&ix->value), 0);
	return ix->error;
}

static int state_load(struct index *ix, MDB_txn *txn)
{
	struct span value;
	int rc = index_get(ix, txn, DB_META, key_state, &value);

	memset(&ix->now, 0, sizeof(ix->now));
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == 0 ? state_get(value, &ix->now) : -1;
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

static void map_note(struct index *ix)
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
		map_note(ix);
	return rc;
}

/* Readers that were killed leave their places taken. */
static int begin_reading(struct index *ix, MDB_txn **txn)
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
	rc = begin_reading(ix, &ix->read);
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
	if (rc == 0 && ix->read_only && state_load(ix, ix->read) < 0)
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

/* --- Opening -------------------------------------------------------------- */

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
	map_note(ix);
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
	static const char format[1] = { FORMAT };
	struct span key = SPAN_LITERAL("format"), value;
	int rc = index_get(ix, txn, DB_META, key, &value);

	if (rc == MDB_NOTFOUND && !ix->read_only) {
		index_put(ix, DB_META, key, (struct span){ format, 1 }, 0);
		return ix->error;
	}
	if (rc == 0 && (value.n != 1 || value.p[0] != FORMAT))
		return MDB_VERSION_MISMATCH;
	return rc;
}

static int everything_load(struct index *ix)
{
	MDB_txn *txn;
	int rc = ix->read_only ? begin_reading(ix, &txn)
			       : mdb_txn_begin(ix->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	ix->write = txn; /* for format_check's put */
	rc = tables_open(ix, txn);
	if (rc == 0)
		rc = format_check(ix, txn);
	if (rc == 0 && state_load(ix, txn) < 0)
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

/* --- Keys ----------------------------------------------------------------- */

static void key_add(struct key *k, uint64_t value, unsigned nbytes)
{
	while (nbytes-- > 0)
		k->bytes[k->n++] = (char)(value >> nbytes * 8);
}

void key_message(struct key *k, uint64_t id)
{
	k->n = 0;
	key_add(k, id, 8);
}

void key_delivery(struct key *k, uint64_t id, uint16_t number)
{
	k->n = 0;
	key_add(k, id, 8);
	key_add(k, number, 2);
}

void key_schedule(struct key *k, uint64_t due_ms, uint64_t id, uint16_t number)
{
	k->n = 0;
	key_add(k, due_ms, 8);
	key_add(k, id, 8);
	key_add(k, number, 2);
}

void key_destination(
    struct key *k, struct span domain, uint64_t id, uint16_t number)
{
	k->n = domain.n < INDEX_KEY_MAX - 11 ? domain.n : INDEX_KEY_MAX - 11;
	if (k->n > 0)
		memcpy(k->bytes, domain.p, k->n);
	key_add(k, 0, 1);
	key_add(k, id, 8);
	key_add(k, number, 2);
}

void key_attempt(struct key *k, uint64_t id, uint16_t number, uint32_t count)
{
	k->n = 0;
	key_add(k, id, 8);
	key_add(k, number, 2);
	key_add(k, count, 4);
}

uint64_t get_be64(const char *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

uint32_t get_be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
	       (uint32_t)u[2] << 8 | u[3];
}

void key_tail(struct span key, uint64_t *id, uint16_t *number)
{
	const char *p = key.p + key.n - 10;

	*id = key.n >= 10 ? get_be64(p) : 0;
	*number =
	    key.n >= 10
		? (uint16_t)((unsigned char)p[8] << 8 | (unsigned char)p[9])
		: 0;
}
