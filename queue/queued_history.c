/* What the keeper puts into the history: refusals, from the outcomes that it
 * records, and transcripts that the runner passes on. */
#include "queue/queued_parts.h"

#include "common/address.h"
#include "common/cause.h"
#include "common/deadline.h"
#include "common/replyrule.h"
#include "queue/history.h"

enum { FLUSH_MS = 500 };

static void on_flush(void *arg)
{
	struct keeper *keeper = arg;

	history_flush(keeper->history);
}

static void flush_soon(struct keeper *keeper, bool is_enough)
{
	if (is_enough)
		history_flush(keeper->history);
	else if (keeper->history && keeper->history_timer.place == 0)
		loop_timer_set(keeper->loop, &keeper->history_timer,
		    now_monotonic_ms() + FLUSH_MS, on_flush, keeper);
}

/* --- replies ---------------------------------------------------------------*/

/* "banner: 554 no" says it itself. */
static struct span stage_of(const struct rcpt_outcome *o)
{
	static const char *const names[] = { [REPLY_TO_NOTHING] = "",
		[REPLY_TO_MAIL] = "MAIL",
		[REPLY_TO_RCPT] = "RCPT",
		[REPLY_TO_DATA] = "DATA",
		[REPLY_TO_CONTENT] = "end of data" };
	struct span stage = o->reply;

	if (replyrule_text(o->reply).n == o->reply.n)
		return span_of(names[o->stage]);
	return span_cut(&stage, ':');
}

static void put_domain(const char *address, struct buf *out)
{
	struct address parsed;

	if (!address || address_parse(span_of(address), &parsed, NULL) < 0 ||
	    address_domain_key(&parsed, out, NULL) < 0)
		buf_reset(out);
}

/* Without what the runner has put behind a reply that a rule made final. */
static struct span own_words(struct span reply)
{
	static const char added[] = " (final by reply rule ";
	const char *at = NULL;

	if (reply.n > 0)
		at = memmem(reply.p, reply.n, added, sizeof(added) - 1);
	if (at)
		reply.n = (size_t)(at - reply.p);
	return reply;
}

static bool is_refusal(const struct rcpt_outcome *o)
{
	if (o->result != RCPT_DEFERRED && o->result != RCPT_FAILED)
		return false;
	return o->code >= 400 || replyrule_text(o->reply).n < o->reply.n;
}

void history_note_attempt(
    struct keeper *keeper, const struct held_record *record)
{
	const struct attempt *a = &record->attempt;
	bool is_enough = false;

	if (!keeper->history)
		return;
	for (size_t i = 0; i < a->result.nrecipients; i++) {
		const struct rcpt_outcome *o = &a->result.recipients[i];
		struct stored_reply reply = { .first = (uint64_t)now_utc(),
			.count = 1,
			.stage = stage_of(o),
			.host = a->result.host,
			.reply = own_words(o->reply),
			.rule = cause_part(a->cause, "rule"),
			.result = o->result,
			.action = o->action,
			.after_s = o->after_s };
		struct buf domain;

		if (!is_refusal(o))
			continue;
		buf_init(&domain, ADDRESS_MAX);
		put_domain(record->claim
			       ? claim_address(record->claim, o->index)
			       : NULL,
		    &domain);
		reply.last = reply.first;
		reply.domain = buf_span(&domain);
		if (o->action == REPLY_AS_IS)
			reply.rule.n = 0; /* another recipient's */
		is_enough |= history_note_reply(keeper->history, &reply);
		buf_clear(&domain);
	}
	flush_soon(keeper, is_enough);
}

/* --- transcripts -----------------------------------------------------------*/

void history_on_transcript(
    struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct transcript transcript;

	(void)wire;
	transcript_get(&r, &transcript);
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed transcript");
		return;
	}
	flush_soon(conn->keeper,
	    history_note_session(conn->keeper->history, &transcript));
}

/* --- the runner's memory ---------------------------------------------------*/

static void tell_memory(struct span key, struct span value, void *arg)
{
	struct keeper *keeper = arg;

	buf_reset(&keeper->scratch);
	put_span(&keeper->scratch, key);
	put_span(&keeper->scratch, value);
	wire_send(keeper->runner->wire, MSG_REMEMBERED, 0,
	    buf_span(&keeper->scratch));
}

void history_tell_memories(struct keeper *keeper)
{
	history_memories(keeper->history, tell_memory, keeper);
}

void history_on_remember(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct span key = get_span(&r), value = get_span(&r);

	(void)wire;
	if (!reader_is_done(&r) || key.n == 0 || key.n > HISTORY_KEY_MAX)
		conn_cut(conn, "malformed memory");
	else
		history_remember(conn->keeper->history, key, value);
}
