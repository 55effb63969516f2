/* A line: one process, one socket to the world. It is told by the runner where
 * to go and what to deliver, and answers for every job exactly once. */
#ifndef REMOTE_LINE_H
#define REMOTE_LINE_H

#include "remote/dialogue.h"

struct line_options {
	const char *name; /* "default/3" */
	SSL_CTX *tls;	  /* shared; NULL: no TLS can be had */
	const struct dialogue_waits *waits; /* NULL: the RFC's */
	const struct replyrules *rules;	    /* shared; NULL: none */
};

/* Serve the runner at fd (taken over) until it closes. Returns the exit
 * status: 0, or 1 when the runner sent what it may not send. */
int line_run(int fd, const struct line_options *options);

#endif
