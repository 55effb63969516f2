/* Owned text: a growing buffer with a hard limit and a sticky overflow flag,
 * and the typed fields (big-endian) put into it and read back from a span. */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/span.h"

struct buf {
	char *data;
	size_t len, cap;
	size_t limit;  /* bytes; growth beyond it sets overflow */
	bool overflow; /* sticky: something was not put; test before use */
	bool starved; /* with overflow: memory was missing, not the limit met */
};

void buf_init(struct buf *b, size_t limit);
void buf_clear(struct buf *b); /* frees; the buffer can be used again */
void buf_reset(struct buf *b); /* empties, keeps the memory */

/* Each put appends, or sets overflow and changes nothing else. */
void buf_put(struct buf *b, const void *data, size_t n);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_put_raw(struct buf *b, struct span s);
void buf_printf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Make room for n more bytes and return where they go (then add to len), or
 * NULL with overflow set. */
char *buf_reserve(struct buf *b, size_t n);

/* Drop n bytes (at most len) from the front. */
void buf_consume(struct buf *b, size_t n);

struct span buf_span(const struct buf *b);

/* The text ended by NUL (not counted in len), owned by the buffer; "" when
 * nothing fits. */
const char *buf_text(struct buf *b);

/* Fields. A span field is a 32-bit length and the bytes. */
void put_u8(struct buf *b, uint8_t v);
void put_u16(struct buf *b, uint16_t v);
void put_u32(struct buf *b, uint32_t v);
void put_u64(struct buf *b, uint64_t v);
void put_span(struct buf *b, struct span s);

/* Reads never go past the end: they return 0 or an empty span and set bad,
 * which is tested once at the end. */
struct reader {
	struct span rest;
	bool bad;
};

static inline struct reader reader_of(struct span s)
{
	return (struct reader){ s, false };
}

uint8_t get_u8(struct reader *r);
uint16_t get_u16(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);
struct span get_span(struct reader *r);	     /* borrowed from the input */
bool reader_is_done(const struct reader *r); /* all read and nothing bad */

#endif
