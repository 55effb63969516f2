/* The shape of a configuration file: which blocks and settings stand where.
 *
 * statement = name ( "=" / "+=" ) value
 *           / name [ title ] "{" *statement "}"
 *           / "include" ( "(" file ")" / file )
 * value     = text / "{" [ text *( "," text ) [ "," ] ] "}"
 *
 * What is refused is reported and blanked out of the text, so that libconfuse
 * gets only what is known and sound, and all errors are found in one go.
 */
#include "common/conf_lex.h"
#include "common/conf_parts.h"

#include <stdlib.h>

struct scan {
	struct conf_reading *reading;
	struct conf_lexer lexer;
	int file;
	unsigned depth;
};

static int scan_statements(struct scan *s, const struct conf_block *block,
    size_t section, struct conf_at opened);

static struct conf_at here(const struct scan *s)
{
	return (struct conf_at){ s->file, s->lexer.start_line };
}

/* The shape is lost: report, and give up on this file. */
static int lost(struct scan *s, struct conf_at at, const char *what)
{
	conf_problem(s->reading, at, "%s", what);
	s->reading->is_broken = true;
	return -1;
}

static enum conf_token next(struct scan *s)
{
	return conf_lexer_next(&s->lexer);
}

static int lost_here(struct scan *s, const char *what)
{
	return lost(
	    s, here(s), s->lexer.token == TOKEN_BAD ? s->lexer.why : what);
}

static int scan_list(struct scan *s)
{
	struct conf_at opened = here(s);

	for (;;) {
		enum conf_token token = next(s);

		if (token == TOKEN_CLOSE)
			return 0;
		if (token == TOKEN_END)
			return lost(s, opened, "this list is not closed");
		if (token != TOKEN_WORD && token != TOKEN_QUOTED)
			return lost_here(s, "unexpected sign in a list; its "
					    "values are parted by commas");
		token = next(s);
		if (token == TOKEN_CLOSE)
			return 0;
		if (token == TOKEN_END)
			return lost(s, opened, "this list is not closed");
		if (token != TOKEN_COMMA)
			return lost_here(
			    s, "a comma or \"}\" is missing in this list");
	}
}

/* Whether the setting may stand here; else it is reported. */
static bool is_setting_welcome(struct scan *s, const struct conf_block *block,
    size_t section, struct span name, struct conf_at at)
{
	const struct conf_option *option = conf_option_named(block, name);
	struct conf_at before;
	struct buf names;

	if (!option && conf_block_named(block, name)) {
		conf_problem(s->reading, at, "%.*s: is a block: %.*s %s{ ... }",
		    (int)name.n, name.p, (int)name.n, name.p,
		    conf_block_named(block, name)->title ? "\"...\" " : "");
		return false;
	}
	if (!option) {
		buf_init(&names, 4096);
		for (option = block->options; option->name; option++)
			if (!(option->flags & OPTION_HIDDEN))
				buf_printf(&names, "%s%s",
				    names.len > 0 ? ", " : "", option->name);
		conf_problem(s->reading, at,
		    "%.*s: unknown; settings here are: %s",
		    (int)(name.n < 80 ? name.n : 80), name.p, buf_text(&names));
		buf_clear(&names);
		return false;
	}
	if (!conf_setting_find(s->reading, section, option->name))
		return true;
	before = conf_at_setting(s->reading, section, option->name);
	conf_problem(s->reading, at, "%s: given twice, before in %s:%d",
	    option->name, s->reading->files[before.file].shown, before.line);
	return false;
}

