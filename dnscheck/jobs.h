/* The threads of a run: as many as there are checks that wait, up to a bound.
 * A check may add others; it must not wait for them. */
#ifndef DNSCHECK_JOBS_H
#define DNSCHECK_JOBS_H

#include "dnscheck/run.h"

enum { JOBS_THREADS_MAX = 64, JOBS_MAX = 20000 };

struct jobs *jobs_new(struct run *run);
/* Until every job is done, those added meanwhile too; the caller works as
 * well, so that it also goes without threads. */
void jobs_finish(struct jobs *jobs);
void jobs_free(struct jobs *jobs);

#endif
