/* The simulated disk; see simdisk.h. */
#include "tests/unit/simdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, FILES_MAX = 4096, NAMES_MAX = 4096, FDS_MAX = 512 };

struct sim_file {
	char *cache, *platter;
	unsigned char *dirty; /* a flag for each sector */
	size_t size, platter_size, cap;
	unsigned names, platter_names, fds; /* that refer to it */
};

struct sim_name {
	char path[256];
	int file;
};

struct sim_names {
	struct sim_name *at;
	size_t n;
};

struct sim_change { /* of names, not yet synced; from "" for a new one */
	char from[256], to[256]; /* to "": removed */
	int file;
};

struct sim_fd {
	int file; /* -1: free */
	bool is_direct;
};

struct sim {
	struct disk disk;
	struct sim_file files[FILES_MAX];
	struct sim_names now, platter;
	struct sim_change *changes;
	size_t nchanges;
	struct sim_fd fds[FDS_MAX];
	uint64_t seed, clock_us, capacity;
	uint64_t operations, fail_at;
	int fail_error;
	bool dies, is_dead, has_failed;
};

uint64_t sim_random(struct sim *s, uint64_t below)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return below ? (s->seed >> 11) % below : s->seed;
}

/* Count a write-side operation. -1 with errno: it fails. */
static int operation(struct sim *s)
{
	if (s->is_dead) {
		errno = EIO;
		return -1;
	}
	s->operations++;
	if (s->fail_at == 0 || s->operations < s->fail_at)
		return 0;
	s->fail_at = 0;
	s->has_failed = true;
	s->is_dead = s->dies;
	errno = s->fail_error;
	return -1;
}

/* --- Names ---------------------------------------------------------------- */

static struct sim_name *name_find(
    const struct sim_names *names, const char *path)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->at[i].path, path) == 0)
			return &names->at[i];
	return NULL;
}

static void file_forget(struct sim *s, int i)
{
	struct sim_file *f = &s->files[i];

	if (f->names || f->platter_names || f->fds)
		return;
	free(f->cache);
	free(f->platter);
	free(f->dirty);
	memset(f, 0, sizeof(*f));
}

static unsigned *name_counter(
    struct sim *s, const struct sim_names *names, int file)
{
	return names == &s->now ? &s->files[file].names
				: &s->files[file].platter_names;
}

static void name_remove(
    struct sim *s, struct sim_names *names, const char *path)
{
	struct sim_name *name = name_find(names, path);
	int file;

	if (!name)
		return;
	file = name->file;
	--*name_counter(s, names, file);
	*name = names->at[--names->n];
	file_forget(s, file);
}

static void name_set(
    struct sim *s, struct sim_names *names, const char *path, int file)
{
	++*name_counter(s, names, file);
	name_remove(s, names, path);
	if (names->n == NAMES_MAX)
		abort();
	snprintf(
	    names->at[names->n].path, sizeof(names->at[0].path), "%s", path);
	names->at[names->n++].file = file;
}

static void change_apply(
    struct sim *s, struct sim_names *names, const struct sim_change *c)
{
	if (c->to[0])
		name_set(s, names, c->to, c->file);
	if (c->from[0])
		name_remove(s, names, c->from);
}

static void change_add(
    struct sim *s, const char *from, const char *to, int file)
{
	struct sim_change *c;

	s->changes =
	    realloc(s->changes, (s->nchanges + 1) * sizeof(*s->changes));
	c = &s->changes[s->nchanges++];
	snprintf(c->from, sizeof(c->from), "%s", from);
	snprintf(c->to, sizeof(c->to), "%s", to);
	c->file = file;
	s->files[file].platter_names++; /* the waiting change refers to it */
	change_apply(s, &s->now, c);
}

static void changes_to_platter(struct sim *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sim_change *c = &s->changes[i];

		change_apply(s, &s->platter, c);
		s->files[c->file].platter_names--;
		file_forget(s, c->file);
	}
	s->nchanges -= n;
	memmove(s->changes, s->changes + n, s->nchanges * sizeof(*s->changes));
}

/* --- Files ---------------------------------------------------------------- */

