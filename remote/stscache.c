/* The cache of MTA-STS policies.
 *
 *     key = domain      value = version fetched expires id text
 */
#include "remote/stscache.h"

#include "common/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	VERSION = 1,
	MAP_BYTES = 64 << 20,
	RESERVE_BYTES = 16 << 20, /* LMDB needs pages to free pages */
	KEY_MAX = 511,		  /* of LMDB */
};

struct sts_cache {
	MDB_env *env;
	MDB_dbi dbi;
};

/* --- entries -------------------------------------------------------------- */

static int entry_fill(struct sts_entry *e, struct span text, const char **why)
{
	e->ntext = text.n;
	e->text = malloc(text.n ? text.n : 1);
	if (!e->text) {
		*why = "out of memory";
		return -1;
	}
	if (text.n > 0)
		memcpy(e->text, text.p, text.n);
	if (sts_policy_parse(
		(struct span){ e->text, e->ntext }, &e->policy, why) == 0)
		return 0;
	sts_entry_clear(e);
	return -1;
}

int sts_entry_init(struct sts_entry *e, const char *id, struct span text,
    uint64_t now, const char **why)
{
	e->text = NULL;
	snprintf(e->id, sizeof(e->id), "%s", id);
	if (entry_fill(e, text, why) < 0)
		return -1;
	e->fetched_at = now;
	e->expires_at = now + e->policy.max_age_s;
	return 0;
}

int sts_entry_copy(struct sts_entry *to, const struct sts_entry *from)
{
	const char *why;

	*to = *from;
	return entry_fill(to, (struct span){ from->text, from->ntext }, &why);
}

void sts_entry_clear(struct sts_entry *e)
{
	free(e->text);
	e->text = NULL;
	e->ntext = 0;
}

/* --- open ----------------------------------------------------------------- */

static int try_open(struct sts_cache *cache, const char *path)
{
	return lmdb_file_open(path, MAP_BYTES, &cache->env, &cache->dbi);
}

/* LMDB opens by path alone, and the folder may lie where this user cannot go.
 */
static int open_in_folder(struct sts_cache *cache, int folder)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/policies.mdb", folder);
	if (try_open(cache, path) == 0)
		return 0;
	unlinkat(folder, "policies.mdb", 0);
	return try_open(cache, path);
}

static int open_in_memory(struct sts_cache *cache)
{
	int error, fd = memfd_create("policies.mdb", MFD_CLOEXEC);
	char path[64];

	if (fd < 0)
		return errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	error = try_open(cache, path);
	close(fd);
	return error;
}

struct sts_cache *sts_cache_open(int folder, const char **why)
{
	struct sts_cache *cache = calloc(1, sizeof(*cache));
	int error = !cache	 ? ENOMEM
		    : folder < 0 ? open_in_memory(cache)
				 : open_in_folder(cache, folder);

	if (!error)
		return cache;
	*why = mdb_strerror(error);
	free(cache);
	return NULL;
}

void sts_cache_close(struct sts_cache *cache)
{
	if (!cache)
		return;
	mdb_env_close(cache->env);
	free(cache);
}

/* --- rows ----------------------------------------------------------------- */

static MDB_val key_of(const char *domain)
{
	return (MDB_val){ strlen(domain), (void *)domain };
}

static int row_parse(MDB_val value, struct sts_entry *e, struct span *text)
{
	struct reader r =
	    reader_of((struct span){ value.mv_data, value.mv_size });
	uint8_t version = get_u8(&r);
	struct span id;

	e->fetched_at = get_u64(&r);
	e->expires_at = get_u64(&r);
	id = get_span(&r);
	*text = get_span(&r);
	if (!reader_is_done(&r) || version != VERSION || id.n > STS_ID_MAX)
		return -1;
	memcpy(e->id, id.p, id.n);
	e->id[id.n] = '\0';
	return 0;
}

/* A clock that was set back must not make a policy last. */
static bool is_over(const struct sts_entry *e, uint64_t now)
{
	return e->expires_at <= now ||
	       e->expires_at > now + (uint64_t)STS_AGE_MAX_S;
}

bool sts_cache_get(struct sts_cache *cache, const char *domain, uint64_t now,
    struct sts_entry *e)
{
	MDB_val key = key_of(domain), value;
	struct span text;
	const char *why;
	bool is_there = false;
	MDB_txn *txn;

	if (key.mv_size == 0 || key.mv_size > KEY_MAX ||
	    mdb_txn_begin(cache->env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	if (mdb_get(txn, cache->dbi, &key, &value) == 0 &&
	    row_parse(value, e, &text) == 0 && !is_over(e, now))
		is_there = entry_fill(e, text, &why) == 0;
	mdb_txn_abort(txn);
	return is_there;
}

static int put_row(struct sts_cache *cache, const char *domain, struct span row)
{
	MDB_val key = key_of(domain), value = { row.n, (void *)row.p };
	MDB_txn *txn;
	int error = mdb_txn_begin(cache->env, NULL, 0, &txn);

	if (error)
		return error;
	error = mdb_put(txn, cache->dbi, &key, &value, 0);
	if (error) {
		mdb_txn_abort(txn);
		return error;
	}
	return mdb_txn_commit(txn);
}

static bool is_old(MDB_val value, uint64_t now)
{
	struct sts_entry e;
	struct span text;

	return row_parse(value, &e, &text) < 0 || is_over(&e, now);
}

static int drop_old(struct sts_cache *cache, uint64_t now)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_txn *txn;
	int error = mdb_txn_begin(cache->env, NULL, 0, &txn);

	if (error)
		return error;
	error = mdb_cursor_open(txn, cache->dbi, &cursor);
	if (error) {
		mdb_txn_abort(txn);
		return error;
	}
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
		if (is_old(value, now))
			mdb_cursor_del(cursor, 0);
	mdb_cursor_close(cursor);
	return mdb_txn_commit(txn);
}

static size_t used_bytes(const struct sts_cache *cache)
{
	MDB_stat stat = { 0 };

	if (mdb_env_stat(cache->env, &stat) != 0)
		return MAP_BYTES;
	return (stat.ms_branch_pages + stat.ms_leaf_pages +
		   stat.ms_overflow_pages) *
	       stat.ms_psize;
}

static int put_where_room(
    struct sts_cache *cache, const char *domain, struct span row, uint64_t now)
{
	const size_t most = MAP_BYTES - RESERVE_BYTES;

	if (used_bytes(cache) + row.n > most)
		drop_old(cache, now);
	if (used_bytes(cache) + row.n > most)
		return MDB_MAP_FULL;
	return put_row(cache, domain, row);
}

int sts_cache_put(struct sts_cache *cache, const char *domain,
    const struct sts_entry *e, uint64_t now, const char **why)
{
	struct buf row;
	int error = MDB_BAD_VALSIZE;

	buf_init(&row, STS_TEXT_MAX + 256);
	put_u8(&row, VERSION);
	put_u64(&row, e->fetched_at);
	put_u64(&row, e->expires_at);
	put_span(&row, span_of(e->id));
	put_span(&row, (struct span){ e->text, e->ntext });
	if (!row.overflow && domain[0] && strlen(domain) <= KEY_MAX)
		error = put_where_room(cache, domain, buf_span(&row), now);
	buf_clear(&row);
	if (!error)
		return 0;
	*why = mdb_strerror(error);
	return -1;
}

size_t sts_cache_count(struct sts_cache *cache)
{
	MDB_stat stat = { 0 };

	if (mdb_env_stat(cache->env, &stat) != 0)
		return 0;
	return stat.ms_entries;
}
