/* The real disk. */
#include "queue/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/deadline.h"
#include "common/log.h"

static int real_open(void *arg, const char *path, int flags)
{
	(void)arg;
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int real_close(void *arg, int fd)
{
	(void)arg;
	return close(fd);
}

static ssize_t real_pread(void *arg, int fd, void *to, size_t n, uint64_t at)
{
	(void)arg;
	return pread(fd, to, n, (off_t)at);
}

static ssize_t real_pwritev(
    void *arg, int fd, const struct iovec *iov, int n, uint64_t at)
{
	(void)arg;
	return pwritev(fd, iov, n, (off_t)at);
}

static int real_fdatasync(void *arg, int fd)
{
	(void)arg;
	return fdatasync(fd);
}

static int real_start_writing(void *arg, int fd, uint64_t at, uint64_t n)
{
	(void)arg;
	return sync_file_range(fd, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE);
}

static int real_size(void *arg, int fd, uint64_t *bytes)
{
	struct stat st;

	(void)arg;
	if (fstat(fd, &st) < 0)
		return -1;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

static int real_rename(void *arg, const char *from, const char *to)
{
	(void)arg;
	return rename(from, to);
}

static int real_unlink(void *arg, const char *path)
{
	(void)arg;
	return unlink(path);
}

static int real_make_folder(void *arg, const char *path)
{
	(void)arg;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

static int real_sync_folder(void *arg, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result, saved;

	(void)arg;
	if (fd < 0)
		return -1;
	result = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

static int real_list(void *arg, const char *path,
    void (*visit)(const char *name, void *visit_arg), void *visit_arg)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int failed;

	(void)arg;
	if (!dir)
		return -1;
	for (errno = 0; (entry = readdir(dir)); errno = 0)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			visit(entry->d_name, visit_arg);
	failed = errno;
	closedir(dir);
	errno = failed;
	return failed ? -1 : 0;
}

static int real_space(
    void *arg, const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
	struct statvfs fs;

	(void)arg;
	if (statvfs(path, &fs) < 0)
		return -1;
	*free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	*total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	return 0;
}

static uint64_t real_utc_us(void *arg)
{
	(void)arg;
	return now_utc_us();
}

static uint64_t real_random(void *arg)
{
	uint64_t value;

	(void)arg;
	if (getrandom(&value, sizeof(value), 0) != sizeof(value))
		fatal(EXIT_TRY_LATER, "getrandom: %s", strerror(errno));
	return value;
}

const struct disk disk_real = {
	.open = real_open,
	.close = real_close,
	.pread = real_pread,
	.pwritev = real_pwritev,
	.fdatasync = real_fdatasync,
	.start_writing = real_start_writing,
	.size = real_size,
	.rename = real_rename,
	.unlink = real_unlink,
	.make_folder = real_make_folder,
	.sync_folder = real_sync_folder,
	.list = real_list,
	.space = real_space,
	.utc_us = real_utc_us,
	.random = real_random,
};

int disk_read(const struct disk *disk, int fd, void *to, size_t n, uint64_t at)
{
	char *p = to;

	while (n > 0) {
		ssize_t got = disk->pread(disk->arg, fd, p, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return -1;
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int disk_write(
    const struct disk *disk, int fd, struct iovec *iov, size_t n, uint64_t at)
{
	while (n > 0) {
		int portion = n > IOV_MAX ? IOV_MAX : (int)n;
		ssize_t put;
		size_t left;

		put = disk->pwritev(disk->arg, fd, iov, portion, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put == 0)
			errno = ENOSPC;
		if (put <= 0)
			return -1;
		at += (uint64_t)put;
		for (left = (size_t)put; n > 0 && left >= iov->iov_len; n--)
			left -= iov++->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + left;
			iov->iov_len -= left;
		}
	}
	return 0;
}
