/* An SMTP receiver for benchmarks, tests and the demo: accepts everything (or
 * refuses as told), counts, and keeps the messages only when asked to.
 *
 * --delay models the distance: what one read brings is answered that much
 * later, while reading goes on.
 */
#include "common/buf.h"
#include "common/deadline.h"
#include "common/loop.h"
#include "tests/bench/sink_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 65536, BATCHES = 64, REJECTS = 16, LINE_LIMIT = 65536 };
enum { MESSAGE_LIMIT = 256 << 20, REPLIES_LIMIT = 1 << 20 };

struct options {
	const char *address, *store, *tls;
	unsigned port, delay_ms, close_after;
	bool has_chunking, has_pipelining, may_resume;
	double drop;
	struct {
		const char *text, *reply;
	} rejects[REJECTS];
	size_t nrejects;
};

struct counts {
	uint64_t connections, open, messages, recipients, refused, bytes;
	uint64_t reads, writes, round_trips, commands, dropped, early;
	uint64_t tls, resumed;
};

struct sink {
	struct loop *loop;
	struct options options;
	struct counts counts;
	SSL_CTX *tls;
	int listener;
	char input[READ_BYTES];
};

enum state { STATE_COMMAND, STATE_DATA, STATE_CHUNK, STATE_GONE };

struct batch {
	uint64_t at_ms;
	size_t bytes;
};

struct peer {
	struct sink *sink;
	int fd;
	SSL *ssl;
	bool wants_tls, is_counted; /* STARTTLS was answered; its handshake */
	enum state state;
	bool has_mail, is_last_chunk, is_data_start, is_quitting;
	unsigned nrcpts, nmessages;
	uint64_t chunk_left;
	struct buf in, out, message, envelope;
	size_t ready; /* bytes of out that may be written now */
	struct batch batches[BATCHES];
	unsigned first, nbatches;
	struct timer timer;
};

static void on_ready(int fd, uint32_t events, void *arg);

static void peer_free(struct peer *p)
{
	loop_timer_cancel(p->sink->loop, &p->timer);
	loop_remove(p->sink->loop, p->fd);
	if (p->ssl && p->is_quitting)
		SSL_shutdown(p->ssl);
	SSL_free(p->ssl);
	close(p->fd);
	p->sink->counts.open--;
	buf_clear(&p->in);
	buf_clear(&p->out);
	buf_clear(&p->message);
	buf_clear(&p->envelope);
	free(p);
}

/* --- what is received
 * -------------------------------------------------------*/

static void put_unstuffed(FILE *file, struct span text)
{
	bool is_line_start = true;

	while (text.n > 0) {
		ptrdiff_t lf = span_find(text, '\n');
		size_t n = lf < 0 ? text.n : (size_t)lf + 1;
		size_t skip = is_line_start && text.p[0] == '.';

		fwrite(text.p + skip, 1, n - skip, file);
		is_line_start = lf >= 0;
		text = span_from(text, n);
	}
}

/* NNNNNN.json with the commands of the envelope, then NNNNNN.eml. */
static void store(struct peer *p, bool is_stuffed)
{
	const struct options *o = &p->sink->options;
	unsigned long long number = p->sink->counts.messages;
	char path[4096], temporary[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%06llu.json", o->store, number);
	file = fopen(path, "w");
	if (file) {
		fprintf(
		    file, "[%.*s]\n", (int)p->envelope.len, p->envelope.data);
		fclose(file);
	}
	snprintf(path, sizeof(path), "%s/%06llu.eml", o->store, number);
	snprintf(
	    temporary, sizeof(temporary), "%s/%06llu.tmp", o->store, number);
	file = fopen(temporary, "w");
	if (!file)
		return;
	if (is_stuffed)
		put_unstuffed(file, buf_span(&p->message));
	else
		fwrite(p->message.data, 1, p->message.len, file);
	fclose(file);
	rename(temporary, path);
}

/* A command of the envelope as a JSON string; other bytes than ASCII as they
 * are. */
static void note_envelope(struct peer *p, struct span line)
{
	if (!p->sink->options.store)
		return;
	buf_puts(&p->envelope, p->envelope.len ? ", \"" : "\"");
	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if (c < 0x20 || c == '"' || c == '\\')
			buf_printf(&p->envelope, "\\u%04x", c);
		else
			buf_putc(&p->envelope, (char)c);
	}
	buf_putc(&p->envelope, '"');
}

static void keep(struct peer *p, struct span bytes)
{
	p->sink->counts.bytes += bytes.n;
	if (p->sink->options.store)
		buf_put_raw(&p->message, bytes);
}

