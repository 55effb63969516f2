/* Reading: what is due, the job of a delivery, envelope, attempts, body. */
#include <errno.h>
#include <stdlib.h>

#include "common/id.h"
#include "common/log.h"
#include "queue/spool_parts.h"

/* --- Due ------------------------------------------------------------------ */

static void waiting_fill(
    struct waiting *w, const struct message_info *m, const struct delivery *d)
{
	w->accepted_at = m->accepted_ms / 1000;
	w->expires_at = m->expires_at;
	w->size_bytes = m->size_bytes;
	w->nrecipients = (uint16_t)delivery_npending(d);
	w->attempts = d->attempts;
	w->line_deaths = d->line_deaths;
	w->priority = m->priority;
	w->flags = (uint8_t)((delivery_has_report(d) ? WAITING_REPORT : 0) |
			     (d->uncertain ? WAITING_UNCERTAIN : 0) |
			     (d->warned ? WAITING_WARNED : 0) |
			     (m->requiretls ? WAITING_REQUIRETLS : 0));
	w->origin = m->origin;
	w->uid = m->uid;
	w->domain = d->domain;
	w->sender = m->sender;
	w->line = m->line;
}

static bool due_visit(struct spool *s, struct span key,
    bool (*visit)(const struct waiting *w, void *arg), void *arg)
{
	struct index *ix = s->index;
	struct message_info m;
	struct waiting w;
	struct delivery d;
	uint8_t claim;

	w.due_ms = get_be64(key.p);
	key_tail(key, &w.message, &w.delivery);
	if (!delivery_read(ix, ix->read, w.message, w.delivery, &d, &claim) ||
	    !message_read(ix, ix->read, w.message, &m)) {
		s->must_reindex = true;
		return true;
	}
	waiting_fill(&w, &m, &d);
	return visit(&w, arg);
}

/* The first key after the query's. */
static int due_first(struct spool *s, const struct due_query *q, MDB_val *k)
{
	MDB_cursor *cursor = s->index->cursor[DB_SCHEDULE];
	struct key after;
	MDB_val v;
	int rc;

	key_schedule(
	    &after, q->after_due_ms, q->after_message, q->after_delivery);
	*k = (MDB_val){ after.n, after.bytes };
	rc = mdb_cursor_get(cursor, k, &v, MDB_SET_RANGE);
	if (rc == 0 && k->mv_size == after.n &&
	    memcmp(k->mv_data, after.bytes, after.n) == 0)
		rc = mdb_cursor_get(cursor, k, &v, MDB_NEXT);
	return rc;
}

static size_t due_walk(struct spool *s, const struct due_query *q,
    bool (*visit)(const struct waiting *w, void *arg), void *arg, MDB_val *k,
    int *rc)
{
	size_t n = 0;

	for (*rc = due_first(s, q, k); *rc == 0;) {
		struct span key = { k->mv_data, k->mv_size };
		bool goes_on;
		MDB_val v;

		if (get_be64(key.p) > q->until_ms || n >= q->max)
			break;
		goes_on = due_visit(s, key, visit, arg);
		n++;
		*rc = mdb_cursor_get(
		    s->index->cursor[DB_SCHEDULE], k, &v, MDB_NEXT);
		if (!goes_on)
			break;
	}
	return n;
}

size_t spool_due(struct spool *s, const struct due_query *q,
    bool (*visit)(const struct waiting *w, void *arg), void *arg,
    uint64_t *next_due_ms, bool *has_more)
{
	MDB_val k;
	size_t n;
	int rc;

	*next_due_ms = 0;
	*has_more = false;
	if (index_read_begin(s->index) != 0) {
		*next_due_ms = spool_now_ms(s) + AGAIN_MS;
		return 0;
	}
	n = due_walk(s, q, visit, arg, &k, &rc);
	if (rc != 0 && rc != MDB_NOTFOUND)
		*next_due_ms = spool_now_ms(s) + AGAIN_MS;
	if (rc == 0) {
		*next_due_ms = get_be64(k.mv_data);
		*has_more = *next_due_ms <= q->until_ms;
	}
	index_read_end(s->index);
	if (n > MANY_ROWS)
		index_let_go(s->index);
	return n;
}

