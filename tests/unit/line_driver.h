/* Plays both neighbours of a line: the runner over a socketpair, and a server
 * that follows a script over a loopback socket. For test_line*.c.
 *
 * A script is a list of texts, its first letter says what:
 *   A         accept the next connection
 *   S:text    send text and CRLF          T:text   send text alone
 *   C:text    expect this line (CRLF)     B:bytes  expect exactly these octets
 *   C?text    expect a line that begins so
 *   N:n       read n octets of anything   E        expect the end
 *   X         close                       R        close with a reset
 *   W:ms      wait                        L:reply  answer every line with it
 *   H         the TLS handshake as server
 *   F         the same, and the line breaks it off
 *   Z:n       n TLS records without content
 */
#ifndef TESTS_LINE_DRIVER_H
#define TESTS_LINE_DRIVER_H

#include "common/messages.h"
#include "common/net.h"
#include "common/wire.h"
#include "remote/line.h"
#include "remote/tls_client.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

enum { LIMIT_S = 20 };

/* --- the server ----------------------------------------------------------- */

struct server {
	int listener, fd;
	SSL *ssl;
	char in[65536];
	size_t n;
};

static void die(const char *what, const char *text)
{
	fprintf(stderr, "script: %s: %s\n", what, text);
	_exit(1);
}

static size_t server_fill(struct server *s)
{
	ssize_t n;

	if (s->n == sizeof(s->in))
		die("too much", "");
	n = s->ssl ? SSL_read(s->ssl, s->in + s->n, (int)(sizeof(s->in) - s->n))
		   : read(s->fd, s->in + s->n, sizeof(s->in) - s->n);
	if (n <= 0)
		return 0;
	s->n += (size_t)n;
	return (size_t)n;
}

static inline void server_drop(struct server *s, size_t n)
{
	memmove(s->in, s->in + n, s->n - n);
	s->n -= n;
}

/* A line without CRLF into text; false at the end of the connection. */
static bool server_line(struct server *s, char *text, size_t size)
{
	char *end;

	while (!(end = memmem(s->in, s->n, "\r\n", 2)))
		if (server_fill(s) == 0)
			return false;
	snprintf(text, size, "%.*s", (int)(end - s->in), s->in);
	server_drop(s, (size_t)(end - s->in) + 2);
	return true;
}

static inline void server_expect(
    struct server *s, const char *line, bool is_prefix)
{
	char text[4096];

	if (!server_line(s, text, sizeof(text)))
		die("end instead of", line);
	if (is_prefix ? strncmp(text, line, strlen(line)) != 0
		      : strcmp(text, line) != 0) {
		fprintf(stderr, "script: got      \"%s\"\n", text);
		die("expected", line);
	}
}

static inline void server_expect_bytes(struct server *s, const char *bytes)
{
	size_t n = strlen(bytes);

	while (s->n < n)
		if (server_fill(s) == 0)
			die("end instead of octets", bytes);
	if (memcmp(s->in, bytes, n) != 0) {
		fprintf(stderr, "script: got \"%.*s\"\n", (int)n, s->in);
		die("expected octets", bytes);
	}
	server_drop(s, n);
}

static inline void server_skip(struct server *s, size_t n)
{
	while (n > 0) {
		size_t some;

		if (s->n == 0 && server_fill(s) == 0)
			die("end instead of octets", "");
		some = s->n < n ? s->n : n;
		server_drop(s, some);
		n -= some;
	}
}

static inline void server_send(struct server *s, const char *text)
{
	size_t n = strlen(text);

	if (n == 0)
		return;
	if (s->ssl ? SSL_write(s->ssl, text, (int)n) <= 0
		   : send(s->fd, text, n, MSG_NOSIGNAL) < 0)
		fprintf(stderr, "script: send: %s\n", strerror(errno));
}

static inline void server_close(struct server *s, bool is_reset)
{
	struct linger now = { 1, 0 };

	if (is_reset)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(s->fd);
	s->fd = -1;
	s->n = 0;
}

static inline void server_answer_all(struct server *s, const char *reply)
{
	char text[4096];

	while (server_line(s, text, sizeof(text))) {
		server_send(s, reply);
		server_send(s, "\r\n");
	}
	server_close(s, false);
}

/* What H is done with; NULL: a self-signed certificate without a name. */
static SSL_CTX *(*drive_context)(void);

