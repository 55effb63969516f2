/* A folder of exported messages. */
#include "queue/tool_folder.h"

#include "common/crc32c.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 65536, PART_BYTES = 300 };

static int failed(const struct folder *f, const char *name, struct outcome *why)
{
	int error = errno;

	return outcome_temp(why, "4.3.0", "%s%s%s: %s", f->path,
	    name ? "/" : "", name ? name : "", strerror(error));
}

int folder_open(
    struct folder *f, const char *path, bool make, struct outcome *why)
{
	*f = (struct folder){ .path = path, .fd = -1 };
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return failed(f, NULL, why);
	f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->fd < 0 ? failed(f, NULL, why) : 0;
}

void folder_close(struct folder *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int folder_sync(struct folder *f, struct outcome *why)
{
	return syncfs(f->fd) < 0 ? failed(f, NULL, why) : 0;
}

bool folder_has(const struct folder *f, const char *name)
{
	struct stat st;

	return fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* --- writing -------------------------------------------------------------- */

static void part_name(char part[PART_BYTES], const char *name)
{
	snprintf(part, PART_BYTES, ".%s.part", name);
}

int folder_begin(struct folder *f, const char *name, struct outcome *why)
{
	char part[PART_BYTES];
	int fd;

	part_name(part, name);
	if (unlinkat(f->fd, part, 0) < 0 && errno != ENOENT)
		return failed(f, part, why);
	fd = openat(f->fd, part,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? failed(f, part, why) : fd;
}

int folder_name(
    struct folder *f, const char *name, bool replace, struct outcome *why)
{
	char part[PART_BYTES];

	part_name(part, name);
	if (renameat2(
		f->fd, part, f->fd, name, replace ? 0 : RENAME_NOREPLACE) == 0)
		return 0;
	/* file systems that cannot tell */
	if (errno == EINVAL && !folder_has(f, name) &&
	    renameat(f->fd, part, f->fd, name) == 0)
		return 0;
	return failed(f, name, why);
}

void folder_forget(struct folder *f, const char *name)
{
	char part[PART_BYTES];

	part_name(part, name);
	unlinkat(f->fd, part, 0);
}

void folder_remove(struct folder *f, const char *name)
{
	unlinkat(f->fd, name, 0);
}

/* --- reading -------------------------------------------------------------- */

int folder_read(
    struct folder *f, const char *name, uint64_t *size, struct outcome *why)
{
	struct stat st;
	int fd =
	    openat(f->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return failed(f, name, why);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	close(fd);
	return outcome_perm(
	    why, "5.6.0", "%s/%s: not a plain file", f->path, name);
}

int folder_load(struct folder *f, const char *name, uint64_t max,
    struct buf *text, struct outcome *why)
{
	uint64_t size;
	int fd = folder_read(f, name, &size, why), status = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -1;
	while (n > 0 && status == 0) {
		char *to = buf_reserve(text, READ_BYTES);

		n = to ? read(fd, to, READ_BYTES) : 0;
		if (n < 0)
			status = failed(f, name, why);
		else
			text->len += (size_t)n;
		if (text->overflow || text->len > max)
			status = outcome_perm(
			    why, "5.6.0", "%s/%s: too large", f->path, name);
	}
	close(fd);
	return status;
}

int folder_measure(struct folder *f, const char *name, uint64_t *size,
    uint32_t *crc, struct outcome *why)
{
	char *bytes = malloc(READ_BYTES);
	int fd = folder_read(f, name, size, why);
	ssize_t n = 1;

	*size = 0;
	*crc = 0;
	while (bytes && fd >= 0 && (n = read(fd, bytes, READ_BYTES)) > 0) {
		*crc = crc32c(*crc, bytes, (size_t)n);
		*size += (size_t)n;
	}
	if (fd >= 0 && n < 0)
		failed(f, name, why);
	if (fd >= 0 && !bytes)
		outcome_temp(why, "4.3.0", "out of memory");
	free(bytes);
	if (fd >= 0)
		close(fd);
	return fd < 0 || n != 0 ? -1 : 0;
}

/* --- names ---------------------------------------------------------------- */

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return name[0] != '.' && n > m && strcmp(name + n - m, suffix) == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(char ***names, size_t *n, const char *name)
{
	char **grown = *names;

	/* at powers of two */
	if ((*n & (*n - 1)) == 0)
		grown = reallocarray(grown, *n ? *n * 2 : 1, sizeof(char *));
	if (!grown)
		return -1;
	*names = grown;
	grown[*n] = strdup(name);
	if (!grown[*n])
		return -1;
	++*n;
	return 0;
}

int folder_names(struct folder *f, const char *suffix, char ***names, size_t *n,
    struct outcome *why)
{
	int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int status = 0;

	*names = NULL;
	*n = 0;
	if (!dir) {
		failed(f, NULL, why);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (status == 0 && (entry = readdir(dir)) != NULL)
		if (has_suffix(entry->d_name, suffix))
			status = add_name(names, n, entry->d_name);
	closedir(dir);
	if (status == 0) {
		if (*n > 0)
			qsort(*names, *n, sizeof(char *), by_name);
		return 0;
	}
	folder_names_free(*names, *n);
	return outcome_temp(why, "4.3.0", "out of memory");
}

void folder_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}
