/* The server's side of an SMTP session: commands (RFC 5321 section 4.1). */
#include "inject/session_parts.h"

#include "common/date.h"

#include <stdlib.h>

static const struct answer greet_first = { 503, "5.5.1",
	"say EHLO or HELO first" };
static const struct answer unknown_command = { 500, "5.5.2",
	"no such command" };
static const struct answer too_long = { 500, "5.5.2", "the line is too long" };
static const struct answer no_line_end = { 500, "5.5.2",
	"a line ends with CRLF (RFC 5321 section 2.3.8)" };
static const struct answer not_here = { 502, "5.5.1", "not available here" };
static const struct answer tls_twice = { 503, "5.5.1",
	"TLS is active already" };
static const struct answer tls_late = { 503, "5.5.1",
	"STARTTLS comes after EHLO and before MAIL" };
static const struct answer no_login = { 503, "5.5.1",
	"login is not offered here" };
static const struct answer foreign = { 421, "4.7.0", "this is a mail server" };
static const struct answer too_idle = { 421, "4.7.0",
	"too many commands without a message" };
static const struct answer endless_line = { 421, "4.7.0",
	"the line does not end" };
static const struct answer done = { 250, "2.0.0", "ok" };

struct smtp_session *smtp_new(const struct smtp_settings *settings,
    const struct smtp_client *client, const struct smtp_hooks *hooks, void *arg)
{
	struct smtp_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->settings = settings;
	s->client = *client;
	s->hooks = hooks;
	s->arg = arg;
	buf_init(&s->out, SIZE_MAX / 2);
	buf_init(&s->held, SIZE_MAX / 2);
	buf_init(&s->t.text, TEXT_MAX);
	return s;
}

/* Give back what one transaction more than usual has taken. */
static void shrink(struct transaction *t)
{
	if (t->text.cap > 1024)
		buf_clear(&t->text);
	buf_reset(&t->text);
	if (t->room > 16) {
		free(t->rcpts);
		t->rcpts = NULL;
		t->room = 0;
	}
}

static void transaction_reset(struct smtp_session *s)
{
	struct transaction *t = &s->t;

	if (t->number)
		s->hooks->abort(t->number, s->arg);
	free(t->refusal);
	shrink(t);
	*t = (struct transaction){
		.text = t->text, .rcpts = t->rcpts, .room = t->room
	};
	s->must_reset = false;
}

/* After every step: the one place where a transaction ends, whatever the
 * reason was. */
static void settle(struct smtp_session *s)
{
	if (s->must_reset)
		transaction_reset(s);
}

void smtp_free(struct smtp_session *s)
{
	if (!s)
		return;
	s->must_reset = true;
	settle(s);
	for (unsigned i = 0; i < SESSION_PENDING_MAX; i++)
		free(s->pending[i].refusal);
	buf_clear(&s->t.text);
	free(s->t.rcpts);
	buf_clear(&s->out);
	buf_clear(&s->held);
	free(s->helo);
	free(s);
}

void smtp_greet(struct smtp_session *s)
{
	smtp_sayf(s, 220, NULL, "%s ESMTP Outpost", s->settings->localname);
}

/* --- commands
 * ---------------------------------------------------------------*/

/* Printable and without blanks: it goes into the trace header. */
static bool is_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f)
			return false;
	return name.n > 0 && name.n <= HELO_MAX;
}

static int take_name(struct smtp_session *s, const struct command *c)
{
	char *helo;

	if (!is_name(c->argument)) {
		smtp_refuse(s, &(struct answer){ 501, "5.5.2",
				   "a name without blanks is expected" });
		return -1;
	}
	helo = span_dup(c->argument);
	if (!helo) {
		s->out.overflow = true;
		return -1;
	}
	free(s->helo);
	s->helo = helo;
	s->must_reset = true;
	return 0;
}

static void on_helo(struct smtp_session *s, const struct command *c)
{
	if (take_name(s, c) < 0)
		return;
	s->is_esmtp = false;
	smtp_sayf(s, 250, NULL, "%s", s->settings->localname);
}

