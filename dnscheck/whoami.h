/* The address that the world sees, from a name server that answers a name with
 * the address that asks: dnscheck { whoami }, "NAME@SERVER".
 */
#ifndef DNSCHECK_WHOAMI_H
#define DNSCHECK_WHOAMI_H

#include "dnscheck/run.h"

/* For places that have an address but whose outside is not known yet; each is
 * asked for from its own address, side by side. */
void whoami_find(struct run *run);

#endif
