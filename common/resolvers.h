/* Which name servers are asked, and whether what they say of DNSSEC is
 * believed: only of one on this machine's loopback, where nobody else can
 * write, or one that the configuration marks "trusted". */
#ifndef COMMON_RESOLVERS_H
#define COMMON_RESOLVERS_H

#include "common/conf.h"
#include "common/net.h"

enum { RESOLVERS_MAX = 8 };

struct resolver_address {
	union net_address address;
	bool is_trusted;
};

struct resolvers {
	struct resolver_address items[RESOLVERS_MAX];
	size_t count;
	const char *from; /* "configuration", the file, or "default" */
};

/* "192.0.2.1", "[::1]:5353", "192.0.2.1 trusted". 0 or -1. */
int resolver_parse(struct span text, struct resolver_address *r);
/* As resolver_parse reads it back; " trusted" only where it must be said. */
void resolver_print(const struct resolver_address *r, struct buf *out);

/* The configured ones, or those of the file (resolv.conf), or 127.0.0.1. What
 * is left out is logged. */
void resolvers_find(const struct strings *configured, const char *file,
    struct resolvers *resolvers);

size_t resolvers_trusted(const struct resolvers *resolvers); /* how many */

#endif
