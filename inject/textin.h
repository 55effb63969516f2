/* Text from standard input to the bytes of a message: the input rule.
 *
 * LF, CRLF and a lone CR each end a line and become CRLF. A last line without
 * end gets one. NUL is refused. With ends_at_dot a line that is a single dot
 * ends the input. Everything else passes as it is, lines of any length.
 */
#ifndef INJECT_TEXTIN_H
#define INJECT_TEXTIN_H

#include "common/outcome.h"

struct textin {
	bool ends_at_dot;
	bool is_ended; /* by the dot; later input is not looked at */
	bool has_8bit; /* so far */
	/* its own */
	bool is_in_line, saw_cr, has_dot;
};

/* Append what input becomes to *out: at most twice its length and 3 bytes. 0,
 * or -1 with *why (5.6.0 NUL, 4.3.0 no memory). */
int textin_convert(
    struct textin *t, struct span input, struct buf *out, struct outcome *why);
/* The input is over: end the last line. */
void textin_end(struct textin *t, struct buf *out);

#endif
