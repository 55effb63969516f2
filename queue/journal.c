/* The journal: its folder, and batches written to the current segment. */
#include "queue/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "queue/journal_parts.h"

void journal_path(
    const struct journal *j, char path[PATH_MAX], const char *format, ...)
{
	va_list args;
	int n = snprintf(path, PATH_MAX, "%s/", j->folder);

	va_start(args, format);
	if (n > 0 && n < PATH_MAX)
		vsnprintf(path + n, (size_t)(PATH_MAX - n), format, args);
	va_end(args);
}

int outcome_errno(struct outcome *why, const char *what)
{
	int error = errno;
	bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;

	return outcome_temp(
	    why, is_full ? "4.3.1" : "4.3.0", "%s: %s", what, strerror(error));
}

/* --- The folder ----------------------------------------------------------- */

struct found {
	struct journal *j;
	uint32_t *numbers;
	size_t n, cap;
	bool failed;
};

static void found_add(struct found *found, uint32_t number)
{
	if (found->n == found->cap) {
		size_t cap = found->cap ? found->cap * 2 : 64;
		uint32_t *grown = realloc(found->numbers, cap * sizeof(*grown));

		if (!grown) {
			found->failed = true;
			return;
		}
		found->numbers = grown;
		found->cap = cap;
	}
	found->numbers[found->n++] = number;
}

static bool name_parse(
    const char *name, const char *before, const char *after, uint32_t *number)
{
	size_t n = strlen(before);
	char *end;

	if (strncmp(name, before, n) != 0 || strlen(name + n) < 8)
		return false;
	*number = (uint32_t)strtoul(name + n, &end, 16);
	return end == name + n + 8 && strcmp(end, after) == 0;
}

static void found_free(struct journal *j, uint32_t name)
{
	char path[PATH_MAX];
	uint64_t bytes = 0;
	int fd;

	if (name >= j->next_free_name)
		j->next_free_name = name + 1;
	journal_path(j, path, "free-%08x", name);
	fd = j->disk->open(j->disk->arg, path, O_RDONLY);
	if (fd < 0)
		return;
	if (j->disk->size(j->disk->arg, fd, &bytes) == 0 &&
	    bytes >= SEGMENT_BYTES_MIN)
		free_add(j, name, bytes & ~(uint64_t)(BATCH_ALIGN - 1));
	j->disk->close(j->disk->arg, fd);
}

static void found_name(const char *name, void *arg)
{
	struct found *found = arg;
	uint32_t number;

	if (name_parse(name, "", ".seg", &number)) {
		found_add(found, number);
	} else if (name_parse(name, "", ".bad", &number)) {
		found->j->has_bad = true;
		if (number > found->j->highest_number)
			found->j->highest_number = number;
	} else if (name_parse(name, "free-", "", &number)) {
		found_free(found->j, number);
	}
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* What cannot be read is put aside, never deleted: the rest goes on. */
static int segment_put_aside(struct journal *j, uint32_t number)
{
	char path[PATH_MAX], aside[PATH_MAX];

	journal_path(j, path, "%08x.seg", number);
	journal_path(j, aside, "%08x.bad", number);
	log_warn(
	    "spool-segment-unreadable", "file", path, "kept-as", aside, NULL);
	j->has_bad = true;
	if (number > j->highest_number)
		j->highest_number = number;
	return j->read_only ? 0 : j->disk->rename(j->disk->arg, path, aside);
}

/* One sound copy is enough. -2: none, and one is of a newer Outpost. */
static int header_read(struct journal *j, int fd, struct segment *s)
{
	char page[SEGMENT_DATA / 2];
	int result = -1;

	for (uint64_t at = 0; at < SEGMENT_DATA && result != 0;
	     at += sizeof(page)) {
		int found;

		if (disk_read(j->disk, fd, page, sizeof(page), at) < 0)
			continue;
		found =
		    segment_header_get((struct span){ page, sizeof(page) }, s);
		result = result == -2 && found < 0 ? -2 : found;
	}
	return result;
}

/* Its end is gone: what is left of it reads well. */
static void check_size(struct journal *j, int fd, const struct segment *s)
{
	uint64_t bytes;

	if (j->disk->size(j->disk->arg, fd, &bytes) < 0 || bytes < s->bytes)
		log_warn("spool-damage", "where",
		    log_text("journal %08x", s->number), "what",
		    "the file is shorter than it was made", NULL);
}

static int segment_load(struct journal *j, uint32_t number, struct outcome *why)
{
	struct segment s = { .fd = -1 };
	char path[PATH_MAX];
	int fd, result;

	journal_path(j, path, "%08x.seg", number);
	fd = j->disk->open(j->disk->arg, path, O_RDONLY);
	if (fd < 0)
		return outcome_errno(why, path);
	result = header_read(j, fd, &s);
	if (result == 0)
		check_size(j, fd, &s);
	j->disk->close(j->disk->arg, fd);
	if (result == -2)
		return outcome_temp(
		    why, "4.3.0", "%s: written by a newer Outpost", path);
	if (result < 0 || s.number != number)
		return segment_put_aside(j, number) < 0
			   ? outcome_errno(why, path)
			   : 0;
	if (segment_add(j, &s) < 0)
		return outcome_errno(why, "journal");
	return 0;
}

static int folder_load(struct journal *j, struct outcome *why)
{
	struct found found = { .j = j };
	int result = 0;

	if (j->disk->list(j->disk->arg, j->folder, found_name, &found) < 0)
		return outcome_errno(why, j->folder);
	if (found.failed)
		result = outcome_temp(why, "4.3.0", "out of memory");
	if (found.n > 0)
		qsort(found.numbers, found.n, sizeof(*found.numbers),
		    compare_numbers);
	for (size_t i = 0; i < found.n && result == 0; i++)
		result = segment_load(j, found.numbers[i], why);
	free(found.numbers);
	return result;
}

int journal_reload(struct journal *j, struct outcome *why)
{
	for (size_t i = 0; i < j->nsegments; i++)
		segment_close(j, &j->segments[i]);
	j->nsegments = j->nfree = 0;
	return folder_load(j, why);
}

struct journal *journal_open(const struct disk *disk, const char *folder,
    uint64_t segment_bytes, bool read_only, struct outcome *why)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j) {
		outcome_temp(why, "4.3.0", "out of memory");
		return NULL;
	}
	j->disk = disk;
	j->read_only = read_only;
	j->prepare_fd = -1;
	j->segment_bytes = segment_bytes;
	j->session = disk->random(disk->arg);
	snprintf(j->folder, sizeof(j->folder), "%s", folder);
	if (!read_only && disk->make_folder(disk->arg, folder) < 0)
		outcome_errno(why, folder);
	else if (folder_load(j, why) == 0)
		return j;
	journal_close(j);
	return NULL;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->nsegments; i++)
		segment_close(j, &j->segments[i]);
	if (j->prepare_fd >= 0)
		j->disk->close(j->disk->arg, j->prepare_fd);
	free(j->segments);
	free(j->free_names);
	free(j->free_sizes);
	free(j);
}