static int sim_open(void *arg, const char *path, int flags)
{
	struct sim *s = arg;
	struct sim_name *name = name_find(&s->now, path);
	int file = name ? name->file : -1, fd = 0;

	if (s->is_dead)
		return errno = EIO, -1;
	if (!name && !(flags & O_CREAT))
		return errno = ENOENT, -1;
	if (name && flags & O_CREAT && flags & O_EXCL)
		return errno = EEXIST, -1;
	if (!name && operation(s) < 0)
		return -1;
	while (s->fds[fd].file >= 0)
		if (++fd == FDS_MAX)
			return errno = EMFILE, -1;
	if (!name) {
		for (file = 0;
		     s->files[file].names + s->files[file].platter_names +
			 s->files[file].fds >
		     0;
		     file++)
			if (file == FILES_MAX - 1)
				abort();
		change_add(s, "", path, file);
	}
	s->fds[fd] = (struct sim_fd){ file, flags & O_DIRECT };
	s->files[file].fds++;
	return fd;
}

static int sim_close(void *arg, int fd)
{
	struct sim *s = arg;
	int file = s->fds[fd].file;

	if (file < 0)
		abort(); /* closed twice */
	s->fds[fd].file = -1;
	s->files[file].fds--;
	file_forget(s, file);
	return 0;
}

static void sector_to_platter(struct sim_file *f, size_t sector)
{
	size_t at = sector * SECTOR, n = SECTOR;

	if (at + n > f->cap)
		n = f->cap - at;
	memcpy(f->platter + at, f->cache + at, n);
	f->dirty[sector] = 0;
	if (at + n > f->platter_size)
		f->platter_size = at + n < f->size ? at + n : f->size;
}

static ssize_t sim_pread(void *arg, int fd, void *to, size_t n, uint64_t at)
{
	struct sim *s = arg;
	struct sim_file *f = &s->files[s->fds[fd].file];
	const char *from = f->cache;

	if (s->is_dead)
		return errno = EIO, -1;
	if (at >= f->size)
		return 0;
	if (n > f->size - at)
		n = f->size - at;
	if (s->fds[fd].is_direct) {
		for (size_t i = 0; i * SECTOR < f->size; i++)
			if (f->dirty[i])
				sector_to_platter(f, i);
		from = f->platter;
	}
	memcpy(to, from + at, n);
	return (ssize_t)n;
}

static uint64_t all_bytes(const struct sim *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < FILES_MAX; i++)
		sum += s->files[i].size;
	return sum;
}

static int file_grow(struct sim *s, struct sim_file *f, size_t size)
{
	size_t cap = f->cap ? f->cap : 4096;

	if (size <= f->size)
		return 0;
	if (s->capacity && all_bytes(s) + size - f->size > s->capacity)
		return errno = ENOSPC, -1;
	while (cap < size)
		cap *= 2;
	if (cap > f->cap) {
		f->cache = realloc(f->cache, cap);
		f->platter = realloc(f->platter, cap);
		f->dirty = realloc(f->dirty, cap / SECTOR);
		memset(f->cache + f->cap, 0, cap - f->cap);
		memset(f->platter + f->cap, 0, cap - f->cap);
		memset(f->dirty + f->cap / SECTOR, 0, (cap - f->cap) / SECTOR);
		f->cap = cap;
	}
	f->size = size;
	return 0;
}

static void file_write(
    struct sim_file *f, const char *from, size_t n, uint64_t at)
{
	if (n == 0)
		return;
	memcpy(f->cache + at, from, n);
	for (uint64_t i = at / SECTOR; i <= (at + n - 1) / SECTOR; i++)
		f->dirty[i] = 1;
}

/* A write that fails has written a part before. Others are cut short now and
 * then. */
