/* Segments: headers, descriptors, the way from a spare to a segment and back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/crc32c.h"
#include "queue/index.h"
#include "queue/journal_parts.h"

#define SEGMENT_MAGIC UINT64_C(0x89504f5354534547) /* "\x89POSTSEG" */

enum { SEGMENT_VERSION = 1, HEADER_PAGE = SEGMENT_DATA / 2 };

void segment_header_put(struct buf *b, const struct segment *s)
{
	put_u64(b, SEGMENT_MAGIC);
	put_u32(b, SEGMENT_VERSION);
	put_u32(b, s->number);
	put_u64(b, s->generation);
	put_u64(b, s->bytes);
	put_u64(b, s->previous_end);
	put_u64(b, s->created_ms);
	put_u64(b, s->last_id);
	put_u64(b, s->batch_number);
	ledger_put(b, &s->ledger);
	put_u32(b, crc32c(0, b->data, b->len));
}

int segment_header_get(struct span page, struct segment *s)
{
	struct reader r = reader_of(page);
	uint64_t magic = get_u64(&r);
	uint32_t version = get_u32(&r), crc;
	size_t n;

	s->number = get_u32(&r);
	s->generation = get_u64(&r);
	s->bytes = get_u64(&r);
	s->previous_end = get_u64(&r);
	s->created_ms = get_u64(&r);
	s->last_id = get_u64(&r);
	s->batch_number = get_u64(&r);
	ledger_get(&r, &s->ledger);
	n = page.n - r.rest.n;
	crc = get_u32(&r);
	s->fd = -1;
	if (r.bad || magic != SEGMENT_MAGIC)
		return -1;
	if (version > SEGMENT_VERSION)
		return -2;
	return crc == crc32c(0, page.p, n) && s->bytes >= SEGMENT_BYTES_MIN
		   ? 0
		   : -1;
}

/* --- The list ------------------------------------------------------------- */

int segment_add(struct journal *j, const struct segment *s)
{
	if (j->nsegments == j->segments_cap) {
		size_t cap = j->segments_cap ? j->segments_cap * 2 : 16;
		struct segment *grown =
		    realloc(j->segments, cap * sizeof(*grown));

		if (!grown)
			return -1;
		j->segments = grown;
		j->segments_cap = cap;
	}
	j->segments[j->nsegments++] = *s;
	if (s->number > j->highest_number)
		j->highest_number = s->number;
	return 0;
}

int free_add(struct journal *j, uint32_t name, uint64_t bytes)
{
	if (j->nfree == j->free_cap) {
		size_t cap = j->free_cap ? j->free_cap * 2 : 8;
		uint32_t *names = realloc(j->free_names, cap * sizeof(*names));
		uint64_t *sizes;

		if (names)
			j->free_names = names;
		sizes = realloc(j->free_sizes, cap * sizeof(*sizes));
		if (sizes)
			j->free_sizes = sizes;
		if (!names || !sizes)
			return -1;
		j->free_cap = cap;
	}
	j->free_names[j->nfree] = name;
	j->free_sizes[j->nfree++] = bytes;
	return 0;
}

size_t journal_nsegments(const struct journal *j)
{
	return j->nsegments;
}

const struct segment *journal_segment(const struct journal *j, size_t i)
{
	return &j->segments[i];
}

const struct segment *journal_current(const struct journal *j)
{
	return j->nsegments ? &j->segments[j->nsegments - 1] : NULL;
}

const struct segment *journal_find(const struct journal *j, uint32_t number)
{
	size_t low = 0, high = j->nsegments;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (j->segments[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < j->nsegments && j->segments[low].number == number
		   ? &j->segments[low]
		   : NULL;
}

size_t journal_nfree(const struct journal *j)
{
	return j->nfree;
}

uint64_t journal_bytes(const struct journal *j)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < j->nsegments; i++)
		sum += j->segments[i].bytes;
	return sum;
}

uint64_t journal_free_bytes(const struct journal *j)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < j->nfree; i++)
		sum += j->free_sizes[i];
	return sum;
}

const struct journal_counts *journal_counts(const struct journal *j)
{
	return &j->counts;
}

bool journal_has_bad(const struct journal *j)
{
	return j->has_bad;
}

uint64_t journal_session(const struct journal *j)
{
	return j->session;
}

const struct disk *journal_disk(const struct journal *j)
{
	return j->disk;
}

/* --- Descriptors ---------------------------------------------------------- */

void segment_close(struct journal *j, struct segment *s)
{
	if (s->fd < 0)
		return;
	j->disk->close(j->disk->arg, s->fd);
	s->fd = -1;
	j->nopen--;
}

static void close_least_used(struct journal *j)
{
	struct segment *least = NULL;

	for (size_t i = 0; i + 1 < j->nsegments; i++)
		if (j->segments[i].fd >= 0 &&
		    (!least || j->segments[i].used < least->used))
			least = &j->segments[i];
	if (least)
		segment_close(j, least);
}

