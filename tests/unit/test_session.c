/* SMTP dialogues, both sides. A transcript is played twice: with each line as
 * one piece, and byte by byte.
 *
 *   > text      the client sends this and CRLF (C escapes: \r \n \0 \xHH)
 *   | text      the same without CRLF
 *   < text      the server's next line
 *   = text      what the session asks of the queue next
 *   ? text      the same, which may also not happen
 *   ! word      what happens around it: accept, refuse, lose (451), down, up,
 *               tls, over (the connection must be at its end), end
 */
#include "inject/session.h"

#include "common/date.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SENT_MAX = 64 };

struct play {
	const char *name;
	struct smtp_session *session;
	bool is_down, is_bytewise;
	uint64_t numbers, sent[SENT_MAX], ids;
	size_t from, to;
	struct buf events, data, unused;
};

/* --- the queue
 * ------------------------------------------------------------------*/

static bool has_queue(void *arg)
{
	return !((struct play *)arg)->is_down;
}

static void put_recipient(struct buf *out, const struct recipient *r)
{
	buf_printf(out, " <%.*s>", (int)r->address.n, r->address.p);
	if (r->notify)
		buf_printf(out, " notify %d", r->notify);
	if (r->orcpt.n)
		buf_printf(out, " orcpt %.*s", (int)r->orcpt.n, r->orcpt.p);
}

static uint64_t begin(const struct envelope *e, void *arg)
{
	struct play *p = arg;

	if (p->is_down)
		return 0;
	buf_printf(&p->events, "begin <%.*s>", (int)e->sender.n, e->sender.p);
	if (e->body)
		buf_printf(&p->events, " body %d", e->body);
	if (e->ret)
		buf_printf(&p->events, " ret %d", e->ret);
	if (e->envid.n)
		buf_printf(
		    &p->events, " envid %.*s", (int)e->envid.n, e->envid.p);
	if (e->priority)
		buf_printf(&p->events, " priority %d", e->priority);
	if (e->smtputf8)
		buf_puts(&p->events, " utf8");
	buf_puts(&p->events, " to");
	for (size_t i = 0; i < e->nrecipients; i++)
		put_recipient(&p->events, &e->recipients[i]);
	buf_putc(&p->events, '\n');
	return ++p->numbers;
}

static void data(uint64_t number, struct span bytes, void *arg)
{
	struct play *p = arg;

	assert_int_equal(number, p->numbers);
	assert_true(bytes.n > 0);
	buf_put_raw(&p->data, bytes);
}

static void end(uint64_t number, uint64_t total, void *arg)
{
	struct play *p = arg;

	assert_int_equal(number, p->numbers);
	assert_int_equal(total, p->data.len);
	buf_puts(&p->events, "end ");
	for (size_t i = 0; i < p->data.len; i++) {
		char c = p->data.data[i];

		if (c == '\r')
			buf_puts(&p->events, "\\r");
		else if (c == '\n')
			buf_puts(&p->events, "\\n");
		else
			buf_putc(&p->events, c);
	}
	buf_putc(&p->events, '\n');
	buf_reset(&p->data);
	assert_true(p->to < SENT_MAX);
	p->sent[p->to++] = number;
}

static void forget(uint64_t number, void *arg)
{
	struct play *p = arg;

	assert_int_equal(number, p->numbers);
	buf_reset(&p->data);
	buf_puts(&p->events, "abort\n");
}

static void cut(const char *why, void *arg)
{
	(void)why;
	(void)arg;
}

static const struct smtp_hooks hooks = { has_queue, begin, data, end, forget,
	NULL, cut };

/* --- the play
 * -------------------------------------------------------------------*/

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0'
					 : tolower((unsigned char)c) - 'a' + 10;
}

static void unescape(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '\\' && i + 1 < text.n) {
			c = text.p[++i];
			if (c == 'r')
				c = '\r';
			else if (c == 'n')
				c = '\n';
			else if (c == '0')
				c = '\0';
			else if (c == 'x' && i + 2 < text.n) {
				c = (char)(hex(text.p[i + 1]) * 16 +
					   hex(text.p[i + 2]));
				i += 2;
			}
		}
		buf_putc(out, c);
	}
}

/* What the session does not use now comes again, as from a daemon. */
static void give(struct play *p, struct span bytes)
{
	size_t used;

	buf_put_raw(&p->unused, bytes);
	if (p->unused.len == 0)
		return;
	used =
	    smtp_input(p->session, p->unused.data, p->unused.len, 1700000000);
	assert_true(used <= p->unused.len);
	buf_consume(&p->unused, used);
}

static void send_text(struct play *p, struct span text, bool has_crlf)
{
	struct buf bytes;

	buf_init(&bytes, 1 << 20);
	unescape(&bytes, text);
	if (has_crlf)
		buf_puts(&bytes, "\r\n");
	for (size_t i = 0; p->is_bytewise && i < bytes.len; i++)
		give(p, (struct span){ bytes.data + i, 1 });
	if (!p->is_bytewise)
		give(p, buf_span(&bytes));
	buf_clear(&bytes);
}