static void reset(struct peer *p)
{
	p->has_mail = false;
	p->nrcpts = 0;
	buf_reset(&p->message);
	buf_reset(&p->envelope);
}

static void message_end(struct peer *p, bool is_stuffed)
{
	struct counts *c = &p->sink->counts;
	unsigned limit = p->sink->options.close_after;

	c->messages++;
	c->recipients += p->nrcpts;
	if (p->sink->options.store)
		store(p, is_stuffed);
	buf_printf(&p->out, "250 2.0.0 taken as %llu\r\n",
	    (unsigned long long)c->messages);
	reset(p);
	if (limit && ++p->nmessages >= limit)
		p->is_quitting = true;
}

/* --- commands
 * ---------------------------------------------------------------*/

static void on_ehlo(struct peer *p)
{
	const struct options *o = &p->sink->options;

	reset(p);
	buf_puts(&p->out, "250-sink.example\r\n");
	if (o->has_pipelining)
		buf_puts(&p->out, "250-PIPELINING\r\n");
	if (o->has_chunking)
		buf_puts(&p->out, "250-CHUNKING\r\n");
	if (p->sink->tls && !p->ssl)
		buf_puts(&p->out, "250-STARTTLS\r\n");
	buf_puts(&p->out, "250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
			  "250-ENHANCEDSTATUSCODES\r\n250 SIZE 268435456\r\n");
}

static const char *rejection(const struct options *o, struct span line)
{
	for (size_t i = 0; i < o->nrejects; i++)
		if (memmem(line.p, line.n, o->rejects[i].text,
			strlen(o->rejects[i].text)))
			return o->rejects[i].reply;
	return NULL;
}

static void on_mail(struct peer *p, struct span line)
{
	reset(p);
	p->has_mail = true;
	note_envelope(p, line);
	buf_puts(&p->out, "250 2.1.0 ok\r\n");
}

static void on_rcpt(struct peer *p, struct span line)
{
	const char *reply = rejection(&p->sink->options, line);

	if (!p->has_mail) {
		buf_puts(&p->out, "503 5.5.1 MAIL first\r\n");
	} else if (reply) {
		p->sink->counts.refused++;
		buf_printf(&p->out, "%s\r\n", reply);
	} else {
		p->nrcpts++;
		note_envelope(p, line);
		buf_puts(&p->out, "250 2.1.5 ok\r\n");
	}
}

static void on_data(struct peer *p)
{
	if (p->nrcpts == 0) {
		buf_puts(&p->out, "554 5.5.1 no valid recipients\r\n");
		return;
	}
	p->state = STATE_DATA;
	p->is_data_start = true;
	buf_puts(&p->out, "354 go on\r\n");
}

static void chunk_end(struct peer *p)
{
	p->state = STATE_COMMAND;
	if (p->nrcpts == 0)
		buf_puts(&p->out, "554 5.5.1 no valid recipients\r\n");
	else if (p->is_last_chunk)
		message_end(p, false);
	else
		buf_puts(&p->out, "250 2.0.0 go on\r\n");
}

static void on_bdat(struct peer *p, struct span line)
{
	struct span rest = span_trim(span_from(line, 4));
	struct span size = span_cut(&rest, ' ');

	if (!p->sink->options.has_chunking) {
		buf_puts(&p->out, "502 5.5.1 no BDAT here\r\n");
		return;
	}
	if (span_to_u64(size, MESSAGE_LIMIT, &p->chunk_left) < 0) {
		buf_puts(&p->out, "501 5.5.4 what size?\r\n");
		p->is_quitting = true;
		return;
	}
	p->is_last_chunk =
	    span_is_equal_nocase(span_trim(rest), SPAN_LITERAL("LAST"));
	p->state = STATE_CHUNK;
	if (p->chunk_left == 0)
		chunk_end(p);
}