static inline SSL_CTX *server_context(void)
{
	SSL_CTX *context;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	if (drive_context)
		return drive_context();
	context = SSL_CTX_new(TLS_server_method());
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	SSL_CTX_use_certificate(context, cert);
	SSL_CTX_use_PrivateKey(context, key);
	return context;
}

static inline void server_handshake(struct server *s, bool is_good)
{
	s->ssl = SSL_new(server_context());
	SSL_set_fd(s->ssl, s->fd);
	if ((SSL_accept(s->ssl) == 1) != is_good)
		die(is_good ? "handshake failed" : "handshake succeeded", "");
}

static inline void server_send_empty(struct server *s, unsigned long n)
{
	for (; n > 0; n--)
		if (send(s->fd, "\x16\x03\x03\0\0", 5, MSG_NOSIGNAL) < 0)
			break;
}

static inline void server_step(struct server *s, const char *step)
{
	const char *text = step[0] && step[1] ? step + 2 : "";
	char line[4096];

	switch (step[0]) {
	case 'A':
		if (s->fd >= 0)
			close(s->fd);
		s->fd = accept(s->listener, NULL, NULL);
		s->n = 0;
		s->ssl = NULL;
		break;
	case 'S':
		snprintf(line, sizeof(line), "%s\r\n", text);
		server_send(s, line);
		break;
	case 'T':
		server_send(s, text);
		break;
	case 'C':
		server_expect(s, text, step[1] == '?');
		break;
	case 'B':
		server_expect_bytes(s, text);
		break;
	case 'N':
		server_skip(s, strtoul(text, NULL, 10));
		break;
	case 'E':
		if (s->n > 0 || server_fill(s) > 0) {
			s->in[s->n < 100 ? s->n : 100] = '\0';
			die("expected the end, got", s->in);
		}
		break;
	case 'L':
		server_answer_all(s, text);
		break;
	case 'H':
	case 'F':
		server_handshake(s, step[0] == 'H');
		break;
	case 'Z':
		server_send_empty(s, strtoul(text, NULL, 10));
		break;
	case 'W':
		usleep((useconds_t)strtoul(text, NULL, 10) * 1000);
		break;
	default:
		server_close(s, step[0] == 'R');
	}
}

static inline void server_run(int listener, const char *const *script)
{
	static struct server s;

	s.listener = listener;
	s.fd = -1;
	alarm(LIMIT_S);
	signal(SIGPIPE, SIG_IGN);
	for (; *script; script++)
		server_step(&s, *script);
	_exit(0);
}

/* --- the runner ------------------------------------------------------------*/

struct drive {
	struct wire *wire;
	pid_t server, line;
	uint16_t port;
	struct result result; /* the last, with what its spans point into */
	struct session_report report;
	char *text;
	uint64_t number; /* of the last result */
	unsigned states;
	unsigned ntried; /* connections */
	struct host_tried tried[16];
	char *tried_text[16];
	char ticket[TICKET_MAX]; /* the last */
	size_t ticket_bytes;
	unsigned ntickets;
	struct transcript transcript; /* the last */
	char *transcript_text;
	unsigned ntranscripts;
};

static const struct wire_rule runner_rules[] = {
	{ MSG_RESULT, WIRE_FRAME_MAX, NULL },
	{ MSG_SESSION_DONE, WIRE_FRAME_MAX, NULL },
	{ MSG_LINE_STATE, 1000, NULL },
	{ MSG_HOST_TRIED, 8192, NULL },
	{ MSG_TICKET, TICKET_MAX + 1024, NULL },
	{ MSG_TRANSCRIPT, TRANSCRIPT_MAX + 4096, NULL },
	{ 0 },
};

static const struct dialogue_waits quick_waits = {
	.connect = 2000,
	.greeting = 400,
	.ehlo = 400,
	.tls = 1000,
	.envelope = 400,
	.data = 400,
	.block = 400,
	.final = 600,
	.closing = 200,
	.idle = 5000,
	.lowest_rate = 500,
};

static int drive_listen(uint16_t *port)
{
	union net_address a;
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(net_parse(SPAN_LITERAL("127.0.0.1:0"), 0, &a), 0);
	assert_int_equal(bind(fd, &a.sa, net_size(&a)), 0);
	assert_int_equal(listen(fd, 10), 0);
	assert_int_equal(getsockname(fd, &a.sa, &size), 0);
	*port = ntohs(a.in.sin_port);
	return fd;
}

