/* Received fields are counted as the message passes. */
#include "inject/hops.h"

#include <ctype.h>

static const char name[] = "received:";

enum { NAME_BYTES = sizeof(name) - 1 };

static void line_end(struct hops *h)
{
	/* the CR alone stood before it */
	h->is_over = h->column <= 1;
	h->column = 0;
	h->is_other = false;
}

static void take_byte(struct hops *h, char c)
{
	if (h->column < NAME_BYTES && !h->is_other)
		h->is_other = tolower((unsigned char)c) != name[h->column];
	if (++h->column == NAME_BYTES && !h->is_other)
		h->count++;
}

void hops_take(struct hops *h, struct span text)
{
	while (text.n > 0 && !h->is_over) {
		ptrdiff_t end;

		if (*text.p == '\n') {
			line_end(h);
		} else if (h->column < NAME_BYTES) {
			take_byte(h, *text.p);
		} else {
			end = span_find(text, '\n');
			text = span_from(text, end < 0 ? text.n : (size_t)end);
			continue;
		}
		text = span_from(text, 1);
	}
}
