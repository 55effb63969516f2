/* Large bodies: a file each under large/, named by the message's id. Written
 * under another name, synced and renamed before the record that names it. */
#ifndef QUEUE_LARGE_H
#define QUEUE_LARGE_H

#include "common/outcome.h"
#include "queue/disk.h"

struct large_file; /* being written */

struct large {
	const struct disk *disk;
	char folder[4096];
};

void large_init(struct large *l, const struct disk *disk, const char *spool);
/* Make the folder and remove what was being written when the keeper died. */
int large_clean(struct large *l, struct outcome *why);
/* Visit the ids of all bodies. */
int large_list(
    struct large *l, void (*visit)(uint64_t id, void *arg), void *arg);

struct large_file *large_new(struct large *l, uint64_t id, struct outcome *why);
int large_add(struct large_file *f, struct span data, struct outcome *why);
/* Sync, rename. The folder is not yet synced. *crc: of all. */
int large_finish(struct large_file *f, uint32_t *crc, struct outcome *why);
void large_free(struct large_file *f); /* removes what is not finished */
int large_sync_folder(struct large *l, struct outcome *why);

/* Open to read; checks the size. -1 with *why. */
int large_open(
    struct large *l, uint64_t id, uint64_t size_bytes, struct outcome *why);
/* Read all of it and compare. */
int large_check(struct large *l, uint64_t id, uint64_t size_bytes, uint32_t crc,
    struct outcome *why);
void large_remove(struct large *l, uint64_t id);

#endif