size_t spool_waiting(struct spool *s, uint64_t message,
    bool (*visit)(const struct waiting *w, void *arg), void *arg)
{
	struct index *ix = s->index;
	struct waiting w = { .message = message };
	struct message_info m;
	struct delivery d;
	size_t n = 0;
	uint8_t claim;

	if (index_read_begin(ix) != 0)
		return 0;
	if (!message_read(ix, ix->read, message, &m))
		goto done;
	/* Deliveries are numbered from 0; the first that is missing ends a
	 * new message's. */
	for (; delivery_read(ix, ix->read, message, w.delivery, &d, &claim);
	     w.delivery++) {
		if (claim)
			continue;
		w.due_ms = d.scheduled_ms;
		waiting_fill(&w, &m, &d);
		n++;
		if (!visit(&w, arg))
			break;
	}
done:
	index_read_end(ix);
	return n;
}

/* --- Jobs ----------------------------------------------------------------- */

static void job_recipient_fill(struct job_recipient *j, uint16_t delivery,
    const struct delivery_recipient *r)
{
	*j = (struct job_recipient){
		.index = r->index,
		.notify = r->notify,
		.report = r->report,
		.address = r->address,
		.orcpt = r->orcpt,
		.reply = r->reply,
		.status = r->status,
		.host = r->host,
		.delivery = delivery,
	};
}

static struct job_recipient *job_recipients_add(struct job *job, size_t more)
{
	struct job_recipient *grown =
	    realloc((void *)(uintptr_t)job->recipients,
		(job->nrecipients + more) * sizeof(*grown));

	if (grown)
		job->recipients = grown;
	return grown;
}

/* Copy a delivery's value, so that the spans live on, and add those of its
 * recipients that belong into the job. */
static int job_delivery(struct job *job, uint16_t number, struct span value,
    enum claim_for claim_for)
{
	struct job_recipient *to;
	struct delivery d;

	if (delivery_get(value, &d) < 0)
		return -1;
	to = job_recipients_add(job, d.n + 1u);
	if (!to)
		return -1;
	if (number == job->delivery)
		job->attempts = d.attempts;
	for (unsigned i = 0; i < d.n; i++) {
		const struct delivery_recipient *r = &d.recipients[i];

		if (claim_for == CLAIM_REPORT ? r->report != REPORT_NONE
					      : r->state == RECIPIENT_PENDING)
			job_recipient_fill(&to[job->nrecipients++], number, r);
	}
	return 0;
}

/* The values of the job's deliveries, one behind the other: u16 number, span.
 */
static int job_values(struct spool *s, uint64_t message, uint16_t delivery,
    enum claim_for claim_for, struct buf *out)
{
	struct index *ix = s->index;
	struct span value;
	struct key key;
	MDB_val k, v;
	int rc;

	key_delivery(&key, message, claim_for == CLAIM_REPORT ? 0 : delivery);
	if (claim_for != CLAIM_REPORT) {
		rc = index_get(
		    ix, ix->read, DB_DELIVERY, key_span(&key), &value);
		if (rc != 0)
			return -1;
		put_u16(out, delivery);
		put_span(out, value);
		return 0;
	}
	k = (MDB_val){ key.n, key.bytes };
	for (rc =
		 mdb_cursor_get(ix->cursor[DB_DELIVERY], &k, &v, MDB_SET_RANGE);
	     rc == 0;
	     rc = mdb_cursor_get(ix->cursor[DB_DELIVERY], &k, &v, MDB_NEXT)) {
		uint64_t id;
		uint16_t number;

		key_tail((struct span){ k.mv_data, k.mv_size }, &id, &number);
		if (id != message)
			break;
		put_u16(out, number);
		put_span(out, (struct span){ v.mv_data, v.mv_size });
	}
	return 0;
}

static int job_recipients(
    struct spool *s, struct job *job, enum claim_for claim_for)
{
	struct reader r = reader_of(buf_span(&s->joined));

