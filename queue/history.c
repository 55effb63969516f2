/* The history: opening, throwing away, noting, flushing. */
#include "queue/history_parts.h"

#include "common/log.h"
#include "queue/index_home.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	NOTED_MAX = 1 << 20,
	NOTED_ENOUGH = 256 << 10,
	READERS_MAX = 64,
};
#define MAP_BYTES ((size_t)128 << 20)

static const char *const db_names[HISTORY_DBS] = { "reply", "time", "session",
	"message", "memory" };

/* --- keys and values -------------------------------------------------------*/

struct history_key history_key(uint64_t a)
{
	struct history_key key = { .n = 8 };
	uint64_t be = htobe64(a);

	memcpy(key.bytes, &be, 8);
	return key;
}

struct history_key history_key_pair(uint64_t a, uint64_t b)
{
	struct history_key key = history_key(a);
	uint64_t be = htobe64(b);

	memcpy(key.bytes + 8, &be, 8);
	key.n = 16;
	return key;
}

uint64_t history_key_at(const MDB_val *key, size_t offset)
{
	uint64_t be = 0;

	if (key->mv_size >= offset + 8)
		memcpy(&be, (const char *)key->mv_data + offset, 8);
	return be64toh(be);
}

MDB_val history_val(const struct history_key *key)
{
	return (MDB_val){ key->n, (void *)key->bytes };
}

void stored_reply_put(struct buf *b, const struct stored_reply *x)
{
	put_u8(b, 1); /* version */
	put_u64(b, x->first);
	put_u64(b, x->last);
	put_u64(b, x->count);
	put_span(b, x->domain);
	put_span(b, x->stage);
	put_span(b, x->host);
	put_span(b, x->reply);
	put_span(b, x->rule);
	put_u8(b, x->result);
	put_u8(b, x->action);
	put_u32(b, x->after_s);
}

int stored_reply_get(struct span value, struct stored_reply *x)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r);

	x->first = get_u64(&r);
	x->last = get_u64(&r);
	x->count = get_u64(&r);
	x->domain = get_span(&r);
	x->stage = get_span(&r);
	x->host = get_span(&r);
	x->reply = get_span(&r);
	x->rule = get_span(&r);
	x->result = get_u8(&r);
	x->action = get_u8(&r);
	x->after_s = get_u32(&r);
	return version == 1 && reader_is_done(&r) ? 0 : -1;
}

/* --- opening ---------------------------------------------------------------*/

static int open_dbs(struct history *h)
{
	unsigned flags = h->is_read_only ? MDB_RDONLY : 0;
	MDB_txn *txn;
	int rc = mdb_txn_begin(h->env, NULL, flags, &txn);

	if (rc != 0)
		return rc;
	for (int i = 0; rc == 0 && i < HISTORY_DBS; i++)
		rc = mdb_dbi_open(txn, db_names[i],
		    h->is_read_only ? 0 : MDB_CREATE, &h->db[i]);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int open_env(struct history *h)
{
	unsigned flags =
	    h->is_read_only ? MDB_RDONLY : MDB_NOSYNC | MDB_NOMETASYNC;
	int rc = mdb_env_create(&h->env);

	if (rc != 0)
		return rc;
	mdb_env_set_maxdbs(h->env, HISTORY_DBS);
	mdb_env_set_maxreaders(h->env, READERS_MAX);
	mdb_env_set_mapsize(h->env, MAP_BYTES);
	rc = mdb_env_open(h->env, h->folder, flags, 0600);
	if (rc == 0)
		rc = open_dbs(h);
	if (rc == 0 && !h->is_read_only)
		rc = history_measure(h);
	if (rc == 0)
		return 0;
	mdb_env_close(h->env);
	h->env = NULL;
	return rc;
}

static void path_of(const struct history *h, const char *name, char *path)
{
	snprintf(path, PATH_MAX, "%s/%s", h->folder, name);
}

static void throw_away(const struct history *h)
{
	static const char *const names[] = { "data.mdb", "lock.mdb", "home" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		path_of(h, names[i], path);
		unlink(path);
	}
}

bool history_is_whole(const char *spool)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/index", spool);
	return !index_is_in_doubt(path);
}