/* --- Batches -------------------------------------------------------------- */

uint64_t journal_at(const struct journal *j)
{
	return j->at;
}

void journal_set_at(struct journal *j, uint64_t at)
{
	j->at = batch_padded(at);
}

bool journal_has_room(const struct journal *j, uint64_t bytes)
{
	const struct segment *s = journal_current(j);

	return s && !j->is_closed && batch_padded(bytes) <= s->bytes - j->at;
}

uint64_t journal_room_max(const struct journal *j)
{
	return j->segment_bytes - SEGMENT_DATA;
}

int journal_write(struct journal *j, struct iovec *iov, size_t n,
    uint64_t bytes, struct outcome *why)
{
	struct segment *s = &j->segments[j->nsegments - 1];
	int fd = segment_fd(j, s);

	if (j->is_closed || !journal_has_room(j, bytes))
		return outcome_temp(why, "4.3.0", "journal: segment closed");
	if (fd < 0 || disk_write(j->disk, fd, iov, n, j->at) < 0 ||
	    j->disk->fdatasync(j->disk->arg, fd) < 0) {
		j->is_closed = true;
		return outcome_errno(why, "journal");
	}
	j->at += batch_padded(bytes);
	j->counts.syncs++;
	j->counts.bytes_written += batch_padded(bytes);
	return 0;
}

int journal_revoke(struct journal *j, uint64_t offset)
{
	static const char zeros[BATCH_ALIGN];
	struct segment *s = &j->segments[j->nsegments - 1];
	struct iovec iov = { (void *)(uintptr_t)zeros, sizeof(zeros) };
	int fd = segment_fd(j, s);

	j->at = offset;
	j->session = j->disk->random(j->disk->arg);
	if (fd < 0 || disk_write(j->disk, fd, &iov, 1, offset) < 0 ||
	    j->disk->fdatasync(j->disk->arg, fd) < 0) {
		j->is_closed = true;
		return -1;
	}
	return 0;
}

int journal_resync(struct journal *j, uint64_t from, uint64_t to)
{
	struct segment *s = &j->segments[j->nsegments - 1];
	int fd = segment_fd(j, s), result = -1;
	size_t n = (size_t)(to - from);
	char *copy = malloc(n + 1);
	struct iovec iov = { copy, n };

	if (fd >= 0 && copy && disk_read(j->disk, fd, copy, n, from) == 0 &&
	    disk_write(j->disk, fd, &iov, n > 0, from) == 0)
		result = j->disk->fdatasync(j->disk->arg, fd);
	free(copy);
	return result;
}