	if (s->joined.overflow)
		return -1;
	while (r.rest.n > 0) {
		uint16_t number = get_u16(&r);

		if (job_delivery(job, number, get_span(&r), claim_for) < 0)
			return -1;
	}
	return 0;
}

static void job_fill(struct job *job, const struct message_info *m)
{
	job->accepted_at = m->accepted_ms / 1000;
	job->size_bytes = m->size_bytes;
	job->body = m->body;
	job->ret = m->ret;
	job->origin = m->origin;
	job->smtputf8 = m->smtputf8;
	job->requiretls = m->requiretls;
	job->priority = m->priority;
	job->is_large = m->is_large;
}

/* Sender and envelope id, copied behind the values. */
static int job_texts(
    struct spool *s, struct job *job, const struct message_info *m)
{
	buf_reset(&s->scratch);
	buf_put_raw(&s->scratch, m->sender);
	buf_put_raw(&s->scratch, m->envid);
	if (s->scratch.overflow)
		return -1;
	job->sender = (struct span){ s->scratch.data, m->sender.n };
	job->envid = (struct span){ s->scratch.data + m->sender.n, m->envid.n };
	if (m->sender.n + m->envid.n == 0)
		job->sender = job->envid = (struct span){ NULL, 0 };
	return 0;
}

/* The record of a message, checked; *body: within it when not large. */
static int record_load(struct spool *s, uint64_t id,
    const struct message_info *m, struct span *contents, struct span *body,
    struct outcome *why)
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

static int job_body(struct spool *s, struct job *job,
    const struct message_info *m, enum claim_for claim_for, int *fd,
    struct outcome *why)
{
	struct span contents;
	size_t n = INLINE_BODY_MAX;
	int large, result;

	if (!m->is_large)
		return record_load(
		    s, job->message, m, &contents, &job->content, why);
	large = large_open(&s->large, job->message, m->size_bytes, why);
	if (large < 0)
		return -1;
	if (claim_for == CLAIM_DELIVER) {
		*fd = large;
		return 0;
	}
	if (m->size_bytes < n)
		n = m->size_bytes;
	buf_reset(&s->record);
	result = buf_reserve(&s->record, n)
		     ? disk_read(s->disk, large, s->record.data, n, 0)
		     : -1;
	s->record.len = n;
	job->content = buf_span(&s->record);
	s->disk->close(s->disk->arg, large);
	return result < 0 ? outcome_temp(
				why, "4.3.0", "large body: %s", strerror(errno))
			  : 0;
}

static int job_make(struct spool *s, struct job *job, enum claim_for claim_for,
    int *fd, struct outcome *why)
{
	struct message_info m;

	buf_reset(&s->joined);
	if (!message_read(s->index, s->index->read, job->message, &m) ||
	    job_values(s, job->message, job->delivery, claim_for, &s->joined) <
		0)
		return outcome_temp(why, "4.3.0", "no such delivery");
	job_fill(job, &m);
	if (job_texts(s, job, &m) < 0 || job_recipients(s, job, claim_for) < 0)
		return outcome_temp(why, "4.3.0", "out of memory");
	if (job_body(s, job, &m, claim_for, fd, why) == 0)
		return 0;
	if (claim_for != CLAIM_REPORT)
		return -1;
	/* the sender is to know, though the original cannot be shown */
	log_warn("report-without-original", "id", id_text(job->message), "why",
	    why->detail, NULL);
	job->content = (struct span){ NULL, 0 };
	return 0;
}

int spool_job(struct spool *s, uint64_t message, uint16_t delivery,
    enum claim_for claim_for, struct job *job, int *fd, struct outcome *why)
{
	int result, rc = index_read_begin(s->index);

	memset(job, 0, sizeof(*job));
	*fd = -1;
	if (rc != 0)
		return outcome_index(why, rc);
	job->message = message;
	job->delivery = delivery;
	result = job_make(s, job, claim_for, fd, why);
	index_read_end(s->index);
	if (result < 0)
		job_free(job);
	return result;
}

/* --- Whole messages ------------------------------------------------------- */

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