static void expect_line(struct play *p, struct span want)
{
	struct buf *out = smtp_output(p->session);
	ptrdiff_t lf = span_find(buf_span(out), '\n');
	struct span got = { out->data, lf > 0 ? (size_t)lf - 1 : 0 };

	if (lf < 0 || !span_is_equal(got, want))
		fail_msg("%s: got \"%.*s\", expected \"%.*s\"", p->name,
		    (int)got.n, got.p, (int)want.n, want.p);
	buf_consume(out, (size_t)lf + 1);
}

static void expect_event(struct play *p, struct span want, bool may_lack)
{
	ptrdiff_t lf = span_find(buf_span(&p->events), '\n');
	struct span got = { p->events.data, lf > 0 ? (size_t)lf : 0 };

	if (may_lack && !span_is_equal(got, want))
		return;
	if (lf < 0 || !span_is_equal(got, want))
		fail_msg("%s: event \"%.*s\", expected \"%.*s\"", p->name,
		    (int)got.n, got.p, (int)want.n, want.p);
	buf_consume(&p->events, (size_t)lf + 1);
}

static void answer(struct play *p, struct span word)
{
	uint64_t number;
	struct outcome why;

	assert_true(p->from < p->to);
	number = p->sent[p->from++];
	if (span_is_equal(word, SPAN_LITERAL("accept"))) {
		smtp_accepted(p->session, number, ++p->ids);
		return;
	}
	if (span_is_equal(word, SPAN_LITERAL("full")))
		outcome_temp(&why, "4.3.1", "disk full");
	else
		outcome_perm(&why, "5.7.1", "not wanted");
	smtp_refused(p->session, number, &why);
}

static void happen(struct play *p, struct span word)
{
	struct outcome why;

	if (span_is_equal(word, SPAN_LITERAL("down")))
		p->is_down = true;
	else if (span_is_equal(word, SPAN_LITERAL("up")))
		p->is_down = false;
	else if (span_is_equal(word, SPAN_LITERAL("tls"))) {
		assert_true(smtp_wants_tls(p->session));
		smtp_tls_started(p->session);
	} else if (span_is_equal(word, SPAN_LITERAL("over")))
		assert_true(smtp_is_over(p->session));
	else if (span_is_equal(word, SPAN_LITERAL("end")))
		smtp_end(p->session, "4.4.2", "timeout");
	else if (span_is_equal(word, SPAN_LITERAL("lose"))) {
		/* before the end of the message under way */
		outcome_temp(&why, "4.3.0", "gone");
		smtp_refused(p->session, p->numbers, &why);
	} else
		answer(p, word);
	give(p, (struct span){ NULL, 0 });
}

static void play_line(struct play *p, struct span line)
{
	struct span text = span_from(line, 2);

	switch (line.n ? line.p[0] : '#') {
	case '>':
		send_text(p, text, true);
		break;
	case '|':
		send_text(p, text, false);
		break;
	case '<':
		expect_line(p, text);
		break;
	case '=':
	case '?':
		expect_event(p, text, line.p[0] == '?');
		break;
	case '!':
		happen(p, text);
		break;
	}
}

static void play(const char *name, const char *transcript,
    const struct smtp_settings *settings, const struct smtp_client *client,
    bool is_bytewise)
{
	struct play p = { .name = name, .is_bytewise = is_bytewise };
	struct span rest = span_of(transcript);

	buf_init(&p.events, 1 << 20);
	buf_init(&p.data, 1 << 20);
	buf_init(&p.unused, 1 << 20);
	p.session = smtp_new(settings, client, &hooks, &p);
	smtp_greet(p.session);
	expect_line(&p, SPAN_LITERAL("220 mx.example ESMTP Outpost"));
	while (rest.n > 0)
		play_line(&p, span_cut(&rest, '\n'));
	if (smtp_output(p.session)->len > 0)
		fail_msg("%s: more came: %s", name,
		    buf_text(smtp_output(p.session)));
	if (p.events.len > 0)
		fail_msg("%s: more happened: %s", name, buf_text(&p.events));
	smtp_free(p.session);
	buf_clear(&p.events);
	buf_clear(&p.data);
	buf_clear(&p.unused);
}

static const struct smtp_settings plain = { .localname = "mx.example",
	.message_size = 200,
	.recipients = 3,
	.has_starttls = true,
	.has_chunking = true };
static const struct smtp_client friend = { "192.0.2.1", true, UINT32_MAX };
static const struct smtp_client stranger = { "198.51.100.9", false,
	UINT32_MAX };

#define HELLO "> HELO c\n< 250 mx.example\n"
#define MAIL_RCPT                                            \
	"> MAIL FROM:<a@x.example>\n< 250 2.1.0 sender ok\n" \
	"> RCPT TO:<b@y.example>\n< 250 2.1.5 recipient ok\n"
#define DATA_OK "> DATA\n< 354 send the text, end with a dot alone on a line\n"
#define BEGUN "= begin <a@x.example> to <b@y.example>\n"
#define UNAVAILABLE \
	"< 451 4.3.0 the mail queue is not available now, try again later\n"
#define IN_VAIN                                   \
	"> MAIL FROM:<a@x.example>\n" UNAVAILABLE \
	"> RCPT TO:<b@y.example>\n" UNAVAILABLE "> DATA\n" UNAVAILABLE
