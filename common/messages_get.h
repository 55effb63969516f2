/* Fields that several messages share. Like get_u8...: bad is set on what is not
 * allowed, and nothing is returned then. */
#ifndef COMMON_MESSAGES_GET_H
#define COMMON_MESSAGES_GET_H

#include "common/buf.h"

bool get_bool(struct reader *r);
/* A text of at most max bytes that may not break a line: addresses, names. */
struct span get_line(struct reader *r, size_t max);
/* Bytes of any value, at most max. */
struct span get_bytes(struct reader *r, size_t max);
/* Zeroed room for n things of which each takes at least bytes of what is left;
 * the caller frees. NULL: bad is set. */
void *get_array(struct reader *r, size_t n, size_t bytes, size_t size);
/* RFC 3463, at most 11 characters. */
void get_status(struct reader *r, char status[12]);

#endif