static void on_ehlo(struct smtp_session *s, const struct command *c)
{
	const struct smtp_settings *set = s->settings;
	char latest[DATE_RFC3339_BYTES];
	struct buf lines;

	if (take_name(s, c) < 0)
		return;
	s->is_esmtp = true;
	buf_init(&lines, 2048);
	buf_printf(&lines, "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n",
	    set->localname, (unsigned long long)set->message_size);
	if (set->has_starttls && !s->is_tls)
		buf_puts(&lines, "250-STARTTLS\r\n");
	if (s->is_tls)
		buf_puts(&lines, "250-REQUIRETLS\r\n");
	if (set->has_chunking)
		buf_puts(&lines, "250-CHUNKING\r\n");
	date_print_rfc3339(s->now_utc + HOLD_MAX_S, latest);
	buf_printf(&lines, "250-FUTURERELEASE %d %s\r\n250-DELIVERBY\r\n",
	    HOLD_MAX_S, latest);
	buf_puts(&lines,
	    "250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-MT-PRIORITY\r\n"
	    "250 ENHANCEDSTATUSCODES\r\n");
	if (lines.overflow)
		buf_reset(&lines); /* nothing: no memory */
	smtp_say_raw(s, buf_span(&lines));
	buf_clear(&lines);
}

static void on_mail(struct smtp_session *s, const struct command *c)
{
	if (s->helo)
		smtp_mail(s, c);
	else
		smtp_refuse(s, &greet_first);
}

static void on_data(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_data(s);
}

static void on_rset(struct smtp_session *s, const struct command *c)
{
	(void)c;
	s->must_reset = true;
	smtp_say(s, &done);
}

static void on_noop(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_say(s, &done);
}

static void on_quit(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_sayf(s, 221, "2.0.0", "%s closing", s->settings->localname);
	s->must_reset = true;
	s->is_ending = true;
}

static void on_vrfy(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_sayf(s, 252, "2.5.1",
	    "send the message and its recipient will be tried");
}

static void on_help(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_sayf(s, 214, "2.0.0",
	    "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS");
}

static void on_starttls(struct smtp_session *s, const struct command *c)
{
	(void)c;
	if (s->is_tls) {
		smtp_refuse(s, &tls_twice);
	} else if (!s->settings->has_starttls) {
		smtp_refuse(s, &not_here);
	} else if (!s->is_esmtp || s->t.has_sender) {
		smtp_refuse(s, &tls_late);
	} else {
		smtp_sayf(s, 220, "2.0.0", "begin TLS");
		s->phase = PHASE_TLS;
	}
}

static void on_auth(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_refuse(s, &no_login);
}

static void on_expn(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_refuse(s, &not_here);
}

static void on_foreign(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_cut(s, &foreign);
}

static void on_unknown(struct smtp_session *s, const struct command *c)
{
	(void)c;
	smtp_refuse(s, &unknown_command);
}

/* is_idle: moves no message; only so many of them. is_barrier: waits until all
 * messages are answered. */
static const struct {
	void (*run)(struct smtp_session *s, const struct command *c);
	bool is_idle, is_barrier;
} handlers[] = {
	[VERB_UNKNOWN] = { on_unknown, false, false },
	[VERB_EHLO] = { on_ehlo, true, false },
	[VERB_HELO] = { on_helo, true, false },
	[VERB_MAIL] = { on_mail, true, false },
	[VERB_RCPT] = { smtp_rcpt, false, false },
	[VERB_DATA] = { on_data, false, false },
	[VERB_BDAT] = { smtp_bdat, false, false },
	[VERB_RSET] = { on_rset, true, false },
	[VERB_NOOP] = { on_noop, true, false },
	[VERB_QUIT] = { on_quit, false, false },
	[VERB_VRFY] = { on_vrfy, true, false },
	[VERB_EXPN] = { on_expn, false, false },
	[VERB_HELP] = { on_help, true, false },
	[VERB_STARTTLS] = { on_starttls, false, true },
	[VERB_AUTH] = { on_auth, false, false },
	[VERB_FOREIGN] = { on_foreign, false, false },
};

static void note_command(
    struct smtp_session *s, enum verb verb, struct span line)
{
	if (!s->hooks->said)
		return;
	if (verb == VERB_AUTH) /* a secret may follow */
		line.n = 4;
	s->hooks->said(true, line, s->arg);
}

static void run_command(struct smtp_session *s, struct span line)
{
	struct command c;
	struct answer why;
	int status = command_parse(line, &c, &why);

	note_command(s, c.verb, line);
	if (handlers[c.verb].is_idle && ++s->nidle > SESSION_IDLE_COMMANDS_MAX)
		smtp_cut(s, &too_idle);
	else if (status == 0)
		handlers[c.verb].run(s, &c);
	else if (c.verb == VERB_BDAT)
		smtp_cut(s, &why); /* where the chunk ends is unknown */
	else
		smtp_refuse(s, &why);
}

