/* The spool: opening and closing. */
#include "queue/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/index_home.h"
#include "queue/spool_parts.h"

static int lock_take(struct spool *s, struct outcome *why)
{
	char path[PATH_MAX];

	if (mkdir(s->path, 0700) < 0 && errno != EEXIST)
		return outcome_temp(
		    why, "4.3.0", "%s: %s", s->path, strerror(errno));
	snprintf(path, sizeof(path), "%.4000s/lock", s->path);
	s->lock_fd =
	    open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd >= 0 && flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return outcome_temp(why, "4.3.0",
	    errno == EWOULDBLOCK ? "%s: another keeper has it (%s)" : "%s: %s",
	    path, strerror(errno));
}

/* 64 MiB, less where that would be much of the file system or the limit. */
static uint64_t segment_size(const struct spool *s, uint64_t wanted)
{
	uint64_t free_bytes, total = UINT64_MAX, bytes = SEGMENT_BYTES;

	if (wanted)
		return wanted < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN
						  : batch_padded(wanted);
	s->disk->space(s->disk->arg, s->path, &free_bytes, &total);
	if (s->max_bytes && s->max_bytes < total)
		total = s->max_bytes;
	while (bytes > SEGMENT_BYTES_SMALL && bytes > total / 16)
		bytes /= 2;
	return bytes;
}

static int parts_open(
    struct spool *s, uint64_t segment_bytes, struct outcome *why)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.4000s/journal", s->path);
	s->journal = journal_open(
	    s->disk, path, segment_size(s, segment_bytes), s->read_only, why);
	if (!s->journal)
		return -1;
	large_init(&s->large, s->disk, s->path);
	return s->read_only ? 0 : large_clean(&s->large, why);
}

static int reader_open(struct spool *s, struct outcome *why)
{
	char path[PATH_MAX], home[HOME_TEXT_MAX];
	bool is_damaged;

	snprintf(path, sizeof(path), "%.4000s/index", s->path);
	s->index = index_open(path, true, 0, &is_damaged, why);
	if (!s->index)
		return -1;
	index_home_print(s->path, home);
	if (index_is_trusted(s->index, home))
		return 0;
	return outcome_temp(why, "4.3.0",
	    "%s: not closed before the machine went down; "
	    "start the keeper, which makes it anew",
	    path);
}

struct spool *spool_open(const struct spool_options *options,
    void (*progress)(const char *what, uint64_t done, uint64_t of),
    struct outcome *why)
{
	struct spool *s = calloc(1, sizeof(*s));
	int result;

	if (!s) {
		outcome_temp(why, "4.3.0", "out of memory");
		return NULL;
	}
	s->disk = options->disk ? options->disk : &disk_real;
	s->read_only = options->read_only;
	s->max_bytes = options->max_bytes;
	s->progress = progress;
	s->lock_fd = -1;
	snprintf(s->path, sizeof(s->path), "%s", options->path);
	batch_init(&s->batch);
	buf_init(&s->record, (size_t)RECORD_BYTES_MAX);
	buf_init(&s->joined, (size_t)1 << 30);
	buf_init(&s->scratch, (size_t)1 << 30);
	result = s->read_only ? 0 : lock_take(s, why);
	if (result == 0)
		result = parts_open(s, options->segment_bytes, why);
	if (result == 0)
		result =
		    s->read_only ? reader_open(s, why) : spool_recover(s, why);
	s->is_open = result == 0;
	if (result == 0)
		return s;
	spool_close(s);
	return NULL;
}

static void spare_free(struct spool *s)
{
	while (s->spare) {
		struct incoming *in = s->spare;

		s->spare = in->next;
		buf_clear(&in->content);
		free(in);
	}
}

void spool_close(struct spool *s)
{
	bool is_clean;

	if (!s)
		return;
	is_clean = s->is_open && !s->must_reindex && !s->must_repair;
	if (s->index && !s->read_only)
		stage_abort(s);
	batch_clear(&s->batch);
	index_close(s->index, is_clean);
	journal_close(s->journal);
	spare_free(s);
	buf_clear(&s->record);
	buf_clear(&s->joined);
	buf_clear(&s->scratch);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
}

void spool_set_max_bytes(struct spool *spool, uint64_t max_bytes)
{
	spool->max_bytes = max_bytes;
}

void spool_abandon(struct spool *s)
{
	s->is_open = false;
	spool_close(s);
}
