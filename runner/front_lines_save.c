/* lines set --save: the number in the configuration file. The new file is put
 * in place of the old one, which stays beside it as FILE.bak. */
#include "runner/front.h"

#include "common/conf_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 4 << 20 };

static int failed(struct buf *error, const char *path, const char *what)
{
	buf_reset(error);
	buf_printf(error, "%s: %s", path, what);
	return -1;
}

static int read_all(int fd, struct buf *text)
{
	ssize_t n = 1;

	while (n > 0) {
		char *to = buf_reserve(text, 65536);

		n = to ? read(fd, to, 65536) : -1;
		if (n > 0)
			text->len += (size_t)n;
	}
	return n < 0 || text->len > FILE_MAX ? -1 : 0;
}

static int write_new(
    const char *path, struct span text, const struct stat *like)
{
	int fd = open(
	    path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int status;

	if (fd < 0)
		return -1;
	/* who could read it, and write it, still can */
	status = fchown(fd, like->st_uid, like->st_gid);
	status |= fchmod(fd, like->st_mode & 07777);
	for (size_t at = 0; status == 0 && at < text.n;) {
		ssize_t n = write(fd, text.p + at, text.n - at);

		if (n < 0 && errno != EINTR)
			status = -1;
		at += n > 0 ? (size_t)n : 0;
	}
	status |= fsync(fd);
	status |= close(fd);
	return status;
}

static void sync_folder(const char *path)
{
	char folder[PATH_MAX];
	char *slash;
	int fd;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash)
		return;
	slash[slash == folder] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

static int check(const char *whole, struct buf *error)
{
	struct conf *conf;

	buf_reset(error);
	conf = conf_load(whole, error);
	conf_free(conf);
	return conf ? 0 : -1;
}

/* fresh and backup stand beside path. */
static int put_in_place(const char *path, const char *fresh, const char *backup,
    const char *whole, struct buf *error)
{
	if (unlink(backup) < 0 && errno != ENOENT)
		return failed(error, backup, strerror(errno));
	if (link(path, backup) < 0)
		return failed(error, backup, strerror(errno));
	if (rename(fresh, path) < 0)
		return failed(error, path, strerror(errno));
	if (check(whole, error) < 0) {
		rename(backup, path);
		sync_folder(path);
		return -1;
	}
	sync_folder(path);
	return 0;
}

static int make_text(
    int fd, const char *group, const char *count, struct buf *text)
{
	const char *why;

	if (read_all(fd, text) < 0)
		return -1;
	return conf_edit(text, "line", group, "count", count, &why);
}

static int edit_file(const char *path, const char *whole, const char *group,
    const char *count, struct buf *error)
{
	char fresh[PATH_MAX + 8], backup[PATH_MAX + 8];
	struct buf text;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC), status = -1;

	if (fd < 0 || fstat(fd, &st) < 0) {
		failed(error, path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	snprintf(backup, sizeof(backup), "%s.bak", path);
	buf_init(&text, FILE_MAX + 65536);
	if (make_text(fd, group, count, &text) != 0) {
		failed(error, path, "the place of the setting is not found");
	} else if (write_new(fresh, buf_span(&text), &st) < 0) {
		bool is_other = errno == EEXIST;

		failed(error, fresh, strerror(errno));
		if (!is_other)
			unlink(fresh);
	} else {
		status = put_in_place(path, fresh, backup, whole, error);
		if (status < 0)
			unlink(fresh);
	}
	buf_clear(&text);
	close(fd);
	return status;
}

int front_lines_save(const char *path, const char *whole, const char *group,
    const char *count, struct buf *error)
{
	char *real = realpath(path, NULL);
	int status = real ? edit_file(real, whole, group, count, error)
			  : failed(error, path, strerror(errno));

	free(real);
	return status;
}