static ssize_t sim_pwritev(
    void *arg, int fd, const struct iovec *iov, int n, uint64_t at)
{
	struct sim *s = arg;
	struct sim_file *f = &s->files[s->fds[fd].file];
	int failed = operation(s) < 0, error = errno;
	size_t total = 0, limit, done = 0;

	if (failed && !s->has_failed)
		return errno = error, -1;
	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	limit = failed || sim_random(s, 16) == 0
		    ? sim_random(s, total) + !failed
		    : total;
	if (file_grow(s, f, at + limit) < 0)
		return -1;
	for (int i = 0; i < n && done < limit; i++) {
		size_t part = iov[i].iov_len < limit - done ? iov[i].iov_len
							    : limit - done;

		file_write(f, iov[i].iov_base, part, at + done);
		done += part;
	}
	errno = error;
	return failed ? -1 : (ssize_t)done;
}

static int sim_fdatasync(void *arg, int fd)
{
	struct sim *s = arg;
	struct sim_file *f = &s->files[s->fds[fd].file];
	bool was_dead = s->is_dead;
	int failed = operation(s) < 0, error = errno;

	if (was_dead)
		return -1;
	for (size_t i = 0; i * SECTOR < f->size; i++) {
		if (!f->dirty[i])
			continue;
		if (!failed || sim_random(s, 2))
			sector_to_platter(f, i);
		/* killed before it: still dirty; failed: called clean */
		if (!s->is_dead)
			f->dirty[i] = 0;
	}
	errno = error;
	return failed ? -1 : 0;
}

static int sim_start_writing(void *arg, int fd, uint64_t at, uint64_t n)
{
	(void)arg;
	(void)fd;
	(void)at;
	(void)n;
	return 0;
}

static int sim_size(void *arg, int fd, uint64_t *bytes)
{
	struct sim *s = arg;

	*bytes = s->files[s->fds[fd].file].size;
	return 0;
}

static int sim_rename(void *arg, const char *from, const char *to)
{
	struct sim *s = arg;
	struct sim_name *name = name_find(&s->now, from);

	if (operation(s) < 0)
		return -1;
	if (!name)
		return errno = ENOENT, -1;
	change_add(s, from, to, name->file);
	return 0;
}

static int sim_unlink(void *arg, const char *path)
{
	struct sim *s = arg;
	struct sim_name *name = name_find(&s->now, path);

	if (!name)
		return errno = ENOENT, -1;
	if (operation(s) < 0)
		return -1;
	change_add(s, path, "", name->file);
	return 0;
}

static int sim_make_folder(void *arg, const char *path)
{
	(void)arg;
	(void)path;
	return 0;
}

/* The whole log of changes: file systems that journal keep their order. */
static int sim_sync_folder(void *arg, const char *path)
{
	struct sim *s = arg;

	(void)path;
	if (operation(s) < 0)
		return -1;
	changes_to_platter(s, s->nchanges);
	return 0;
}

static int sim_list(void *arg, const char *path,
    void (*visit)(const char *name, void *visit_arg), void *visit_arg)
{
	struct sim *s = arg;
	size_t n = strlen(path);
	struct sim_names copy = { malloc((s->now.n + 1) * sizeof(*copy.at)),
		s->now.n };

	if (s->is_dead) {
		free(copy.at);
		return errno = EIO, -1;
	}
	memcpy(copy.at, s->now.at, s->now.n * sizeof(*copy.at));
	for (size_t i = 0; i < copy.n; i++)
		if (strncmp(copy.at[i].path, path, n) == 0 &&
		    copy.at[i].path[n] == '/')
			visit(copy.at[i].path + n + 1, visit_arg);
	free(copy.at);
	return 0;
}

static int sim_space(
    void *arg, const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
	struct sim *s = arg;
	uint64_t used = s->capacity ? all_bytes(s) : 0;

	(void)path;
	*free_bytes = *total_bytes = (uint64_t)1 << 40;
	if (s->capacity)
		*free_bytes = used < s->capacity ? s->capacity - used : 0;
	return 0;
}

static uint64_t sim_utc_us(void *arg)
{
	struct sim *s = arg;

	return s->clock_us++;
}

static uint64_t sim_random64(void *arg)
{
	return sim_random(arg, 0);
}

/* --- The test's side ------------------------------------------------------ */