static inline void drive_serve(struct drive *d, const char *const *script)
{
	int listener;

	memset(d, 0, sizeof(*d));
	listener = drive_listen(&d->port);
	d->server = fork();
	if (d->server == 0)
		server_run(listener, script);
	close(listener);
}

/* What lines verify with; before the first of them. */
static const struct castore *drive_store;
static SSL_CTX *drive_tls;
/* What lines make of replies. */
static const struct replyrules *drive_rules;

/* Speak to the line at fd. */
static inline void drive_attach(struct drive *d, int fd)
{
	d->wire = wire_new(NULL, fd, "line", runner_rules, NULL, NULL);
	assert_non_null(d->wire);
}

static inline void drive_line(struct drive *d)
{
	int fds[2];

	if (!drive_tls)
		drive_tls = tls_client_new(drive_store);
	assert_int_equal(wire_pair(fds), 0);
	d->line = fork();
	if (d->line == 0) {
		struct line_options options = { "test/1", drive_tls,
			&quick_waits, drive_rules };

		close(fds[0]);
		alarm(LIMIT_S);
		_exit(line_run(fds[1], &options));
	}
	close(fds[1]);
	drive_attach(d, fds[0]);
}

static inline void drive_start(struct drive *d, const char *const *script)
{
	drive_serve(d, script);
	drive_line(d);
}

static struct host_policy drive_policy; /* of all hosts */
static struct span drive_ticket;
static const char *drive_name; /* NULL: mx.test, mx2.test */

static struct host drive_host(const struct drive *d, const char *name)
{
	return (struct host){ .name = span_of(drive_name ? drive_name : name),
		.port = d->port,
		.policy = drive_policy,
		.ticket = drive_ticket,
		.naddresses = 1,
		.addresses = { { "\x7f\0\0\1", 4 } } };
}

/* hosts: all are the script's server, one connection after the other. */
static inline void drive_session_with(
    struct drive *d, struct session *session, unsigned nhosts)
{
	struct host hosts[4];
	struct buf payload;

	for (unsigned i = 0; i < nhosts; i++)
		hosts[i] = drive_host(d, i == 0 ? "mx.test" : "mx2.test");
	session->hosts = hosts;
	session->nhosts = nhosts;
	session->destination = SPAN_LITERAL("example.test");
	session->localname = SPAN_LITERAL("line.test");
	buf_init(&payload, WIRE_FRAME_MAX);
	session_put(&payload, session);
	wire_send(d->wire, MSG_SESSION, 77, buf_span(&payload));
	buf_clear(&payload);
	session->hosts = NULL;
}

static inline void drive_session(struct drive *d, unsigned nhosts)
{
	struct session session = { .tls = TLS_MAY };

	drive_session_with(d, &session, nhosts);
}

/* rcpts: separated by blanks. */
static inline void drive_job(
    struct drive *d, uint64_t number, struct job *job, const char *rcpts)
{
	struct job_recipient list[RCPTS_PER_DELIVERY];
	struct span rest = span_of(rcpts);
	struct buf head;

	for (size_t i = 0; rest.n > 0; i++) {
		list[i] = (struct job_recipient){ .index = (uint16_t)(i + 5),
			.address = span_cut(&rest, ' ') };
		if (rcpts[0] == '+') {
			list[i].address = span_from(list[i].address, 1);
			list[i].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
			list[i].orcpt = SPAN_LITERAL("rfc822;a+b@x.test");
		}
		job->nrecipients = i + 1;
	}
	job->recipients = list;
	job->message = number;
	job->size_bytes = job->content.n;
	buf_init(&head, WIRE_FRAME_MAX);
	job_put_head(&head, job);
	wire_send_two(
	    d->wire, MSG_DELIVER, number, buf_span(&head), job->content);
	buf_clear(&head);
	job->recipients = NULL;
}

static inline void drive_deliver(
    struct drive *d, uint64_t number, const char *rcpts, const char *content)
{
	struct job job = { .sender = SPAN_LITERAL("from@x.test"),
		.content = span_of(content) };

	drive_job(d, number, &job, rcpts);
}

static inline void drive_flush(struct drive *d)
{
	assert_int_equal(wire_flush(d->wire, deadline_in_ms(5000)), 0);
}

