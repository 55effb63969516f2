/* Loading the configuration: all of it, or every error with its place. */
#include "common/conf_parts.h"

#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_PATH "/etc/outpost/outpost.conf"

static struct conf_reading *reading_new(void)
{
	struct conf_reading *r = calloc(1, sizeof(*r));
	struct conf_section *root;

	if (!r)
		fatal(EXIT_TRY_LATER, "no memory for configuration");
	root = conf_append(&r->sections, &r->nsections, sizeof(*root));
	root->block = &conf_root;
	return r;
}

static void reading_free(struct conf_reading *r)
{
	for (size_t i = 0; i < r->nfiles; i++) {
		free(r->files[i].shown);
		free(r->files[i].path);
		free(r->files[i].folder);
		buf_clear(&r->files[i].text);
	}
	for (size_t i = 0; i < r->nproblems; i++)
		free(r->problems[i].text);
	free(r->files);
	free(r->sections);
	free(r->settings);
	free(r);
}

/* By file and line; problems of one place stay in their order. */
static void sort_problems(struct conf_reading *r)
{
	for (size_t i = 1; i < r->nproblems; i++) {
		struct conf_problem p = r->problems[i];
		size_t j = i;

		while (
		    j > 0 && (r->problems[j - 1].at.file > p.at.file ||
				 (r->problems[j - 1].at.file == p.at.file &&
				     r->problems[j - 1].at.line > p.at.line))) {
			r->problems[j] = r->problems[j - 1];
			j--;
		}
		r->problems[j] = p;
	}
}

static void print_problems(struct conf_reading *r, struct buf *errors)
{
	sort_problems(r);
	for (size_t i = 0; i < r->nproblems; i++) {
		const struct conf_problem *p = &r->problems[i];

		if (p->at.file >= 0 && (size_t)p->at.file < r->nfiles)
			buf_printf(errors,
			    "%s:%d: ", r->files[p->at.file].shown, p->at.line);
		buf_printf(errors, "%s\n", p->text);
	}
	if (r->nproblems == CONF_ERRORS_MAX)
		buf_puts(errors, "... and more\n");
}

static void add_default_line(struct conf *conf)
{
	struct conf_line *line;

	if (conf_line(conf, "default"))
		return;
	line = conf_append(&conf->lines, &conf->nlines, sizeof(*line));
	conf_block_init(conf_block_named(&conf_root, span_of("line")), line);
	line->name = conf_strdup("default");
	line->place.file = conf_strdup("");
}

/* The reading holds the first file, or none. Frees it. */
static struct conf *load(
    struct conf_reading *r, const char *node, struct buf *errors)
{
	struct conf *conf = calloc(1, sizeof(*conf));

	if (!conf)
		fatal(EXIT_TRY_LATER, "no memory for configuration");
	conf->file = conf_strdup(r->nfiles > 0 ? r->files[0].path : "");
	conf_block_init(&conf_root, conf);
	/* included files are added while their includers are scanned */
	for (size_t i = 0; i < r->nfiles; i++)
		conf_scan(r, (int)i);
	if (!r->is_broken) {
		conf_build(r, conf);
		if (node) {
			free(conf->node);
			conf->node = conf_strdup(node);
		}
		add_default_line(conf);
		conf_check(r, conf);
	}
	if (r->nproblems > 0) {
		print_problems(r, errors);
		conf_free(conf);
		conf = NULL;
	}
	reading_free(r);
	return conf;
}

struct conf *conf_load_as(
    const char *path, const char *node, struct buf *errors)
{
	struct conf_reading *r = reading_new();
	struct conf_at nowhere = { -1, 0 };

	if (!path || !path[0])
		path = getenv("OUTPOST_CONF");
	if (path && path[0])
		conf_file_add(r, path, nowhere);
	else if (access(DEFAULT_PATH, F_OK) == 0)
		conf_file_add(r, DEFAULT_PATH, nowhere);
	return load(r, node, errors);
}

struct conf *conf_load(const char *path, struct buf *errors)
{
	return conf_load_as(path, NULL, errors);
}

struct conf *conf_load_fd(int fd, const char *path, struct buf *errors)
{
	struct conf_reading *r = reading_new();
	bool has_path = path && path[0];
	struct conf *conf;

	r->is_effective = true;
	conf_file_add_fd(
	    r, has_path ? path : "/", fd, (struct conf_at){ -1, 0 });
	conf = load(r, NULL, errors);
	if (conf && !has_path)
		conf->file[0] = '\0';
	return conf;
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	conf_block_clear(&conf_root, conf);
	free(conf->file);
	free(conf);
}

const struct conf_relay *conf_relay(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->nrelays; i++)
		if (conf->relays[i].name &&
		    strcmp(conf->relays[i].name, name) == 0)
			return &conf->relays[i];
	return NULL;
}

const struct conf_line *conf_line(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->nlines; i++)
		if (conf->lines[i].name &&
		    strcmp(conf->lines[i].name, name) == 0)
			return &conf->lines[i];
	return NULL;
}
