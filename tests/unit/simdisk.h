/* A disk in memory for the spool's tests: it knows what was synced and what
 * was not, can be told to fail, to die or to lose power.
 *
 * Files have contents as the process sees them (the page cache) and contents
 * on the platter; a sync copies dirty sectors from one to the other. Names are
 * the same: changes wait in order until their folder is synced. A failed sync
 * leaves some sectors written and calls all of them clean, as Linux does.
 */
#ifndef TESTS_SIMDISK_H
#define TESTS_SIMDISK_H

#include "queue/disk.h"

#include <stdbool.h>
#include <stddef.h>

struct sim;

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *sim);
const struct disk *sim_disk(struct sim *sim);
uint64_t sim_random(struct sim *sim, uint64_t below);

/* The n-th write-side operation from now (1: the next) fails with error; with
 * dies, so does everything after it, as in a process that was killed. 0: none.
 */
void sim_fail_at(struct sim *sim, uint64_t n, int error, bool dies);
uint64_t sim_operations(const struct sim *sim); /* counted so far */
bool sim_has_failed(const struct sim *sim);	/* the failure came */

/* The process is gone: descriptors are closed, the page cache stays. */
void sim_kill(struct sim *sim);
/* The machine is gone: of what was not synced, some sectors and a first part
 * of the renames survive. */
void sim_power_cut(struct sim *sim);

/* Bytes that all files may have together. */
void sim_set_capacity(struct sim *sim, uint64_t bytes);
void sim_set_clock(struct sim *sim, uint64_t utc_us);
/* Flip one bit of a file, on the platter and in the cache. -1: no such. */
int sim_corrupt(struct sim *sim, const char *path, uint64_t at);
/* The platter forgets n bytes that it had acknowledged; the cache does not. */
int sim_lose(struct sim *sim, const char *path, uint64_t at, uint64_t n);
/* Names that begin with prefix, now. */
size_t sim_count(const struct sim *sim, const char *prefix);

#endif