/* Written under this boot and mount: what the page cache holds is there. */
static bool is_trusted(const struct history *h, const char *spool)
{
	char path[PATH_MAX], now[HOME_TEXT_MAX], then[HOME_TEXT_MAX] = "";
	ssize_t n;
	int fd;

	path_of(h, "home", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd >= 0 ? read(fd, then, sizeof(then) - 1) : -1;
	if (fd >= 0)
		close(fd);
	then[n > 0 ? n : 0] = '\0';
	index_home_print(spool, now);
	return now[0] && strcmp(now, then) == 0;
}

static void write_home(const struct history *h, const char *spool)
{
	char path[PATH_MAX], now[HOME_TEXT_MAX];
	ssize_t n;
	int fd;

	index_home_print(spool, now);
	path_of(h, "home", path);
	fd = open(
	    path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	n = write(fd, now, strlen(now));
	(void)n; /* half of it is another one: not trusted next time */
	close(fd);
}

static struct history *history_new(const char *spool, bool is_read_only)
{
	struct history *h = calloc(1, sizeof(*h));
	struct buf folder;

	if (!h)
		return NULL;
	h->is_read_only = is_read_only;
	buf_init(&h->noted, NOTED_MAX);
	buf_init(&folder, PATH_MAX - 16);
	buf_printf(&folder, "%s/history", spool);
	h->folder = folder.overflow ? NULL : strdup(buf_text(&folder));
	buf_clear(&folder);
	if (h->folder)
		return h;
	free(h);
	return NULL;
}

struct history *history_open(const char *spool, bool is_whole)
{
	struct history *h = history_new(spool, false);
	int rc = 0;

	if (!h)
		return NULL;
	if (mkdir(h->folder, 0700) < 0 && errno != EEXIST)
		rc = errno;
	if (rc == 0 && (!is_whole || !is_trusted(h, spool)))
		throw_away(h);
	if (rc == 0)
		rc = open_env(h);
	if (rc != 0 && h->folder) {
		log_warn("history-anew", "why", mdb_strerror(rc), NULL);
		throw_away(h);
		rc = open_env(h);
	}
	if (rc == 0) {
		write_home(h, spool);
		return h;
	}
	log_warn(
	    "no-history", "folder", h->folder, "why", mdb_strerror(rc), NULL);
	history_close(h);
	return NULL;
}

struct history *history_open_read(const char *spool, struct outcome *why)
{
	struct history *h = history_new(spool, true);
	int rc = h ? open_env(h) : ENOMEM;

	if (rc == 0)
		return h;
	outcome_temp(why, "4.3.0", "%s/history: %s%s", spool, mdb_strerror(rc),
	    rc == EACCES ? " (root and the spool's owner may read it)" : "");
	history_close(h);
	return NULL;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	if (h->env && !h->is_read_only)
		history_flush(h);
	if (h->env)
		mdb_env_close(h->env);
	buf_clear(&h->noted);
	free(h->folder);
	free(h);
}

/* --- noting ----------------------------------------------------------------*/

static bool note(struct history *h, uint8_t kind, struct buf *contents)
{
	if (h->noted.len + contents->len + 16 > NOTED_MAX)
		return true; /* the disk does not keep up: not worth a wait */
	put_u8(&h->noted, kind);
	put_span(&h->noted, buf_span(contents));
	return h->noted.len >= NOTED_ENOUGH;
}

bool history_note_reply(struct history *h, const struct stored_reply *reply)
{
	struct buf contents;
	bool is_enough = false;

	if (!h)
		return false;
	buf_init(&contents, 8192);
	stored_reply_put(&contents, reply);
	if (!contents.overflow)
		is_enough = note(h, NOTED_REPLY, &contents);
	buf_clear(&contents);
	return is_enough;
}

bool history_note_session(struct history *h, const struct transcript *t)
{
	struct buf contents;
	bool is_enough = false;

	if (!h)
		return false;
	buf_init(&contents, TRANSCRIPT_MAX + 4096);
	transcript_put(&contents, t);
	if (!contents.overflow)
		is_enough = note(h, NOTED_SESSION, &contents);
	buf_clear(&contents);
	return is_enough;
}

/* After an error nothing is sure: begun anew, once. */
void history_flush(struct history *h)
{
	MDB_txn *txn;
	int rc, dead;

	if (!h || !h->env || h->noted.len == 0)
		return;
	mdb_reader_check(h->env, &dead);
	rc = mdb_txn_begin(h->env, NULL, 0, &txn);
	if (rc == 0) {
		rc = history_write(h, txn);
		if (rc == 0)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	buf_reset(&h->noted);
	if (rc == 0)
		return;
	log_warn("history-anew", "why", mdb_strerror(rc), NULL);
	mdb_env_close(h->env);
	h->env = NULL;
	throw_away(h);
	h->nreplies = h->nsessions = h->session_bytes = h->last_session = 0;
	if (open_env(h) != 0)
		log_warn("no-history", "folder", h->folder, NULL);
}