static inline void drive_end(struct drive *d)
{
	wire_send(d->wire, MSG_SESSION_END, 77, (struct span){ 0 });
	drive_flush(d);
}

static inline void drive_on_tried(struct drive *d, struct span payload)
{
	unsigned i = d->ntried++ % 16;
	struct reader r;

	free(d->tried_text[i]);
	d->tried_text[i] = malloc(payload.n + 1);
	memcpy(d->tried_text[i], payload.p, payload.n);
	r = reader_of((struct span){ d->tried_text[i], payload.n });
	host_tried_get(&r, &d->tried[i]);
	assert_true(reader_is_done(&r));
}

static inline void drive_on_ticket(struct drive *d, struct span payload)
{
	struct reader r = reader_of(payload);
	struct ticket ticket;

	ticket_get(&r, &ticket);
	assert_true(reader_is_done(&r));
	memcpy(d->ticket, ticket.data.p ? ticket.data.p : "", ticket.data.n);
	d->ticket_bytes = ticket.data.n;
	d->ntickets++;
}

static inline void drive_on_transcript(struct drive *d, struct span payload)
{
	struct reader r;

	free(d->transcript_text);
	d->transcript_text = span_dup(payload);
	r = reader_of((struct span){ d->transcript_text, payload.n });
	transcript_get(&r, &d->transcript);
	assert_true(reader_is_done(&r));
	d->ntranscripts++;
}

/* What goes with a session is noted. */
static inline bool drive_note(struct drive *d, const struct message *message)
{
	if (message->type == MSG_LINE_STATE)
		d->states++;
	else if (message->type == MSG_HOST_TRIED)
		drive_on_tried(d, message->payload);
	else if (message->type == MSG_TICKET)
		drive_on_ticket(d, message->payload);
	else if (message->type == MSG_TRANSCRIPT)
		drive_on_transcript(d, message->payload);
	else
		return false;
	return true;
}

/* The next result or end of a session. */
static uint16_t drive_receive(struct drive *d)
{
	struct message message;
	struct reader r;

	do
		assert_int_equal(wire_receive(d->wire, &message,
				     deadline_in_ms(LIMIT_S * 1000)),
		    1);
	while (drive_note(d, &message));
	result_free(&d->result);
	free(d->text);
	d->text = span_dup(message.payload);
	d->number = message.id;
	r = reader_of((struct span){ d->text, message.payload.n });
	if (message.type == MSG_RESULT) {
		assert_int_equal(result_get(&r, &d->result), 0);
	} else {
		memset(&d->report, 0, sizeof(d->report));
		session_report_get(&r, &d->report);
		assert_int_equal(message.id, 77);
	}
	assert_true(reader_is_done(&r));
	return message.type;
}

/* The next result is for this job, its recipients got these: D delivered,
 * F failed, T deferred, U uncertain, - untouched. */
static inline void drive_expect(
    struct drive *d, uint64_t number, const char *outcomes)
{
	char got[RCPTS_PER_DELIVERY + 1] = { 0 };

	assert_int_equal(drive_receive(d), MSG_RESULT);
	assert_int_equal(d->number, number);
	for (size_t i = 0; i < d->result.nrecipients; i++) {
		assert_int_equal(d->result.recipients[i].index, i + 5);
		got[i] = "-DTFU"[d->result.recipients[i].result];
	}
	assert_string_equal(got, outcomes);
}

static inline void drive_expect_reply(
    struct drive *d, size_t i, const char *text)
{
	struct span reply = d->result.recipients[i].reply;
	char copy[REPLY_MAX + 1];

	snprintf(copy, sizeof(copy), "%.*s", (int)reply.n, reply.p);
	if (!strstr(copy, text)) {
		fprintf(stderr, "reply: %s\nwanted: %s\n", copy, text);
		fail();
	}
}

static inline void drive_expect_done(struct drive *d)
{
	assert_int_equal(drive_receive(d), MSG_SESSION_DONE);
}

static inline void drive_finish(struct drive *d)
{
	int status;

	wire_free(d->wire);
	if (d->line > 0) {
		waitpid(d->line, &status, 0);
		assert_int_equal(status, 0);
	}
	waitpid(d->server, &status, 0);
	assert_int_equal(status, 0);
	for (int i = 0; i < 16; i++)
		free(d->tried_text[i]);
	result_free(&d->result);
	free(d->transcript_text);
	free(d->text);
}

#endif
