/* The record that says where reports about TLS are wanted: RFC 8460 section 3.
 */
#ifndef REMOTE_TLSRPT_H
#define REMOTE_TLSRPT_H

#include "common/buf.h"

/* Whether a TXT record is one of these at all: others may stand beside it. */
bool tlsrpt_record_is(struct span txt);
/* Its places, as lines: "mailto:" with the bare address, decoded, and "https:"
 * as they stand; TLS_URIS_MAX at most, others are left out. 0, or -1 with
 * *why, one clause: none can be used. */
int tlsrpt_record_parse(struct span txt, struct buf *lines, const char **why);

/* "https://host[:port][/path]": printable, a plain host name in lower case,
 * nothing before it. host points into uri. 0 or -1. */
int tlsrpt_https_parse(struct span uri, struct span *host, uint16_t *port);

#endif