static void command(struct peer *p, struct span line)
{
	p->sink->counts.commands++;
	if (span_has_prefix_nocase(line, "EHLO") ||
	    span_has_prefix_nocase(line, "HELO"))
		on_ehlo(p);
	else if (span_has_prefix_nocase(line, "MAIL"))
		on_mail(p, line);
	else if (span_has_prefix_nocase(line, "RCPT"))
		on_rcpt(p, line);
	else if (span_has_prefix_nocase(line, "DATA"))
		on_data(p);
	else if (span_has_prefix_nocase(line, "BDAT"))
		on_bdat(p, line);
	else if (span_has_prefix_nocase(line, "QUIT")) {
		buf_puts(&p->out, "221 2.0.0 bye\r\n");
		p->is_quitting = true;
	} else if (p->sink->tls && !p->ssl &&
		   span_has_prefix_nocase(line, "STARTTLS")) {
		buf_puts(&p->out, "220 2.0.0 go on\r\n");
		p->wants_tls = true;
	} else if (span_has_prefix_nocase(line, "RSET") ||
		   span_has_prefix_nocase(line, "NOOP")) {
		if (line.p[0] == 'R' || line.p[0] == 'r')
			reset(p);
		buf_puts(&p->out, "250 2.0.0 ok\r\n");
	} else
		buf_puts(&p->out, "502 5.5.2 unknown command\r\n");
}

/* --- bytes
 * -------------------------------------------------------------------*/

static size_t take_command(struct peer *p, struct span in)
{
	ptrdiff_t lf = span_find(in, '\n');
	struct span line = { in.p, lf < 0 ? 0 : (size_t)lf };

	if (lf < 0)
		return 0;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	command(p, line);
	return (size_t)lf + 1;
}

static size_t take_chunk(struct peer *p, struct span in)
{
	size_t n = in.n < p->chunk_left ? in.n : (size_t)p->chunk_left;

	keep(p, (struct span){ in.p, n });
	p->chunk_left -= n;
	if (p->chunk_left == 0)
		chunk_end(p);
	return n;
}

static size_t take_data(struct peer *p, struct span in)
{
	const char *end;

	if (p->is_data_start && in.p[0] == '.') {
		if (in.n < 3)
			return 0;
		if (memcmp(in.p, ".\r\n", 3) == 0) {
			p->state = STATE_COMMAND;
			message_end(p, true);
			return 3;
		}
	}
	p->is_data_start = false;
	end = memmem(in.p, in.n, "\r\n.\r\n", 5);
	if (end) {
		keep(p, (struct span){ in.p, (size_t)(end - in.p) + 2 });
		p->state = STATE_COMMAND;
		message_end(p, true);
		return (size_t)(end - in.p) + 5;
	}
	if (in.n <= 4)
		return 0;
	keep(p, (struct span){ in.p, in.n - 4 });
	return in.n - 4;
}