/* Behind "name =". block is NULL inside what is unknown. */
static int scan_setting(struct scan *s, const struct conf_block *block,
    size_t section, struct span name, size_t start, struct conf_at at)
{
	bool is_welcome =
	    block != NULL && is_setting_welcome(s, block, section, name, at);
	const struct conf_option *option =
	    is_welcome ? conf_option_named(block, name) : NULL;
	enum conf_token token = next(s);
	struct conf_setting *setting;

	if (token == TOKEN_OPEN) {
		if (scan_list(s) < 0)
			return -1;
		if (option && !option->kind->is_list) {
			conf_problem(s->reading, at,
			    "%s: takes one value, not a list", option->name);
			option = NULL;
		}
	} else if (token != TOKEN_WORD && token != TOKEN_QUOTED) {
		return lost_here(s, "a value is missing after \"=\"");
	}
	if (!option) {
		conf_lexer_blank(&s->lexer, start);
		return 0;
	}
	setting = conf_append(
	    &s->reading->settings, &s->reading->nsettings, sizeof(*setting));
	*setting =
	    (struct conf_setting){ section, option, at, token == TOKEN_QUOTED };
	return 0;
}

static bool is_same_section(const struct conf_section *a, size_t parent,
    const struct conf_block *block, struct span title)
{
	return a->parent == parent && a->block == block &&
	       (!block->title || span_is_equal(a->title, title));
}

/* Whether the block may stand here; else it is reported. */
static bool is_block_welcome(struct scan *s, const struct conf_block *block,
    size_t parent, struct span title, bool has_title, struct conf_at at)
{
	struct conf_reading *r = s->reading;

	if (has_title != (block->title != NULL)) {
		conf_problem(r, at,
		    block->title ? "%s: needs a title: %s \"...\" { ... }"
				 : "%s: has no title: %s { ... }",
		    block->name, block->name);
		return false;
	}
	for (size_t i = 1; i < r->nsections; i++)
		if (is_same_section(&r->sections[i], parent, block, title)) {
			conf_problem(r, at,
			    "%s%s%.*s%s: given twice, before in %s:%d",
			    block->name, has_title ? " \"" : "", (int)title.n,
			    title.p, has_title ? "\"" : "",
			    r->files[r->sections[i].at.file].shown,
			    r->sections[i].at.line);
			return false;
		}
	if (r->nsections >= CONF_BLOCKS_MAX) {
		conf_problem(r, at, "more than %d blocks", CONF_BLOCKS_MAX);
		return false;
	}
	return true;
}

static void report_unknown_block(struct scan *s, const struct conf_block *outer,
    struct span name, struct conf_at at)
{
	const struct conf_block *block = outer->blocks;
	struct buf names;

	if (conf_option_named(outer, name)) {
		conf_problem(s->reading, at,
		    "%.*s: is a setting, not a block: %.*s = ...", (int)name.n,
		    name.p, (int)name.n, name.p);
		return;
	}
	buf_init(&names, 4096);
	for (; block && block->name; block++)
		buf_printf(
		    &names, "%s%s", names.len > 0 ? ", " : "", block->name);
	conf_problem(s->reading, at, "%.*s: unknown; blocks here are: %s",
	    (int)(name.n < 80 ? name.n : 80), name.p,
	    names.len > 0 ? buf_text(&names) : "none");
	buf_clear(&names);
}

/* Behind "name [title] {". */
static int scan_block(struct scan *s, const struct conf_block *outer,
    size_t parent, struct span name, const struct span *title, size_t start,
    struct conf_at at)
{
	const struct conf_block *block =
	    outer ? conf_block_named(outer, name) : NULL;
	struct span no_title = { NULL, 0 };
	struct conf_section *section;
	int status;

	if (outer && !block)
		report_unknown_block(s, outer, name, at);
	if (block && !is_block_welcome(s, block, parent,
			 title ? *title : no_title, title != NULL, at))
		block = NULL;
	if (++s->depth > CONF_DEPTH_MAX)
		return lost(s, at, "blocks nested too deep");
	if (block) {
		section = conf_append(&s->reading->sections,
		    &s->reading->nsections, sizeof(*section));
		*section = (struct conf_section){ parent, block,
			title ? *title : no_title, at, s->reading->nsettings };
		parent = s->reading->nsections - 1;
	}
	status = scan_statements(s, block, parent, at);
	s->depth--;
	if (!block)
		conf_lexer_blank(&s->lexer, start);
	return status;
}

