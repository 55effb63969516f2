/* Staging a message: its id, its deliveries, its record. */
#include <stdlib.h>

#include "common/address.h"
#include "common/id.h"
#include "queue/spool_parts.h"

/* A recipient and its destination. */
struct routed {
	struct span domain; /* in the keys' buffer */
	size_t domain_at;
	const struct recipient *recipient;
	uint32_t order;
	struct span local;
};

static int compare_spans(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

	if (c != 0)
		return c;
	return a.n < b.n ? -1 : a.n > b.n;
}

/* By destination, then mailbox: copies of one recipient come together. */
static int compare_mailboxes(const void *a, const void *b)
{
	const struct routed *x = a, *y = b;
	int c = compare_spans(x->domain, y->domain);

	if (c == 0)
		c = compare_spans(x->local, y->local);
	if (c == 0)
		c = x->order < y->order ? -1 : 1;
	return c;
}

/* By destination, then as they came. */
static int compare_orders(const void *a, const void *b)
{
	const struct routed *x = a, *y = b;
	int c = compare_spans(x->domain, y->domain);

	if (c == 0)
		c = x->order < y->order ? -1 : 1;
	return c;
}

static int route(const struct envelope *e, struct routed *routed,
    struct buf *domains, struct outcome *why)
{
	for (size_t i = 0; i < e->nrecipients; i++) {
		struct address a;

		routed[i].recipient = &e->recipients[i];
		routed[i].order = (uint32_t)i;
		routed[i].domain_at = domains->len;
		if (address_parse(e->recipients[i].address, &a, why) < 0 ||
		    address_domain_key(&a, domains, why) < 0)
			return -1;
		routed[i].local = a.local;
		routed[i].domain.n = domains->len - routed[i].domain_at;
	}
	for (size_t i = 0; i < e->nrecipients; i++)
		routed[i].domain.p = domains->data + routed[i].domain_at;
	return domains->overflow ? outcome_temp(why, "4.3.0", "out of memory")
				 : 0;
}

static size_t merge_duplicates(struct routed *routed, size_t n)
{
	size_t kept = 0;

	qsort(routed, n, sizeof(*routed), compare_mailboxes);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 ||
		    !span_is_equal(routed[i].domain, routed[kept - 1].domain) ||
		    !span_is_equal(routed[i].local, routed[kept - 1].local))
			routed[kept++] = routed[i];
	qsort(routed, kept, sizeof(*routed), compare_orders);
	return kept;
}

/* How many from the first on share its destination and its delivery. */
static uint16_t delivery_length(const struct routed *routed, size_t n)
{
	uint16_t length = 1;

	while (length < n && length < RCPTS_PER_DELIVERY &&
	       span_is_equal(routed[length].domain, routed[0].domain))
		length++;
	return length;
}

static uint32_t count_deliveries(const struct routed *routed, size_t n)
{
	uint32_t count = 0;

	for (size_t i = 0; i < n; count++)
		i += delivery_length(routed + i, n - i);
	return count;
}

static void deliveries_put(struct buf *b, const struct routed *routed, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint16_t length = delivery_length(routed + i, n - i);

		stored_delivery_put(b, routed[i].domain, length);
		for (uint16_t k = 0; k < length; k++, i++)
			stored_recipient_put(
			    b, routed[i].recipient, routed[i].order);
	}
}

/* The record's contents, up to and with the trace header. */
static void message_put(struct buf *b, const struct incoming *in,
    struct stored_message *m, const struct routed *routed, size_t n)
{
	size_t at = b->len;

	put_u32(b, 0);
	m->nrefs = (uint32_t)in->envelope.nrefs;
	m->nrecipients = (uint32_t)n;
	m->ndeliveries = count_deliveries(routed, n);
	stored_message_put(b, m);
	for (size_t i = 0; i < in->envelope.nrefs; i++)
		stored_ref_put(b, &in->envelope.refs[i]);
	deliveries_put(b, routed, n);
	buf_set_length(b, at);
	put_u32(b, 0);
}

static int message_stage(struct spool *s, struct incoming *in, uint64_t id,
    const struct routed *routed, size_t n, struct outcome *why)
{
	struct stored_message m = {
		.at_ms = spool_now_ms(s),
		.envelope = in->envelope,
		.is_large = in->large != NULL,
	};
	struct buf *trace = &s->scratch, *b;

	buf_reset(trace);
	if (!in->large)
		incoming_trace_put(in, id, trace);
	else if (large_finish(in->large, &m.body_crc, why) < 0)
		return -1;
	in->is_finished = in->large != NULL;
	if (trace->overflow)
		return outcome_temp(why, "4.3.0", "out of memory");
	m.body_bytes = trace->len + in->size_bytes;
	b = stage_begin(s, RECORD_MESSAGE, id);
	message_put(b, in, &m, routed, n);
	buf_put_raw(b, buf_span(trace));
	return stage_end(s, buf_span(&in->content), in, true, why);
}

static int accept_check(
    struct spool *s, const struct incoming *in, struct outcome *why)
{
	uint64_t bytes = s->batch.bytes + in->size_bytes + BATCH_ALIGN;
	uint64_t used = journal_bytes(s->journal) + s->index->now.large_bytes +
			(in->large ? in->size_bytes : 0);

	if (s->is_index_tight || journal_is_short(s->journal))
		return outcome_temp(why, "4.3.1", "no space left on device");
	if (s->max_bytes == 0)
		return 0;
	if (!in->large && !journal_has_room(s->journal, bytes))
		used += journal_current(s->journal)->bytes;
	return used > s->max_bytes
		   ? outcome_temp(why, "4.3.1", "the spool is full")
		   : 0;
}

int spool_stage_message(
    struct spool *s, struct incoming *in, uint64_t *id, struct outcome *why)
{
	size_t n = in->envelope.nrecipients;
	struct routed *routed;
	struct buf domains;
	int result = -1;

	if (n == 0 || n > RCPTS_PER_MESSAGE_MAX)
		return outcome_perm(why, "5.5.3", "%zu recipients", n);
	if (stage_ready(s, why) < 0 || accept_check(s, in, why) < 0)
		return -1;
	buf_init(&domains, (size_t)RCPTS_PER_MESSAGE_MAX * 256);
	routed = malloc(n * sizeof(*routed));
	if (!routed)
		outcome_temp(why, "4.3.0", "out of memory");
	else if (route(&in->envelope, routed, &domains, why) == 0) {
		n = n > 1 ? merge_duplicates(routed, n) : n;
		*id = in->large
			  ? in->id
			  : id_next(s->last_id, s->disk->utc_us(s->disk->arg));
		result = message_stage(s, in, *id, routed, n, why);
	}
	if (result == 0 && *id > s->last_id)
		s->last_id = *id;
	s->has_large_staged |= result == 0 && in->large;
	free(routed);
	buf_clear(&domains);
	return result;
}
