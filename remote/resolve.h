/* The resolver's service to the runner: MSG_RESOLVE in, MSG_RESOLVED out. */
#ifndef REMOTE_RESOLVE_H
#define REMOTE_RESOLVE_H

#include "common/child.h"
#include "remote/dnssystem.h"
#include "remote/stscache.h"

struct resolver;

/* options: which servers. hosts, policies: taken over; policies: NULL without
 * MTA-STS. NULL without memory. */
struct resolver *resolver_new(struct child *child,
    const struct dns_options *options, struct hosts *hosts,
    struct sts_cache *policies);
/* Ask outpost-fetch, on fd (taken over), for policies. */
void resolver_connect_fetcher(struct resolver *resolver, int fd);
/* Serve that program on fd (taken over), instead of an earlier one. */
void resolver_connect(struct resolver *resolver, int fd);
/* Ask once whether a resolver that is believed validates; log it if not. */
void resolver_probe(struct resolver *resolver);

#endif
