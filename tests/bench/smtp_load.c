/* An SMTP load generator: one process, many sessions, one message after the
 * other in each. Message n carries "X-Load: n" and goes to <load-n@domain>, so
 * that a receiver can tell which arrived.
 */
#include "common/buf.h"
#include "common/deadline.h"
#include "common/loop.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 16384, REPLY_LINE = 1024, HEADER_BYTES = 512 };
enum { OUT_LIMIT = 512 << 20, TRIES_LIMIT = 1000, TRY_AGAIN_MS = 50 };

struct options {
	const char *host, *port, *sender, *domain, *ids;
	unsigned sessions, domains, recipients;
	uint64_t messages, size;
	bool is_reconnecting, is_pipelining, is_chunking, is_json;
};

/* What the next reply answers. */
enum awaited {
	AWAIT_GREETING,
	AWAIT_EHLO,
	AWAIT_MAIL,
	AWAIT_RCPT,
	AWAIT_DATA,
	AWAIT_END,
	AWAIT_QUIT,
};

struct load;

struct session {
	struct load *load;
	int fd;
	enum awaited awaited;
	unsigned rcpts_left; /* replies to RCPT still to come */
	bool is_open, is_refused;
	uint64_t number, began_us;
	struct buf out;
	char line[REPLY_LINE];
	size_t line_bytes;
	struct timer again;
};

struct load {
	struct options options;
	struct loop *loop;
	const struct addrinfo *address;
	struct session *sessions;
	struct buf body; /* after the header; dot-stuffed by nature */
	FILE *ids;
	uint64_t next, accepted, refused, lost;
	unsigned running, tries;
	uint32_t *took_us; /* per accepted message */
};

static void connect_again(void *arg);
static void on_ready(int fd, uint32_t events, void *arg);

/* --- one session
 * ------------------------------------------------------------*/

static void session_close(struct session *s)
{
	if (!s->is_open)
		return;
	loop_remove(s->load->loop, s->fd);
	close(s->fd);
	s->is_open = false;
	buf_reset(&s->out);
}

static void session_end(struct session *s)
{
	session_close(s);
	if (--s->load->running == 0)
		loop_stop(s->load->loop);
}

/* The connection broke: what was under way is lost, then once more. */
static void session_lost(struct session *s)
{
	if (s->awaited > AWAIT_EHLO && s->awaited < AWAIT_QUIT)
		s->load->lost++;
	session_close(s);
	if (++s->load->tries > TRIES_LIMIT)
		session_end(s);
	else
		loop_timer_set(s->load->loop, &s->again,
		    now_monotonic_ms() + TRY_AGAIN_MS, connect_again, s);
}

