/* What the journal's files share. */
#ifndef QUEUE_JOURNAL_PARTS_H
#define QUEUE_JOURNAL_PARTS_H

#include <limits.h>

#include "queue/journal.h"

enum { OPEN_SEGMENTS_MAX = 64, PREPARE_STEP = 1 << 20 };

struct journal {
	const struct disk *disk;
	char folder[PATH_MAX];
	bool read_only;
	bool must_sync; /* a segment was freed, perhaps not yet on the disk */
	bool is_closed; /* a write failed: the current segment is done with */
	struct segment *segments;
	size_t nsegments, segments_cap;
	uint32_t *free_names;
	uint64_t *free_sizes;
	size_t nfree, free_cap;
	uint32_t next_free_name;
	uint64_t segment_bytes;
	uint64_t at;
	uint64_t session;
	uint64_t clock; /* for segment.used */
	size_t nopen;
	int prepare_fd; /* -1: nothing is being prepared */
	uint64_t prepared;
	bool cannot_prepare; /* the disk was full; until something is freed */
	struct journal_counts counts;
	uint32_t highest_number; /* also of bad ones */
	bool has_bad;
};

void journal_path(const struct journal *j, char path[PATH_MAX],
    const char *format, ...) __attribute__((format(printf, 3, 4)));
int outcome_errno(struct outcome *why, const char *what);

/* journal.c: read the folder again; for readers beside a keeper */
int journal_reload(struct journal *j, struct outcome *why);

/* journal_segment.c */
void segment_header_put(struct buf *b, const struct segment *s);
int segment_header_get(struct span page, struct segment *s);
int segment_add(struct journal *j, const struct segment *s);
int segment_fd(struct journal *j, struct segment *s);
void segment_close(struct journal *j, struct segment *s);
/* journal_spare.c: those needed to begin the next segment, at once. keep_spare:
 * leave one for outcomes when space is short. -1 with errno. */
int spares_make(struct journal *j, bool keep_spare);
int free_add(struct journal *j, uint32_t name, uint64_t bytes);

#endif
