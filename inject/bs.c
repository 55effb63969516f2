/* "sendmail -bs": SMTP on standard input and output. */
#include "inject/bs.h"

#include "common/date.h"
#include "common/deadline.h"
#include "common/submit.h"
#include "inject/session.h"

#include <errno.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	READ_BYTES = 32768,
	INPUT_MAX = 4 * READ_BYTES,
	WAIT_MS = 5 * 60 * 1000, /* RFC 5321 4.5.3.2.7 */
};

struct bs {
	const char *runtime;
	struct smtp_session *session;
	struct submit *submit; /* of the message under way */
	uint64_t number;
	bool is_first; /* no line has been read yet */
	bool has_bare_lf;
	char last; /* byte of the input, for a CR before an LF */
	struct buf in;
};

/* --- to the keeper
 * ----------------------------------------------------------*/

static bool has_queue(void *arg)
{
	struct bs *bs = arg;
	struct outcome why;

	if (!bs->submit)
		bs->submit = submit_open(bs->runtime, &why);
	return bs->submit != NULL;
}

static void drop(struct bs *bs)
{
	submit_free(bs->submit);
	bs->submit = NULL;
}

static void refuse(struct bs *bs, uint64_t number, const struct outcome *why)
{
	drop(bs);
	smtp_refused(bs->session, number, why);
}

static uint64_t begin(const struct envelope *envelope, void *arg)
{
	struct bs *bs = arg;
	struct outcome why;

	if (!has_queue(bs))
		return 0;
	if (submit_begin(bs->submit, envelope, &why) == 0)
		return ++bs->number;
	drop(bs);
	return 0;
}

static void data(uint64_t number, struct span bytes, void *arg)
{
	struct bs *bs = arg;
	struct outcome why;

	if (bs->submit && submit_data(bs->submit, bytes, &why) < 0)
		refuse(bs, number, &why);
}

static void end(uint64_t number, uint64_t total, void *arg)
{
	struct bs *bs = arg;
	struct outcome why;
	uint64_t id;

	(void)total;
	if (submit_end(bs->submit, &id, &why) < 0) {
		refuse(bs, number, &why);
		return;
	}
	drop(bs);
	smtp_accepted(bs->session, number, id);
}

static void forget(uint64_t number, void *arg)
{
	(void)number;
	drop(arg);
}

static const struct smtp_hooks hooks = { has_queue, begin, data, end, forget,
	NULL, NULL };

/* --- standard input and output
 * ------------------------------------------------*/

static int write_replies(struct bs *bs)
{
	struct buf *out = smtp_output(bs->session);

	if (out->overflow)
		return -1;
	while (out->len > 0) {
		ssize_t n = write(STDOUT_FILENO, out->data, out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		buf_consume(out, (size_t)n);
	}
	return 0;
}

/* 1: bytes are there, 0: the wait was too long. */
static int wait_for_input(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	struct deadline deadline = deadline_in_ms(WAIT_MS);
	int n;

	do
		n = poll(&p, 1, deadline_left_ms(deadline));
	while (n < 0 && errno == EINTR);
	return n != 0;
}

/* A bare LF at the end of the first line: people and simple programs. */
static void look_at_first_line(struct bs *bs, struct span bytes)
{
	ptrdiff_t lf = span_find(bytes, '\n');
	char before = lf > 0 ? bytes.p[lf - 1] : bs->last;

	if (lf < 0)
		return;
	bs->is_first = false;
	bs->has_bare_lf = before != '\r';
}

static void put_input(struct bs *bs, struct span bytes)
{
	if (bs->is_first)
		look_at_first_line(bs, bytes);
	if (!bs->has_bare_lf) {
		buf_put_raw(&bs->in, bytes);
		if (bytes.n > 0)
			bs->last = bytes.p[bytes.n - 1];
		return;
	}
	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] == '\n' && bs->last != '\r')
			buf_putc(&bs->in, '\r');
		buf_putc(&bs->in, bytes.p[i]);
		bs->last = bytes.p[i];
	}
}

/* 0, or -1: end of the input or an error. */
static int read_input(struct bs *bs)
{
	char bytes[READ_BYTES];
	ssize_t n;

	if (!wait_for_input()) {
		smtp_end(bs->session, "4.4.2", "timeout");
		return 0;
	}
	do
		n = read(STDIN_FILENO, bytes, sizeof(bytes));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	put_input(bs, (struct span){ bytes, (size_t)n });
	return bs->in.overflow ? -1 : 0;
}

/* Bytes used: a session with many replies stops until they are written. */
static size_t use_input(struct bs *bs)
{
	size_t used = 0;

	if (bs->in.len > 0)
		used =
		    smtp_input(bs->session, bs->in.data, bs->in.len, now_utc());
	buf_consume(&bs->in, used);
	return used;
}

static int serve(struct bs *bs)
{
	smtp_greet(bs->session);
	for (;;) {
		if (write_replies(bs) < 0)
			return EX_IOERR;
		if (smtp_is_over(bs->session))
			break;
		if (use_input(bs) == 0 && read_input(bs) < 0)
			break;
	}
	return write_replies(bs) < 0 ? EX_IOERR : EX_OK;
}

int bs_run(const struct conf *conf)
{
	const char *domain = conf->defaults.sender_domain;
	const struct smtp_settings settings = { .localname = conf->localname,
		.message_size = conf->limits.message_size,
		.recipients = (uint32_t)conf->limits.recipients,
		.sender_domain = domain ? domain : conf->localname,
		.conf = conf };
	const struct smtp_client client = { .may_relay = true,
		.uid = getuid() };
	struct bs bs = { .runtime = conf->runtime, .is_first = true };
	int status = EX_TEMPFAIL;

	date_set_zone(conf->timezone);
	buf_init(&bs.in, INPUT_MAX);
	bs.session = smtp_new(&settings, &client, &hooks, &bs);
	if (bs.session)
		status = serve(&bs);
	smtp_free(bs.session);
	drop(&bs);
	buf_clear(&bs.in);
	return status;
}
