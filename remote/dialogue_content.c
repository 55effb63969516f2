/* The content, from memory or a file, as DATA or BDAT carry it. */
#include "remote/dialogue.h"

#include <errno.h>
#include <unistd.h>

void content_init(struct content *c, bool is_stuffed)
{
	*c = (struct content){ .is_stuffed = is_stuffed };
	stuff_init(&c->stuff);
}

/* The next bytes of the file into scratch; the size was promised in BDAT. */
static ptrdiff_t read_file(const struct content *c, const struct transaction *t,
    char *scratch, size_t n, struct outcome *why)
{
	ptrdiff_t got;

	do
		got = pread(t->body_fd, scratch, n, (off_t)c->at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return outcome_temp(
		    why, "4.3.0", "reading the body: %s", strerror(errno));
	if (got == 0)
		return outcome_temp(
		    why, "4.3.0", "the body ends before its size");
	return got;
}

static void put_piece(struct content *c, struct span piece, struct buf *out)
{
	if (c->is_stuffed)
		stuff_put(&c->stuff, piece, out);
	else
		buf_put_raw(out, piece);
	c->at += piece.n;
}

static int put_from_file(struct content *c, const struct transaction *t,
    size_t n, struct buf *out, struct outcome *why)
{
	char scratch[STREAM_PIECE];
	ptrdiff_t got;

	got = read_file(
	    c, t, scratch, n < sizeof(scratch) ? n : sizeof(scratch), why);
	if (got < 0)
		return -1;
	put_piece(c, (struct span){ scratch, (size_t)got }, out);
	return 0;
}

int content_put(struct content *c, const struct transaction *t, struct buf *out,
    struct outcome *why)
{
	uint64_t left = t->body_bytes - c->at;
	size_t n = left < STREAM_PIECE ? (size_t)left : STREAM_PIECE;

	if (n > 0 && t->body_fd < 0)
		put_piece(c, (struct span){ t->job.content.p + c->at, n }, out);
	else if (n > 0 && put_from_file(c, t, n, out, why) < 0)
		return -1;
	if (c->at < t->body_bytes)
		return 1;
	if (c->is_stuffed)
		stuff_end(&c->stuff, out);
	return 0;
}
