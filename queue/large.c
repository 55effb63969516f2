/* Large bodies in files of their own. */
#include "queue/large.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/crc32c.h"
#include "common/id.h"
#include "queue/journal_parts.h"

enum { WRITE_BEHIND = 1 << 20, CHECK_STEP = 1 << 16 };

struct large_file {
	struct large *large;
	uint64_t id, at, begun; /* begun: written out up to here */
	uint32_t crc;
	int fd;
	bool is_finished;
};

void large_init(struct large *l, const struct disk *disk, const char *spool)
{
	l->disk = disk;
	snprintf(l->folder, sizeof(l->folder), "%s/large", spool);
}

static void large_path(
    const struct large *l, char path[PATH_MAX], const char *before, uint64_t id)
{
	char text[ID_TEXT_BYTES];

	id_print(id, text);
	snprintf(path, PATH_MAX, "%.4000s/%s%s", l->folder, before, text);
}

static void remove_unfinished(const char *name, void *arg)
{
	struct large *l = arg;
	char path[PATH_MAX];

	if (strncmp(name, "tmp-", 4) != 0)
		return;
	snprintf(path, sizeof(path), "%.3800s/%.255s", l->folder, name);
	l->disk->unlink(l->disk->arg, path);
}

int large_clean(struct large *l, struct outcome *why)
{
	const struct disk *disk = l->disk;

	if (disk->make_folder(disk->arg, l->folder) < 0 ||
	    disk->list(disk->arg, l->folder, remove_unfinished, l) < 0)
		return outcome_errno(why, l->folder);
	return 0;
}

struct visit {
	void (*visit)(uint64_t id, void *arg);
	void *arg;
};

static void visit_name(const char *name, void *arg)
{
	struct visit *v = arg;
	uint64_t id;

	if (id_parse(span_of(name), &id) == 0)
		v->visit(id, v->arg);
}

int large_list(
    struct large *l, void (*visit)(uint64_t id, void *arg), void *arg)
{
	struct visit v = { visit, arg };

	return l->disk->list(l->disk->arg, l->folder, visit_name, &v);
}

struct large_file *large_new(struct large *l, uint64_t id, struct outcome *why)
{
	struct large_file *f = calloc(1, sizeof(*f));
	char path[PATH_MAX];

	if (!f) {
		outcome_temp(why, "4.3.0", "out of memory");
		return NULL;
	}
	f->large = l;
	f->id = id;
	large_path(l, path, "tmp-", id);
	f->fd = l->disk->open(l->disk->arg, path, O_RDWR | O_CREAT | O_EXCL);
	if (f->fd >= 0)
		return f;
	outcome_errno(why, path);
	free(f);
	return NULL;
}

int large_add(struct large_file *f, struct span data, struct outcome *why)
{
	const struct disk *disk = f->large->disk;
	struct iovec iov = { (void *)(uintptr_t)data.p, data.n };

	if (data.n == 0)
		return 0;
	if (disk_write(disk, f->fd, &iov, 1, f->at) < 0)
		return outcome_errno(why, "large body");
	f->crc = crc32c(f->crc, data.p, data.n);
	f->at += data.n;
	if (f->at - f->begun < WRITE_BEHIND)
		return 0;
	/* so that the sync at the end has little left to do */
	disk->start_writing(disk->arg, f->fd, f->begun, f->at - f->begun);
	f->begun = f->at;
	return 0;
}

int large_finish(struct large_file *f, uint32_t *crc, struct outcome *why)
{
	const struct disk *disk = f->large->disk;
	char from[PATH_MAX], to[PATH_MAX];

	*crc = f->crc;
	if (f->is_finished)
		return 0;
	large_path(f->large, from, "tmp-", f->id);
	large_path(f->large, to, "", f->id);
	if (disk->fdatasync(disk->arg, f->fd) < 0 ||
	    disk->rename(disk->arg, from, to) < 0)
		return outcome_errno(why, "large body");
	f->is_finished = true;
	return 0;
}

void large_free(struct large_file *f)
{
	char path[PATH_MAX];

	if (!f)
		return;
	f->large->disk->close(f->large->disk->arg, f->fd);
	if (!f->is_finished) {
		large_path(f->large, path, "tmp-", f->id);
		f->large->disk->unlink(f->large->disk->arg, path);
	}
	free(f);
}

int large_sync_folder(struct large *l, struct outcome *why)
{
	if (l->disk->sync_folder(l->disk->arg, l->folder) < 0)
		return outcome_errno(why, l->folder);
	return 0;
}

int large_open(
    struct large *l, uint64_t id, uint64_t size_bytes, struct outcome *why)
{
	char path[PATH_MAX];
	uint64_t bytes;
	int fd;

	large_path(l, path, "", id);
	fd = l->disk->open(l->disk->arg, path, O_RDONLY);
	if (fd < 0)
		return outcome_errno(why, path);
	if (l->disk->size(l->disk->arg, fd, &bytes) == 0 && bytes == size_bytes)
		return fd;
	l->disk->close(l->disk->arg, fd);
	return outcome_temp(why, "4.3.0",
	    "%s: has not the %" PRIu64 " bytes it was accepted with", path,
	    size_bytes);
}

int large_check(struct large *l, uint64_t id, uint64_t size_bytes, uint32_t crc,
    struct outcome *why)
{
	char step[CHECK_STEP];
	uint32_t sum = 0;
	int fd = large_open(l, id, size_bytes, why), result = 0;

	if (fd < 0)
		return -1;
	for (uint64_t at = 0; at < size_bytes && result == 0;
	     at += sizeof(step)) {
		uint64_t left = size_bytes - at;
		size_t n = left < sizeof(step) ? left : sizeof(step);

		result = disk_read(l->disk, fd, step, n, at);
		sum = crc32c(sum, step, n);
	}
	if (result < 0)
		outcome_errno(why, "large body");
	else if (sum != crc)
		result = outcome_temp(why, "4.3.0",
		    "large body %s is not what was accepted", id_text(id));
	l->disk->close(l->disk->arg, fd);
	return result;
}

void large_remove(struct large *l, uint64_t id)
{
	char path[PATH_MAX];

	large_path(l, path, "", id);
	l->disk->unlink(l->disk->arg, path);
}
