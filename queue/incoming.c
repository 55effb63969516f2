/* A message coming in. */
#include "queue/incoming.h"

#include <stdlib.h>

#include "common/id.h"
#include "queue/spool_parts.h"

enum { FIRST_BYTES = 8192, KEPT_BYTES = 32768 };

static size_t recipients_text_bytes(const struct envelope *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->nrecipients; i++)
		n += e->recipients[i].address.n + e->recipients[i].orcpt.n;
	return n;
}

static void text_move(struct span *s, char **to)
{
	if (s->n > 0)
		memcpy(*to, s->p, s->n);
	s->p = *to;
	*to += s->n;
}

/* One allocation for all texts. */
static int envelope_copy(struct incoming *in, const struct envelope *e)
{
	struct envelope *copy = &in->envelope;
	struct span *texts[] = { &copy->sender, &copy->login, &copy->client,
		&copy->envid, &copy->line, &copy->trace_head,
		&copy->trace_tail };
	size_t ntexts = sizeof(texts) / sizeof(texts[0]);
	size_t n = recipients_text_bytes(e) + 1;
	char *to;

	*copy = *e;
	for (size_t i = 0; i < ntexts; i++)
		n += texts[i]->n;
	in->text = to = malloc(n);
	in->recipients = malloc((e->nrecipients + 1) * sizeof(*e->recipients));
	in->refs = malloc((e->nrefs + 1) * sizeof(*e->refs));
	if (!to || !in->recipients || !in->refs)
		return -1;
	for (size_t i = 0; i < ntexts; i++)
		text_move(texts[i], &to);
	for (size_t i = 0; i < e->nrecipients; i++) {
		in->recipients[i] = e->recipients[i];
		text_move(&in->recipients[i].address, &to);
		text_move(&in->recipients[i].orcpt, &to);
	}
	if (e->nrefs > 0)
		memcpy(in->refs, e->refs, e->nrefs * sizeof(*e->refs));
	copy->recipients = in->recipients;
	copy->refs = in->refs;
	return 0;
}

static struct incoming *incoming_take(struct spool *s)
{
	struct incoming *in = s->spare;

	if (!in) {
		in = calloc(1, sizeof(*in));
		if (in)
			buf_init(&in->content, INLINE_BODY_MAX);
		return in;
	}
	s->spare = in->next;
	s->nspare--;
	return in;
}

struct incoming *spool_incoming_new(
    struct spool *s, const struct envelope *e, struct outcome *why)
{
	struct incoming *in;

	if (s->read_only) {
		outcome_temp(why, "4.3.0", "the spool is open for reading");
		return NULL;
	}
	in = incoming_take(s);
	if (!in) {
		outcome_temp(why, "4.3.0", "out of memory");
		return NULL;
	}
	in->spool = s;
	in->next = NULL;
	if (envelope_copy(in, e) == 0)
		return in;
	spool_incoming_free(in);
	outcome_temp(why, "4.3.0", "out of memory");
	return NULL;
}

void incoming_trace_put(const struct incoming *in, uint64_t id, struct buf *out)
{
	const struct envelope *e = &in->envelope;
	char text[ID_TEXT_BYTES];

	if (e->trace_head.n == 0 && e->trace_tail.n == 0)
		return;
	id_print(id, text);
	buf_put_raw(out, e->trace_head);
	buf_puts(out, text);
	buf_put_raw(out, e->trace_tail);
	buf_puts(out, "\r\n");
}

/* Too long for memory: from now on it goes to a file. The file begins with
 * the trace header, so the id is given now. */
static int incoming_spill(struct incoming *in, struct outcome *why)
{
	struct spool *s = in->spool;
	struct buf *trace = &s->scratch;

	in->id = s->last_id =
	    id_next(s->last_id, s->disk->utc_us(s->disk->arg));
	in->large = large_new(&s->large, in->id, why);
	if (!in->large)
		return -1;
	buf_reset(trace);
	incoming_trace_put(in, in->id, trace);
	if (trace->overflow)
		return outcome_temp(why, "4.3.0", "out of memory");
	in->size_bytes += trace->len;
	if (large_add(in->large, buf_span(trace), why) < 0 ||
	    large_add(in->large, buf_span(&in->content), why) < 0)
		return -1;
	buf_clear(&in->content);
	return 0;
}

static bool is_beyond_limit(const struct spool *s, uint64_t more)
{
	return s->max_bytes &&
	       journal_bytes(s->journal) + s->index->now.large_bytes + more >
		   s->max_bytes;
}

int spool_incoming_data(
    struct incoming *in, struct span data, struct outcome *why)
{
	if (data.n == 0)
		return 0;
	if (!in->large && in->content.len + data.n <= INLINE_BODY_MAX) {
		if (in->content.cap == 0)
			buf_reserve(&in->content, FIRST_BYTES);
		buf_put_raw(&in->content, data);
		if (in->content.overflow)
			return outcome_temp(why, "4.3.0", "out of memory");
		in->size_bytes += data.n;
		return 0;
	}
	if (is_beyond_limit(in->spool, in->size_bytes + data.n))
		return outcome_temp(why, "4.3.1", "the spool is full");
	if (!in->large && incoming_spill(in, why) < 0)
		return -1;
	in->size_bytes += data.n;
	return large_add(in->large, data, why);
}

uint64_t spool_incoming_size(const struct incoming *in)
{
	return in->size_bytes;
}

static bool incoming_keep(struct incoming *in)
{
	struct spool *s = in->spool;

	if (!s || s->nspare >= INCOMING_KEPT || in->content.cap > KEPT_BYTES)
		return false;
	buf_reset(&in->content);
	*in = (struct incoming){ .content = in->content, .next = s->spare };
	s->spare = in;
	s->nspare++;
	return true;
}

void spool_incoming_free(struct incoming *in)
{
	if (!in)
		return;
	if (in->is_finished && in->spool)
		large_remove(&in->spool->large, in->id);
	large_free(in->large);
	free(in->text);
	free(in->recipients);
	free(in->refs);
	if (incoming_keep(in))
		return;
	buf_clear(&in->content);
	free(in);
}
