/* The content of a message as the present server takes it. */
#include "remote/fit.h"

#include <errno.h>
#include <unistd.h>

#include "remote/convert.h"
#include "remote/ehlo.h"
#include "remote/stream.h"
#include "remote/transaction.h"

enum {
	SOURCE_PIECE = 4096,	 /* read at once when converting */
	CONVERTED_MAX = 2 << 20, /* of one such piece and a header field */
};

/* Up to n bytes at an offset; scratch holds what comes from a file. Empty with
 * *why: cannot be read (the size was promised). */
static struct span read_at(const struct transaction *t, uint64_t at, size_t n,
    char *scratch, struct outcome *why)
{
	ptrdiff_t got;

	if (n > t->body_bytes - at)
		n = (size_t)(t->body_bytes - at);
	if (t->body_fd < 0)
		return (struct span){ t->job.content.p + at, n };
	do
		got = pread(t->body_fd, scratch, n, (off_t)at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		outcome_temp(
		    why, "4.3.0", "reading the body: %s", strerror(errno));
	else if (got == 0)
		outcome_temp(why, "4.3.0", "the body ends before its size");
	return (struct span){ scratch, got > 0 ? (size_t)got : 0 };
}

/* --- what the server takes ------------------------------------------------ */

static unsigned goals_for(
    const struct transaction *t, const struct ehlo *ehlo, bool can_bdat)
{
	unsigned goals = t->has_long_line ? CONVERT_LINES : 0;

	if (t->job.body == BODY_BINARY) {
		if (ehlo->has_binarymime && can_bdat)
			return 0;
		goals |= CONVERT_TEXT | CONVERT_LINES;
	}
	if (t->job.body != BODY_7BIT && !ehlo->has_8bitmime)
		goals |= CONVERT_7BIT | CONVERT_LINES;
	return goals;
}

static int look(struct transaction *t, struct outcome *why)
{
	char scratch[STREAM_PIECE];

	for (uint64_t at = 0; at < t->body_bytes;) {
		struct span piece =
		    read_at(t, at, sizeof(scratch), scratch, why);

		if (piece.n == 0)
			return -1;
		convert_look(t->fit.convert, piece);
		at += piece.n;
	}
	return convert_decide(t->fit.convert, why);
}

/* How much it becomes: BDAT and SIZE= say so before the first octet. */
static int measure(struct transaction *t, struct outcome *why)
{
	struct buf text;
	uint64_t at = 0;
	int more;

	t->fit.bytes = 0;
	buf_init(&text, CONVERTED_MAX);
	fit_begin(t);
	do {
		buf_reset(&text);
		more = fit_read(t, &at, &text, why);
		t->fit.bytes += text.len;
	} while (more > 0);
	buf_clear(&text);
	return more;
}

static int prepare(struct transaction *t, unsigned goals, struct outcome *why)
{
	struct fit *f = &t->fit;
	int status;

	fit_clear(f);
	f->convert = convert_new(goals);
	if (!f->convert)
		return outcome_temp(why, "4.3.0", "no memory to convert");
	status = look(t, why);
	if (status > 0) {
		f->is_on = true;
		if (measure(t, why) < 0)
			status = -1;
	}
	if (status < 0)
		fit_clear(f);
	else
		f->goals = goals;
	return status < 0 ? -1 : 0;
}

int fit_choose(struct transaction *t, const struct ehlo *ehlo, bool can_bdat,
    struct outcome *why)
{
	unsigned goals = goals_for(t, ehlo, can_bdat);

	if (goals == 0)
		fit_clear(&t->fit);
	if (goals == t->fit.goals)
		return 0;
	return prepare(t, goals, why);
}

void fit_clear(struct fit *f)
{
	convert_free(f->convert);
	buf_clear(&f->text);
	*f = (struct fit){ 0 };
}

uint64_t fit_bytes(const struct transaction *t)
{
	return t->fit.is_on ? t->fit.bytes : t->body_bytes;
}

uint8_t fit_body(const struct transaction *t)
{
	if (!t->fit.is_on)
		return t->job.body;
	if (t->fit.goals & CONVERT_7BIT)
		return BODY_7BIT;
	return t->job.body == BODY_7BIT ? BODY_7BIT : BODY_8BIT;
}

/* --- reading -------------------------------------------------------------- */

void fit_begin(struct transaction *t)
{
	if (!t->fit.is_on)
		return;
	buf_clear(&t->fit.text);
	buf_init(&t->fit.text, CONVERTED_MAX);
	convert_begin(t->fit.convert);
}

static int read_plain(
    struct transaction *t, uint64_t *at, struct buf *out, struct outcome *why)
{
	char scratch[STREAM_PIECE];
	struct span piece;

	if (*at == t->body_bytes)
		return 0;
	piece = read_at(t, *at, sizeof(scratch), scratch, why);
	if (piece.n == 0)
		return -1;
	buf_put_raw(out, piece);
	*at += piece.n;
	return *at < t->body_bytes ? 1 : 0;
}

/* Until there is something to give. */
static int fill(struct transaction *t, uint64_t *at, struct outcome *why)
{
	struct fit *f = &t->fit;
	char scratch[SOURCE_PIECE];

	while (f->text.len == 0 && *at < t->body_bytes) {
		struct span piece =
		    read_at(t, *at, sizeof(scratch), scratch, why);

		if (piece.n == 0)
			return -1;
		convert_put(f->convert, piece, &f->text);
		*at += piece.n;
		if (*at == t->body_bytes)
			convert_end(f->convert, &f->text);
	}
	if (f->text.overflow)
		return outcome_temp(
		    why, "4.3.0", "no memory to convert the message");
	return 0;
}

int fit_read(
    struct transaction *t, uint64_t *at, struct buf *out, struct outcome *why)
{
	struct fit *f = &t->fit;
	size_t n;

	if (!f->is_on)
		return read_plain(t, at, out, why);
	if (fill(t, at, why) < 0)
		return -1;
	n = f->text.len < STREAM_PIECE ? f->text.len : STREAM_PIECE;
	buf_put(out, f->text.data, n);
	buf_consume(&f->text, n);
	return *at < t->body_bytes || f->text.len > 0 ? 1 : 0;
}

bool fit_peek(const struct transaction *t, uint64_t at, struct span *piece)
{
	uint64_t left = t->body_bytes - at;

	if (t->fit.is_on || t->body_fd >= 0)
		return false;
	*piece = (struct span){ t->job.content.p + at,
		left < STREAM_PIECE ? (size_t)left : STREAM_PIECE };
	return true;
}