#define FOUR_IN_VAIN IN_VAIN IN_VAIN IN_VAIN IN_VAIN
#define NOT_READY "< 503 5.5.1 MAIL and RCPT come first\n"
#define STILL_IN_STEP "> NOOP\n< 250 2.0.0 ok\n"
#define BAD(what)                                           \
	"? begin <a@x.example> to <b@y.example>\n? abort\n" \
	"< 550 5.6.0 the text has " what                    \
	"; lines must end with CRLF (RFC 5321 section 2.3.8)\n"

static const struct {
	const char *name, *transcript;
} transcripts[] = {
	{ "one message",
	    "> EHLO client.example\n< 250-mx.example\n< 250-PIPELINING\n"
	    "< 250-SIZE 200\n< 250-STARTTLS\n< 250-CHUNKING\n"
	    "< 250-FUTURERELEASE 7776000 2024-02-12T22:13:20Z\n< "
	    "250-DELIVERBY\n"
	    "< 250-8BITMIME\n< 250-SMTPUTF8\n< 250-DSN\n< 250-MT-PRIORITY\n"
	    "< 250 ENHANCEDSTATUSCODES\n" MAIL_RCPT DATA_OK
	    "> Subject: x\n> \n> ..dot\n> .\n" BEGUN
	    "= end Subject: x\\r\\n\\r\\n.dot\\r\\n\n! accept\n"
	    "< 250 2.0.0 OK queued as 0000000000001\n"
	    "> QUIT\n< 221 2.0.0 mx.example closing\n! over\n" },
	{ "all parameters", HELLO
	    "> MAIL FROM:<> SIZE=20 BODY=8BITMIME RET=HDRS ENVID=q+2B1 "
	    "MT-PRIORITY=-4 SMTPUTF8\n< 250 2.1.0 sender ok\n"
	    "> RCPT TO:<b@y.example> NOTIFY=SUCCESS,DELAY "
	    "ORCPT=rfc822;B+40y\n< 250 2.1.5 recipient ok\n"
	    "> RCPT TO:<\\xc3\\xa4@y.example>\n< 250 2.1.5 recipient ok\n"
	    "> RCPT TO:<PostMaster>\n< 250 2.1.5 recipient ok\n" DATA_OK
	    "> .\n= begin <> body 1 ret 2 envid q+1 priority -4 utf8 to "
	    "<b@y.example> notify 10 orcpt rfc822;B@y "
	    "<\xc3\xa4@y.example> <PostMaster@mx.example>\n= end \n! accept\n"
	    "< 250 2.0.0 OK queued as 0000000000001\n" },
	{ "order of commands",
	    "> MAIL FROM:<a@b.example>\n< 503 5.5.1 say EHLO or HELO first\n"
	    "> DATA\n" NOT_READY "> RCPT TO:<a@b.example>\n"
	    "< 503 5.5.1 MAIL comes before RCPT\n" HELLO
	    "> MAIL FROM:<a@x.example>\n< 250 2.1.0 sender ok\n"
	    "> MAIL FROM:<a@x.example>\n"
	    "< 503 5.5.1 a sender was given already; RSET forgets it\n"
	    "> DATA\n" NOT_READY "> EHLO\n"
	    "< 501 5.5.4 the name of the client is expected\n"
	    "> RSET\n< 250 2.0.0 ok\n> RCPT TO:<a@b.example>\n"
	    "< 503 5.5.1 MAIL comes before RCPT\n" MAIL_RCPT
	    "> HELO again\n< 250 mx.example\n> DATA\n" NOT_READY },
	{ "other commands",
	    "> VRFY x\n"
	    "< 252 2.5.1 send the message and its recipient will be tried\n"
	    "> EXPN x\n< 502 5.5.1 not available here\n"
	    "> HELP\n< 214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT "
	    "VRFY STARTTLS\n> AUTH PLAIN AGEAYg==\n"
	    "< 503 5.5.1 login is not offered here\n"
	    "> WHAT\n< 500 5.5.2 no such command\n"
	    "> \n< 500 5.5.2 no such command\n" },
	{ "a browser", "> POST / HTTP/1.1\n"
		       "< 421 4.7.0 this is a mail server\n! over\n"
		       "> MAIL FROM:<a@x.example>\n" },
	{ "bare line ends in commands",
	    "| NOOP\\n\n< 500 5.5.2 a line ends with CRLF (RFC 5321 section "
	    "2.3.8)\n> NOOP a\\rb\n< 500 5.5.2 control characters in a "
	    "command, or no CRLF at its end\n> NOOP a\\0b\n< 500 5.5.2 "
	    "control characters in a command, or no CRLF at its end\n" },
	{ "names of clients",
	    "> EHLO a b\n< 501 5.5.2 a name without blanks is expected\n"
	    "> EHLO a\\x7fb\n< 501 5.5.2 a name without blanks is expected\n"
	    "> HELO [IPv6:::1]\n< 250 mx.example\n" },
	{ "addresses", HELLO
	    "> MAIL FROM:<a>\n< 553 5.1.7 address without \"@\"\n"
	    "> MAIL FROM:<a@x.example> SIZE=201\n"
	    "< 552 5.3.4 the message is larger than SIZE allows\n"
	    "> MAIL FROM:<a@x.example> SIZE=99999999999999999999\n"
	    "< 552 5.3.4 the message is larger than SIZE allows\n"
	    "> MAIL FROM:<\\xc3\\xa4@x.example>\n"
	    "< 553 5.6.7 an address beyond ASCII needs SMTPUTF8\n"
	    "> MAIL FROM:<a@x.example> REQUIRETLS\n"
	    "< 501 5.5.4 REQUIRETLS needs TLS: STARTTLS first\n"
	    "> MAIL FROM:<a@x.example> AUTH=<>\n"
	    "< 555 5.5.4 a parameter that is not supported here\n"
	    "> MAIL FROM:<a@x.example> ENVID=a+0D+0Ab\n"
	    "< 501 5.5.4 a parameter with a wrong value\n" MAIL_RCPT
	    "> RCPT TO:<>\n< 550 5.1.3 a recipient cannot be empty\n"
	    "> RCPT TO:<b>\n< 553 5.1.3 address without \"@\"\n"
	    "> RCPT TO:<\\xc3\\xa4@x.example>\n"
	    "< 553 5.6.7 an address beyond ASCII needs SMTPUTF8\n"
	    "> RCPT TO:<c@y.example> ORCPT=rfc822;a+0Ab\n"
	    "< 501 5.5.4 a parameter with a wrong value\n" DATA_OK "> .\n" BEGUN
	    "= end \n! accept\n< 250 2.0.0 OK queued as 0000000000001\n" },
	{ "recipients that other servers would take apart", HELLO
	    "> MAIL FROM:<a@x.example>\n< 250 2.1.0 sender ok\n"
	    "> RCPT TO:<a%b@y.example>\n< 250 2.1.5 recipient ok\n"
	    "> RCPT TO:<b!a@Y.Example>\n< 250 2.1.5 recipient ok\n"
	    "> RCPT TO:<\"a@b\"@y.example>\n< 250 2.1.5 recipient ok\n" DATA_OK
	    "> .\n= begin <a@x.example> to <a%b@y.example> "
	    "<b!a@Y.Example> <\"a@b\"@y.example>\n= end \n! accept\n"
	    "< 250 2.0.0 OK queued as 0000000000001\n" },
	{ "too many recipients", HELLO MAIL_RCPT
	    "> RCPT TO:<c@y.example>\n< 250 2.1.5 recipient ok\n"
	    "> RCPT TO:<d@y.example>\n< 250 2.1.5 recipient ok\n"
	    "> RCPT TO:<e@y.example>\n"
	    "< 452 4.5.3 too many recipients; send to these, then to the "
	    "others\n> RSET\n< 250 2.0.0 ok\n" },
	{ "pipelined in one piece",
	    HELLO "| MAIL FROM:<a@x.example>\\r\\nRCPT TO:<b@y.example>\\r\\n"
		  "DATA\\r\\nhi\\r\\n.\\r\\nQUIT\\r\\n\n"
		  "< 250 2.1.0 sender ok\n< 250 2.1.5 recipient ok\n"
		  "< 354 send the text, end with a dot alone on a line\n" BEGUN
		  "= end hi\\r\\n\n! accept\n"
		  "< 250 2.0.0 OK queued as 0000000000001\n"
		  "< 221 2.0.0 mx.example closing\n! over\n" },
	{ "no recipient, by a pipeline",
	    HELLO "> MAIL FROM:<a@x.example>\n< 250 2.1.0 sender ok\n"
		  "> RCPT TO:<>\n< 550 5.1.3 a recipient cannot be empty\n"
		  "> DATA\n< 554 5.5.1 no recipient was accepted\n"
		  "> .\n< 500 5.5.2 no such command\n" },
	{ "smuggling: LF.LF", HELLO MAIL_RCPT DATA_OK
	    "| a\\n.\\nMAIL FROM:<e@x.example>\\r\\n.\\r\\n\n" BAD("a bare LF")
		STILL_IN_STEP },
	{ "smuggling: LF.CRLF", HELLO MAIL_RCPT DATA_OK
	    "| a\\n.\\r\\nMAIL FROM:<e@x.example>\\r\\n.\\r\\n\n" BAD(
		"a bare LF") STILL_IN_STEP },
	{ "smuggling: CRLF.LF", HELLO MAIL_RCPT DATA_OK
	    "| \\r\\n.\\nMAIL FROM:<e@x.example>\\r\\n.\\r\\n\n" BAD(
		"a bare LF") STILL_IN_STEP },
	{ "smuggling: CR.CR", HELLO MAIL_RCPT DATA_OK
	    "| a\\r.\\rMAIL FROM:<e@x.example>\\r\\n.\\r\\n\n" BAD("a bare CR")
		STILL_IN_STEP },
	{ "smuggling: NUL", HELLO MAIL_RCPT DATA_OK
	    "| \\r\\n\\0.\\r\\nMAIL FROM:<e@x.example>\\r\\n.\\r\\n\n" BAD(
		"a NUL") STILL_IN_STEP },
	{ "too big", HELLO MAIL_RCPT DATA_OK
	    "> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	    "> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	    "> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	    "> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	    "> .\n" BEGUN "= abort\n"
	    "< 552 5.3.4 the message is larger than SIZE "
	    "allows\n" STILL_IN_STEP },
	{ "refused by the queue", HELLO MAIL_RCPT DATA_OK
	    "> .\n" BEGUN
	    "= end \n! full\n< 452 4.3.1 disk full\n" MAIL_RCPT DATA_OK
	    "> .\n" BEGUN "= end \n! perm\n< 550 5.7.1 not wanted\n" },
	{ "the queue goes away", HELLO MAIL_RCPT DATA_OK
	    "> a\n" BEGUN "! lose\n> b\n> .\n< 451 4.3.0 gone\n! down\n"
	    "> MAIL FROM:<a@x.example>\n< 451 4.3.0 the mail queue is not "
	    "available now, try again later\n! up\n" MAIL_RCPT "! down\n"
	    "> DATA\n< 451 4.3.0 the mail queue is not available now, try "
	    "again later\n! up\n" MAIL_RCPT DATA_OK "! down\n> a\n> .\n"
	    "< 451 4.3.0 the mail queue is not available now, try again "
	    "later\n" },
	{ "without a queue no error is the client's", HELLO
	    "! down\n" FOUR_IN_VAIN FOUR_IN_VAIN FOUR_IN_VAIN
	    "! up\n> RCPT TO:<b@y.example>\n" UNAVAILABLE MAIL_RCPT DATA_OK
	    "> .\n" BEGUN "= end \n! accept\n< 250 2.0.0 OK queued as "
	    "0000000000001\n" },
	{ "aborted by the end of the connection", HELLO MAIL_RCPT DATA_OK
	    "> a\n" BEGUN "! end\n= abort\n"
	    "< 421 4.4.2 mx.example timeout\n! over\n" },
	{ "BDAT", HELLO MAIL_RCPT
	    "| BDAT 6\\r\\nQUIT\\r\\n\n< 250 2.0.0 chunk taken\n"
	    "| BDAT 3 LAST\\r\\n.\\r\\n\n" BEGUN
	    "= end QUIT\\r\\n.\\r\\n\n! accept\n"
	    "< 250 2.0.0 OK queued as 0000000000001\n" },
	{ "BDAT, CRLF over two chunks", HELLO MAIL_RCPT
	    "| BDAT 2\\r\\na\\r\n< 250 2.0.0 chunk taken\n"
	    "| BDAT 1 LAST\\r\\n\\n\n" BEGUN "= end a\\r\\n\n! accept\n"
	    "< 250 2.0.0 OK queued as 0000000000001\n" },
	{ "BDAT, last line not ended", HELLO MAIL_RCPT
	    "| BDAT 1\\r\\na\n< 250 2.0.0 chunk taken\n> BDAT 0 LAST\n" BEGUN
	    "= end a\\r\\n\n! accept\n"
	    "< 250 2.0.0 OK queued as 0000000000001\n" },
	{ "BDAT with a bare CR at the end",
	    HELLO MAIL_RCPT "| BDAT 2 LAST\\r\\na\\r\n" BEGUN
			    "= abort\n" BAD("a bare CR") STILL_IN_STEP },
	{ "BDAT with a bare LF",
	    HELLO MAIL_RCPT "| BDAT 2\\r\\na\\n\n" BAD(
		"a bare LF") "| BDAT 1 LAST\\r\\nb\n" NOT_READY STILL_IN_STEP },
	{ "BDAT without a transaction",
	    "| BDAT 6\\r\\nQUIT\\r\\n\n" NOT_READY STILL_IN_STEP },
	{ "BDAT without recipients",
	    HELLO "> MAIL FROM:<a@x.example>\n< 250 2.1.0 sender ok\n"
		  "| BDAT 6\\r\\nQUIT\\r\\n\n" NOT_READY
		  "| BDAT 1 LAST\\r\\nx\n" NOT_READY STILL_IN_STEP },
	{ "BDAT then DATA", HELLO MAIL_RCPT
	    "| BDAT 3\\r\\na\\r\\n\n= begin <a@x.example> to <b@y.example>\n"
	    "< 250 2.0.0 chunk taken\n> DATA\n"
	    "< 503 5.5.1 BDAT was begun: DATA cannot follow\n"
	    "> RCPT TO:<c@y.example>\n< 503 5.5.1 MAIL comes before RCPT\n"
	    "> RSET\n< 250 2.0.0 ok\n= abort\n> BDAT 0 LAST\n" NOT_READY },
	{ "BDAT, refused by the queue between chunks", HELLO MAIL_RCPT
	    "| BDAT 3\\r\\na\\r\\n\n" BEGUN "< 250 2.0.0 chunk taken\n! lose\n"
	    "| BDAT 3\\r\\nb\\r\\n\n< 451 4.3.0 gone\n"
	    "| BDAT 3 LAST\\r\\nc\\r\\n\n" NOT_READY },
	{ "BDAT too big", HELLO MAIL_RCPT
	    "| BDAT 201\\r\\n\n| aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	    "| aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	    "| aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	    "| aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" BEGUN "= abort\n"
	    "< 552 5.3.4 the message is larger than SIZE "
	    "allows\n" STILL_IN_STEP },
	{ "BDAT 2^31", HELLO MAIL_RCPT
	    "> BDAT 2147483648\n"
	    "< 552 5.3.4 far larger than SIZE allows\n! over\n" },
	{ "BDAT 2^63", HELLO MAIL_RCPT
	    "> BDAT 9223372036854775808 LAST\n"
	    "< 501 5.5.4 BDAT takes a size and perhaps LAST\n! over\n" },
	{ "BDAT without size", HELLO MAIL_RCPT
	    "> BDAT\n"
	    "< 501 5.5.4 BDAT takes a size and perhaps LAST\n! over\n" },
	{ "BDAT LAST LAST", HELLO MAIL_RCPT
	    "> BDAT 1 LAST LAST\n"
	    "< 501 5.5.4 BDAT takes a size and perhaps LAST\n! over\n" },
	{ "STARTTLS",
	    "> STARTTLS\n"
	    "< 503 5.5.1 STARTTLS comes after EHLO and before MAIL\n" HELLO
	    "> STARTTLS\n"
	    "< 503 5.5.1 STARTTLS comes after EHLO and before MAIL\n" },
};

