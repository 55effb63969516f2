/* The SMTP listener: see man outpost-smtpd(8). */
#ifndef INJECT_SMTPD_H
#define INJECT_SMTPD_H

#include "common/child.h"

extern const struct child_program smtpd_program;

/* "--check": certificate and key are descriptors 3 and 4; what is wrong with
 * them goes to standard output. The exit status: 0 good, 1 not. */
int smtpd_check(void);

#endif
