/* The disk as the spool sees it: the few system calls it makes, in a table so
 * that tests can put a disk in their place that fails, tears and forgets. The
 * index is LMDB's own affair and does not go through here.
 *
 * All functions return -1 with errno on failure.
 */
#ifndef QUEUE_DISK_H
#define QUEUE_DISK_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct disk {
	void *arg; /* given to each function */

	/* flags as open(2); new files get mode 0600, all are CLOEXEC */
	int (*open)(void *arg, const char *path, int flags);
	int (*close)(void *arg, int fd);
	ssize_t (*pread)(void *arg, int fd, void *to, size_t n, uint64_t at);
	ssize_t (*pwritev)(
	    void *arg, int fd, const struct iovec *iov, int n, uint64_t at);
	int (*fdatasync)(void *arg, int fd);
	/* begin to write out what is dirty there, without waiting */
	int (*start_writing)(void *arg, int fd, uint64_t at, uint64_t n);
	int (*size)(void *arg, int fd, uint64_t *bytes);

	int (*rename)(void *arg, const char *from, const char *to);
	int (*unlink)(void *arg, const char *path);
	int (*make_folder)(void *arg, const char *path); /* fine if there */
	int (*sync_folder)(void *arg, const char *path);
	/* every name but . and .. */
	int (*list)(void *arg, const char *path,
	    void (*visit)(const char *name, void *visit_arg), void *visit_arg);
	int (*space)(void *arg, const char *path, uint64_t *free_bytes,
	    uint64_t *total_bytes);

	uint64_t (*utc_us)(void *arg);
	uint64_t (*random)(void *arg);
};

extern const struct disk disk_real;

/* All of it or -1 with errno (EIO: the file ends before). */
int disk_read(const struct disk *disk, int fd, void *to, size_t n, uint64_t at);
/* All of it: goes on after short writes and in portions of IOV_MAX. Changes
 * iov. */
int disk_write(
    const struct disk *disk, int fd, struct iovec *iov, size_t n, uint64_t at);

#endif
