/* The places of a run: each line group with each address that it sends from,
 * and what the world sees of it. */
#ifndef DNSCHECK_PLACE_H
#define DNSCHECK_PLACE_H

#include "dnscheck/run.h"

enum { PLACES_MAX = 1000 };

/* All places as configured and as the kernel says; then those whose outside is
 * still unknown ask the "whoami" server, side by side. */
void places_find(struct run *run);
void places_free(struct run *run);

/* What kind of address it is, whoever has it. */
enum address_kind {
	ADDRESS_PUBLIC = 0,
	ADDRESS_PRIVATE,    /* RFC 1918, RFC 4193: behind NAT */
	ADDRESS_CGNAT,	    /* RFC 6598 */
	ADDRESS_LINK_LOCAL, /* RFC 3927, RFC 4291 */
	ADDRESS_LOOPBACK,
	ADDRESS_TUNNEL,	  /* 6to4, Teredo: not for mail */
	ADDRESS_UNUSABLE, /* multicast, "this network", reserved */
};
enum address_kind address_kind_of(const char *text);
const char *address_kind_name(enum address_kind kind); /* "private"... */

/* The name (in lower case) that the address has is one that providers give to
 * dialled-up machines. */
bool address_looks_dynamic(const char *name, const char *address);

#endif