/* --- bytes
 * -------------------------------------------------------------------*/

static size_t take_skipped(struct smtp_session *s, const char *in, size_t n)
{
	const char *lf = memchr(in, '\n', n);

	s->phase = PHASE_SKIP;
	if (!lf) {
		s->skipped += n;
		if (s->skipped > SESSION_SKIP_MAX)
			smtp_cut(s, &endless_line);
		return n;
	}
	s->skipped = 0;
	s->phase = PHASE_COMMAND;
	smtp_refuse(s, &too_long);
	return (size_t)(lf - in) + 1;
}

static size_t take_line(struct smtp_session *s, const char *in, size_t n)
{
	const char *lf =
	    memchr(in, '\n', n < COMMAND_LINE_MAX ? n : COMMAND_LINE_MAX);
	struct span line = { in, lf ? (size_t)(lf - in) : 0 };

	if (!lf)
		return n < COMMAND_LINE_MAX ? 0 : take_skipped(s, in, n);
	if (line.n == 0 || line.p[line.n - 1] != '\r') {
		smtp_refuse(s, &no_line_end);
		return line.n + 1;
	}
	line.n--;
	if (s->npending > 0 && handlers[command_verb(line)].is_barrier) {
		s->is_at_barrier = true;
		return 0;
	}
	run_command(s, line);
	return line.n + 2;
}

/* RFC 3207 section 4.2, and the injection that CVE-2011-0411 is about. */
static size_t take_after_starttls(struct smtp_session *s, size_t n)
{
	s->is_ending = true;
	if (s->hooks->cut)
		s->hooks->cut("sent text behind STARTTLS", s->arg);
	return n;
}

static size_t step(struct smtp_session *s, char *in, size_t n)
{
	switch (s->phase) {
	case PHASE_DATA:
		return smtp_take_data(s, in, n);
	case PHASE_CHUNK:
		return smtp_take_chunk(s, in, n);
	case PHASE_SKIP:
		return take_skipped(s, in, n);
	case PHASE_TLS:
		return take_after_starttls(s, n);
	default:
		return take_line(s, in, n);
	}
}

size_t smtp_input(struct smtp_session *s, char *data, size_t n, int64_t now_utc)
{
	size_t used = 0, taken = 1;

	s->now_utc = now_utc;
	while (used < n && taken > 0 && !smtp_is_blocked(s)) {
		taken = step(s, data + used, n - used);
		used += taken;
		settle(s);
	}
	return s->is_ending ? n : used;
}

bool smtp_is_blocked(const struct smtp_session *s)
{
	return s->is_ending || s->npending == SESSION_PENDING_MAX ||
	       s->out.len > SESSION_REPLIES_MAX ||
	       s->held.len > SESSION_REPLIES_MAX ||
	       (s->is_at_barrier && s->npending > 0);
}

struct buf *smtp_output(struct smtp_session *s)
{
	return &s->out;
}

/* --- state
 * -------------------------------------------------------------------*/

bool smtp_wants_tls(const struct smtp_session *s)
{
	return s->phase == PHASE_TLS && !s->is_ending;
}

void smtp_tls_started(struct smtp_session *s)
{
	s->phase = PHASE_COMMAND;
	s->is_tls = true;
	s->is_esmtp = false;
	free(s->helo);
	s->helo = NULL;
	s->must_reset = true;
	settle(s);
}

bool smtp_is_over(const struct smtp_session *s)
{
	return s->is_ending && s->npending == 0;
}

bool smtp_is_receiving(const struct smtp_session *s)
{
	return s->phase == PHASE_DATA || s->phase == PHASE_CHUNK;
}

bool smtp_is_idle(const struct smtp_session *s)
{
	return !s->t.has_sender && s->npending == 0 && !smtp_is_receiving(s);
}

uint64_t smtp_messages(const struct smtp_session *s)
{
	return s->nmessages;
}

void smtp_end(struct smtp_session *s, const char *status, const char *text)
{
	if (s->is_ending)
		return;
	smtp_sayf(s, 421, status, "%s %s", s->settings->localname, text);
	s->is_ending = true;
	s->must_reset = true;
	settle(s);
}
