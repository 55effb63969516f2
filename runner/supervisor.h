/* The supervisor: starts the other programs, gives them their descriptors,
 * restarts what dies. It parses no foreign byte. */
#ifndef RUNNER_SUPERVISOR_H
#define RUNNER_SUPERVISOR_H

#include "common/conf.h"
#include "common/outcome.h"

struct supervisor_options {
	const char *file;   /* of the configuration; NULL: the usual places */
	int ready_fd;	    /* "!" is written to it when ready, "?" when it ends
			     * before and the log says why; -1: none */
	bool is_background; /* standard error is going away */
};

/* The whole life in the foreground. Returns the exit status: 0 after an
 * orderly stop, 1 when it could not start, 78 for the configuration. */
int supervisor_run(const struct supervisor_options *options);

/* Whether each listener's certificate and key can be used: tried in a process
 * without rights. 0, or -1 with *why: file, line, reason. */
int certificates_check(const struct conf *conf, struct outcome *why);
/* Whether the files of the relays' logins can be read, and by nobody else. */
int secrets_check(const struct conf *conf, struct outcome *why);

/* Where this program and the others are; allocated. NULL with errno. */
char *program_folder(void);

#endif