static void test_transcripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(transcripts) / sizeof(*transcripts);
	     i++) {
		for (int bytewise = 0; bytewise < 2; bytewise++)
			play(transcripts[i].name, transcripts[i].transcript,
			    &plain, &friend, bytewise);
	}
}

#define LATER \
	"< 250-FUTURERELEASE 7776000 2024-02-12T22:13:20Z\n< 250-DELIVERBY\n"
#define EHLO                                                             \
	"> EHLO c\n< 250-mx.example\n< 250-PIPELINING\n< 250-SIZE 200\n" \
	"< 250-STARTTLS\n< 250-CHUNKING\n" LATER                         \
	"< 250-8BITMIME\n< 250-SMTPUTF8\n"                               \
	"< 250-DSN\n< 250-MT-PRIORITY\n< 250 ENHANCEDSTATUSCODES\n"
#define EHLO_TLS                                                         \
	"> EHLO c\n< 250-mx.example\n< 250-PIPELINING\n< 250-SIZE 200\n" \
	"< 250-REQUIRETLS\n"                                             \
	"< 250-CHUNKING\n" LATER "< 250-8BITMIME\n< 250-SMTPUTF8\n"      \
	"< 250-DSN\n< 250-MT-PRIORITY\n< 250 ENHANCEDSTATUSCODES\n"