int segment_fd(struct journal *j, struct segment *s)
{
	char path[PATH_MAX];

	s->used = ++j->clock;
	if (s->fd >= 0)
		return s->fd;
	if (j->nopen >= OPEN_SEGMENTS_MAX)
		close_least_used(j);
	journal_path(j, path, "%08x.seg", s->number);
	s->fd =
	    j->disk->open(j->disk->arg, path, j->read_only ? O_RDONLY : O_RDWR);
	j->nopen += s->fd >= 0;
	return s->fd;
}

int journal_open_direct(struct journal *j, uint32_t segment)
{
	char path[PATH_MAX];
	int fd;

	journal_path(j, path, "%08x.seg", segment);
	fd = j->disk->open(j->disk->arg, path, O_RDONLY | O_DIRECT);
	/* tmpfs and others know no O_DIRECT */
	return fd < 0 && errno == EINVAL
		   ? j->disk->open(j->disk->arg, path, O_RDONLY)
		   : fd;
}

/* --- From spare to segment and back --------------------------------------- */

static int header_write(
    struct journal *j, const char *path, const struct segment *s)
{
	char pages[SEGMENT_DATA] = { 0 };
	struct iovec iov = { pages, sizeof(pages) };
	struct buf header;
	int fd = j->disk->open(j->disk->arg, path, O_RDWR), result = -1;

	if (fd < 0)
		return -1;
	buf_init(&header, HEADER_PAGE);
	segment_header_put(&header, s);
	memcpy(pages, header.data, header.len);
	memcpy(pages + HEADER_PAGE, header.data, header.len);
	if (disk_write(j->disk, fd, &iov, 1, 0) == 0)
		result = j->disk->fdatasync(j->disk->arg, fd);
	buf_clear(&header);
	j->disk->close(j->disk->arg, fd);
	return result;
}

static struct segment segment_plan(
    struct journal *j, const struct index_state *state)
{
	return (struct segment){
		.number = j->highest_number + 1,
		.generation = j->disk->random(j->disk->arg),
		.bytes = j->free_sizes[j->nfree - 1],
		.previous_end = j->nsegments ? j->at : 0,
		.created_ms = j->disk->utc_us(j->disk->arg) / 1000,
		.last_id = state->last_id,
		.batch_number = state->batch_number,
		.ledger = state->ledger,
		.fd = -1,
	};
}

/* Nothing more may go into the current segment once the next one's header can
 * be on disk: it says where this one ends. */
static int segment_begin(
    struct journal *j, const struct segment *s, uint32_t free_name)
{
	char from[PATH_MAX], to[PATH_MAX];

	journal_path(j, from, "free-%08x", free_name);
	journal_path(j, to, "%08x.seg", s->number);
	if (header_write(j, from, s) < 0)
		return -1;
	j->is_closed = true;
	j->nfree--;
	if (j->disk->rename(j->disk->arg, from, to) < 0) {
		j->nfree++;
		return -1;
	}
	return j->disk->sync_folder(j->disk->arg, j->folder);
}

/* Freed segments go one after the other: an old one must not come back
 * without its successors, nor with another's contents. */
static int folder_sync(struct journal *j)
{
	if (j->must_sync && j->disk->sync_folder(j->disk->arg, j->folder) < 0)
		return -1;
	j->must_sync = false;
	return 0;
}

int journal_advance(struct journal *j, const struct index_state *state,
    bool keep_spare, struct outcome *why)
{
	struct segment s;

	if (folder_sync(j) < 0 || spares_make(j, keep_spare) < 0)
		return outcome_errno(why, "new journal segment");
	s = segment_plan(j, state);
	if (segment_begin(j, &s, j->free_names[j->nfree - 1]) < 0 ||
	    segment_add(j, &s) < 0)
		return outcome_errno(why, "new journal segment");
	j->is_closed = false;
	j->at = SEGMENT_DATA;
	return 0;
}

int journal_free_oldest(struct journal *j)
{
	struct segment *s = &j->segments[0];
	bool is_kept = j->nfree < SEGMENTS_KEPT;
	char from[PATH_MAX], to[PATH_MAX];
	uint64_t bytes = s->bytes;

	if (j->nsegments < 2 || folder_sync(j) < 0)
		return -1;
	segment_close(j, s);
	journal_path(j, from, "%08x.seg", s->number);
	journal_path(j, to, "free-%08x", j->next_free_name);
	if ((is_kept ? j->disk->rename(j->disk->arg, from, to)
		     : j->disk->unlink(j->disk->arg, from)) < 0)
		return -1;
	if (is_kept)
		free_add(j, j->next_free_name++, bytes);
	j->nsegments--;
	memmove(
	    j->segments, j->segments + 1, j->nsegments * sizeof(*j->segments));
	j->cannot_prepare = false;
	j->must_sync = true;
	return folder_sync(j);
}
