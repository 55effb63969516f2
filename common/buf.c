/* Owned text and typed fields. */
#include "common/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){ .limit = limit };
}

void buf_clear(struct buf *b)
{
	free(b->data);
	buf_init(b, b->limit);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->overflow = b->starved = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	char *grown;

	if (b->overflow || n > b->limit || b->len > b->limit - n) {
		b->overflow = true;
		return NULL;
	}
	if (b->len + n <= b->cap)
		return b->data + b->len;
	while (cap < b->len + n)
		cap *= 2;
	grown = realloc(b->data, cap);
	if (!grown) {
		b->overflow = b->starved = true;
		return NULL;
	}
	b->data = grown;
	b->cap = cap;
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *data, size_t n)
{
	char *to = n > 0 ? buf_reserve(b, n) : NULL;

	if (!to)
		return;
	memcpy(to, data, n);
	b->len += n;
}

void buf_puts(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

void buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_put_raw(struct buf *b, struct span s)
{
	buf_put(b, s.p, s.n);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;
	char *to;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	to = n >= 0 ? buf_reserve(b, (size_t)n + 1) : NULL;
	if (to) {
		vsnprintf(to, (size_t)n + 1, format, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	b->len -= n;
	if (b->len > 0 && n > 0)
		memmove(b->data, b->data + n, b->len);
}

struct span buf_span(const struct buf *b)
{
	return (struct span){ b->data, b->len };
}

const char *buf_text(struct buf *b)
{
	char *to = buf_reserve(b, 1);

	if (!to)
		return "";
	*to = '\0';
	return b->data;
}

void put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void put_u16(struct buf *b, uint16_t v)
{
	v = htobe16(v);
	buf_put(b, &v, sizeof(v));
}

void put_u32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_put(b, &v, sizeof(v));
}

void put_u64(struct buf *b, uint64_t v)
{
	v = htobe64(v);
	buf_put(b, &v, sizeof(v));
}

void put_span(struct buf *b, struct span s)
{
	if (s.n > UINT32_MAX) {
		b->overflow = true;
		return;
	}
	put_u32(b, (uint32_t)s.n);
	buf_put(b, s.p, s.n);
}

static bool take(struct reader *r, void *to, size_t n)
{
	if (r->bad || r->rest.n < n) {
		r->bad = true;
		memset(to, 0, n);
		return false;
	}
	memcpy(to, r->rest.p, n);
	r->rest = span_from(r->rest, n);
	return true;
}

uint8_t get_u8(struct reader *r)
{
	uint8_t v;

	take(r, &v, sizeof(v));
	return v;
}

uint16_t get_u16(struct reader *r)
{
	uint16_t v;

	take(r, &v, sizeof(v));
	return be16toh(v);
}

uint32_t get_u32(struct reader *r)
{
	uint32_t v;

	take(r, &v, sizeof(v));
	return be32toh(v);
}

uint64_t get_u64(struct reader *r)
{
	uint64_t v;

	take(r, &v, sizeof(v));
	return be64toh(v);
}

struct span get_span(struct reader *r)
{
	uint32_t n = get_u32(r);
	struct span s = { r->rest.p, n };

	if (r->bad || n > r->rest.n) {
		r->bad = true;
		return (struct span){ NULL, 0 };
	}
	r->rest = span_from(r->rest, n);
	return s;
}

bool reader_is_done(const struct reader *r)
{
	return !r->bad && r->rest.n == 0;
}