#define GO_TLS "> STARTTLS\n< 220 2.0.0 begin TLS\n"

static void test_starttls(void **state)
{
	(void)state;
	play("state is forgotten",
	    EHLO GO_TLS "! tls\n> MAIL FROM:<a@x.example>\n"
			"< 503 5.5.1 say EHLO or HELO first\n" EHLO_TLS
			"> STARTTLS\n< 503 5.5.1 TLS is active already\n",
	    &plain, &friend, false);
	play("after MAIL",
	    EHLO MAIL_RCPT
	    "> STARTTLS\n"
	    "< 503 5.5.1 STARTTLS comes after EHLO and before MAIL\n",
	    &plain, &friend, false);
	play("with an argument",
	    EHLO "> STARTTLS now\n"
		 "< 501 5.5.4 no argument is allowed here\n",
	    &plain, &friend, false);
	play("injected command",
	    EHLO "| STARTTLS\\r\\nMAIL FROM:<a@x.example>\\r\\n\n"
		 "< 220 2.0.0 begin TLS\n! over\n",
	    &plain, &friend, false);
}

static void test_stranger(void **state)
{
	(void)state;
	play("stranger",
	    HELLO "> MAIL FROM:<a@x.example>\n< 250 2.1.0 sender ok\n"
		  "> RCPT TO:<b@y.example>\n"
		  "< 550 5.7.1 relaying is not allowed from your address\n"
		  "> RCPT TO:<postmaster>\n"
		  "< 550 5.7.1 relaying is not allowed from your address\n"
		  "> DATA\n< 554 5.5.1 no recipient was accepted\n"
		  "| BDAT 3 LAST\\r\\na\\r\\n\n" NOT_READY,
	    &plain, &stranger, false);
}

