/* Times of the week, as a line group's window says them:
 *
 *   window = item *( ( "," / ";" ) item )
 *   item   = [ day [ "-" day ] ] time "-" time
 *   day    = "Mon" / "Tue" / ... "Sun", in any case
 *   time   = hour ":" minute, up to 24:00
 *
 * Without days: every day. A time that ends before it begins goes over
 * midnight into the next day. Local time of the process's zone.
 */
#ifndef COMMON_WINDOW_H
#define COMMON_WINDOW_H

#include "common/outcome.h"
#include "common/span.h"

enum { WINDOW_MINUTES = 7 * 24 * 60 };

struct window {
	uint8_t bits[WINDOW_MINUTES / 8]; /* a minute each, from Sunday */
};

/* 0, or -1 with *why (a form that is not known, or it never opens). */
int window_parse(struct span text, struct window *w, struct outcome *why);
bool window_is_open(const struct window *w, int64_t utc);
/* When it opens, or when it is open closes, next; INT64_MAX: never. */
int64_t window_change(const struct window *w, int64_t utc);

#endif