/* An included file's path, relative to the folder of its includer, and
 * relative to ours when that one is. */
static char *include_path(const struct conf_file *file, const char *name)
{
	const char *slash = strrchr(file->shown, '/');
	char *folder, *path;

	if (file->shown[0] == '/')
		return conf_absolute(file->folder, name);
	if (!slash)
		return conf_strdup(name);
	folder = conf_strdup(file->shown);
	folder[slash - file->shown] = '\0';
	path = conf_absolute(folder, name);
	free(folder);
	return path;
}

/* The file's name is the token just read. */
static int scan_include(struct scan *s, size_t start, struct conf_at at)
{
	bool has_parens = s->lexer.token == TOKEN_PAREN_OPEN;
	struct span name;
	char *path, *copy;

	if (has_parens)
		next(s);
	if (s->lexer.token != TOKEN_WORD && s->lexer.token != TOKEN_QUOTED)
		return lost_here(s, "include: a file's name is missing");
	name = s->lexer.value;
	if (has_parens && next(s) != TOKEN_PAREN_CLOSE)
		return lost_here(s, "include: \")\" is missing");
	copy = span_dup(name);
	if (!copy)
		fatal(EXIT_TRY_LATER, "no memory for configuration");
	path = include_path(&s->reading->files[s->file], copy);
	conf_lexer_blank(&s->lexer, start);
	if (s->reading->is_effective)
		conf_problem(s->reading, at, "include: not allowed here");
	else
		conf_file_add(s->reading, path, at);
	free(path);
	free(copy);
	return 0;
}

/* Behind a name. */
static int scan_statement(struct scan *s, const struct conf_block *block,
    size_t section, struct span name, size_t start, struct conf_at at)
{
	enum conf_token token = next(s);
	struct span title;

	if (token == TOKEN_ASSIGN)
		return scan_setting(s, block, section, name, start, at);
	if (block == &conf_root && span_is_equal(name, span_of("include")))
		return scan_include(s, start, at);
	if (token == TOKEN_OPEN)
		return scan_block(s, block, section, name, NULL, start, at);
	if (token != TOKEN_WORD && token != TOKEN_QUOTED)
		return lost_here(s, "\"=\" or \"{\" is missing after a name");
	title = s->lexer.value;
	if (next(s) != TOKEN_OPEN)
		return lost(s, at,
		    s->lexer.token == TOKEN_BAD
			? s->lexer.why
			: "\"=\" (of a setting) or \"{\" (of a block) is "
			  "missing here");
	return scan_block(s, block, section, name, &title, start, at);
}

/* To the "}" of the block that opened there, or the end of the file. */
static int scan_statements(struct scan *s, const struct conf_block *block,
    size_t section, struct conf_at opened)
{
	for (;;) {
		enum conf_token token = next(s);

		if (token == TOKEN_CLOSE && s->depth > 0)
			return 0;
		if (token == TOKEN_CLOSE)
			return lost_here(s, "\"}\" closes nothing");
		if (token == TOKEN_END && s->depth == 0)
			return 0;
		if (token == TOKEN_END)
			return lost(s, opened,
			    "this block is not closed: \"}\" is missing");
		if (token != TOKEN_WORD)
			return lost_here(s, "a name is missing here");
		if (scan_statement(s, block, section, s->lexer.value,
			s->lexer.start, here(s)) < 0)
			return -1;
	}
}

void conf_scan(struct conf_reading *r, int index)
{
	struct scan s = { .reading = r, .file = index };
	struct buf *text = &r->files[index].text;

	/* the text stays where it is: titles point into it */
	conf_lexer_init(&s.lexer, text->data, text->len);
	scan_statements(&s, &conf_root, 0, (struct conf_at){ index, 1 });
}
