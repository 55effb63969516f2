/* Replies of the SMTP session, in order: what follows a message that is not
 * answered yet is held back.
 */
#include "inject/session_parts.h"

#include "common/id.h"
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct answer smtp_no_queue = { 451, "4.3.0",
	"the mail queue is not available now, try again later" };
static const struct answer too_many_errors = { 421, "4.7.0",
	"too many errors" };

static struct pending *last_pending(struct smtp_session *s)
{
	return &s->pending[(s->first + s->npending - 1) % SESSION_PENDING_MAX];
}

void smtp_say_raw(struct smtp_session *s, struct span lines)
{
	if (lines.n < 2) { /* there was no memory for them */
		s->out.overflow = true;
		return;
	}
	if (s->hooks->said)
		s->hooks->said(
		    false, (struct span){ lines.p, lines.n - 2 }, s->arg);
	if (s->npending == 0) {
		buf_put_raw(&s->out, lines);
	} else {
		buf_put_raw(&s->held, lines);
		s->out.overflow |= s->held.overflow;
		last_pending(s)->held += lines.n;
	}
}

static size_t print_answer(char *line, size_t size, uint16_t code,
    const char *status, const char *text)
{
	int n = snprintf(line, size - 2, "%u %s%s%s", code,
	    status ? status : "", status ? " " : "", text);
	size_t length = (size_t)n < size - 2 ? (size_t)n : size - 3;

	line[length++] = '\r';
	line[length++] = '\n';
	return length;
}

void smtp_say(struct smtp_session *s, const struct answer *answer)
{
	char line[512];
	size_t n = print_answer(
	    line, sizeof(line), answer->code, answer->status, answer->text);

	smtp_say_raw(s, (struct span){ line, n });
}

void smtp_sayf(struct smtp_session *s, uint16_t code, const char *status,
    const char *format, ...)
{
	char text[480];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	smtp_say(s, &(struct answer){ code, status, text });
}

void smtp_cut(struct smtp_session *s, const struct answer *answer)
{
	smtp_say(s, answer);
	s->is_ending = true;
	s->must_reset = true;
	if (s->hooks->cut)
		s->hooks->cut(answer->text, s->arg);
}

void smtp_refuse(struct smtp_session *s, const struct answer *answer)
{
	smtp_say(s, answer);
	if (++s->nerrors >= SESSION_ERRORS_MAX)
		smtp_cut(s, &too_many_errors);
}

void smtp_refuse_order(struct smtp_session *s, const struct answer *answer)
{
	if (s->lacks_queue)
		smtp_say(s, &smtp_no_queue);
	else
		smtp_refuse(s, answer);
}

/* --- answers of the queue
 * -----------------------------------------------------*/

static uint16_t code_of(const struct outcome *why)
{
	if (why->verdict == VERDICT_TEMP)
		return strcmp(why->status, "4.3.1") == 0 ? 452 : 451;
	if (strncmp(why->status, "5.1.", 4) == 0 ||
	    strncmp(why->status, "5.7.", 4) == 0)
		return 550;
	return strcmp(why->status, "5.3.4") == 0 ? 552 : 554;
}

void smtp_say_outcome(struct smtp_session *s, const struct outcome *why)
{
	/* detail is one printable line, but may be UTF-8 of a client that
	 * did not ask for it */
	char text[sizeof(why->detail)];
	size_t n = 0;

	for (; n + 1 < sizeof(text) && why->detail[n]; n++)
		text[n] = (why->detail[n] & 0x80) ? '?' : why->detail[n];
	text[n] = '\0';
	smtp_say(s, &(struct answer){ code_of(why), why->status, text });
}

void smtp_wait_for(struct smtp_session *s, uint64_t number)
{
	s->npending++;
	*last_pending(s) = (struct pending){ .number = number };
}

static void say_accepted(struct smtp_session *s, uint64_t message)
{
	char id[ID_TEXT_BYTES];

	id_print(message, id);
	smtp_sayf(s, 250, "2.0.0", "OK queued as %s", id);
	s->nmessages++;
	s->nerrors = 0;
	s->nidle = 0;
}

/* Say what is known from the front on, with what was held back behind it. */
static void drain(struct smtp_session *s)
{
	while (s->npending > 0 && s->pending[s->first].is_done) {
		struct pending front = s->pending[s->first];
		unsigned left = s->npending - 1;

		/* as if nothing were pending: straight to the output */
		s->npending = 0;
		if (front.refusal)
			smtp_say_outcome(s, front.refusal);
		else
			say_accepted(s, front.message);
		free(front.refusal);
		s->pending[s->first] = (struct pending){ 0 };
		if (!s->held.overflow)
			buf_put(&s->out, s->held.data, front.held);
		buf_consume(&s->held, front.held);
		s->npending = left;
		s->first = (s->first + 1) % SESSION_PENDING_MAX;
	}
	if (s->npending > 0)
		return;
	s->is_at_barrier = false;
	if (s->held.cap > 1024)
		buf_clear(&s->held);
}

static struct pending *find(struct smtp_session *s, uint64_t number)
{
	for (unsigned i = 0; i < s->npending; i++) {
		struct pending *p =
		    &s->pending[(s->first + i) % SESSION_PENDING_MAX];

		if (p->number == number && !p->is_done)
			return p;
	}
	return NULL;
}

void smtp_accepted(
    struct smtp_session *s, uint64_t transaction, uint64_t message)
{
	struct pending *p = find(s, transaction);

	if (!p)
		return;
	p->message = message;
	p->is_done = true;
	drain(s);
}

static struct outcome *copy_of(const struct outcome *why)
{
	struct outcome *copy = malloc(sizeof(*copy));

	if (!copy)
		fatal(EXIT_TRY_LATER, "out of memory");
	*copy = *why;
	if (copy->verdict == VERDICT_OK)
		*copy = (struct outcome){ VERDICT_TEMP, "4.3.0",
			"the queue refused without a reason" };
	return copy;
}

void smtp_refused(
    struct smtp_session *s, uint64_t transaction, const struct outcome *why)
{
	struct pending *p = find(s, transaction);

	if (p) {
		p->refusal = copy_of(why);
		p->is_done = true;
		drain(s);
	} else if (s->t.number == transaction && transaction != 0) {
		s->t.number = 0;
		s->t.refusal = copy_of(why);
	}
}
