/* Outcomes: setting, putting, getting. */
#include "common/outcome.h"

#include <stdarg.h>
#include <stdio.h>

static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static int set(struct outcome *why, enum verdict verdict, const char *status,
    const char *format, va_list args)
{
	if (!why)
		return -1;
	why->verdict = verdict;
	snprintf(why->status, sizeof(why->status), "%s", status);
	vsnprintf(why->detail, sizeof(why->detail), format, args);
	make_printable(why->detail);
	return -1;
}

int outcome_temp(
    struct outcome *why, const char *status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(why, VERDICT_TEMP, status, format, args);
	va_end(args);
	return -1;
}

int outcome_perm(
    struct outcome *why, const char *status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(why, VERDICT_PERM, status, format, args);
	va_end(args);
	return -1;
}

int outcome_ok(struct outcome *why)
{
	if (why)
		*why = (struct outcome){ .verdict = VERDICT_OK };
	return 0;
}

void outcome_put(struct buf *b, const struct outcome *o)
{
	put_u8(b, (uint8_t)o->verdict);
	put_span(b, span_of(o->status));
	put_span(b, span_of(o->detail));
}

static void copy_text(char *to, size_t size, struct span from)
{
	size_t n = from.n < size - 1 ? from.n : size - 1;

	if (n > 0)
		memcpy(to, from.p, n);
	to[n] = '\0';
	make_printable(to);
}

void outcome_get(struct reader *r, struct outcome *o)
{
	uint8_t verdict = get_u8(r);

	if (verdict > VERDICT_PERM)
		r->bad = true;
	o->verdict = (enum verdict)verdict;
	copy_text(o->status, sizeof(o->status), get_span(r));
	copy_text(o->detail, sizeof(o->detail), get_span(r));
}
