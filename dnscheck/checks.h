/* The plans: each looks at the run's options and places and adds its checks by
 * run_add. One line here and one in checks.c for each.
 */
#ifndef DNSCHECK_CHECKS_H
#define DNSCHECK_CHECKS_H

#include "dnscheck/run.h"

void checks_plan(struct run *run); /* all of them */
/* Some plan looks at that. */
bool checks_has(enum run_mode mode);

void node_plan(struct run *run);     /* node-: name, files, clock */
void resolver_plan(struct run *run); /* node-resolver-, node-dnssec- */
void address_plan(struct run *run);  /* address- */
void reverse_plan(struct run *run);  /* reverse- */
void name_plan(struct run *run);     /* name- */
void port25_plan(struct run *run);   /* port25- */
void relay_plan(struct run *run);    /* relay- */
void server_plan(struct run *run);   /* server- */
void to_plan(struct run *run);	     /* to- */
void propose_plan(struct run *run);  /* propose-: for setup */
void domain_plan(struct run *run);   /* mx-, spf-, dkim-, dmarc-, sts-, dane-,
				      * tlsrpt-, caa-, bimi- */
void list_plan(struct run *run);     /* list- */

#endif
