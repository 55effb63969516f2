/* A TCP connection to one address, from one of our own addresses. */
#ifndef REMOTE_CONNECT_H
#define REMOTE_CONNECT_H

#include "common/deadline.h"
#include "common/messages.h"
#include "common/net.h"

/* Returns a connected, non-blocking socket, or -1 with *why (4.4.1). Where the
 * session names source addresses, the first of the peer's family is used; a
 * family without one is not tried. */
int connect_to(const struct session *session, const union net_address *peer,
    struct deadline deadline, struct outcome *why);

#endif