static void test_pipelined_messages(void **state)
{
	(void)state;
	play("answers out of order are put in order",
	    HELLO
	    "| MAIL FROM:<a@x.example>\\r\\nRCPT TO:<b@y.example>\\r\\n"
	    "BDAT 3 LAST\\r\\na\\r\\nMAIL FROM:<c@x.example>\\r\\n"
	    "RCPT TO:<d@y.example>\\r\\nBDAT 3 LAST\\r\\nb\\r\\nRSET\\r\\n\n"
	    "< 250 2.1.0 sender ok\n< 250 2.1.5 recipient ok\n" BEGUN
	    "= end a\\r\\n\n= begin <c@x.example> to <d@y.example>\n"
	    "= end b\\r\\n\n! accept\n"
	    "< 250 2.0.0 OK queued as 0000000000001\n"
	    "< 250 2.1.0 sender ok\n< 250 2.1.5 recipient ok\n! full\n"
	    "< 452 4.3.1 disk full\n< 250 2.0.0 ok\n",
	    &plain, &friend, false);
	play("STARTTLS waits for the answers",
	    EHLO "| MAIL FROM:<a@x.example>\\r\\nRCPT TO:<b@y.example>\\r\\n"
		 "BDAT 3 LAST\\r\\na\\r\\nSTARTTLS\\r\\n\n"
		 "< 250 2.1.0 sender ok\n< 250 2.1.5 recipient ok\n" BEGUN
		 "= end a\\r\\n\n! accept\n"
		 "< 250 2.0.0 OK queued as 0000000000001\n"
		 "< 220 2.0.0 begin TLS\n! tls\n",
	    &plain, &friend, false);
}

