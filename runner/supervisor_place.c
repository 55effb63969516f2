/* The folders that an instance needs, and the locks that keep a second
 * instance off the same runtime folder or spool. */
#include "runner/supervisor_parts.h"

#include "common/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const char *what, const char *path, const char *why)
{
	fprintf(stderr, "outpost: %s %s: %s\n", what, path, why);
	return -1;
}

/* The folder and what leads to it. */
static int make_folders(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(part, path, n + 1);
	for (char *p = part + 1; p <= part + n; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -1;
		if (p < part + n)
			*p = '/';
	}
	return 0;
}

static int open_folder(const char *what, const char *path)
{
	int fd;

	if (make_folders(path) < 0)
		return complain(what, path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return complain(what, path, strerror(errno));
	return fd;
}

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int found = 0;

	if (!folder) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	while ((entry = readdir(folder)) != NULL)
		found += strcmp(entry->d_name, ".") != 0 &&
			 strcmp(entry->d_name, "..") != 0;
	closedir(folder);
	return found == 0;
}

/* Only an empty folder becomes a spool: any other is in use for something. */
static bool is_spool(int fd)
{
	return faccessat(fd, "outpost.lock", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	       faccessat(fd, "journal", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	       is_empty(fd);
}

/* A folder of another user is not taken over: he could have planted anything
 * in it. */
static int own_spool(const char *path, int fd)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct stat st;
	char why[120];

	if (fstat(fd, &st) < 0)
		return complain("spool", path, strerror(errno));
	if (uid == 0 && !sandbox_user_ids("outpost-q", &uid, &gid))
		return complain("spool", path,
		    "there is neither a user outpost-q nor nobody");
	if (st.st_uid != uid && (st.st_uid != 0 || geteuid() != 0)) {
		snprintf(why, sizeof(why),
		    "belongs to uid %u; the queue runs as uid %u: chown -R it "
		    "or choose another folder",
		    st.st_uid, uid);
		return complain("spool", path, why);
	}
	if (!is_spool(fd))
		return complain("spool", path,
		    "is not empty and no spool: choose another folder");
	if (st.st_uid != uid && fchown(fd, uid, gid) < 0)
		return complain("spool", path, strerror(errno));
	if (fchmod(fd, 0700) < 0)
		return complain("spool", path, strerror(errno));
	return 0;
}

static void read_pid(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strspn(text, "0123456789")] = '\0';
}

static int write_pid(int fd)
{
	char pid[20];
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

	return ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) == n ? 0
									   : -1;
}

/* The lock's descriptor, or -1 after a complaint. Who can read a file can lock
 * it: so nobody else can. */
static int lock(
    const char *what, const char *path, int folder, const char *name)
{
	int fd = openat(
	    folder, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	char pid[20], why[80];

	if (fd < 0)
		return complain(what, path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		read_pid(fd, pid, sizeof(pid));
		snprintf(why, sizeof(why), "in use by another instance, pid %s",
		    pid);
		close(fd);
		return complain(what, path, why);
	}
	if (write_pid(fd) < 0) {
		complain(what, path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int own_runtime(const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return complain("runtime", path, strerror(errno));
	if (st.st_uid != geteuid())
		return complain("runtime", path, "belongs to another user");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return complain("runtime", path,
		    "others may write to it: choose another folder, or chmod "
		    "755 it");
	return 0;
}

/* For whoever looks for it there; no lock. */
static int save_pid(const char *path, int folder)
{
	int fd = openat(folder, "outpost.pid",
	    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	int status = fd < 0 || write_pid(fd) < 0
			 ? complain("runtime", path, strerror(errno))
			 : 0;

	if (fd >= 0)
		close(fd);
	return status;
}

static int make_runtime(struct supervisor *s)
{
	const char *path = s->conf->runtime;
	int fd = open_folder("runtime", path);

	if (fd < 0)
		return -1;
	if (own_runtime(path, fd) == 0)
		s->runtime_lock = lock("runtime", path, fd, "outpost.lock");
	if (s->runtime_lock >= 0 && save_pid(path, fd) < 0) {
		close(s->runtime_lock);
		s->runtime_lock = -1;
	}
	close(fd);
	return s->runtime_lock < 0 ? -1 : 0;
}

static int make_spool(struct supervisor *s)
{
	const char *path = s->conf->spool;
	int fd = open_folder("spool", path);

	if (fd < 0)
		return -1;
	if (own_spool(path, fd) == 0)
		s->spool_lock = lock("spool", path, fd, "outpost.lock");
	close(fd);
	return s->spool_lock < 0 ? -1 : 0;
}

int places_make(struct supervisor *s)
{
	return make_runtime(s) < 0 || make_spool(s) < 0 ? -1 : 0;
}

static void remove_from_runtime(struct supervisor *s, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", s->conf->runtime, name);
	unlink(path);
}

void places_leave(struct supervisor *s)
{
	static const char *const files[] = { "submit.sock", "queue.sock",
		"runner.sock", "outpost.sock", "outpost.pid" };

	if (s->spool_lock >= 0)
		close(s->spool_lock);
	if (s->runtime_lock < 0)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		remove_from_runtime(s, files[i]);
	/* Emptied, not removed: a lock lives on its inode. */
	(void)!ftruncate(s->runtime_lock, 0);
	close(s->runtime_lock);
	s->runtime_lock = s->spool_lock = -1;
}
