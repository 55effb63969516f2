/* The queue tool's ways to write: times, ages, sizes, foreign text. */
#ifndef QUEUE_TOOL_TEXT_H
#define QUEUE_TOOL_TEXT_H

#include "common/buf.h"

#include <stdint.h>

enum { TOOL_TIME_MAX = 32, TOOL_SHORT_MAX = 32 };

/* "2026-11-22T02:34:28Z" (RFC 3339, UTC). */
void text_time(uint64_t utc_s, char out[TOOL_TIME_MAX]);
/* "12s", "5m", "3h", "4d": whole units, rounded down. */
void text_span_of_time(uint64_t seconds, char out[TOOL_SHORT_MAX]);
/* "812", "4.1K", "52M": bytes in at most 5 characters. */
void text_size(uint64_t bytes, char out[TOOL_SHORT_MAX]);
/* When relative to now: "in 4m", "now" when it has passed. */
void text_until(uint64_t at_s, uint64_t now_s, char out[TOOL_SHORT_MAX]);

/* Foreign text for a terminal: printable UTF-8 as it is, all else as \xHH. */
void text_put_safe(struct buf *out, struct span text);
/* The same into a static ring of 8 texts, at most 1000 bytes each. */
const char *text_safe(struct span text);
/* Foreign text as valid UTF-8 (for JSON): other bytes become U+FFFD. */
void text_put_utf8(struct buf *out, struct span text);

/* A message's text for a terminal: lines kept, CR dropped, the rest safe. */
void text_put_lines(struct buf *out, struct span text);

#endif
