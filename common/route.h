/* Where mail goes next, and which rule of the configuration says so. Pure.
 *
 * Order: the relay of a reply rule, route blocks (exact domain, then the
 * longest wildcard), the fallback relay after so many attempts, the sender's
 * relay, the line group's relay, relay "default" in relay mode, the domain's
 * MX. The line group: the route's, the one asked for, the sender's, "default".
 */
#ifndef COMMON_ROUTE_H
#define COMMON_ROUTE_H

#include "common/conf.h"
#include "common/messages.h"

enum { ROUTE_KEY_MAX = 600 };

struct route_query {
	struct span domain; /* as in struct waiting */
	struct span sender;
	struct span line; /* group asked for; may be empty or unknown */
	uint32_t uid;
	unsigned attempts;   /* made so far */
	bool requiretls;     /* RFC 8689: verified TLS all the way */
	struct span relay;   /* by a reply rule; empty */
	bool ignores_policy; /* a report about TLS: whatever fails of it, it
			      * goes out (RFC 8460 3) */
};

/* Pointers are borrowed from the configuration. */
struct route {
	char key[ROUTE_KEY_MAX]; /* the destination: equal key, equal hosts */
	const struct conf_server *servers; /* NULL: the MX of the domain */
	size_t nservers;
	const struct conf_relay *relay; /* NULL: not by a relay */
	const struct conf_line *line;
	size_t group;			       /* its place in conf->lines */
	uint8_t tls;			       /* enum tls_level */
	uint16_t port;			       /* for MX hosts */
	unsigned connections;		       /* at once, at most */
	const struct conf_destination *limits; /* that name it; or NULL */
	bool ignores_policy; /* what the domain publishes is not looked up */
	const char *what;    /* "reply", "route", "fallback", "sender",
			      * "line", "mode", "mx" */
	const struct conf_place *place; /* of that block; NULL: none */
};

/* Returns 0, or -1 with *why (4.3.5: a relay is named that does not exist;
 * conf_load does not let that pass). */
int route_find(const struct conf *conf, const struct route_query *q,
    struct route *route, struct outcome *why);

/* The destination block that names one of a site's hosts (its MX names): its
 * limits are those of the site. NULL: none. */
const struct conf_destination *route_site_limits(
    const struct conf *conf, const struct span *names, size_t n);

#endif
