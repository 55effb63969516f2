/* The hosts file, which outpost-resolve asks before the DNS: what stands there
 * is found by lines too. */
#ifndef DNSCHECK_HOSTSFILE_H
#define DNSCHECK_HOSTSFILE_H

#include "common/span.h"

struct hostsfile;

/* Before the sandbox. Never NULL; empty when the file cannot be read. */
struct hostsfile *hostsfile_read(const char *path);
void hostsfile_free(struct hostsfile *hosts); /* NULL is fine */
/* Address number i of that name, 4 or 16 bytes that live as long as hosts;
 * empty: there are no more. */
struct span hostsfile_find(
    const struct hostsfile *hosts, const char *name, size_t i);

#endif
