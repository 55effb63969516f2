/* The cause that a record keeps, taken apart. */
#include "common/cause.h"

struct span cause_word(struct span cause)
{
	return span_cut(&cause, ' ');
}

struct span cause_part(struct span cause, const char *name)
{
	span_cut(&cause, ' ');
	while (cause.n > 0) {
		struct span value = span_cut(&cause, ' ');

		if (span_is_equal(span_cut(&value, '='), span_of(name)))
			return value;
	}
	return (struct span){ NULL, 0 };
}
