/* Borrowed text: a pointer and a length. Foreign data is never a C string. */
#ifndef COMMON_SPAN_H
#define COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p; /* may be NULL only when n is 0 */
	size_t n;      /* bytes */
};

#define SPAN_LITERAL(s) ((struct span){ (s), sizeof(s) - 1 })

static inline struct span span_of(const char *text)
{
	return (struct span){ text, text ? strlen(text) : 0 };
}

static inline bool span_is_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The bytes of s from offset on; empty when offset is at or past the end. */
static inline struct span span_from(struct span s, size_t offset)
{
	if (offset >= s.n)
		return (struct span){ s.p ? s.p + s.n : NULL, 0 };
	return (struct span){ s.p + offset, s.n - offset };
}

/* Equal but for ASCII case. */
bool span_is_equal_nocase(struct span a, struct span b);
bool span_has_prefix_nocase(struct span s, const char *prefix);

/* Offset of the first byte c, or -1. */
ptrdiff_t span_find(struct span s, char c);

/* s without leading and trailing blanks (space and tab). */
struct span span_trim(struct span s);

/* Cut off and return what stands before separator; *rest keeps what stands
 * after it (empty when the separator is missing). */
struct span span_cut(struct span *rest, char separator);

/* Decimal digits only, at most max. Returns 0, or -1 with *value untouched. */
int span_to_u64(struct span s, uint64_t max, uint64_t *value);

/* True when s has CR, LF or NUL: refused at every border between programs. */
bool span_has_line_breaks(struct span s);

/* A heap copy ended by NUL, for the caller to free; NULL without memory. */
char *span_dup(struct span s);

#endif
