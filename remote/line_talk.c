/* The transcript of a connection that ended badly, or that did not deliver some
 * message. At most a few at once and then one a second: the runner passes them
 * all to the keeper, who keeps only the latest.
 */
#include "remote/line_parts.h"

enum {
	TOKENS_MAX = 8,
	TOKEN_MS = 1000,
	SOON_BYTES = TALK_RING_BYTES / 3, /* before the ring forgets it */
};

static bool take_token(struct line *l)
{
	uint64_t now = now_monotonic_ms();
	uint64_t more = (now - l->tokens_ms) / TOKEN_MS;

	if (l->tokens_ms == 0 || l->tokens + more >= TOKENS_MAX) {
		l->tokens = TOKENS_MAX;
		l->tokens_ms = now;
	} else {
		l->tokens += (unsigned)more;
		l->tokens_ms += more * TOKEN_MS;
	}
	if (l->tokens == 0)
		return false;
	l->tokens--;
	return true;
}

static void send_transcript(struct line *l)
{
	const struct dialogue *d = &l->dialogue;
	struct transcript t = { .began_ms = l->talk.began_utc_ms,
		.line = span_of(l->options->name),
		.address = span_of(d->address),
		.nmessages = (uint16_t)l->nill };
	struct buf text, payload;

	if (d->host)
		t.host = d->host->name;
	memcpy(t.messages, l->ill, l->nill * sizeof(l->ill[0]));
	buf_init(&text, TRANSCRIPT_MAX);
	talk_print(&l->talk, &text);
	t.text = buf_span(&text);
	buf_init(&payload, TRANSCRIPT_MAX + 4096);
	transcript_put(&payload, &t);
	if (!payload.overflow)
		line_tell(l, MSG_TRANSCRIPT, &payload);
	buf_clear(&payload);
	buf_clear(&text);
}

static void note_ill(struct line *l, const struct transaction *t)
{
	uint64_t message = t->job.message;

	if (l->talk.began_utc_ms == 0)
		return;
	if (l->nill == 0)
		l->ill_at = l->talk.noted;
	for (unsigned i = 0; i < l->nill; i++)
		if (l->ill[i] == message)
			return;
	if (l->nill < TRANSCRIPT_MESSAGES_MAX)
		l->ill[l->nill++] = message;
}

void line_talk_begin(struct line *l)
{
	talk_begin(&l->talk);
	l->nill = 0;
}

static bool is_well(const struct transaction *t)
{
	for (size_t i = 0; i < t->job.nrecipients; i++)
		if (t->rcpts[i].result != RCPT_DELIVERED)
			return false;
	return true;
}

void line_talk_done(struct line *l, const struct transaction *t)
{
	if (!is_well(t))
		note_ill(l, t);
	if (l->nill == 0 || l->talk.noted - l->ill_at < SOON_BYTES)
		return;
	if (take_token(l))
		send_transcript(l);
	l->nill = 0;
}

void line_talk_undone(struct line *l, const struct backlog *jobs)
{
	for (const struct transaction *t = jobs->first;
	     t && l->nill < TRANSCRIPT_MESSAGES_MAX; t = t->next)
		note_ill(l, t);
}

void line_talk_end(struct line *l, const struct outcome *why)
{
	if (l->talk.began_utc_ms == 0)
		return;
	if (why)
		talk_note(&l->talk, TALK_NOTE, span_of(why->detail));
	if ((why || l->nill > 0) && take_token(l))
		send_transcript(l);
	l->talk.began_utc_ms = 0;
	l->nill = 0;
}
