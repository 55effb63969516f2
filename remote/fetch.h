/* MTA-STS policies by HTTPS: RFC 8461 section 3.3. */
#ifndef REMOTE_FETCH_H
#define REMOTE_FETCH_H

#include "common/child.h"
#include "remote/castore.h"

struct fetcher;

/* Before the sandbox, since libcurl and OpenSSL read files of their own then.
 * ca: what web servers are verified with; borrowed. NULL without memory. */
struct fetcher *fetcher_new(struct child *child, const struct castore *ca);
/* Serve outpost-resolve on fd (taken over), instead of an earlier one, whose
 * fetches are given up. */
void fetcher_connect(struct fetcher *fetcher, int fd);

#endif
