/* Counts of TLS, read: one domain after the other. */
#include "queue/tlscount_parts.h"

static bool has_prefix(MDB_val key, const struct tlskey *prefix)
{
	return key.mv_size >= prefix->n &&
	       memcmp(key.mv_data, prefix->bytes, prefix->n) == 0;
}

/* The row of the domain asked for, its name borrowed from the database. */
static bool seek_domain(
    MDB_cursor *cursor, const struct tls_read *q, struct domain_row *row)
{
	struct tlskey all = tlskey_of(q->day, 'd', (struct span){ NULL, 0 });
	struct tlskey at = tlskey_of(q->day, 'd', q->domain);
	MDB_val key, value;
	struct reader r;

	*row = (struct domain_row){ .d = { .day = q->day } };
	if (q->is_next && q->domain.n > 0)
		tlskey_add(&at, "", 1); /* no name has it */
	key = tlskey_val(&at);
	if (mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE) != 0 ||
	    !has_prefix(key, q->is_next ? &all : &at) ||
	    (!q->is_next && key.mv_size != at.n))
		return false;
	r = reader_of(span_of_value(value));
	if (get_u8(&r) != TLSCOUNT_VERSION)
		return false;
	tlscount_domain(&r, row);
	row->d.domain = span_from(span_of_value(key), all.n);
	return true;
}

static void each_row(MDB_cursor *cursor, const struct tls_domain *d,
    void (*on_row)(const struct tls_count *c, void *arg), void *arg)
{
	struct tlskey prefix = tlskey_of(d->day, 'r', d->domain);
	MDB_val key, value;
	int status;

	tlskey_add(&prefix, "", 1);
	key = tlskey_val(&prefix);
	status = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; status == 0 && has_prefix(key, &prefix);
	     status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		struct reader r = reader_of(span_of_value(value));
		uint8_t version = get_u8(&r);
		struct tls_count c;

		tls_count_get(&r, &c);
		if (version == TLSCOUNT_VERSION && reader_is_done(&r))
			on_row(&c, arg);
	}
}

int tlscount_read(struct tlscount *t, const struct tls_read *q,
    void (*on_domain)(const struct tls_domain *d, void *arg),
    void (*on_row)(const struct tls_count *c, void *arg), void *arg,
    const char **why)
{
	struct domain_row row;
	MDB_cursor *cursor;
	MDB_txn *txn;
	bool is_there;
	int error = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &txn);

	if (!error) {
		error = mdb_cursor_open(txn, t->dbi, &cursor);
		if (error)
			mdb_txn_abort(txn);
	}
	if (error) {
		*why = mdb_strerror(error);
		return -1;
	}
	is_there = seek_domain(cursor, q, &row);
	row.d.missed = tlscount_sums(txn, t->dbi, q->day, &error).missed;
	on_domain(&row.d, arg);
	if (is_there && q->wants_rows)
		each_row(cursor, &row.d, on_row, arg);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return 0;
}
