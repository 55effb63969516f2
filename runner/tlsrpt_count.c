/* Counts of sessions until the keeper is told. */
#include "runner/tlsrpt_count.h"

#include <stdlib.h>

#include "runner/table.h"

enum { KEY_MAX_BYTES = 2048, ROW_MAX_BYTES = 8192, PAYLOAD_BYTES = 500000 };

struct row {
	struct table_link link;
	uint64_t sessions;
	struct span key, text; /* text: the row as put, without number */
	char bytes[];
};

struct tlsrpt_counts {
	uint64_t seed;
	struct table table;
	struct row *rows[TLSRPT_KINDS_MAX];
	size_t nrows;
	struct buf scratch;
};

struct tlsrpt_counts *tlsrpt_counts_new(uint64_t seed)
{
	struct tlsrpt_counts *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->seed = seed;
	buf_init(&t->scratch, ROW_MAX_BYTES);
	return t;
}

static void drop_last(struct tlsrpt_counts *t)
{
	struct row *row = t->rows[--t->nrows];

	table_remove(&t->table, &row->link);
	free(row);
}

void tlsrpt_counts_free(struct tlsrpt_counts *t)
{
	if (!t)
		return;
	while (t->nrows > 0)
		drop_last(t);
	table_clear(&t->table);
	buf_clear(&t->scratch);
	free(t);
}

/* What makes two alike. */
static struct span put_key(struct tlsrpt_counts *t, const struct tls_count *c)
{
	struct tls_count key = *c;

	key.lines = key.reason = (struct span){ NULL, 0 };
	key.sessions = 0;
	buf_reset(&t->scratch);
	tls_count_put(&t->scratch, &key);
	return buf_span(&t->scratch);
}

bool tlsrpt_counts_add(struct tlsrpt_counts *t, const struct tls_count *c)
{
	struct span key = put_key(t, c);
	struct table_link *link =
	    table_find(&t->table, table_key(t->seed, key));

	for (; link; link = table_again(link)) {
		struct row *row = TABLE_OF(link, struct row, link);

		if (!span_is_equal(row->key, key))
			continue;
		row->sessions++;
		return true;
	}
	return false;
}

int tlsrpt_counts_begin(struct tlsrpt_counts *t, const struct tls_count *c)
{
	size_t nkey = put_key(t, c).n;
	struct row *row;

	tls_count_put(&t->scratch, c);
	if (t->nrows == TLSRPT_KINDS_MAX || t->scratch.overflow)
		return -1;
	row = malloc(sizeof(*row) + t->scratch.len);
	if (!row)
		return -1;
	memcpy(row->bytes, t->scratch.data, t->scratch.len);
	row->key = (struct span){ row->bytes, nkey };
	row->text = (struct span){ row->bytes + nkey, t->scratch.len - nkey };
	row->sessions = 1;
	if (table_add(&t->table, &row->link, table_key(t->seed, row->key)) <
	    0) {
		free(row);
		return -1;
	}
	t->rows[t->nrows++] = row;
	return 0;
}

bool tlsrpt_counts_is_empty(const struct tlsrpt_counts *t)
{
	return t->nrows == 0;
}

bool tlsrpt_counts_take(struct tlsrpt_counts *t, struct buf *payload)
{
	uint16_t n = 0, fits = 0;
	size_t bytes = 0;

	for (; fits < t->nrows && fits < TLS_COUNTS_MAX; fits++) {
		bytes += t->rows[t->nrows - 1u - fits]->text.n;
		if (bytes > PAYLOAD_BYTES)
			break;
	}
	put_u16(payload, fits);
	for (; n < fits; n++) {
		const struct row *row = t->rows[t->nrows - 1];
		struct reader r = reader_of(row->text);
		struct tls_count c;

		tls_count_get(&r, &c);
		c.sessions = row->sessions;
		tls_count_put(payload, &c);
		drop_last(t);
	}
	return fits > 0;
}
