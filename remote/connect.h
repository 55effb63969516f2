/* A TCP connection to one of a host's addresses, from one of our own.
 *
 * Addresses are tried in their order; where the first has not answered after a
 * quarter of a second the next is tried beside it, and the one that answers
 * first is used (RFC 8305): a family or an address that leads nowhere costs no
 * more than that.
 */
#ifndef REMOTE_CONNECT_H
#define REMOTE_CONNECT_H

#include "common/deadline.h"
#include "common/messages.h"
#include "common/net.h"

enum {
	CONNECT_HEAD_START_MS = 250,
	CONNECT_AT_ONCE = 3,
};

/* What became of each address. */
enum connect_result {
	CONNECT_UNTRIED = 0,
	CONNECT_DONE,
	CONNECT_FAILED,
	CONNECT_SLOW,	   /* another one was faster: not known to be bad */
	CONNECT_NO_FAMILY, /* no address of ours is of its family */
};
struct connect_report {
	unsigned used;			   /* which address, when connected */
	uint8_t results[ADDRESSES_MAX];	   /* enum connect_result */
	struct outcome why[ADDRESSES_MAX]; /* FAILED */
};

/* Connect to the host's addresses from number first to number last. wait_ms:
 * for each. Returns a connected, non-blocking socket, or -1 with *why (4.4.1):
 * none of them. Where the session names source addresses, one of the peer's
 * family is used, the same for the same destination; a family without one is
 * not tried. */
int connect_host(const struct session *session, const struct host *host,
    unsigned first, unsigned last, uint32_t wait_ms,
    struct connect_report *report, struct outcome *why);

/* What to do about an error of connect(2), to be put behind it; "" when there
 * is nothing to say. port 25 is often blocked on purpose. */
const char *connect_remedy(int error, uint16_t port);

#endif
