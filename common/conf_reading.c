/* What is kept while a configuration is read: files, places, problems. */
#include "common/conf_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BYTES = 2048 };

void *conf_append(void *items, size_t *count, size_t size)
{
	void *old, *grown;

	memcpy(&old, items, sizeof(old));
	/* doubled at each power of two */
	if ((*count & (*count - 1)) == 0) {
		grown = realloc(old, (*count ? *count * 2 : 1) * size);
		if (!grown)
			fatal(EXIT_TRY_LATER, "no memory for configuration");
		memcpy(items, &grown, sizeof(grown));
		old = grown;
	}
	memset((char *)old + *count * size, 0, size);
	return (char *)old + (*count)++ * size;
}

char *conf_strdup(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		fatal(EXIT_TRY_LATER, "no memory for configuration");
	return copy;
}

char *conf_absolute(const char *folder, const char *path)
{
	struct buf joined;
	char *copy;

	if (path[0] == '/')
		return conf_strdup(path);
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	buf_init(&joined, 65536);
	buf_printf(&joined, "%s/%s", folder, path);
	copy = conf_strdup(buf_text(&joined));
	buf_clear(&joined);
	return copy;
}

void conf_problem(
    struct conf_reading *r, struct conf_at at, const char *format, ...)
{
	struct conf_problem *problem;
	char text[4096];
	va_list args;

	if (r->nproblems >= CONF_ERRORS_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	problem = &r->problems[r->nproblems++];
	problem->at = at;
	problem->text = conf_strdup(text);
}

/* In small steps first: most files are small, and sendmail reads one for each
 * message. */
static int read_all(struct buf *text, int fd)
{
	for (;;) {
		size_t step = text->len < READ_BYTES ? READ_BYTES : 32768;
		char *to = buf_reserve(text, step);
		ssize_t n = to ? read(fd, to, step) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : 0;
		text->len += (size_t)n;
	}
}

/* Read file's text from fd, which is closed; fd -1: open it. */
static int file_read(
    struct conf_reading *r, struct conf_file *file, int fd, struct conf_at at)
{
	if (fd < 0)
		fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || read_all(&file->text, fd) < 0) {
		conf_problem(r, at, "%s: %s", file->shown, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	if (file->text.overflow) {
		conf_problem(r, at, "%s: larger than %d bytes", file->shown,
		    CONF_FILE_BYTES_MAX);
		return -1;
	}
	if (file->text.len > 0 &&
	    memchr(file->text.data, '\0', file->text.len)) {
		conf_problem(r, at, "%s: has a NUL byte", file->shown);
		return -1;
	}
	return 0;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *copy = span_dup((struct span){ path, (size_t)(slash - path) });

	if (!copy)
		fatal(EXIT_TRY_LATER, "no memory for configuration");
	return copy;
}

static char *from_here(const char *path)
{
	char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
	char *absolute = conf_absolute(here ? here : "", path);

	free(here);
	return absolute;
}

void conf_file_add_fd(
    struct conf_reading *r, const char *path, int fd, struct conf_at at)
{
	struct conf_file *file;

	if (r->nfiles >= CONF_FILES_MAX) {
		conf_problem(r, at, "more than %d files", CONF_FILES_MAX);
		return;
	}
	file = conf_append(&r->files, &r->nfiles, sizeof(*file));
	file->shown = conf_strdup(path);
	file->path = from_here(path);
	file->folder = folder_of(file->path);
	buf_init(&file->text, CONF_FILE_BYTES_MAX);
	for (size_t i = 0; i + 1 < r->nfiles; i++)
		if (strcmp(r->files[i].path, file->path) == 0) {
			conf_problem(r, at, "%s: included twice", path);
			return;
		}
	if (file_read(r, file, fd, at) < 0) {
		r->is_broken = true;
		buf_clear(&file->text);
	}
}

void conf_file_add(struct conf_reading *r, const char *path, struct conf_at at)
{
	conf_file_add_fd(r, path, -1, at);
}

const struct conf_setting *conf_setting_find(
    const struct conf_reading *r, size_t section, const char *name)
{
	const struct conf_section *s = &r->sections[section];

	/* behind a section's own come those of sections that began before */
	for (size_t i = s->first; i < r->nsettings; i++) {
		if (r->settings[i].block < section)
			break;
		if (r->settings[i].block == section &&
		    strcmp(r->settings[i].option->name, name) == 0)
			return &r->settings[i];
	}
	return NULL;
}

struct conf_at conf_at_setting(
    const struct conf_reading *r, size_t section, const char *name)
{
	const struct conf_setting *setting =
	    conf_setting_find(r, section, name);

	return setting ? setting->at : r->sections[section].at;
}

size_t conf_section_next(const struct conf_reading *r, size_t parent,
    const struct conf_block *block, size_t after)
{
	for (size_t i = after + 1; i < r->nsections; i++)
		if (r->sections[i].parent == parent &&
		    r->sections[i].block == block)
			return i;
	return 0;
}
