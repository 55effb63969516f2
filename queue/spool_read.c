/* Reading: whole messages, their envelope and body. */
#include <errno.h>
#include <stdlib.h>

#include "queue/spool_parts.h"

int record_load(struct spool *s, uint64_t id, const struct message_info *m,
    struct span *contents, struct span *body, struct outcome *why)
{
	struct record_head head;

	if (journal_read(s->journal, &m->place, &s->record, &head, why) < 0)
		return -1;
	if (head.message != id ||
	    (head.type != RECORD_MESSAGE && head.type != RECORD_MOVE) ||
	    (!m->is_large && m->body_offset + m->size_bytes != head.bytes))
		return outcome_temp(why, "4.3.0",
		    "journal %08x: another record at %llu", m->place.segment,
		    (unsigned long long)m->place.offset);
	*contents = span_from(buf_span(&s->record), RECORD_HEAD_BYTES);
	*body = m->is_large ? (struct span){ NULL, 0 }
			    : span_from(buf_span(&s->record), m->body_offset);
	return 0;
}

struct ordered {
	struct recipient recipient;
	uint32_t order;
};

static int compare_ordered(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

/* The recipients as they came, not as they were split. */
static size_t recipients_collect(
    struct stored_message *m, struct recipient *recipients)
{
	struct ordered *all = calloc(m->nrecipients + 1u, sizeof(*all));
	struct stored_delivery d;
	size_t n = 0, max = all ? m->nrecipients : 0;

	while (stored_delivery_next(m, &d))
		while (n < max && stored_recipient_next(
				      &d, &all[n].recipient, &all[n].order))
			n++;
	qsort(all, n, sizeof(*all), compare_ordered);
	for (size_t i = 0; i < n; i++)
		recipients[i] = all[i].recipient;
	free(all);
	return n;
}

static int envelope_arrays(struct stored_message *m, struct envelope *e)
{
	struct recipient *recipients =
	    calloc(m->nrecipients + 1u, sizeof(*recipients));
	struct report_ref *refs = calloc(m->nrefs + 1u, sizeof(*refs));

	e->recipients = recipients;
	e->refs = refs;
	if (!recipients || !refs)
		return -1;
	while (e->nrefs < m->nrefs && stored_ref_next(m, &refs[e->nrefs]))
		e->nrefs++;
	e->nrecipients = recipients_collect(m, recipients);
	return e->nrecipients == m->nrecipients ? 0 : -1;
}

static int envelope_make(
    struct spool *s, uint64_t id, struct envelope *e, uint64_t *accepted_at)
{
	struct span contents = { 0 }, body = { 0 };
	struct record_message x;
	struct stored_message m;
	struct message_info info;
	struct outcome why;

	if (!message_read(s->index, s->index->read, id, &info) ||
	    record_load(s, id, &info, &contents, &body, &why) < 0 ||
	    record_message_get(contents, &x) < 0 ||
	    stored_message_get(x.stored, &m) < 0)
		return -1;
	*e = m.envelope;
	*accepted_at = m.at_ms / 1000;
	if (envelope_arrays(&m, e) == 0)
		return 0;
	envelope_free(e);
	return -1;
}

int spool_envelope(
    struct spool *s, uint64_t id, struct envelope *e, uint64_t *accepted_at)
{
	int result;

	memset(e, 0, sizeof(*e));
	if (index_read_begin(s->index) != 0)
		return -1;
	result = envelope_make(s, id, e, accepted_at);
	index_read_end(s->index);
	return result;
}

static ptrdiff_t large_part(struct spool *s, uint64_t id,
    const struct message_info *m, uint64_t offset, size_t n, struct buf *out,
    struct outcome *why)
{
	int fd = large_open(&s->large, id, m->size_bytes, why), result;
	char *to = fd >= 0 ? buf_reserve(out, n) : NULL;

	if (fd < 0)
		return -1;
	result = to ? disk_read(s->disk, fd, to, n, offset) : -1;
	if (result < 0)
		outcome_temp(why, "4.3.0", "large body: %s", strerror(errno));
	else
		out->len += n;
	s->disk->close(s->disk->arg, fd);
	return result < 0 ? -1 : (ptrdiff_t)n;
}

static ptrdiff_t body_part(struct spool *s, uint64_t id, uint64_t offset,
    size_t max, struct buf *out, struct outcome *why)
{
	struct span contents = { 0 }, body = { 0 };
	struct message_info m;
	size_t n;

	if (!message_read(s->index, s->index->read, id, &m))
		return outcome_temp(why, "4.3.0", "no such message");
	if (offset >= m.size_bytes)
		return 0;
	n = m.size_bytes - offset < max ? m.size_bytes - offset : max;
	if (m.is_large)
		return large_part(s, id, &m, offset, n, out, why);
	if (record_load(s, id, &m, &contents, &body, why) < 0)
		return -1;
	buf_put(out, body.p + offset, n);
	return out->overflow ? outcome_temp(why, "4.3.0", "out of memory")
			     : (ptrdiff_t)n;
}

ptrdiff_t spool_body(struct spool *s, uint64_t id, uint64_t offset, size_t max,
    struct buf *out, struct outcome *why)
{
	int rc = index_read_begin(s->index);
	ptrdiff_t n;

	if (rc != 0)
		return outcome_index(why, rc);
	n = body_part(s, id, offset, max, out, why);
	index_read_end(s->index);
	return n;
}
