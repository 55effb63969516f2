/* UTF-8 (RFC 3629), one character at a time. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include "common/span.h"

/* Bytes of the character at the front of s, 1 to 4, with *point set; 0 when
 * they are no UTF-8 (cut off, overlong, surrogate, beyond U+10FFFF) or s is
 * empty. */
size_t utf8_next(struct span s, uint32_t *point);

/* All of s is UTF-8. */
bool utf8_is_valid(struct span s);

/* The largest length at most max that does not cut a character in two. */
size_t utf8_cut(struct span s, size_t max);

/* Not a control character, in ASCII or beyond it (C1, bidirectional
 * overrides): safe on a terminal. */
bool utf8_is_printable(uint32_t point);

#endif
