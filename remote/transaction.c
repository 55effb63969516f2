/* One job on its way. */
#include "remote/transaction.h"

#include "common/address.h"
#include "common/utf8.h"
#include "common/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TEXTS_MAX = 2 * RCPTS_PER_DELIVERY * REPLY_MAX,
	LINE_OCTETS = 1000, /* with CRLF (RFC 5321 4.5.3.1.6) */
	KEEP_BYTES = 16384, /* a payload buffer above this is not kept */
};

void backlog_init(struct backlog *b)
{
	*b = (struct backlog){ .last = &b->first };
}

void backlog_put(struct backlog *b, struct transaction *t)
{
	t->next = NULL;
	*b->last = t;
	b->last = &t->next;
	b->count++;
	b->bytes += t->payload_bytes;
}

void backlog_put_first(struct backlog *b, struct transaction *t)
{
	t->next = b->first;
	b->first = t;
	if (!t->next)
		b->last = &t->next;
	b->count++;
	b->bytes += t->payload_bytes;
}

struct transaction *backlog_take(struct backlog *b)
{
	struct transaction *t = b->first;

	if (!t)
		return NULL;
	b->first = t->next;
	if (!b->first)
		b->last = &b->first;
	b->count--;
	b->bytes -= t->payload_bytes;
	t->next = NULL;
	return t;
}

struct transaction *transaction_new(void)
{
	struct transaction *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->body_fd = -1;
	buf_init(&t->texts, TEXTS_MAX);
	return t;
}

void transaction_clear(struct transaction *t)
{
	if (t->body_fd >= 0)
		close(t->body_fd);
	t->body_fd = -1;
	fit_clear(&t->fit);
	job_free(&t->job);
	if (t->payload_cap > KEEP_BYTES) {
		free(t->payload);
		t->payload = NULL;
		t->payload_cap = 0;
	}
	if (t->texts.cap > KEEP_BYTES)
		buf_clear(&t->texts);
	buf_reset(&t->texts);
}

void transaction_free(struct transaction *t)
{
	if (!t)
		return;
	transaction_clear(t);
	buf_clear(&t->texts);
	free(t->payload);
	free(t->rcpts);
	free(t);
}

static int copy_payload(struct transaction *t, struct span payload)
{
	size_t cap = (payload.n + 255) & ~(size_t)255;

	if (payload.n > t->payload_cap) {
		free(t->payload);
		t->payload_cap = 0;
		t->payload = malloc(cap);
		if (!t->payload)
			return -1;
		t->payload_cap = cap;
	}
	if (payload.n > 0)
		memcpy(t->payload, payload.p, payload.n);
	t->payload_bytes = payload.n;
	return 0;
}

static int make_rcpts(struct transaction *t)
{
	size_t n = t->job.nrecipients;

	if (n == 0 || n > RCPTS_PER_DELIVERY)
		return -1;
	if (n > t->rcpts_cap) {
		free(t->rcpts);
		t->rcpts = malloc(n * sizeof(*t->rcpts));
		t->rcpts_cap = t->rcpts ? n : 0;
		if (!t->rcpts)
			return -1;
	}
	memset(t->rcpts, 0, n * sizeof(*t->rcpts));
	t->nopen = (unsigned)n;
	t->ntaken = t->npassed = 0;
	return 0;
}

