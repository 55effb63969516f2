/* Spares: segments filled with zeros ahead of their use.
 *
 * Nobody has to wait for a segment, yet a spool that sees little mail writes
 * few zeros: the next one is made while the second half of the current one is
 * being filled. When the file system is nearly full they are made early: new
 * mail is refused while outcomes still find room.
 */
#include <errno.h>
#include <fcntl.h>

#include "queue/journal_parts.h"

/* For so many segments more? Unknown means yes: trying will tell. */
static bool has_space(const struct journal *j, unsigned n)
{
	uint64_t free_bytes, total;

	return j->disk->space(j->disk->arg, j->folder, &free_bytes, &total) <
		   0 ||
	       free_bytes / j->segment_bytes >= n;
}

static bool is_tight(const struct journal *j)
{
	return !has_space(j, SEGMENTS_SPARE + 1);
}

static void prepare_give_up(struct journal *j)
{
	char path[PATH_MAX];

	journal_path(j, path, "prepare.tmp");
	if (j->prepare_fd >= 0)
		j->disk->close(j->disk->arg, j->prepare_fd);
	j->prepare_fd = -1;
	j->disk->unlink(j->disk->arg, path);
}

static int prepare_begin(struct journal *j)
{
	char path[PATH_MAX];

	if (j->prepare_fd >= 0)
		return 0;
	if (!has_space(j, 1)) {
		errno = ENOSPC;
		return -1;
	}
	journal_path(j, path, "prepare.tmp");
	j->disk->unlink(j->disk->arg, path);
	j->prepared = 0;
	j->prepare_fd =
	    j->disk->open(j->disk->arg, path, O_RDWR | O_CREAT | O_EXCL);
	return j->prepare_fd < 0 ? -1 : 0;
}

static int prepare_step(struct journal *j)
{
	static const char zeros[PREPARE_STEP];
	uint64_t left = j->segment_bytes - j->prepared;
	struct iovec iov = { (void *)(uintptr_t)zeros,
		left < sizeof(zeros) ? left : sizeof(zeros) };
	uint64_t n = iov.iov_len;

	if (disk_write(j->disk, j->prepare_fd, &iov, 1, j->prepared) < 0)
		return -1;
	j->disk->start_writing(j->disk->arg, j->prepare_fd, j->prepared, n);
	j->prepared += n;
	j->counts.bytes_written += n;
	return 0;
}

static int prepare_end(struct journal *j)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (j->disk->fdatasync(j->disk->arg, j->prepare_fd) < 0)
		return -1;
	journal_path(j, from, "prepare.tmp");
	journal_path(j, to, "free-%08x", j->next_free_name);
	if (j->disk->rename(j->disk->arg, from, to) < 0)
		return -1;
	j->disk->close(j->disk->arg, j->prepare_fd);
	j->prepare_fd = -1;
	return free_add(j, j->next_free_name++, j->segment_bytes);
}

static int prepare_some(struct journal *j)
{
	if (prepare_begin(j) < 0 ||
	    (j->prepared < j->segment_bytes && prepare_step(j) < 0) ||
	    (j->prepared >= j->segment_bytes && prepare_end(j) < 0)) {
		int error = errno;

		prepare_give_up(j);
		errno = error;
		return -1;
	}
	return 0;
}

/* How far into the second half of the current segment; 0: in its first. */
static uint64_t past_half(const struct journal *j)
{
	const struct segment *s = journal_current(j);

	return s && j->at > s->bytes / 2 ? j->at - s->bytes / 2 : 0;
}

/* Zeros in step with what is written: done when the segment is full. */
static uint64_t prepared_by_now(const struct journal *j)
{
	const struct segment *s = journal_current(j);
	uint64_t past = past_half(j);

	return past ? j->segment_bytes / 2 * past / (s->bytes / 4) : 0;
}

bool journal_prepare(struct journal *j, bool is_busy)
{
	size_t wanted = past_half(j) > 0 ? 1 : 0;

	if (is_tight(j))
		wanted = SEGMENTS_SPARE;
	if (j->nfree >= wanted || j->cannot_prepare ||
	    (j->prepare_fd < 0 && !has_space(j, 1)))
		return false;
	do {
		j->cannot_prepare = prepare_some(j) < 0;
		if (j->cannot_prepare)
			return false;
	} while (is_busy && j->nfree == 0 && j->prepared < prepared_by_now(j));
	return j->nfree < wanted;
}

bool journal_is_short(struct journal *j)
{
	if (j->nfree > 0 || past_half(j) == 0 || j->prepare_fd >= 0)
		return false;
	j->cannot_prepare = prepare_some(j) < 0;
	return j->cannot_prepare;
}

int spares_make(struct journal *j, bool keep_spare)
{
	size_t wanted = keep_spare && is_tight(j) ? 2 : 1;

	while (j->nfree < wanted)
		if (prepare_some(j) < 0)
			return -1;
	j->cannot_prepare = false;
	return 0;
}
