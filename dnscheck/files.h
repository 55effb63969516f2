/* What is looked at in the file system and the kernel, before the sandbox
 * closes both: the checks only read the result. */
#ifndef DNSCHECK_FILES_H
#define DNSCHECK_FILES_H

#include "common/conf.h"
#include "common/hostname.h"

#include <sys/types.h>

/* A file that must be nobody else's. */
struct secret_file {
	char path[1024];
	char what[300]; /* "password-file of relay \"isp\"" */
	const struct conf_place *place;
	int error; /* errno of stat; 0: it is there */
	mode_t mode;
	uid_t owner;
};

enum { SECRETS_MAX = 500 };

struct files {
	struct secret_file *secrets;
	size_t nsecrets;
	int spool_error;		    /* errno; 0: below is known */
	uint64_t spool_free, spool_size;    /* bytes */
	uint64_t inodes_free, inodes;	    /* 0 of 0: no fixed number */
	bool clock_is_known, clock_is_kept; /* by a time service */
	long clock_error_us;		    /* as the kernel estimates */
	int64_t now_s;
	struct hostname host;
};

struct files *files_look(const struct conf *conf);
void files_free(struct files *files);

#endif
