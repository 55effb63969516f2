/* What this machine calls itself. */
#ifndef COMMON_HOSTNAME_H
#define COMMON_HOSTNAME_H

#include "common/buf.h"

struct hostname {
	char name[256]; /* lower case; full where one was found */
	bool is_full;	/* has a domain and is not localhost */
	char how[600];	/* one line: what was asked and what it said */
};

/* The machine's full name: the kernel's host name, else the canonical name
 * that the resolver (hosts file, DNS) gives for it. Never fails: without a
 * full name it is the bare one, and "localhost" when there is none. */
void hostname_find(struct hostname *h);

/* The kernel's host name without a domain; asks nobody. */
void hostname_bare(char name[256]);

/* A name with a domain, not localhost; address literals are full too. */
bool hostname_is_full(struct span name);

#endif
