/* The address that the world sees, from a mail server that says whom it sees in
 * its answer to EHLO: dnscheck { echo }. */
#ifndef DNSCHECK_ECHO_H
#define DNSCHECK_ECHO_H

#include "dnscheck/run.h"

/* For places that have an address but whose outside is not known yet; before
 * the first check. */
void echo_find(struct run *run);

#endif