static int flush(struct session *s)
{
	while (s->out.len > 0) {
		ssize_t n = send(s->fd, s->out.data, s->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return loop_change(
			    s->load->loop, s->fd, EPOLLIN | EPOLLOUT);
		if (n <= 0)
			return -1;
		buf_consume(&s->out, (size_t)n);
	}
	return 0;
}

static void put_mail(struct session *s)
{
	const struct options *o = &s->load->options;

	buf_printf(&s->out, "MAIL FROM:<%s>\r\n", o->sender);
}

static void put_rcpt(struct session *s, unsigned i)
{
	const struct options *o = &s->load->options;
	unsigned long long n = s->number * o->recipients + i;

	if (o->domains > 0)
		buf_printf(&s->out, "RCPT TO:<load-%llu@d%llu.%s>\r\n", n,
		    n % o->domains, o->domain);
	else
		buf_printf(&s->out, "RCPT TO:<load-%llu@%s>\r\n", n, o->domain);
}

static void put_message(struct session *s)
{
	const struct options *o = &s->load->options;
	char head[HEADER_BYTES];
	int n = snprintf(head, sizeof(head),
	    "From: <%s>\r\nTo: <load@%s>\r\nSubject: load\r\n"
	    "X-Load: %010llu\r\n\r\n",
	    o->sender, o->domain, (unsigned long long)s->number);

	if (o->is_chunking)
		buf_printf(&s->out, "BDAT %zu LAST\r\n",
		    (size_t)n + s->load->body.len);
	buf_put(&s->out, head, (size_t)n);
	buf_put_raw(&s->out, buf_span(&s->load->body));
	if (!o->is_chunking)
		buf_puts(&s->out, ".\r\n");
}

static void begin_message(struct session *s)
{
	const struct options *o = &s->load->options;
	bool is_last = s->load->next >= o->messages;

	if (is_last || (o->is_reconnecting && s->number != UINT64_MAX)) {
		buf_puts(&s->out, "QUIT\r\n");
		s->awaited = AWAIT_QUIT;
		return;
	}
	s->number = s->load->next++;
	s->began_us = now_monotonic_us();
	s->awaited = AWAIT_MAIL;
	s->is_refused = false;
	s->rcpts_left = o->recipients;
	put_mail(s);
	if (!o->is_pipelining)
		return;
	for (unsigned i = 0; i < o->recipients; i++)
		put_rcpt(s, i);
	if (o->is_chunking)
		put_message(s);
	else
		buf_puts(&s->out, "DATA\r\n");
}

static void accepted(struct session *s, struct span reply)
{
	struct load *l = s->load;

	l->took_us[l->accepted++] =
	    (uint32_t)(now_monotonic_us() - s->began_us);
	if (l->ids)
		fprintf(l->ids, "%llu %.*s\n", (unsigned long long)s->number,
		    (int)reply.n, reply.p);
}

static void on_message_done(struct session *s, struct span reply, bool is_ok)
{
	if (is_ok && !s->is_refused)
		accepted(s, reply);
	else
		s->load->refused++;
	begin_message(s);
}

/* Step by step: what follows the reply just read. */
static void next_step(struct session *s)
{
	const struct options *o = &s->load->options;

	if (s->rcpts_left > 0) {
		s->awaited = AWAIT_RCPT;
		if (!o->is_pipelining)
			put_rcpt(s, o->recipients - s->rcpts_left);
	} else if (o->is_chunking) {
		s->awaited = AWAIT_END;
		if (!o->is_pipelining)
			put_message(s);
	} else {
		s->awaited = AWAIT_DATA;
		if (!o->is_pipelining)
			buf_puts(&s->out, "DATA\r\n");
	}
}

/* Returns -1 when the session is over. */
static int on_reply(struct session *s, struct span line)
{
	bool is_ok = line.p[0] == '2' || line.p[0] == '3';

	switch (s->awaited) {
	case AWAIT_GREETING:
		if (!is_ok)
			return -1;
		buf_puts(&s->out, "EHLO load.example\r\n");
		s->awaited = AWAIT_EHLO;
		break;
	case AWAIT_EHLO:
		if (!is_ok)
			return -1;
		begin_message(s);
		break;
	case AWAIT_RCPT:
		s->rcpts_left--; /* fall through */
	case AWAIT_MAIL:
		s->is_refused |= !is_ok;
		next_step(s);
		break;
	case AWAIT_DATA:
		if (!is_ok) {
			on_message_done(s, line, false);
			break;
		}
		put_message(s);
		s->awaited = AWAIT_END;
		break;
	case AWAIT_END:
		on_message_done(s, line, is_ok);
		break;
	case AWAIT_QUIT:
		return -1;
	}
	return 0;
}

static int on_input(struct session *s, struct span in)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (s->line_bytes < REPLY_LINE)
			s->line[s->line_bytes++] = c;
		if (c != '\n')
			continue;
		if (s->line_bytes < 5)
			return -1;
		if (s->line[3] != '-' &&
		    on_reply(s, (struct span){ s->line, s->line_bytes - 2 }) <
			0)
			return -1;
		s->line_bytes = 0;
	}
	return flush(s);
}

static void on_quit(struct session *s)
{
	session_close(s);
	if (s->load->next < s->load->options.messages)
		connect_again(s);
	else
		session_end(s);
}

static void on_ready(int fd, uint32_t events, void *arg)
{
	struct session *s = arg;
	char bytes[READ_BYTES];
	ssize_t n;

	if (events & EPOLLOUT) {
		loop_change(s->load->loop, fd, EPOLLIN);
		if (flush(s) < 0) {
			session_lost(s);
			return;
		}
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && on_input(s, (struct span){ bytes, (size_t)n }) == 0)
		return;
	if (s->awaited == AWAIT_QUIT)
		on_quit(s);
	else
		session_lost(s);
}

