/* The recorded attempts of a message, by time. */
#include <stdlib.h>

#include "queue/spool_parts.h"

enum { ATTEMPTS_SHOWN = 10000 };

struct attempt_row {
	uint64_t at_ms;
	struct span contents; /* of ATTEMPT, in the index */
};

static int compare_rows(const void *a, const void *b)
{
	const struct attempt_row *x = a, *y = b;

	return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

static size_t rows_collect(
    struct index *ix, uint64_t id, struct attempt_row *rows)
{
	struct key key;
	size_t n = 0;
	MDB_val k, v;
	int rc;

	key_message(&key, id);
	k = (MDB_val){ key.n, key.bytes };
	for (rc = mdb_cursor_get(ix->cursor[DB_ATTEMPT], &k, &v, MDB_SET_RANGE);
	     rc == 0 && n < ATTEMPTS_SHOWN;
	     rc = mdb_cursor_get(ix->cursor[DB_ATTEMPT], &k, &v, MDB_NEXT)) {
		struct span value = { v.mv_data, v.mv_size };
		struct record_attempt x;

		if (k.mv_size < 8 || get_be64(k.mv_data) != id)
			break;
		value = span_from(value, 1);
		if (record_attempt_get(value, &x) < 0)
			continue;
		rows[n++] = (struct attempt_row){ x.at_ms, value };
	}
	return n;
}

static void row_visit(uint64_t id, const struct attempt_row *row,
    void (*visit)(uint64_t at, const struct attempt *attempt, void *arg),
    void *arg)
{
	struct rcpt_outcome outcomes[RCPTS_PER_DELIVERY];
	uint8_t reports[RCPTS_PER_DELIVERY];
	struct record_attempt x;
	struct span status;
	size_t n = 0;

	record_attempt_get(row->contents, &x);
	while (n < RCPTS_PER_DELIVERY &&
	       record_attempt_next(&x, &outcomes[n], &reports[n], &status))
		n++;
	x.attempt.message = id;
	x.attempt.reports = reports;
	x.attempt.result.recipients = outcomes;
	x.attempt.result.nrecipients = n;
	visit(x.at_ms / 1000, &x.attempt, arg);
}

void spool_attempts(struct spool *s, uint64_t id,
    void (*visit)(uint64_t at, const struct attempt *attempt, void *arg),
    void *arg)
{
	struct attempt_row *rows = malloc(ATTEMPTS_SHOWN * sizeof(*rows));
	size_t n;

	if (rows && index_read_begin(s->index) == 0) {
		n = rows_collect(s->index, id, rows);
		qsort(rows, n, sizeof(*rows), compare_rows);
		for (size_t i = 0; i < n; i++)
			row_visit(id, &rows[i], visit, arg);
		index_read_end(s->index);
	}
	free(rows);
}
