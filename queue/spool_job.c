/* Reading: the job of a delivery, with its recipients and its body. */
#include <errno.h>
#include <stdlib.h>

#include "common/id.h"
#include "common/log.h"
#include "queue/spool_parts.h"

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
