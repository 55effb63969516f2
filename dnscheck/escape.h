/* Foreign text made safe for where it is printed. */
#ifndef DNSCHECK_ESCAPE_H
#define DNSCHECK_ESCAPE_H

#include "common/buf.h"

/* A terminal: printable UTF-8 as it is, all else as \xHH. */
void escape_terminal(struct buf *out, const char *text);
/* JSON: valid UTF-8; other bytes become U+FFFD. */
void escape_utf8(struct buf *out, const char *text);
/* HTML, also in attributes: printable UTF-8, with the five characters that
 * mean something as entities; all else as \xHH. */
void escape_html(struct buf *out, const char *text);

#endif
