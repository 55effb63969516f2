/* The SMTP dialogue: one command and its reply at a time, QUIT. */
#include "remote/dialogue.h"

#include "common/log.h"
#include "remote/login.h"

#include <stdio.h>

enum { MINUTE_MS = 60000 };

/* RFC 5321 4.5.3.2: the minimums, which servers use. */
const struct dialogue_waits dialogue_waits = {
	.connect = 30000,
	.greeting = 5 * MINUTE_MS,
	.ehlo = 5 * MINUTE_MS,
	.tls = MINUTE_MS,
	.envelope = 5 * MINUTE_MS,
	.data = 2 * MINUTE_MS,
	.block = 3 * MINUTE_MS,
	.final = 10 * MINUTE_MS,
	.closing = 3000,
	.idle = MINUTE_MS,
	.lowest_rate = 500,
};

void dialogue_init(
    struct dialogue *d, const struct dialogue_waits *waits, SSL_CTX *tls)
{
	*d = (struct dialogue){ .waits = waits, .tls = tls };
	stream_init(&d->stream);
	reply_init(&d->reply);
}

void dialogue_clear(struct dialogue *d)
{
	dialogue_close(d);
	reply_clear(&d->reply);
}

void dialogue_log(
    const struct dialogue *d, enum talk_kind kind, struct span text)
{
	static const char *const events[] = { [TALK_COMMAND] = "smtp-command",
		[TALK_REPLY] = "smtp-reply",
		[TALK_TLS] = "smtp-tls" };

	if (d->talk)
		talk_note(d->talk, kind, text);
	if (!d->session->is_detailed)
		return;
	while (text.n > 0 &&
	       (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	log_detail(events[kind], "peer", d->address, "text",
	    log_text("%.*s", (int)(text.n < 1000 ? text.n : 1000),
		text.n ? text.p : ""),
	    NULL);
}

/* Challenges are no one's business; a reply might repeat the secret. */
static void log_reply(const struct dialogue *d, struct span text)
{
	if (d->shown && d->reply.code == 334)
		text = SPAN_LITERAL("334 ****");
	else if (login_is_in(&d->session->login, text))
		text = SPAN_LITERAL("**** (it repeats the secret)");
	dialogue_log(d, TALK_REPLY, text);
}

static int step_failed(
    const char *step, const struct outcome *cause, struct outcome *why)
{
	return outcome_temp(why, cause->status, "%s: %s", step, cause->detail);
}

/* Send what waits, read until one reply is complete. */
static int read_reply(
    struct dialogue *d, struct deadline deadline, struct outcome *why)
{
	struct stream *s = &d->stream;
	ptrdiff_t n;

	for (;;) {
		/* A server may have answered before it closed. */
		(void)stream_push(s, why);
		n = reply_parse(&d->reply, stream_input(s), why);
		if (n != 0)
			break;
		if (s->is_read_dead)
			return -1;
		if (stream_input(s).n >= STREAM_IN_MAX)
			return outcome_temp(why, "4.5.0", "reply too long");
		if (stream_wait(s, deadline) < 0)
			return outcome_temp(why, "4.4.2", "timed out");
		(void)stream_pull(s, why);
	}
	if (n < 0)
		return -1;
	log_reply(d, (struct span){ stream_input(s).p, (size_t)n });
	stream_take(s, (size_t)n);
	return 0;
}

int dialogue_ask(struct dialogue *d, const char *step, const char *command,
    uint32_t wait_ms, struct outcome *why)
{
	struct outcome cause = { 0 };

	if (stream_input(&d->stream).n > 0) {
		d->is_broken = true;
		return outcome_temp(
		    why, "4.5.0", "%s: reply before the command", step);
	}
	if (command) {
		dialogue_log(
		    d, TALK_COMMAND, span_of(d->shown ? d->shown : command));
		buf_puts(stream_out(&d->stream), command);
		buf_puts(stream_out(&d->stream), "\r\n");
	}
	if (read_reply(d, deadline_in_ms(wait_ms), &cause) < 0) {
		d->is_broken = true;
		return step_failed(step, &cause, why);
	}
	d->round_trips++;
	if (d->on_reply)
		d->on_reply(d->arg, step, &d->reply);
	if (d->reply.code == 421)
		d->is_closing = true;
	return 0;
}

int dialogue_refused(const struct dialogue *d, const char *step, bool may_fail,
    struct outcome *why)
{
	struct buf text;

	buf_init(&text, REPLY_MAX + 1);
	reply_print(&d->reply, &text);
	if (may_fail && d->reply.code >= 500)
		outcome_perm(
		    why, d->reply.status, "%s: %s", step, buf_text(&text));
	else
		outcome_temp(why,
		    d->reply.status[0] == '4' ? d->reply.status : "4.3.0",
		    "%s: %s", step, buf_text(&text));
	buf_clear(&text);
	return -1;
}

void dialogue_quit(struct dialogue *d)
{
	struct outcome why;

	if (d->is_open && !d->is_closing && !d->is_broken) {
		dialogue_log(d, TALK_COMMAND, SPAN_LITERAL("QUIT"));
		buf_puts(stream_out(&d->stream), "QUIT\r\n");
		(void)stream_push(&d->stream, &why);
	}
	dialogue_close(d);
}

void dialogue_close(struct dialogue *d)
{
	stream_close(&d->stream);
	d->is_open = false;
	d->is_closing = d->is_broken = false;
}