static size_t take(struct peer *p, struct span in)
{
	size_t done = 0, n;

	while (done < in.n && !p->is_quitting) {
		struct span rest = span_from(in, done);

		if (p->state == STATE_DATA)
			n = take_data(p, rest);
		else if (p->state == STATE_CHUNK)
			n = take_chunk(p, rest);
		else
			n = take_command(p, rest);
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

/* --- answers
 * -----------------------------------------------------------------*/

/* Returns -1 when the peer is gone (freed). */
static int write_ready(struct peer *p)
{
	while (p->ready > 0) {
		ssize_t n =
		    sink_tls_write(p->ssl, p->fd, p->out.data, p->ready);

		if (n < 0 && errno == EAGAIN)
			return loop_change(
			    p->sink->loop, p->fd, EPOLLIN | EPOLLOUT);
		if (n <= 0) {
			peer_free(p);
			return -1;
		}
		p->sink->counts.writes++;
		buf_consume(&p->out, (size_t)n);
		p->ready -= (size_t)n;
	}
	if (p->is_quitting && p->out.len == 0) {
		peer_free(p);
		return -1;
	}
	if (p->wants_tls && p->out.len == 0) {
		p->wants_tls = false;
		buf_reset(&p->in); /* what came before is not to be believed */
		p->ssl = sink_tls_accept(p->sink->tls, p->fd);
	}
	return 0;
}

static void on_batch_due(void *arg)
{
	struct peer *p = arg;
	uint64_t now = now_monotonic_ms();

	while (p->nbatches > 0 && p->batches[p->first].at_ms <= now) {
		p->ready += p->batches[p->first].bytes;
		p->first = (p->first + 1) % BATCHES;
		p->nbatches--;
	}
	if (p->nbatches > 0)
		loop_timer_set(p->sink->loop, &p->timer,
		    p->batches[p->first].at_ms, on_batch_due, p);
	write_ready(p);
}

static void batch_add(struct peer *p, size_t bytes)
{
	unsigned last = (p->first + p->nbatches) % BATCHES;

	if (p->nbatches == BATCHES)
		last = (last + BATCHES - 1) % BATCHES;
	else
		p->batches[last].bytes = 0;
	p->batches[last].at_ms = now_monotonic_ms() + p->sink->options.delay_ms;
	p->batches[last].bytes += bytes;
	if (p->nbatches < BATCHES)
		p->nbatches++;
	if (p->nbatches == 1)
		loop_timer_set(p->sink->loop, &p->timer, p->batches[last].at_ms,
		    on_batch_due, p);
}

static int answer(struct peer *p, size_t bytes)
{
	struct sink *s = p->sink;

	if (bytes == 0)
		return 0;
	s->counts.round_trips++;
	if (s->options.drop > 0 && drand48() < s->options.drop) {
		s->counts.dropped++;
		peer_free(p);
		return -1;
	}
	if (s->options.delay_ms > 0) {
		batch_add(p, bytes);
		return 0;
	}
	p->ready += bytes;
	return write_ready(p);
}

static int on_input(struct peer *p, struct span in)
{
	size_t before = p->out.len, done;

	p->sink->counts.reads++;
	if (before > 0 && p->state == STATE_COMMAND)
		p->sink->counts.early++;
	if (p->in.len > 0) {
		buf_put_raw(&p->in, in);
		done = take(p, buf_span(&p->in));
		buf_consume(&p->in, done);
	} else {
		done = take(p, in);
		buf_put_raw(&p->in, span_from(in, done));
	}
	if (p->in.overflow || p->out.overflow || p->message.overflow) {
		peer_free(p);
		return -1;
	}
	return answer(p, p->out.len - before);
}

static void count_tls(struct peer *p)
{
	if (!p->ssl || p->is_counted || !SSL_is_init_finished(p->ssl))
		return;
	p->is_counted = true;
	p->sink->counts.tls++;
	p->sink->counts.resumed += SSL_session_reused(p->ssl) == 1;
}

/* Once, or as long as TLS holds octets that epoll does not see. */
static void read_ready(struct peer *p)
{
	SSL *ssl = p->ssl;
	ssize_t n;

	do {
		n = sink_tls_read(p->ssl, p->fd, p->sink->input, READ_BYTES);
		count_tls(p);
		if (n > 0 && p->is_quitting)
			return; /* what follows QUIT */
		if (n > 0 &&
		    on_input(p, (struct span){ p->sink->input, (size_t)n }) < 0)
			return; /* p is gone */
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			peer_free(p);
			return;
		}
	} while (n > 0 && ssl && SSL_has_pending(ssl));
}

static void on_ready(int fd, uint32_t events, void *arg)
{
	struct peer *p = arg;

	if (events & EPOLLOUT) {
		loop_change(p->sink->loop, fd, EPOLLIN);
		if (write_ready(p) < 0)
			return;
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	read_ready(p);
}

/* --- start and end
 * -----------------------------------------------------------*/

static void on_connection(int fd, uint32_t events, void *arg)
{
	struct sink *s = arg;
	int one = 1,
	    client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct peer *p;

	(void)events;
	if (client < 0)
		return;
	p = calloc(1, sizeof(*p));
	if (!p || loop_add(s->loop, client, EPOLLIN, on_ready, p) < 0) {
		free(p);
		close(client);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	p->sink = s;
	p->fd = client;
	buf_init(&p->in, READ_BYTES + LINE_LIMIT);
	buf_init(&p->out, REPLIES_LIMIT);
	buf_init(&p->message, MESSAGE_LIMIT);
	buf_init(&p->envelope, MESSAGE_LIMIT);
	s->counts.connections++;
	s->counts.open++;
	buf_puts(&p->out, "220 sink.example ESMTP\r\n");
	answer(p, p->out.len);
}

static void print_counts(void *arg)
{
	const struct counts *c = &((struct sink *)arg)->counts;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "connections", c->connections },
		{ "open", c->open },
		{ "messages", c->messages },
		{ "recipients", c->recipients },
		{ "refused", c->refused },
		{ "bytes", c->bytes },
		{ "reads", c->reads },
		{ "writes", c->writes },
		{ "round_trips", c->round_trips },
		{ "commands", c->commands },
		{ "dropped", c->dropped },
		{ "early", c->early },
		{ "tls", c->tls },
		{ "resumed", c->resumed },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("%s\"%s\": %llu", i ? ", " : "{", rows[i].name,
		    (unsigned long long)rows[i].value);
	printf("}\n");
	fflush(stdout);
}

static void on_end(void *arg)
{
	struct sink *s = arg;

	print_counts(s);
	loop_stop(s->loop);
}

static void usage(int status)
{
	fprintf(status ? stderr : stdout,
	    "usage: smtp_sink [--address IP] [--port N] [--delay MS]\n"
	    "    [--no-chunking] [--no-pipelining] [--store DIR] [--drop P]\n"
	    "    [--seed N] [--close-after MESSAGES] [--reject TEXT=REPLY]...\n"
	    "    [--tls PEM [--no-resume]]\n"
	    "Port 0 (default) takes a free one. Prints \"ready PORT\", and\n"
	    "counts as JSON on SIGUSR1 and at the end. --delay: what a read\n"
	    "brings is answered MS later. --drop: probability that a batch\n"
	    "of answers is lost with its connection. --reject: RCPT lines\n"
	    "with TEXT in them get REPLY (\"450 4.2.0 later\").\n"
	    "--tls: STARTTLS with the certificate and key in PEM;\n"
	    "--no-resume: every handshake is a full one.\n"
	    "Counts: round_trips = batches of answers; early = reads in\n"
	    "command state while an answer was still owed.\n");
	exit(status);
}

static void add_reject(struct options *o, char *text)
{
	char *reply = strchr(text, '=');

	if (!reply || o->nrejects == REJECTS)
		usage(2);
	*reply++ = '\0';
	o->rejects[o->nrejects].text = text;
	o->rejects[o->nrejects++].reply = reply;
}

static const struct option long_options[] = {
	{ "address", required_argument, NULL, 'a' },
	{ "port", required_argument, NULL, 'p' },
	{ "delay", required_argument, NULL, 'd' },
	{ "no-chunking", no_argument, NULL, 'C' },
	{ "no-pipelining", no_argument, NULL, 'P' },
	{ "store", required_argument, NULL, 's' },
	{ "drop", required_argument, NULL, 'D' },
	{ "seed", required_argument, NULL, 'S' },
	{ "close-after", required_argument, NULL, 'c' },
	{ "reject", required_argument, NULL, 'r' },
	{ "tls", required_argument, NULL, 't' },
	{ "no-resume", no_argument, NULL, 'R' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void read_options(int argc, char **argv, struct options *o)
{
	int c;

	*o = (struct options){ .address = "127.0.0.1",
		.has_chunking = true,
		.has_pipelining = true,
		.may_resume = true };
	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		switch (c) {
		case 'a':
			o->address = optarg;
			break;
		case 'p':
			o->port = (unsigned)atoi(optarg);
			break;
		case 'd':
			o->delay_ms = (unsigned)atoi(optarg);
			break;
		case 'C':
			o->has_chunking = false;
			break;
		case 'P':
			o->has_pipelining = false;
			break;
		case 's':
			o->store = optarg;
			break;
		case 'D':
			o->drop = atof(optarg);
			break;
		case 'S':
			srand48(atol(optarg));
			break;
		case 'c':
			o->close_after = (unsigned)atoi(optarg);
			break;
		case 'r':
			add_reject(o, optarg);
			break;
		case 't':
			o->tls = optarg;
			break;
		case 'R':
			o->may_resume = false;
			break;
		default:
			usage(c == 'h' ? 0 : 2);
		}
	if (optind != argc)
		usage(2);
}

static int open_listener(const struct options *o)
{
	struct sockaddr_storage storage = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
	socklen_t size = sizeof(*in);
	int one = 1, fd;

	if (inet_pton(AF_INET, o->address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)o->port);
	} else if (inet_pton(AF_INET6, o->address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)o->port);
		size = sizeof(*in6);
	}
	fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&storage, size) < 0 ||
	    listen(fd, 1024) < 0 ||
	    getsockname(fd, (struct sockaddr *)&storage, &size) < 0) {
		close(fd);
		return -1;
	}
	/* both families have the port in the same place */
	printf("ready %u\n", ntohs(in->sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	static struct sink sink;

	read_options(argc, argv, &sink.options);
	if (sink.options.tls)
		sink.tls =
		    sink_tls_new(sink.options.tls, sink.options.may_resume);
	if (sink.options.tls && !sink.tls)
		return 1;
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	sink.loop = loop_new();
	sink.listener = open_listener(&sink.options);
	if (!sink.loop || sink.listener < 0 ||
	    loop_add(sink.loop, sink.listener, EPOLLIN, on_connection, &sink) <
		0 ||
	    loop_signal(sink.loop, SIGUSR1, print_counts, &sink) < 0 ||
	    loop_signal(sink.loop, SIGTERM, on_end, &sink) < 0 ||
	    loop_signal(sink.loop, SIGINT, on_end, &sink) < 0) {
		perror("smtp_sink");
		return 1;
	}
	return loop_run(sink.loop) < 0;
}