/* --- bounds
 * -----------------------------------------------------------------------*/

struct flood {
	struct play p;
	size_t sent;
	char code[4]; /* of the last reply */
};

static void flood_begin(struct flood *f, const struct smtp_client *client)
{
	memset(f, 0, sizeof(*f));
	f->p.name = "flood";
	buf_init(&f->p.events, 1 << 26);
	buf_init(&f->p.data, 1 << 26);
	buf_init(&f->p.unused, 1 << 26);
	f->p.session = smtp_new(&plain, client, &hooks, &f->p);
}

static void flood_send(struct flood *f, const char *text)
{
	struct buf *out = smtp_output(f->p.session);

	give(&f->p, span_of(text));
	f->sent++;
	if (out->len > 3)
		memcpy(f->code, out->data, 3);
	assert_true(out->len < 4096);
	buf_reset(out);
}

static void flood_end(struct flood *f)
{
	smtp_free(f->p.session);
	buf_clear(&f->p.events);
	buf_clear(&f->p.data);
	buf_clear(&f->p.unused);
}

static void flood_until_over(const char *text, size_t least, size_t most)
{
	struct flood f;

	flood_begin(&f, &friend);
	flood_send(&f, "HELO c\r\n");
	f.sent = 0;
	while (!smtp_is_over(f.p.session) && f.sent <= most)
		flood_send(&f, text);
	if (f.sent < least || f.sent > most)
		fail_msg("%s: %zu", text, f.sent);
	flood_end(&f);
}

static void test_floods(void **state)
{
	char *line = malloc(65536);

	(void)state;
	flood_until_over("\r\n", SESSION_ERRORS_MAX, SESSION_ERRORS_MAX);
	flood_until_over("JUNK\r\n", SESSION_ERRORS_MAX, SESSION_ERRORS_MAX);
	flood_until_over("NOOP\r\n", SESSION_IDLE_COMMANDS_MAX - 1,
	    SESSION_IDLE_COMMANDS_MAX + 1);
	flood_until_over("RSET\r\n", SESSION_IDLE_COMMANDS_MAX - 1,
	    SESSION_IDLE_COMMANDS_MAX + 1);
	memset(line, 'a', 65535);
	line[65535] = '\0';
	flood_until_over(line, 2, SESSION_SKIP_MAX / 65535 + 2);
	free(line);
}

/* Each is one error, and nothing is kept of it. */
static void test_odd_recipients(void **state)
{
	static const char *const odd[] = { "", "@", "@y.example", "a@", "a@@b",
		"user@local@remote.example", "@a.example:b@y.example",
		"a@[1.2.3]", "a@[IPv6:fe80::1%eth0]", "a@[", "a b@y.example",
		"\"a@y.example", "a\"b\"@y.example", "a@y..example",
		"a@-y.example", "a@\xc3\xa4.example", "a..b@y.example",
		".a@y.example", "a@1.2.3.4", "a,b@y.example", "a;b@y.example",
		"a@\xff.example", "a\rb@y.example", "a\x01@y.example" };

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		struct flood f;
		char line[200];

		flood_begin(&f, &friend);
		flood_send(&f, "HELO c\r\n");
		flood_send(&f, "MAIL FROM:<a@x.example>\r\n");
		snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", odd[i]);
		flood_send(&f, line);
		if (f.code[0] != '5')
			fail_msg("%s: %s", odd[i], f.code);
		flood_send(&f, "DATA\r\n");
		assert_int_equal(f.code[0], '5');
		assert_int_equal(f.p.numbers, 0);
		flood_end(&f);
	}
}

/* 10^5 RCPTs: three are kept, memory does not grow, then it ends. */
static void test_many_recipients(void **state)
{
	struct flood f;

	(void)state;
	flood_begin(&f, &friend);
	flood_send(&f, "HELO c\r\n");
	flood_send(&f, "MAIL FROM:<a@x.example>\r\n");
	f.sent = 0;
	while (!smtp_is_over(f.p.session) && f.sent < 100000)
		flood_send(&f, "RCPT TO:<b@y.example>\r\n");
	assert_true(f.sent <= 3 + 31);
	flood_end(&f);
}

