/* SMTP replies, one behind the other, as a server may send them. */
#include "common/reply.h"

#include "common/messages.h"
#include "common/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct reply *r)
{
	struct buf line;

	if (r->code < 200 || r->code > 599 || r->text.overflow ||
	    r->text.len > REPLY_TEXT_MAX || r->nlines > REPLY_LINES_MAX ||
	    r->status[0] < '2' || r->status[0] > '5' ||
	    !utf8_is_valid(buf_span(&r->text)))
		abort();
	buf_init(&line, REPLY_MAX);
	reply_print(r, &line);
	if (line.overflow || line.len < 3 ||
	    span_has_line_breaks(buf_span(&line)) ||
	    !utf8_is_valid(buf_span(&line)))
		abort();
	buf_clear(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size };
	struct outcome why;
	struct reply r;
	ptrdiff_t n;

	reply_init(&r);
	while ((n = reply_parse(&r, input, &why)) > 0) {
		if ((size_t)n > input.n)
			abort();
		check(&r);
		input = span_from(input, (size_t)n);
	}
	reply_clear(&r);
	return 0;
}
