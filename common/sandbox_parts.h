/* The steps of sandbox_enter that have a file of their own. */
#ifndef COMMON_SANDBOX_PARTS_H
#define COMMON_SANDBOX_PARTS_H

#include "common/sandbox.h"

/* Deny the file system but for the given folders, TCP ports unless CONNECT,
 * and signals to others. Logs what the kernel lacks; fatal() when it fails. */
void sandbox_landlock(const struct sandbox *sandbox);

/* Load the filter of system calls. fatal() when it fails. */
void sandbox_seccomp(const struct sandbox *sandbox);

#endif