/* An EHLO of 64 kB is one error, not the end. */
static void test_long_line(void **state)
{
	struct flood f;
	char *line = malloc(65536 + 3);

	(void)state;
	memset(line, 'a', 65536);
	memcpy(line, "EHLO ", 5);
	strcpy(line + 65536, "\r\n");
	flood_begin(&f, &friend);
	flood_send(&f, line);
	assert_string_equal(f.code, "500");
	flood_send(&f, "HELO c\r\n");
	assert_string_equal(f.code, "250");
	flood_end(&f);
	free(line);
}

/* A client that does not read its replies is not read from. */
static void test_unread_replies(void **state)
{
	struct flood f;

	(void)state;
	flood_begin(&f, &friend);
	for (size_t i = 0; i < 900; i++)
		give(&f.p, SPAN_LITERAL("NOOP\r\n"));
	while (!smtp_is_blocked(f.p.session))
		give(&f.p, SPAN_LITERAL("HELP\r\n"));
	assert_true(smtp_output(f.p.session)->len < SESSION_REPLIES_MAX + 200);
	flood_end(&f);
}

/* More messages under way than are allowed: the session waits. */
static void test_pending_bound(void **state)
{
	struct flood f;

	(void)state;
	flood_begin(&f, &friend);
	flood_send(&f, "HELO c\r\n");
	for (int i = 0; i < 40; i++)
		give(&f.p, SPAN_LITERAL("MAIL FROM:<a@x.example>\r\n"
					"RCPT TO:<b@y.example>\r\n"
					"BDAT 3 LAST\r\na\r\n"));
	assert_true(smtp_is_blocked(f.p.session));
	assert_int_equal(f.p.to, SESSION_PENDING_MAX);
	while (f.p.from < f.p.to) {
		answer(&f.p, SPAN_LITERAL("accept"));
		give(&f.p, (struct span){ NULL, 0 });
	}
	assert_int_equal(smtp_messages(f.p.session), 40);
	assert_true(smtp_is_idle(f.p.session));
	flood_end(&f);
}

/* --- the trace header
 * ----------------------------------------------------------------*/

static char traced[2048];

static uint64_t note_trace(const struct envelope *e, void *arg)
{
	(void)arg;
	snprintf(traced, sizeof(traced), "%.*sID%.*s|%.*s",
	    (int)e->trace_head.n, e->trace_head.p, (int)e->trace_tail.n,
	    e->trace_tail.p, (int)e->client.n, e->client.p);
	return 1;
}

static void ignore_data(uint64_t number, struct span bytes, void *arg)
{
	(void)number;
	(void)bytes;
	(void)arg;
}

static void ignore_end(uint64_t number, uint64_t total, void *arg)
{
	(void)number;
	(void)total;
	(void)arg;
}

static void ignore_abort(uint64_t number, void *arg)
{
	(void)number;
	(void)arg;
}

static void test_trace(void **state)
{
	static const struct smtp_hooks trace_hooks = { has_queue, note_trace,
		ignore_data, ignore_end, ignore_abort, NULL, NULL };
	static const struct {
		const char *hello, *address, *parameter, *expected;
		bool is_tls;
	} cases[] = {
		{ "HELO c.example", "192.0.2.1", "",
		    "Received: from c.example ([192.0.2.1])\r\n"
		    "\tby mx.example with SMTP id ID;\r\n"
		    "\tTue, 14 Nov 2023 22:13:20 +0000|[192.0.2.1] c.example",
		    false },
		{ "EHLO (x);y\"", "2001:db8::1", "",
		    "Received: from ?x??y? ([IPv6:2001:db8::1])\r\n"
		    "\tby mx.example with ESMTPS id ID;\r\n"
		    "\tTue, 14 Nov 2023 22:13:20 +0000|"
		    "[2001:db8::1] (x);y\"",
		    true },
		{ "EHLO [192.0.2.1]", NULL, " SMTPUTF8",
		    "Received: from [192.0.2.1] (uid 1000)\r\n"
		    "\tby mx.example with UTF8SMTP id ID;\r\n"
		    "\tTue, 14 Nov 2023 22:13:20 +0000|"
		    "[local] [192.0.2.1]",
		    false },
	};

	(void)state;
	date_set_zone("UTC");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct flood f;
		const struct smtp_client client = { cases[i].address, true,
			1000 };
		char line[200];

		flood_begin(&f, &client);
		smtp_free(f.p.session);
		f.p.session = smtp_new(&plain, &client, &trace_hooks, &f.p);
		if (cases[i].is_tls)
			smtp_tls_started(f.p.session);
		snprintf(line, sizeof(line), "%s\r\n", cases[i].hello);
		flood_send(&f, line);
		snprintf(line, sizeof(line), "MAIL FROM:<a@x.example>%s\r\n",
		    cases[i].parameter);
		flood_send(&f, line);
		flood_send(&f, "RCPT TO:<b@y.example>\r\nDATA\r\n.\r\n");
		assert_string_equal(traced, cases[i].expected);
		flood_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transcripts),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_pipelined_messages),
		cmocka_unit_test(test_odd_recipients),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_unread_replies),
		cmocka_unit_test(test_pending_bound),
		cmocka_unit_test(test_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