/* Content in the message or in a file, never both. */
static int find_body(struct transaction *t, struct message *message)
{
	struct stat st;

	if (!t->job.is_large) {
		t->body_bytes = t->job.content.n;
		return message->nfds == 0 ? 0 : -1;
	}
	if (message->nfds != 1 || t->job.content.n > 0 ||
	    fstat(message->fds[0], &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	t->body_fd = message->fds[0];
	message->fds[0] = -1;
	t->body_bytes = (uint64_t)st.st_size;
	return 0;
}

static bool is_ascii(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f)
			return false;
	return true;
}

/* Clients declare 8-bit text or forget to: what is at hand is looked at. */
static void settle_body(struct job *job)
{
	if (!job->is_large && job->body != BODY_BINARY)
		job->body = is_ascii(job->content) ? BODY_7BIT : BODY_8BIT;
}

static bool has_long_line(struct span text)
{
	while (text.n > LINE_OCTETS) {
		const char *lf = memchr(text.p, '\n', text.n);
		size_t n = lf ? (size_t)(lf - text.p) + 1 : text.n;

		if (n > LINE_OCTETS)
			return true;
		text = span_from(text, n);
	}
	return false;
}

int transaction_fill(struct transaction *t, struct message *message)
{
	struct reader r;

	t->number = message->id;
	t->began_ms = 0;
	t->losses = 0;
	if (copy_payload(t, message->payload) < 0)
		return -1;
	r = reader_of((struct span){ t->payload, t->payload_bytes });
	if (job_get(&r, &t->job) < 0 || r.rest.n > 0)
		return -1;
	settle_body(&t->job);
	t->has_long_line = has_long_line(t->job.content);
	if (find_body(t, message) < 0 || make_rcpts(t) < 0)
		return -1;
	transaction_restart(t);
	return 0;
}

void transaction_restart(struct transaction *t)
{
	for (size_t i = 0; i < t->job.nrecipients; i++)
		if (t->rcpts[i].stage != RCPT_DECIDED)
			t->rcpts[i].stage = RCPT_OPEN;
	t->nopen += t->ntaken;
	t->ntaken = t->npassed = 0;
	t->nawaited = 0;
	t->is_put = t->is_mail_refused = t->has_go_ahead = false;
	t->end = 0;
}

bool transaction_is_decided(const struct transaction *t)
{
	return t->nopen + t->ntaken == 0;
}

void transaction_take_rcpt(struct transaction *t, size_t i)
{
	if (t->rcpts[i].stage != RCPT_OPEN)
		return;
	t->rcpts[i].stage = RCPT_TAKEN;
	t->nopen--;
	t->ntaken++;
}

/* Where the text is kept; a text that finds no room is lost, not the rest. */
static void put_text(
    struct transaction *t, struct rcpt_state *to, struct span text)
{
	text.n = utf8_cut(text, REPLY_MAX);
	to->text_at = (uint32_t)t->texts.len;
	buf_put_raw(&t->texts, text);
	to->text_bytes = t->texts.overflow ? 0 : (uint16_t)text.n;
	t->texts.overflow = false;
}

static void decide(struct transaction *t, size_t i, const struct rcpt_state *as)
{
	struct rcpt_state *rcpt = &t->rcpts[i];

	if (rcpt->stage == RCPT_DECIDED)
		return;
	if (rcpt->stage == RCPT_TAKEN)
		t->ntaken--;
	else
		t->nopen--;
	if (rcpt->stage == RCPT_PASSED)
		t->npassed--;
	*rcpt = *as;
}

static struct rcpt_state state_of(struct transaction *t,
    enum rcpt_result result, uint16_t code, const char *status,
    struct span text)
{
	struct rcpt_state s = {
		.stage = RCPT_DECIDED, .result = (uint8_t)result, .code = code
	};

	snprintf(s.status, sizeof(s.status), "%s", status);
	put_text(t, &s, text);
	return s;
}

void transaction_decide_rcpt(struct transaction *t, size_t i,
    enum rcpt_result result, uint16_t code, const char *status,
    struct span text)
{
	struct rcpt_state s = state_of(t, result, code, status, text);

	decide(t, i, &s);
}

void transaction_decide_taken(struct transaction *t, enum rcpt_result result,
    uint16_t code, const char *status, struct span text)
{
	struct rcpt_state s = state_of(t, result, code, status, text);

	for (size_t i = 0; i < t->job.nrecipients; i++)
		if (t->rcpts[i].stage == RCPT_TAKEN)
			decide(t, i, &s);
}

void transaction_decide_all(struct transaction *t, enum rcpt_result result,
    uint16_t code, const char *status, struct span text)
{
	struct rcpt_state s = state_of(t, result, code, status, text);

	for (size_t i = 0; i < t->job.nrecipients; i++)
		decide(t, i, &s);
}

/* --- refusals --------------------------------------------------------------*/

static bool is_meant(const struct transaction *t, size_t i, int rcpt)
{
	return (rcpt == EVERY_RCPT || (size_t)rcpt == i) &&
	       t->rcpts[i].stage != RCPT_DECIDED;
}

void transaction_refuse(
    struct transaction *t, int rcpt, const struct refusal *r)
{
	struct rcpt_state s =
	    state_of(t, r->result, r->code, r->status, r->text);

	s.action = r->verdict.action;
	s.after_s = r->verdict.after_s;
	s.rule = r->verdict.rule;
	s.reply_stage = (uint8_t)r->stage;
	for (size_t i = 0; i < t->job.nrecipients; i++)
		if (is_meant(t, i, rcpt))
			decide(t, i, &s);
}

void transaction_pass(struct transaction *t, int rcpt)
{
	for (size_t i = 0; i < t->job.nrecipients; i++) {
		struct rcpt_state *s = &t->rcpts[i];

		if (!is_meant(t, i, rcpt) || s->stage == RCPT_PASSED)
			continue;
		if (s->stage == RCPT_TAKEN) {
			t->ntaken--;
			t->nopen++;
		}
		s->stage = RCPT_PASSED;
		t->npassed++;
	}
}

bool transaction_is_passed(const struct transaction *t)
{
	return t->npassed > 0 && t->npassed == t->nopen + t->ntaken;
}

void transaction_decide_uncertain(
    struct transaction *t, const struct outcome *why)
{
	struct rcpt_state s =
	    state_of(t, RCPT_UNCERTAIN, 0, why->status, span_of(why->detail));

	for (size_t i = 0; i < t->job.nrecipients; i++)
		if (t->rcpts[i].stage != RCPT_PASSED)
			decide(t, i, &s);
}

void transaction_domain(const struct transaction *t, struct buf *out)
{
	struct span address = t->job.recipients[0].address;
	struct address parsed;

	if (address_parse(address, &parsed, NULL) < 0 ||
	    address_domain_key(&parsed, out, NULL) < 0)
		buf_reset(out);
}

void transaction_decide_why(
    struct transaction *t, enum rcpt_result result, const struct outcome *why)
{
	transaction_decide_all(t, result, 0, why->status, span_of(why->detail));
}

void transaction_outcomes(
    const struct transaction *t, struct rcpt_outcome *to, size_t n)
{
	for (size_t i = 0; i < t->job.nrecipients && i < n; i++) {
		const struct rcpt_state *s = &t->rcpts[i];

		to[i] = (struct rcpt_outcome){
			.index = t->job.recipients[i].index,
			.result = s->result,
			.code = s->code,
			.action = s->action,
			.after_s = s->after_s,
			.rule = s->rule,
			.stage = s->reply_stage,
			.reply = { t->texts.data + s->text_at, s->text_bytes },
		};
		memcpy(to[i].status, s->status, sizeof(s->status));
	}
}
