/* How many connections each client has: an IPv4 address, or the first half of
 * an IPv6 address (what one customer is given).
 */
#ifndef INJECT_CLIENT_COUNT_H
#define INJECT_CLIENT_COUNT_H

#include "common/net.h"

struct client_count;

struct client_count *client_count_new(void); /* NULL without memory */
void client_count_free(struct client_count *counts);

/* One more; false when there are max of it already (or no memory): not
 * counted. Addresses that are not IP always pass and are not counted. */
bool client_count_add(struct client_count *counts,
    const union net_address *address, unsigned max);
/* One that was counted has gone. */
void client_count_remove(
    struct client_count *counts, const union net_address *address);

#endif
