/* The content as DATA or BDAT carry it. */
#include "remote/dialogue.h"

void content_init(struct content *c, struct transaction *t, bool is_stuffed)
{
	*c = (struct content){ .is_stuffed = is_stuffed };
	stuff_init(&c->stuff);
	fit_begin(t);
}

static int put_stuffed(struct content *c, struct transaction *t,
    struct buf *out, struct outcome *why)
{
	struct buf copy;
	struct span piece;
	int more = 0;

	buf_init(&copy, STREAM_PIECE);
	if (fit_peek(t, c->at, &piece)) {
		c->at += piece.n;
		more = c->at < t->body_bytes ? 1 : 0;
	} else {
		more = fit_read(t, &c->at, &copy, why);
		piece = buf_span(&copy);
	}
	if (more >= 0)
		stuff_put(&c->stuff, piece, out);
	if (more == 0)
		stuff_end(&c->stuff, out);
	buf_clear(&copy);
	return more;
}

int content_put(struct content *c, struct transaction *t, struct buf *out,
    struct outcome *why)
{
	c->has_begun = true;
	if (c->is_stuffed)
		return put_stuffed(c, t, out, why);
	return fit_read(t, &c->at, out, why);
}
