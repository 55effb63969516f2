/* Fields that several messages share: read, checked, bounded. */
#include "common/messages_get.h"

#include <stdlib.h>

#include "common/messages.h"

bool get_bool(struct reader *r)
{
	uint8_t v = get_u8(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

struct span get_line(struct reader *r, size_t max)
{
	struct span s = get_span(r);

	if (s.n > max || span_has_line_breaks(s))
		r->bad = true;
	return r->bad ? (struct span){ NULL, 0 } : s;
}

struct span get_bytes(struct reader *r, size_t max)
{
	struct span s = get_span(r);

	if (s.n > max)
		r->bad = true;
	return r->bad ? (struct span){ NULL, 0 } : s;
}

void *get_array(struct reader *r, size_t n, size_t bytes, size_t size)
{
	void *array;

	if (r->bad || n > r->rest.n / bytes) {
		r->bad = true;
		return NULL;
	}
	array = calloc(n ? n : 1, size);
	if (!array)
		r->bad = true;
	return array;
}

void get_status(struct reader *r, char status[12])
{
	struct span s = get_line(r, 11);

	if (s.n > 0)
		memcpy(status, s.p, s.n);
	status[s.n] = '\0';
}
