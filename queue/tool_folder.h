/* A folder of exported messages: NAME.eml is the content, NAME.json the
 * envelope; the envelope is there only when the content is whole. The folder
 * may belong to somebody else, so nothing in it is followed or trusted.
 */
#ifndef QUEUE_TOOL_FOLDER_H
#define QUEUE_TOOL_FOLDER_H

#include "common/buf.h"
#include "common/outcome.h"

struct folder {
	const char *path; /* borrowed */
	int fd;
};

/* make: it may be missing, and is made for its owner alone. 0, or -1. */
int folder_open(
    struct folder *folder, const char *path, bool make, struct outcome *why);
void folder_close(struct folder *folder);
/* All that was written is on the disk. */
int folder_sync(struct folder *folder, struct outcome *why);
bool folder_has(const struct folder *folder, const char *name);

/* A new file of that name under way, for writing. A descriptor, or -1. */
int folder_begin(struct folder *folder, const char *name, struct outcome *why);
/* The file gets its name; replace: in place of what stands there. */
int folder_name(
    struct folder *folder, const char *name, bool replace, struct outcome *why);
/* What folder_begin made is removed. */
void folder_forget(struct folder *folder, const char *name);
void folder_remove(struct folder *folder, const char *name);

/* A plain file for reading, *size of it; -1 with *why. */
int folder_read(struct folder *folder, const char *name, uint64_t *size,
    struct outcome *why);
/* All of a file of at most max bytes, appended to *text. */
int folder_load(struct folder *folder, const char *name, uint64_t max,
    struct buf *text, struct outcome *why);
/* Size and CRC-32C of a file. */
int folder_measure(struct folder *folder, const char *name, uint64_t *size,
    uint32_t *crc, struct outcome *why);

/* The names that end in suffix and do not begin with a dot, sorted; to free
 * with folder_names_free. */
int folder_names(struct folder *folder, const char *suffix, char ***names,
    size_t *n, struct outcome *why);
void folder_names_free(char **names, size_t n);

#endif
