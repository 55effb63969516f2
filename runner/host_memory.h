/* What the runner remembers of servers, across messages and destinations:
 * which addresses did not answer lately, and TLS sessions to resume. Pure and
 * bounded: an older memory gives way to a newer one.
 *
 * Times are milliseconds of one clock that never goes back.
 */
#ifndef RUNNER_HOST_MEMORY_H
#define RUNNER_HOST_MEMORY_H

#include "common/messages.h"

enum {
	BAD_MS = 60000,	       /* an address that failed is put last so long; */
	BAD_MAX_MS = 1800000,  /* twice as long each time it fails again */
	TICKETS_A_SESSION = 4, /* hosts that are given one */
};

struct host_memory;

struct host_memory *host_memory_new(uint64_t seed); /* NULL: no memory */
void host_memory_free(struct host_memory *m);	    /* NULL is fine */

/* An address was tried: it was ready for mail, or not. */
void host_memory_tried(
    struct host_memory *m, struct span address, bool is_ready, uint64_t now_ms);

/* Put hosts, and addresses of a host, that failed lately behind those that did
 * not; otherwise the order stays. When such a pause is over the first that
 * asks tries the address again, and the others wait for what it finds. */
void host_memory_order(
    struct host_memory *m, struct host *hosts, size_t nhosts, uint64_t now_ms);

/* A TLS session for a host of a destination (whose name stands for level,
 * login and relay), had by a line of that group; empty data: forget it. */
void host_memory_keep(struct host_memory *m, struct span group,
    struct span destination, const struct ticket *ticket);
/* Set hosts[].ticket, borrowed until the next keep. */
void host_memory_tickets(const struct host_memory *m, struct span group,
    struct span destination, struct host *hosts, size_t nhosts);

#endif
