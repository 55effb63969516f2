/* How much of each segment is alive: what space is worth getting back. */
#include <errno.h>
#include <stdlib.h>

#include "queue/index.h"

static size_t usage_place(const struct index *ix, uint32_t segment)
{
	size_t low = 0, high = ix->nusage;

	/* nearly always the last one */
	if (high > 0 && ix->usage[high - 1].segment <= segment)
		return ix->usage[high - 1].segment == segment ? high - 1 : high;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ix->usage[middle].segment < segment)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct usage *usage_find(struct index *ix, uint32_t segment)
{
	size_t at = usage_place(ix, segment);

	return at < ix->nusage && ix->usage[at].segment == segment
		   ? &ix->usage[at]
		   : NULL;
}

static struct usage *usage_make(struct index *ix, uint32_t segment)
{
	size_t at = usage_place(ix, segment);

	if (ix->nusage == ix->usage_cap) {
		size_t cap = ix->usage_cap ? ix->usage_cap * 2 : 16;
		struct usage *grown = realloc(ix->usage, cap * sizeof(*grown));

		if (!grown) {
			index_note(ix, ENOMEM);
			return NULL;
		}
		ix->usage = grown;
		ix->usage_cap = cap;
	}
	memmove(&ix->usage[at + 1], &ix->usage[at],
	    (ix->nusage - at) * sizeof(*ix->usage));
	ix->nusage++;
	ix->usage[at] = (struct usage){ .segment = segment };
	return &ix->usage[at];
}

void usage_add(struct index *ix, const struct place *place)
{
	struct usage *u = usage_find(ix, place->segment);

	if (!u)
		u = usage_make(ix, place->segment);
	if (!u)
		return;
	u->messages++;
	u->bytes += record_padded(place->bytes);
	u->is_dirty = true;
}

void usage_sub(struct index *ix, const struct place *place)
{
	struct usage *u = usage_find(ix, place->segment);

	if (!u)
		return;
	u->messages -= u->messages > 0;
	u->bytes -= u->bytes < record_padded(place->bytes)
			? u->bytes
			: record_padded(place->bytes);
	u->is_dirty = true;
}

const struct usage *usage_of(struct index *ix, uint32_t segment)
{
	return usage_find(ix, segment);
}

int usage_load(struct index *ix, MDB_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, ix->db[DB_SEGMENT], &cursor);

	if (rc != 0)
		return rc;
	ix->nusage = 0;
	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		struct reader r =
		    reader_of((struct span){ v.mv_data, v.mv_size });
		struct usage *u;

		if (k.mv_size != 4 || get_u8(&r) != 1) {
			rc = MDB_CORRUPTED;
			break;
		}
		u = usage_make(ix, get_be32(k.mv_data));
		if (!u)
			break;
		u->messages = get_u64(&r);
		u->bytes = get_u64(&r);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static void usage_save_one(struct index *ix, const struct usage *u)
{
	char key[4] = { (char)(u->segment >> 24), (char)(u->segment >> 16),
		(char)(u->segment >> 8), (char)u->segment };
	struct span k = { key, sizeof(key) };

	if (u->messages == 0) {
		index_del(ix, DB_SEGMENT, k);
		return;
	}
	buf_reset(&ix->value);
	put_u8(&ix->value, 1);
	put_u64(&ix->value, u->messages);
	put_u64(&ix->value, u->bytes);
	index_put(ix, DB_SEGMENT, k, buf_span(&ix->value), 0);
}

void usage_save(struct index *ix)
{
	size_t kept = 0;

	for (size_t i = 0; i < ix->nusage; i++) {
		if (ix->usage[i].is_dirty)
			usage_save_one(ix, &ix->usage[i]);
		ix->usage[i].is_dirty = false;
		if (ix->usage[i].messages > 0)
			ix->usage[kept++] = ix->usage[i];
	}
	ix->nusage = kept;
}