struct sim *sim_new(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));

	s->disk = (struct disk){
		.arg = s,
		.open = sim_open,
		.close = sim_close,
		.pread = sim_pread,
		.pwritev = sim_pwritev,
		.fdatasync = sim_fdatasync,
		.start_writing = sim_start_writing,
		.size = sim_size,
		.rename = sim_rename,
		.unlink = sim_unlink,
		.make_folder = sim_make_folder,
		.sync_folder = sim_sync_folder,
		.list = sim_list,
		.space = sim_space,
		.utc_us = sim_utc_us,
		.random = sim_random64,
	};
	s->seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	s->now.at = calloc(NAMES_MAX, sizeof(*s->now.at));
	s->platter.at = calloc(NAMES_MAX, sizeof(*s->platter.at));
	s->clock_us = UINT64_C(1800000000) * 1000000;
	for (int i = 0; i < FDS_MAX; i++)
		s->fds[i].file = -1;
	return s;
}

void sim_free(struct sim *s)
{
	for (int i = 0; i < FILES_MAX; i++) {
		free(s->files[i].cache);
		free(s->files[i].platter);
		free(s->files[i].dirty);
	}
	free(s->now.at);
	free(s->platter.at);
	free(s->changes);
	free(s);
}

const struct disk *sim_disk(struct sim *s)
{
	return &s->disk;
}

void sim_fail_at(struct sim *s, uint64_t n, int error, bool dies)
{
	s->fail_at = n ? s->operations + n : 0;
	s->fail_error = error;
	s->dies = dies;
	s->has_failed = false;
}

uint64_t sim_operations(const struct sim *s)
{
	return s->operations;
}

bool sim_has_failed(const struct sim *s)
{
	return s->has_failed;
}

void sim_kill(struct sim *s)
{
	for (int i = 0; i < FDS_MAX; i++)
		if (s->fds[i].file >= 0)
			sim_close(s, i);
	s->is_dead = s->has_failed = false;
	s->fail_at = 0;
}

static void file_power_cut(struct sim *s, struct sim_file *f)
{
	for (size_t i = 0; i * SECTOR < f->size; i++) {
		if (f->dirty[i] && sim_random(s, 2))
			sector_to_platter(f, i);
		f->dirty[i] = 0;
	}
	f->size = f->platter_size;
	if (f->cap > 0)
		memcpy(f->cache, f->platter, f->cap);
}

void sim_power_cut(struct sim *s)
{
	size_t survive = sim_random(s, s->nchanges + 1);

	sim_kill(s);
	for (int i = 0; i < FILES_MAX; i++)
		file_power_cut(s, &s->files[i]);
	changes_to_platter(s, survive);
	for (size_t i = 0; i < s->nchanges; i++)
		s->files[s->changes[i].file].platter_names--;
	s->nchanges = 0;
	while (s->now.n > 0)
		name_remove(s, &s->now, s->now.at[0].path);
	for (size_t i = 0; i < s->platter.n; i++)
		name_set(
		    s, &s->now, s->platter.at[i].path, s->platter.at[i].file);
	for (int i = 0; i < FILES_MAX; i++)
		file_forget(s, i);
}

void sim_set_capacity(struct sim *s, uint64_t bytes)
{
	s->capacity = bytes;
}

void sim_set_clock(struct sim *s, uint64_t utc_us)
{
	s->clock_us = utc_us;
}

int sim_corrupt(struct sim *s, const char *path, uint64_t at)
{
	struct sim_name *name = name_find(&s->now, path);
	struct sim_file *f = name ? &s->files[name->file] : NULL;

	if (!f || at >= f->size)
		return -1;
	f->cache[at] ^= 4;
	f->platter[at] ^= 4;
	return 0;
}

int sim_lose(struct sim *s, const char *path, uint64_t at, uint64_t n)
{
	struct sim_name *name = name_find(&s->now, path);
	struct sim_file *f = name ? &s->files[name->file] : NULL;

	if (!f || at + n > f->size)
		return -1;
	memset(f->platter + at, 0, n);
	return 0;
}

size_t sim_count(const struct sim *s, const char *prefix)
{
	size_t n = 0;

	for (size_t i = 0; i < s->now.n; i++)
		n += strncmp(s->now.at[i].path, prefix, strlen(prefix)) == 0;
	return n;
}
