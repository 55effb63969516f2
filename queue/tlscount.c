/* Counts of TLS in LMDB.
 *
 *     day 'd' domain             version successful failed rows
 *                                state tries done next_at
 *     day 'n'                    version domains rows missed
 *     day 'r' domain NUL hash    version tls_count
 *
 * A domain that has its share of rows, and all when the day has its own, get
 * no more of them apart: their host and addresses are left out, then their
 * policy.
 */
#include "queue/tlscount_parts.h"

#include "common/lmdb_file.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROW_BYTES = 8192 };
#define MAP_BYTES ((size_t)256 << 20)

/* One write. */
struct writing {
	struct tlscount *t;
	MDB_txn *txn;
	int error; /* of LMDB; sticky */
};

/* --- open ----------------------------------------------------------------- */

static int try_open(struct tlscount *t, const char *path)
{
	return lmdb_file_open(path, MAP_BYTES, &t->env, &t->dbi);
}

struct tlscount *tlscount_open(const char *spool, const char **why)
{
	struct tlscount *t = calloc(1, sizeof(*t));
	char path[4096];
	int error;

	*why = "out of memory";
	if (!t)
		return NULL;
	buf_init(&t->row, ROW_BYTES);
	snprintf(path, sizeof(path), "%s/tlsrpt.mdb", spool);
	error = try_open(t, path);
	if (error) {
		unlink(path);
		error = try_open(t, path);
	}
	if (!error)
		return t;
	*why = mdb_strerror(error);
	free(t);
	return NULL;
}

void tlscount_close(struct tlscount *t)
{
	if (!t)
		return;
	mdb_env_close(t->env);
	buf_clear(&t->row);
	free(t);
}

/* --- keys ----------------------------------------------------------------- */

void tlskey_add(struct tlskey *k, const void *data, size_t n)
{
	if (n == 0 || n > sizeof(k->bytes) - k->n)
		return;
	memcpy(k->bytes + k->n, data, n);
	k->n += n;
}

struct tlskey tlskey_of(uint32_t day, char kind, struct span domain)
{
	uint32_t be = htobe32(day);
	struct tlskey k = { .n = 0 };

	tlskey_add(&k, &be, sizeof(be));
	tlskey_add(&k, &kind, 1);
	tlskey_add(&k, domain.p, domain.n);
	return k;
}

static uint64_t hash_add(uint64_t hash, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		hash = (hash ^ (unsigned char)s.p[i]) * 0x100000001b3U;
	return (hash ^ 0xff) * 0x100000001b3U;
}

static struct tlskey row_key(const struct tls_count *c)
{
	const char kinds[2] = { (char)c->policy, (char)c->result };
	struct tlskey k = tlskey_of(c->day, 'r', c->domain);
	uint64_t hash =
	    hash_add(0xcbf29ce484222325U, (struct span){ kinds, 2 });

	hash = hash_add(hash, c->policy_domain);
	hash = hash_add(hash, c->lines);
	hash = hash_add(hash, c->host);
	hash = hash_add(hash, c->address);
	hash = htobe64(hash_add(hash, c->source));
	tlskey_add(&k, "", 1);
	tlskey_add(&k, &hash, sizeof(hash));
	return k;
}

MDB_val tlskey_val(struct tlskey *k)
{
	return (MDB_val){ k->n, k->bytes };
}

/* --- rows ----------------------------------------------------------------- */

static bool fetch(
    MDB_txn *txn, MDB_dbi dbi, struct tlskey *k, struct reader *r, int *error)
{
	MDB_val key = tlskey_val(k), value;
	int status = mdb_get(txn, dbi, &key, &value);

	if (status && status != MDB_NOTFOUND)
		*error = status;
	if (status)
		return false;
	*r = reader_of(span_of_value(value));
	return get_u8(r) == TLSCOUNT_VERSION;
}

static void store(struct writing *ch, struct tlskey *k)
{
	struct buf *row = &ch->t->row;
	MDB_val key = tlskey_val(k), value = { row->len, row->data };

	if (!ch->error && row->overflow)
		ch->error = MDB_BAD_VALSIZE;
	if (!ch->error)
		ch->error = mdb_put(ch->txn, ch->t->dbi, &key, &value, 0);
}

static void begin_row(struct writing *ch)
{
	buf_reset(&ch->t->row);
	put_u8(&ch->t->row, TLSCOUNT_VERSION);
}

struct day_sums tlscount_sums(
    MDB_txn *txn, MDB_dbi dbi, uint32_t day, int *error)
{
	struct tlskey k = tlskey_of(day, 'n', (struct span){ NULL, 0 });
	struct day_sums sums = { 0 };
	struct reader r;

	if (!fetch(txn, dbi, &k, &r, error))
		return sums;
	sums.domains = get_u32(&r);
	sums.rows = get_u32(&r);
	sums.missed = get_u64(&r);
	return sums;
}

static void put_sums(
    struct writing *ch, uint32_t day, const struct day_sums *sums)
{
	struct tlskey k = tlskey_of(day, 'n', (struct span){ NULL, 0 });

	begin_row(ch);
	put_u32(&ch->t->row, sums->domains);
	put_u32(&ch->t->row, sums->rows);
	put_u64(&ch->t->row, sums->missed);
	store(ch, &k);
}

void tlscount_domain(struct reader *r, struct domain_row *row)
{
	row->d.successful = get_u64(r);
	row->d.failed = get_u64(r);
	row->rows = get_u32(r);
	row->d.state = get_u8(r);
	row->d.tries = get_u8(r);
	row->d.done = get_u16(r);
	row->d.next_at = get_u64(r);
}

