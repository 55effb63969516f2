/* The text of a message on its way in. */
#include "inject/datain.h"

void datain_init(struct datain *d)
{
	*d = (struct datain){ DATAIN_LINE_START, NULL };
}

static void broken(struct datain *d, const char *how)
{
	if (!d->bad)
		d->bad = how;
}

/* n bytes without CR. */
static void check_plain(struct datain *d, const char *p, size_t n)
{
	if (d->bad || n == 0)
		return;
	if (memchr(p, '\n', n))
		d->bad = "a bare LF";
	else if (memchr(p, '\0', n))
		d->bad = "a NUL";
}

/* Bytes up to the next CR and with it; sets the state that follows. */
static size_t run_length(struct datain *d, const char *p, size_t n)
{
	const char *cr = memchr(p, '\r', n);
	size_t plain = cr ? (size_t)(cr - p) : n;

	check_plain(d, p, plain);
	d->state = cr ? DATAIN_CR : DATAIN_INSIDE;
	return plain + (cr != NULL);
}

/* The byte after a CR. */
static void after_cr(struct datain *d, char c)
{
	if (c == '\n') {
		d->state = DATAIN_LINE_START;
		return;
	}
	broken(d, "a bare CR");
	d->state = DATAIN_INSIDE;
}

size_t datain_dotted(
    struct datain *d, char *in, size_t n, struct span *text, bool *is_end)
{
	size_t from = 0, to = 0, run;

	*is_end = false;
	while (from < n && !*is_end) {
		switch (d->state) {
		case DATAIN_DOT:
			/* A dot with more behind it was put there in transit */
			if (in[from] == '\r') {
				d->state = DATAIN_DOT_CR;
				from++;
			} else {
				d->state = DATAIN_INSIDE;
			}
			break;
		case DATAIN_DOT_CR:
			after_cr(d, in[from]);
			*is_end = d->state == DATAIN_LINE_START;
			from += *is_end;
			break;
		case DATAIN_CR:
			after_cr(d, in[from]);
			if (d->state == DATAIN_LINE_START)
				in[to++] = in[from++];
			break;
		case DATAIN_LINE_START:
			if (in[from] == '.') {
				d->state = DATAIN_DOT;
				from++;
				break;
			} /* fall through */
		case DATAIN_INSIDE:
			run = run_length(d, in + from, n - from);
			if (to != from)
				memmove(in + to, in + from, run);
			from += run;
			to += run;
			break;
		}
	}
	*text = (struct span){ in, to };
	return from;
}

void datain_chunk(struct datain *d, struct span in)
{
	size_t from = 0;

	while (from < in.n) {
		if (d->state == DATAIN_CR) {
			after_cr(d, in.p[from]);
			from += d->state == DATAIN_LINE_START;
		} else {
			from += run_length(d, in.p + from, in.n - from);
		}
	}
}

bool datain_needs_line_end(struct datain *d)
{
	if (d->state == DATAIN_CR)
		broken(d, "a bare CR");
	return d->state != DATAIN_LINE_START;
}
