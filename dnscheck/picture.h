/* The way of one place as an inline SVG picture: node, NAT, address, PTR,
 * local name; what does not match is marked. */
#ifndef DNSCHECK_PICTURE_H
#define DNSCHECK_PICTURE_H

#include "dnscheck/run.h"

void picture_put(
    const struct run *run, const struct place *place, struct buf *out);

#endif
