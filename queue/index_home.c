/* Trust in the index: boot, mount, and the mark of a clean close. */
#include "queue/index_home.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

static bool boot_id_read(char text[64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, 63) : -1;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return n > 0;
}

/* Mount ids are used again after an unmount before Linux 6.8; the folder that
 * a file system has in sysfs gets a new inode with each mount. */
static uint64_t mount_inode(unsigned major_id, unsigned minor_id)
{
	static const char *const kinds[] = { "ext4", "xfs", "f2fs" };
	char path[PATH_MAX], device[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(
	    path, sizeof(path), "/sys/dev/block/%u:%u", major_id, minor_id);
	n = readlink(path, device, sizeof(device) - 1);
	if (n <= 0)
		return 0;
	device[n] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *slash = strrchr(device, '/');

		if (snprintf(path, sizeof(path), "/sys/fs/%s/%s", kinds[i],
			slash ? slash + 1 : device) < (int)sizeof(path) &&
		    stat(path, &st) == 0)
			return st.st_ino;
	}
	return 0;
}

void index_home_print(const char *spool, char text[HOME_TEXT_MAX])
{
	struct statx sx;
	char boot[64];

	text[0] = '\0';
	if (!boot_id_read(boot))
		return;
	if (statx(AT_FDCWD, spool, 0, STATX_INO | STATX_MNT_ID_UNIQUE, &sx) ||
	    !(sx.stx_mask & STATX_MNT_ID_UNIQUE)) {
		if (statx(AT_FDCWD, spool, 0, STATX_INO | STATX_MNT_ID, &sx))
			return;
	}
	snprintf(text, HOME_TEXT_MAX, "%s %u:%u %llu %llu %llu", boot,
	    sx.stx_dev_major, sx.stx_dev_minor, (unsigned long long)sx.stx_ino,
	    (unsigned long long)sx.stx_mnt_id,
	    (unsigned long long)mount_inode(
		sx.stx_dev_major, sx.stx_dev_minor));
}

static const char *mark_path(MDB_env *env, char path[PATH_MAX])
{
	const char *folder = "";

	mdb_env_get_path(env, &folder);
	snprintf(path, PATH_MAX, "%s/clean", folder);
	return folder;
}

static int folder_sync(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd >= 0 ? fsync(fd) : -1;

	if (fd >= 0)
		close(fd);
	return result;
}

static size_t last_transaction(MDB_env *env)
{
	MDB_envinfo info;

	return mdb_env_info(env, &info) == 0 ? info.me_last_txnid : 0;
}

int index_mark_clean(MDB_env *env)
{
	char path[PATH_MAX], text[32];
	const char *folder = mark_path(env, path);
	int fd, n, result = -1;

	if (mdb_env_sync(env, 1) != 0)
		return -1;
	n = snprintf(text, sizeof(text), "%zu\n", last_transaction(env));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (write(fd, text, (size_t)n) == n && fsync(fd) == 0)
		result = folder_sync(folder);
	close(fd);
	return result;
}

int index_take_clean_mark(MDB_env *env, bool read_only, bool *was_clean)
{
	char path[PATH_MAX], text[32] = "";
	const char *folder = mark_path(env, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	*was_clean = false;
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (read(fd, text, sizeof(text) - 1) > 0)
		*was_clean = strtoull(text, NULL, 10) == last_transaction(env);
	close(fd);
	if (read_only)
		return 0;
	return unlink(path) == 0 ? folder_sync(folder) : -1;
}