static void put_domain_row(struct writing *ch, const struct domain_row *row)
{
	struct tlskey k = tlskey_of(row->d.day, 'd', row->d.domain);
	struct buf *b = &ch->t->row;

	begin_row(ch);
	put_u64(b, row->d.successful);
	put_u64(b, row->d.failed);
	put_u32(b, row->rows);
	put_u8(b, row->d.state);
	put_u8(b, row->d.tries);
	put_u16(b, row->d.done);
	put_u64(b, row->d.next_at);
	store(ch, &k);
}

static bool find_domain(struct writing *ch, uint32_t day, struct span domain,
    struct domain_row *row)
{
	struct tlskey k = tlskey_of(day, 'd', domain);
	struct reader r;

	*row = (struct domain_row){ .d = { .day = day, .domain = domain } };
	if (!fetch(ch->txn, ch->t->dbi, &k, &r, &ch->error))
		return false;
	tlscount_domain(&r, row);
	return true;
}

/* --- adding --------------------------------------------------------------- */

/* The row's present count; false: there is no such row. */
static bool find_sessions(
    struct writing *ch, const struct tls_count *c, uint64_t *sessions)
{
	struct tlskey k = row_key(c);
	struct tls_count there;
	struct reader r;

	*sessions = 0;
	if (!fetch(ch->txn, ch->t->dbi, &k, &r, &ch->error))
		return false;
	tls_count_get(&r, &there);
	if (reader_is_done(&r))
		*sessions = there.sessions;
	return true;
}

/* What is not kept apart, when there are too many. */
static void strip(struct tls_count *c, bool of_policy_too)
{
	c->host = c->address = c->source = c->reason = (struct span){ NULL, 0 };
	if (of_policy_too)
		c->lines = c->policy_domain = (struct span){ NULL, 0 };
}

static void add_row(struct writing *ch, const struct tls_count *count,
    struct domain_row *row, struct day_sums *sums)
{
	struct tls_count c = *count;
	uint64_t sessions;
	bool is_there = find_sessions(ch, &c, &sessions);
	struct tlskey k;

	if (!is_there &&
	    (row->rows >= TLS_ROWS_A_DOMAIN || sums->rows >= TLSCOUNT_ROWS)) {
		strip(&c, row->rows >= TLS_ROWS_A_DOMAIN * 3 / 2 ||
			      sums->rows >= TLSCOUNT_ROWS * 3 / 2);
		is_there = find_sessions(ch, &c, &sessions);
	}
	if (!is_there) {
		row->rows++;
		sums->rows++;
	}
	c.sessions += sessions;
	k = row_key(&c);
	begin_row(ch);
	tls_count_put(&ch->t->row, &c);
	store(ch, &k);
}

static void add(struct writing *ch, const struct tls_count *c)
{
	struct day_sums sums =
	    tlscount_sums(ch->txn, ch->t->dbi, c->day, &ch->error);
	struct domain_row row;

	if (!find_domain(ch, c->day, c->domain, &row)) {
		if (sums.domains >= TLSCOUNT_DOMAINS) {
			sums.missed += c->sessions;
			put_sums(ch, c->day, &sums);
			return;
		}
		sums.domains++;
	}
	if (c->result == TLS_RESULT_OK)
		row.d.successful += c->sessions;
	else
		row.d.failed += c->sessions;
	add_row(ch, c, &row, &sums);
	put_domain_row(ch, &row);
	put_sums(ch, c->day, &sums);
}

/* Keys begin with the day: the oldest come first. */
static void forget_old(struct writing *ch, uint32_t newest)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	uint32_t be;

	ch->error = mdb_cursor_open(ch->txn, ch->t->dbi, &cursor);
	if (ch->error)
		return;
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		memcpy(&be, key.mv_data, sizeof(be));
		if (key.mv_size >= 5 && be32toh(be) + TLSCOUNT_DAYS > newest)
			break;
		ch->error = mdb_cursor_del(cursor, 0);
		if (ch->error)
			break;
	}
	mdb_cursor_close(cursor);
}

static int finish(struct writing *ch, const char **why)
{
	if (ch->error)
		mdb_txn_abort(ch->txn);
	else
		ch->error = mdb_txn_commit(ch->txn);
	if (!ch->error)
		return 0;
	*why = mdb_strerror(ch->error);
	return -1;
}

static int begin(struct writing *ch, struct tlscount *t, const char **why)
{
	*ch = (struct writing){ .t = t };
	ch->error = mdb_txn_begin(t->env, NULL, 0, &ch->txn);
	if (!ch->error)
		return 0;
	*why = mdb_strerror(ch->error);
	return -1;
}

int tlscount_add(struct tlscount *t, const struct tls_count *counts, size_t n,
    const char **why)
{
	uint32_t newest = t->newest;
	struct writing ch;

	if (begin(&ch, t, why) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		newest = counts[i].day > newest ? counts[i].day : newest;
	if (newest > t->newest)
		forget_old(&ch, newest);
	for (size_t i = 0; !ch.error && i < n; i++)
		if (counts[i].day + TLSCOUNT_DAYS > newest)
			add(&ch, &counts[i]);
	if (finish(&ch, why) < 0)
		return -1;
	t->newest = newest;
	return 0;
}

int tlscount_mark(
    struct tlscount *t, const struct tls_domain *d, const char **why)
{
	struct domain_row row;
	struct writing ch;

	if (begin(&ch, t, why) < 0)
		return -1;
	if (find_domain(&ch, d->day, d->domain, &row)) {
		row.d.state = d->state;
		row.d.tries = d->tries;
		row.d.done = d->done;
		row.d.next_at = d->next_at;
		put_domain_row(&ch, &row);
	}
	return finish(&ch, why);
}
