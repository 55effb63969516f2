/* What the parts of the configuration share; only conf*.c include it.
 *
 * The way of a file: conf_scan.c checks the shape and notes where everything
 * stands; libconfuse reads the values; conf_build.c puts them into struct conf
 * by the table of conf_grammar.c, whose kinds are in conf_kinds.c;
 * conf_check.c looks at what depends on each other.
 */
#ifndef COMMON_CONF_PARTS_H
#define COMMON_CONF_PARTS_H

#include "common/conf.h"

enum {
	CONF_FILES_MAX = 32,
	CONF_FILE_BYTES_MAX = 4 << 20,
	CONF_ERRORS_MAX = 200,
	CONF_BLOCKS_MAX = 10000, /* in all files */
	CONF_LIST_MAX = 1000,	 /* values in one list */
	CONF_TEXT_MAX = 1000,	 /* bytes of one value */
	CONF_DEPTH_MAX = 16,
};

struct conf_option;
struct conf_file;

/* A type of value. parse: text to *to (a list's parse appends one item); -1
 * when it is not allowed, or CONF_LATER. print: as it stands in a file; nothing
 * when unset. */
enum { CONF_LATER = -2 };
struct conf_kind {
	const char *allowed; /* NULL: the option's range or choices say it */
	bool is_list;
	bool is_number; /* must not stand in quotes */
	int (*parse)(const struct conf_option *option, const char *text,
	    const struct conf_file *file, void *to);
	void (*print)(const struct conf_option *option, const void *from,
	    struct buf *out);
	void (*clear)(void *at);
};

struct conf_choice {
	const char *name;
	int value;
	bool is_later; /* not yet supported */
};

enum {
	OPTION_LATER = 1,  /* known and typed, not yet obeyed */
	OPTION_HIDDEN = 2, /* only in what conf_print prints */
};

struct conf_option {
	const char *name;
	const struct conf_kind *kind;
	size_t offset;	      /* in the block's struct */
	int64_t min, max;     /* where the kind has a range */
	const char *fallback; /* list items parted by blanks; NULL: unset */
	int64_t unset;	      /* a choice's or number's value when unset */
	const struct conf_choice *choices;
	unsigned flags;
};

struct conf_block {
	const char *name;
	const struct conf_option *options; /* ended by a NULL name */
	const struct conf_block *blocks;   /* inside; ended likewise; or NULL */
	const struct conf_option *title;   /* NULL: no title, once only */
	size_t size;	     /* of an array's element; 0: not an array */
	size_t offset;	     /* of the array's pointer, or of the struct */
	size_t count_offset; /* of the array's length */
	size_t place_offset; /* in the element */
	bool has_place;
	bool is_later;
};

/* The whole file; its blocks are all others. */
extern const struct conf_block conf_root;
const struct conf_option *conf_option_named(
    const struct conf_block *block, struct span name);
const struct conf_block *conf_block_named(
    const struct conf_block *block, struct span name);

extern const struct conf_kind kind_text, kind_name, kind_number, kind_port,
    kind_bool, kind_choice, kind_duration, kind_size, kind_rate, kind_factor,
    kind_percent, kind_path, kind_log_to, kind_localname, kind_mailbox,
    kind_zone, kind_action, kind_listen, kind_pattern, kind_domain, kind_sender,
    kind_place, kind_texts, kind_addresses, kind_networks, kind_resolvers,
    kind_servers;
/* A range or the choices in words, or the kind's own. */
void conf_allowed(const struct conf_option *option, struct buf *out);

/* --- Reading -------------------------------------------------------------*/

struct conf_file {
	char *shown;	 /* the name in errors */
	char *path;	 /* absolute */
	char *folder;	 /* absolute, without "/" at its end */
	struct buf text; /* comments and what was refused are blanked out */
};

struct conf_at {
	int file; /* index; -1: none */
	int line;
};

/* Where a setting or a block stands; blocks in the order of the text. */
struct conf_setting {
	size_t block; /* index */
	const struct conf_option *option;
	struct conf_at at;
	bool is_quoted;
};
struct conf_section {
	size_t parent; /* index; the root is 0 */
	const struct conf_block *block;
	struct span title; /* as written, without quotes */
	struct conf_at at;
	size_t first; /* index of its first setting, if it has any */
};

struct conf_problem {
	struct conf_at at;
	char *text;
};

struct conf_reading {
	bool is_effective; /* made by conf_print, for a child: no includes */
	struct conf_file *files;
	size_t nfiles;
	struct conf_section *sections;
	size_t nsections;
	struct conf_setting *settings;
	size_t nsettings;
	struct conf_problem problems[CONF_ERRORS_MAX];
	size_t nproblems;
	bool is_broken; /* the shape is wrong: nothing more can be said */
};

void conf_problem(struct conf_reading *r, struct conf_at at, const char *format,
    ...) __attribute__((format(printf, 3, 4)));
/* path made absolute by folder; the caller frees it. */
char *conf_absolute(const char *folder, const char *path);
/* Grow *items (count of size bytes each) by one zeroed item and return it. */
void *conf_append(void *items, size_t *count, size_t size);
char *conf_strdup(const char *text);

/* Open one file and add it to the reading. at: who includes it. */
void conf_file_add(struct conf_reading *r, const char *path, struct conf_at at);
/* The same from a descriptor, which is closed. */
void conf_file_add_fd(
    struct conf_reading *r, const char *path, int fd, struct conf_at at);
/* Check the shape of file number index, note its blocks and settings, read
 * what it includes. */
void conf_scan(struct conf_reading *r, int index);

const struct conf_setting *conf_setting_find(
    const struct conf_reading *r, size_t section, const char *name);
/* The place of a setting, else of its block. */
struct conf_at conf_at_setting(
    const struct conf_reading *r, size_t section, const char *name);
/* The next such section in parent behind index after; its index, or 0. */
size_t conf_section_next(const struct conf_reading *r, size_t parent,
    const struct conf_block *block, size_t after);

/* Values of all files into conf. */
void conf_build(struct conf_reading *r, struct conf *conf);
/* Defaults of one block; and everything that it owns. */
void conf_block_init(const struct conf_block *block, void *base);
void conf_block_clear(const struct conf_block *block, void *base);
/* Which node this is, and what follows from it; then what must fit. */
void conf_check(struct conf_reading *r, struct conf *conf);

#endif
