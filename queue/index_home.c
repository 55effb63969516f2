/* Trust in the index: boot, mount, and the mark of a clean close. */
#include "queue/index_home.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/crc32c.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

enum { MARK_BYTES = 48, SUM_STEP = 1 << 20 };

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

/* Of the whole file, by reading: the map would die of a missing page. */
static int data_sum(MDB_env *env, uint32_t *sum)
{
	char *step = malloc(SUM_STEP);
	uint64_t at = 0;
	ssize_t n = -1;
	int fd;

	*sum = 0;
	if (step && mdb_env_get_fd(env, &fd) == 0)
		while ((n = pread(fd, step, SUM_STEP, (off_t)at)) > 0) {
			*sum = crc32c(*sum, step, (size_t)n);
			at += (uint64_t)n;
		}
	free(step);
	return n == 0 ? 0 : -1;
}

int index_mark_clean(MDB_env *env)
{
	char path[PATH_MAX], text[MARK_BYTES];
	const char *folder = mark_path(env, path);
	int fd, n, result = -1;
	uint32_t sum;

	if (mdb_env_sync(env, 1) != 0 || data_sum(env, &sum) < 0)
		return -1;
	n = snprintf(
	    text, sizeof(text), "%zu %08x\n", last_transaction(env), sum);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (write(fd, text, (size_t)n) == n && fsync(fd) == 0)
		result = folder_sync(folder);
	close(fd);
	return result;
}

static bool mark_fits(MDB_env *env, const char *text)
{
	uint32_t sum, marked_sum;
	size_t marked;

	/* A number that does not fit differs from ours all the same. */
	/* NOLINTNEXTLINE(cert-err34-c) */
	return sscanf(text, "%zu %8" SCNx32, &marked, &marked_sum) == 2 &&
	       marked == last_transaction(env) && data_sum(env, &sum) == 0 &&
	       sum == marked_sum;
}

int index_take_clean_mark(MDB_env *env, bool read_only, bool *was_clean)
{
	char path[PATH_MAX], text[MARK_BYTES] = "";
	const char *folder = mark_path(env, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool fits;

	*was_clean = false;
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	fits = read(fd, text, sizeof(text) - 1) > 0 && mark_fits(env, text);
	close(fd);
	*was_clean = fits;
	if (read_only) /* a keeper may just have begun */
		return fits || access(path, F_OK) < 0 ? 0 : 1;
	if (unlink(path) < 0 || folder_sync(folder) < 0)
		return -1;
	return fits ? 0 : 1;
}

/* --- Doubt ---------------------------------------------------------------- */

static char doubt[PATH_MAX];

static void on_crash(int signo)
{
	int fd = open(doubt, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)signo;
	if (fd >= 0)
		close(fd);
	/* SA_RESETHAND: back to the same instruction, and down */
}

static void catch_crashes(void (*handler)(int signo))
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT };
	struct sigaction action = { .sa_handler = handler,
		.sa_flags = (int)SA_RESETHAND };

	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &action, NULL);
}

void index_doubt_after_crash(const char *spool)
{
	snprintf(doubt, sizeof(doubt), "%s/index/doubt", spool);
	catch_crashes(on_crash);
}

static void on_reader_crash(int signo)
{
	static const char text[] =
	    "the index is damaged: rename the spool's folder index; outpost "
	    "start makes it anew from the journal\n";

	(void)signo;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

void index_explain_crash(void)
{
	catch_crashes(on_reader_crash);
}

bool index_is_in_doubt(const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/doubt", folder);
	return access(path, F_OK) == 0;
}
