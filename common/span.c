/* Borrowed text: comparing, cutting, reading numbers. */
#include "common/span.h"

#include <stdlib.h>
#include <strings.h>

bool span_is_equal_nocase(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

bool span_has_prefix_nocase(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && strncasecmp(s.p, prefix, n) == 0;
}

ptrdiff_t span_find(struct span s, char c)
{
	const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

struct span span_trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

struct span span_cut(struct span *rest, char separator)
{
	struct span whole = *rest;
	ptrdiff_t at = span_find(whole, separator);

	if (at < 0) {
		*rest = span_from(whole, whole.n);
		return whole;
	}
	*rest = span_from(whole, (size_t)at + 1);
	return (struct span){ whole.p, (size_t)at };
}

int span_to_u64(struct span s, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned char)s.p[i] - '0';

		if (digit > 9 || sum > (max - digit) / 10)
			return -1;
		sum = sum * 10 + digit;
		if (sum > max)
			return -1;
	}
	*value = sum;
	return 0;
}

bool span_has_line_breaks(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
			return true;
	return false;
}

char *span_dup(struct span s)
{
	char *copy = malloc(s.n + 1);

	if (!copy)
		return NULL;
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}
