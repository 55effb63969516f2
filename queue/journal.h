/* The journal: numbered segments of records, written in batches.
 *
 *   journal/00000007.seg    zero-filled once, then overwritten; its header
 *                           stands twice, in the first two pages
 *   journal/free-00000003   zero-filled or used before; waits to be the next
 *   journal/prepare.tmp     being zero-filled
 *   journal/00000005.bad    its header could not be read; kept for salvage
 *
 * A segment's header says where its predecessor ended, so a predecessor needs
 * no last mark, and a batch that failed half-way is cut off by it.
 */
#ifndef QUEUE_JOURNAL_H
#define QUEUE_JOURNAL_H

#include "queue/delivery.h"
#include "queue/disk.h"

struct journal;

enum {
	SEGMENT_DATA = 8192, /* where batches begin */
	SEGMENT_BYTES_MIN = 1 << 18,
	SEGMENTS_SPARE = 3, /* when space is short; one is for outcomes only */
	SEGMENTS_KEPT = 4,  /* free ones that are not deleted */
};

struct segment {
	uint32_t number;
	uint64_t generation, bytes;
	uint64_t previous_end; /* of the segment before; 0: there is none */
	uint64_t created_ms;
	/* as they were when it was begun */
	uint64_t last_id, batch_number;
	struct ledger ledger;
	int fd;	       /* -1: closed; the journal's own */
	uint64_t used; /* for closing the one not used for longest */
};

struct journal_counts {
	uint64_t syncs, bytes_written;
};

/* Read the folder and all headers; nothing is repaired or scanned yet.
 * segment_bytes: of new segments. NULL with *why. */
struct journal *journal_open(const struct disk *disk, const char *folder,
    uint64_t segment_bytes, bool read_only, struct outcome *why);
void journal_close(struct journal *j);

size_t journal_nsegments(const struct journal *j);
/* In order of numbers; the last is the current one. Borrowed until the next
 * advance or free. */
const struct segment *journal_segment(const struct journal *j, size_t i);
const struct segment *journal_find(const struct journal *j, uint32_t number);
const struct segment *journal_current(const struct journal *j);
size_t journal_nfree(const struct journal *j);
uint64_t journal_bytes(const struct journal *j); /* of segments in use */
uint64_t journal_free_bytes(const struct journal *j);
const struct journal_counts *journal_counts(const struct journal *j);
uint64_t journal_session(const struct journal *j);
/* A segment was put aside, now or earlier. */
bool journal_has_bad(const struct journal *j);

/* --- Writing ----------------------------------------------------------------
 */

/* Where the next batch will begin, in the current segment. */
uint64_t journal_at(const struct journal *j);
/* Set it after recovery has found the end. */
void journal_set_at(struct journal *j, uint64_t at);
/* Room for a batch of so many bytes in the current segment? Never in one that
 * failed. */
bool journal_has_room(const struct journal *j, uint64_t bytes);

/* And in a new one. */
uint64_t journal_room_max(const struct journal *j);

/* Begin the next segment, from a free one or by filling a new one. What it
 * notes comes from the state. keep_spare: when space is short, leave one free
 * segment for those who may not fail (outcomes). Returns 0, or -1 with *why
 * (4.3.1 full). */
struct index_state;
int journal_advance(struct journal *j, const struct index_state *state,
    bool keep_spare, struct outcome *why);

/* Write one batch (whole records, sealed) at journal_at and sync it. On
 * failure the segment must not be written to again: advance first. */
int journal_write(struct journal *j, struct iovec *iov, size_t n,
    uint64_t bytes, struct outcome *why);
/* Take back what begins at offset, the last batch, though it may be on disk:
 * it will not be found any more. -1: it could not be done; advance first. */
int journal_revoke(struct journal *j, uint64_t offset);
/* Write the bytes from offset on again and sync: what a process that died had
 * not synced, or what a failed sync left clean in memory only. */
int journal_resync(struct journal *j, uint64_t from, uint64_t to);

/* --- Space ------------------------------------------------------------------
 */

/* Give the oldest segment back; not the current one. */
int journal_free_oldest(struct journal *j);
/* A bounded step of zero-filling a spare, when the current segment is in its
 * second half or space is short. Busy: as much as keeps up with what is
 * written. True: call again soon. */
bool journal_prepare(struct journal *j, bool is_busy);
/* Is what is left of the current segment all there is? Then it is for
 * outcomes. */
bool journal_is_short(struct journal *j);

/* --- Reading ----------------------------------------------------------------
 */

/* Read a record, whole and checked, into *out (reset first). -1 with *why. */
int journal_read(struct journal *j, const struct place *place, struct buf *out,
    struct record_head *head, struct outcome *why);
/* Bytes as they are. -1 with errno. */
int journal_pread(
    struct journal *j, uint32_t segment, void *to, size_t n, uint64_t at);
const struct disk *journal_disk(const struct journal *j);
/* A second descriptor that reads past the page cache where the file system
 * can; close it with the disk's close. -1 with errno. */
int journal_open_direct(struct journal *j, uint32_t segment);

#endif