static void connect_again(void *arg)
{
	struct session *s = arg;
	const struct addrinfo *a = s->load->address;
	int one = 1;

	s->line_bytes = 0;
	s->number = UINT64_MAX;
	s->awaited = AWAIT_GREETING;
	s->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->is_open = s->fd >= 0;
	if (!s->is_open || connect(s->fd, a->ai_addr, a->ai_addrlen) < 0 ||
	    loop_add(s->load->loop, s->fd, EPOLLIN, on_ready, s) < 0) {
		session_lost(s);
		return;
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* --- the whole
 * -----------------------------------------------------------------*/

/* Lines of 72 letters, filled up to size bytes with the header. */
static void make_body(struct buf *body, uint64_t size)
{
	size_t left = size > 120 ? size - 120 : 0;

	buf_init(body, OUT_LIMIT);
	while (left > 0) {
		size_t n = left < 74 ? left : 74;

		for (size_t i = 0; i + 2 < n; i++)
			buf_putc(body, (char)('a' + i % 26));
		buf_puts(body, "\r\n");
		left -= n;
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(const struct load *l, unsigned percent)
{
	if (l->accepted == 0)
		return 0;
	return l->took_us[(l->accepted - 1) * percent / 100] / 1000.0;
}

static void report(struct load *l, double seconds)
{
	double rate = seconds > 0 ? (double)l->accepted / seconds : 0;

	qsort(l->took_us, l->accepted, sizeof(*l->took_us), compare);
	printf(l->options.is_json
		   ? "{\"accepted\": %llu, \"refused\": %llu, \"lost\": %llu, "
		     "\"seconds\": %.3f, \"per_second\": %.1f, "
		     "\"median_ms\": %.3f, \"p99_ms\": %.3f}\n"
		   : "accepted %llu refused %llu lost %llu in %.3f s: "
		     "%.1f messages/s, median %.3f ms, 99 %% %.3f ms\n",
	    (unsigned long long)l->accepted, (unsigned long long)l->refused,
	    (unsigned long long)l->lost, seconds, rate, percentile(l, 50),
	    percentile(l, 99));
}

static void usage(int status)
{
	fprintf(status ? stderr : stdout,
	    "usage: smtp_load [options] HOST PORT\n"
	    "  --sessions N (1)   --messages M (1)   --size BYTES (4096)\n"
	    "  --recipients N (1) a message\n"
	    "  --sender ADDRESS   --domain D   --domains N: d0.D ... dN-1.D\n"
	    "  --reconnect: one message a connection\n"
	    "  --pipeline: MAIL, RCPT and DATA in one write\n"
	    "  --bdat: BDAT in place of DATA\n"
	    "  --ids FILE: number and reply of each accepted message\n"
	    "  --json\n"
	    "Exit 0 when all were accepted. A broken connection is opened\n"
	    "again; its message counts as lost and is not repeated.\n");
	exit(status);
}

static const struct option long_options[] = {
	{ "sessions", required_argument, NULL, 's' },
	{ "messages", required_argument, NULL, 'm' },
	{ "size", required_argument, NULL, 'z' },
	{ "recipients", required_argument, NULL, 'r' },
	{ "sender", required_argument, NULL, 'f' },
	{ "domain", required_argument, NULL, 'd' },
	{ "domains", required_argument, NULL, 'D' },
	{ "reconnect", no_argument, NULL, 'R' },
	{ "pipeline", no_argument, NULL, 'P' },
	{ "bdat", no_argument, NULL, 'B' },
	{ "ids", required_argument, NULL, 'i' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void read_options(int argc, char **argv, struct options *o)
{
	int c;

	*o = (struct options){ .sender = "load@load.example",
		.domain = "sink.example",
		.sessions = 1,
		.messages = 1,
		.recipients = 1,
		.size = 4096 };
	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		switch (c) {
		case 's':
			o->sessions = (unsigned)atoi(optarg);
			break;
		case 'm':
			o->messages = strtoull(optarg, NULL, 10);
			break;
		case 'z':
			o->size = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			o->recipients = (unsigned)atoi(optarg);
			break;
		case 'f':
			o->sender = optarg;
			break;
		case 'd':
			o->domain = optarg;
			break;
		case 'D':
			o->domains = (unsigned)atoi(optarg);
			break;
		case 'R':
			o->is_reconnecting = true;
			break;
		case 'P':
			o->is_pipelining = true;
			break;
		case 'B':
			o->is_chunking = true;
			break;
		case 'i':
			o->ids = optarg;
			break;
		case 'j':
			o->is_json = true;
			break;
		default:
			usage(c == 'h' ? 0 : 2);
		}
	if (optind + 2 != argc || !o->sessions || !o->recipients)
		usage(2);
	o->host = argv[optind];
	o->port = argv[optind + 1];
}

static void prepare(struct load *l)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	int error =
	    getaddrinfo(l->options.host, l->options.port, &hints, &found);

	if (error) {
		fprintf(stderr, "smtp_load: %s\n", gai_strerror(error));
		exit(1);
	}
	l->address = found;
	l->loop = loop_new();
	l->sessions = calloc(l->options.sessions, sizeof(*l->sessions));
	l->took_us = calloc(l->options.messages + 1, sizeof(*l->took_us));
	l->ids = l->options.ids ? fopen(l->options.ids, "w") : NULL;
	if (!l->loop || !l->sessions || !l->took_us ||
	    (l->options.ids && !l->ids)) {
		perror("smtp_load");
		exit(1);
	}
	make_body(&l->body, l->options.size);
}

int main(int argc, char **argv)
{
	struct load load = { 0 };
	uint64_t began_us;

	read_options(argc, argv, &load.options);
	prepare(&load);
	began_us = now_monotonic_us();
	load.running = load.options.sessions;
	for (unsigned i = 0; i < load.options.sessions; i++) {
		load.sessions[i].load = &load;
		buf_init(&load.sessions[i].out, OUT_LIMIT);
		connect_again(&load.sessions[i]);
	}
	if (loop_run(load.loop) < 0)
		perror("smtp_load");
	report(&load, (double)(now_monotonic_us() - began_us) / 1e6);
	if (load.ids && fclose(load.ids) != 0)
		perror("smtp_load");
	return load.accepted < load.options.messages;
}
