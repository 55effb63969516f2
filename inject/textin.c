/* Text from standard input to the bytes of a message. */
#include "inject/textin.h"

static void end_line(struct textin *t, struct buf *out)
{
	if (t->has_dot) {
		t->is_ended = true;
		return;
	}
	buf_put(out, "\r\n", 2);
	t->is_in_line = false;
}

/* Length of the run without line ends and NUL; notes 8-bit bytes. */
static size_t plain_run(struct textin *t, struct span rest)
{
	unsigned char all = 0;
	size_t n = 0;

	for (; n < rest.n; n++) {
		unsigned char c = (unsigned char)rest.p[n];

		if (c == '\n' || c == '\r' || c == '\0')
			break;
		all |= c;
	}
	t->has_8bit |= all >= 0x80;
	return n;
}

static size_t take_run(struct textin *t, struct span rest, struct buf *out)
{
	size_t n = plain_run(t, rest);

	if (n == 0)
		return 0;
	if (t->ends_at_dot && !t->is_in_line && rest.p[0] == '.' && n == 1) {
		/* Held back until the next byte shows what it is. */
		t->has_dot = true;
	} else {
		if (t->has_dot)
			buf_putc(out, '.');
		t->has_dot = false;
		buf_put(out, rest.p, n);
	}
	t->is_in_line = true;
	return n;
}

int textin_convert(
    struct textin *t, struct span input, struct buf *out, struct outcome *why)
{
	size_t at = 0;

	while (at < input.n && !t->is_ended) {
		char c;

		at += take_run(t, span_from(input, at), out);
		t->saw_cr &= !t->is_in_line;
		if (at >= input.n)
			break;
		c = input.p[at++];
		if (c == '\0')
			return outcome_perm(why, "5.6.0",
			    "the message has a NUL byte; remove or encode it");
		/* The LF of a CRLF has had its line end. */
		if (c != '\n' || !t->saw_cr)
			end_line(t, out);
		t->saw_cr = c == '\r';
	}
	if (out->overflow)
		return outcome_temp(why, "4.3.0", "out of memory");
	return 0;
}

void textin_end(struct textin *t, struct buf *out)
{
	if (t->is_in_line && !t->is_ended)
		end_line(t, out);
}
