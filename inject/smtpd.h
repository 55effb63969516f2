/* The SMTP listener: see man outpost-smtpd(8). */
#ifndef INJECT_SMTPD_H
#define INJECT_SMTPD_H

#include "common/child.h"

extern const struct child_program smtpd_program;

#endif
