/* A server's side of a whole connection: banner, EHLO, several messages. The
 * input is cut at bytes 0xff; each piece is sent when the client has sent
 * something since the last. Every job must come to exactly one end.
 */
#include "remote/pipeline.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JOBS = 4, PIECES_MAX = 200 };

struct server {
	int fd;
	struct span script;
};

static const struct dialogue_waits waits = { 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
	500 };

static void *serve(void *arg)
{
	struct server *s = arg;
	char scratch[16384];

	for (int i = 0; i < PIECES_MAX && s->script.n > 0; i++) {
		struct span piece = span_cut(&s->script, (char)0xff);

		if (piece.n > 0 &&
		    send(s->fd, piece.p, piece.n, MSG_NOSIGNAL) < 0)
			break;
		if (s->script.n == 0 ||
		    read(s->fd, scratch, sizeof(scratch)) <= 0)
			break;
	}
	close(s->fd);
	return NULL;
}

struct jobs {
	unsigned done, delivered;
};

static void on_done(struct transaction *t, void *arg)
{
	struct jobs *jobs = arg;

	if (!transaction_is_decided(t))
		abort();
	jobs->done++;
	for (size_t i = 0; i < t->job.nrecipients; i++) {
		struct span text = { t->texts.data + t->rcpts[i].text_at,
			t->rcpts[i].text_bytes };

		if (t->rcpts[i].stage != RCPT_DECIDED ||
		    t->rcpts[i].result > RCPT_UNCERTAIN ||
		    span_has_line_breaks(text))
			abort();
		if (t->rcpts[i].result == RCPT_DELIVERED &&
		    t->rcpts[i].code / 100 != 2)
			abort();
	}
	transaction_free(t);
}

static void put_jobs(struct backlog *waiting)
{
	static const char body[] = "Subject: x\r\n\r\n.hi\r\n";

	for (unsigned i = 0; i < JOBS; i++) {
		struct job_recipient rcpts[3] = {
			{ .address = SPAN_LITERAL("a@x.test") },
			{ .address = SPAN_LITERAL("b@x.test") },
			{ .address = SPAN_LITERAL("c@x.test") },
		};
		struct job job = { .sender = SPAN_LITERAL("s@x.test"),
			.content = SPAN_LITERAL(body),
			.recipients = rcpts,
			.nrecipients = 1 + i % 3 };
		struct transaction *t = transaction_new();
		struct message message = { .type = MSG_DELIVER };
		struct buf payload;

		buf_init(&payload, 65536);
		job_put_head(&payload, &job);
		buf_put_raw(&payload, job.content);
		message.payload = buf_span(&payload);
		if (!t || transaction_fill(t, &message) < 0)
			abort();
		buf_clear(&payload);
		backlog_put(waiting, t);
	}
}

static void talk(struct dialogue *d, struct pipeline *p)
{
	pipeline_start(p);
	while (pipeline_send(p) == 0 &&
	       (p->waiting->first || !pipeline_is_empty(p))) {
		if (stream_wait(&d->stream, deadline_in_ms(5)) < 0) {
			pipeline_timed_out(p);
			break;
		}
		if (pipeline_receive(p) < 0)
			break;
	}
	if (!pipeline_is_empty(p))
		(void)pipeline_break(p);
}

static void run(struct dialogue *d, int fd)
{
	struct jobs jobs = { 0 };
	struct backlog waiting;
	struct pipeline p;
	struct outcome why;
	struct transaction *t;

	backlog_init(&waiting);
	put_jobs(&waiting);
	pipeline_init(&p, d, &waiting, on_done, &jobs);
	stream_open(&d->stream, fd);
	d->is_open = true;
	if (dialogue_greet(d, false, &why) == 0)
		talk(d, &p);
	dialogue_quit(d);
	while ((t = backlog_take(&waiting)) != NULL) {
		jobs.done++;
		transaction_free(t);
	}
	if (jobs.done != JOBS || p.flight.count > 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct host host = { .name = { "mx.test", 7 } };
	struct session session = { .localname = SPAN_LITERAL("line.test") };
	struct dialogue d;
	struct server server;
	pthread_t thread;
	int fds[2];

	if (size < 1)
		return 0;
	server.script = (struct span){ (const char *)data + 1, size - 1 };
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
	    fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		return 0;
	server.fd = fds[1];
	if (pthread_create(&thread, NULL, serve, &server) != 0)
		abort();
	session.messages = data[0] & 2 ? 3 : 0;
	dialogue_init(&d, &waits, NULL);
	d.session = &session;
	d.host = &host;
	d.is_stepwise = data[0] & 1;
	run(&d, fds[0]);
	dialogue_clear(&d);
	pthread_join(thread, NULL);
	return 0;
}
