/* From libconfuse's values to struct conf, by the table. */
#include "common/conf_parts.h"

#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>

struct build {
	struct conf_reading *reading;
	/* where what is not obeyed yet is read into */
	_Alignas(max_align_t) char scratch[64];
};

/* --- libconfuse's table from ours ----------------------------------------*/

static void free_opts(cfg_opt_t *opts)
{
	if (!opts)
		return;
	for (cfg_opt_t *o = opts; o->name; o++)
		free_opts(o->subopts);
	free(opts);
}

static bool has_section(
    const struct conf_reading *r, const struct conf_block *block)
{
	for (size_t i = 0; i < r->nsections; i++)
		if (r->sections[i].block == block)
			return true;
	return false;
}

/* All values are texts for libconfuse: the kinds are ours. It need not know
 * blocks that the files do not have; most files have few. */
static cfg_opt_t *make_opts(
    const struct conf_reading *r, const struct conf_block *block)
{
	const cfg_opt_t text = CFG_STR(NULL, NULL, CFGF_NODEFAULT);
	const cfg_opt_t list = CFG_STR_LIST(NULL, NULL, CFGF_NODEFAULT);
	const cfg_opt_t end = CFG_END();
	cfg_opt_t *opts = NULL;
	size_t n = 0;

	for (const struct conf_option *o = block->options; o->name; o++) {
		cfg_opt_t *opt = conf_append(&opts, &n, sizeof(*opt));

		*opt = o->kind->is_list ? list : text;
		opt->name = o->name;
	}
	for (const struct conf_block *b = block->blocks; b && b->name; b++) {
		cfg_flag_t flags =
		    b->title ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES
			     : CFGF_NODEFAULT;
		cfg_opt_t section = CFG_SEC(b->name, NULL, flags);

		if (!has_section(r, b))
			continue;
		section.subopts = make_opts(r, b);
		*(cfg_opt_t *)conf_append(&opts, &n, sizeof(*opts)) = section;
	}
	*(cfg_opt_t *)conf_append(&opts, &n, sizeof(*opts)) = end;
	return opts;
}

/* libconfuse has no argument for its error function. */
static struct conf_reading *erring;
static int erring_file;

static void on_error(cfg_t *cfg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void on_error(cfg_t *cfg, const char *format, va_list args)
{
	char text[1000];

	vsnprintf(text, sizeof(text), format, args);
	conf_problem(erring,
	    (struct conf_at){ erring_file, cfg ? cfg->line : 0 }, "%s", text);
}

static int parse_files(struct conf_reading *r, cfg_t *cfg)
{
	erring = r;
	cfg_set_error_function(cfg, on_error);
	for (size_t i = 0; i < r->nfiles; i++) {
		erring_file = (int)i;
		if (cfg_parse_buf(cfg, buf_text(&r->files[i].text)) ==
		    CFG_SUCCESS)
			continue;
		if (r->nproblems == 0)
			conf_problem(
			    r, (struct conf_at){ (int)i, 0 }, "not readable");
		return -1;
	}
	return 0;
}

/* --- Values ---------------------------------------------------------------*/

static void refuse(struct conf_reading *r, struct conf_at at,
    const struct conf_option *option, const char *text)
{
	struct buf allowed;

	buf_init(&allowed, 1000);
	conf_allowed(option, &allowed);
	conf_problem(r, at, "%s: %.100s is not allowed; %s", option->name,
	    text[0] ? text : "\"\"", buf_text(&allowed));
	buf_clear(&allowed);
}

/* Numbers do not stand in quotes, but words that stand for one may. */
static bool is_word(const struct conf_option *option, const char *text)
{
	for (const struct conf_choice *c = option->choices; c && c->name; c++)
		if (strcmp(c->name, text) == 0)
			return true;
	return false;
}

static void build_value(struct build *b, const struct conf_setting *setting,
    const char *text, void *to)
{
	const struct conf_option *option = setting->option;
	const struct conf_file *file = &b->reading->files[setting->at.file];
	bool is_wrongly_quoted = option->kind->is_number &&
				 setting->is_quoted && !is_word(option, text);
	struct buf shown;
	int status = -1;

	buf_init(&shown, 2 * CONF_TEXT_MAX);
	if (is_wrongly_quoted)
		buf_printf(&shown, "\"%.*s\" (in quotes)", CONF_TEXT_MAX, text);
	else
		buf_printf(&shown, "%.*s", CONF_TEXT_MAX, text);
	if (strlen(text) <= CONF_TEXT_MAX && !is_wrongly_quoted)
		status = option->kind->parse(option, text, file, to);
	if (status == CONF_LATER)
		conf_problem(b->reading, setting->at,
		    "%s: %s: not yet supported", option->name, text);
	else if (status < 0)
		refuse(b->reading, setting->at, option, buf_text(&shown));
	buf_clear(&shown);
}

static void build_option(struct build *b, const struct conf_option *option,
    size_t section, cfg_t *cfg, void *base)
{
	const struct conf_setting *setting =
	    conf_setting_find(b->reading, section, option->name);
	bool is_later = option->flags & OPTION_LATER;
	size_t problems = b->reading->nproblems;
	void *to = b->scratch;

	if (!setting)
		return;
	memset(b->scratch, 0, sizeof(b->scratch));
	if (base && !is_later)
		to = (char *)base + option->offset;
	/* a list replaces its default */
	if (option->kind->is_list)
		option->kind->clear(to);
	for (unsigned i = 0; i < cfg_size(cfg, option->name); i++)
		build_value(b, setting, cfg_getnstr(cfg, option->name, i), to);
	if (is_later && b->reading->nproblems == problems)
		conf_problem(b->reading, setting->at, "%s: not yet supported",
		    option->name);
	if (to == b->scratch && option->kind->clear)
		option->kind->clear(to);
}

static void build_title(struct build *b, const struct conf_block *block,
    size_t section, cfg_t *cfg, void *base)
{
	struct conf_setting title = { section, block->title,
		b->reading->sections[section].at };
	void *to = b->scratch;

	memset(b->scratch, 0, sizeof(b->scratch));
	if (base)
		to = (char *)base + block->title->offset;
	build_value(b, &title, cfg_title(cfg), to);
	if (to == b->scratch)
		block->title->kind->clear(to);
}

static void build_place(
    struct build *b, const struct conf_block *block, size_t section, void *base)
{
	struct conf_at at = b->reading->sections[section].at;
	struct conf_place *place = (void *)((char *)base + block->place_offset);

	place->file = conf_strdup(b->reading->files[at.file].path);
	place->line = at.line;
}

static void build_blocks(struct build *b, const struct conf_block *outer,
    size_t parent, cfg_t *cfg, void *base);

/* base: NULL when the block is not obeyed yet. */
static void build_section(struct build *b, const struct conf_block *block,
    size_t section, cfg_t *cfg, void *base)
{
	if (base && block->has_place)
		build_place(b, block, section, base);
	if (block->title)
		build_title(b, block, section, cfg, base);
	for (const struct conf_option *o = block->options; o->name; o++)
		build_option(b, o, section, cfg, base);
	build_blocks(b, block, section, cfg, base);
}

static void *element_new(const struct conf_block *block, void *base)
{
	void *element;

	if (block->size == 0)
		return (char *)base + block->offset;
	element = conf_append((char *)base + block->offset,
	    (size_t *)(void *)((char *)base + block->count_offset),
	    block->size);
	conf_block_init(block, element);
	return element;
}

static void build_blocks(struct build *b, const struct conf_block *outer,
    size_t parent, cfg_t *cfg, void *base)
{
	const struct conf_block *block = outer->blocks;

	for (; block && block->name; block++) {
		size_t section = 0;

		if (!has_section(b->reading, block))
			continue;
		for (unsigned i = 0; i < cfg_size(cfg, block->name); i++) {
			cfg_t *sub = cfg_getnsec(cfg, block->name, i);

			section = conf_section_next(
			    b->reading, parent, block, section);
			if (section == 0)
				BUG("a section that was not scanned");
			if (block->is_later)
				conf_problem(b->reading,
				    b->reading->sections[section].at,
				    "%s: not yet supported", block->name);
			build_section(b, block, section, sub,
			    base && !block->is_later ? element_new(block, base)
						     : NULL);
		}
	}
}

void conf_build(struct conf_reading *r, struct conf *conf)
{
	cfg_opt_t *opts = make_opts(r, &conf_root);
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	struct build b = { .reading = r };

	if (!cfg)
		fatal(EXIT_TRY_LATER, "no memory for configuration");
	if (parse_files(r, cfg) == 0)
		build_section(&b, &conf_root, 0, cfg, conf);
	cfg_free(cfg);
	free_opts(opts);
}

/* --- Defaults and release --------------------------------------------------*/

static void init_option(const struct conf_option *option, void *to)
{
	struct span rest = span_of(option->fallback);

	if (option->unset != 0)
		*(int *)to = (int)option->unset;
	if (!option->fallback)
		return;
	do {
		struct span word =
		    option->kind->is_list ? span_cut(&rest, ' ') : rest;
		char text[64];

		snprintf(text, sizeof(text), "%.*s", (int)word.n, word.p);
		if (option->kind->parse(option, text, NULL, to) != 0)
			BUG("a default that is not allowed");
	} while (option->kind->is_list && rest.n > 0);
}

void conf_block_init(const struct conf_block *block, void *base)
{
	for (const struct conf_option *o = block->options; o->name; o++)
		if (!(o->flags & OPTION_LATER))
			init_option(o, (char *)base + o->offset);
	for (const struct conf_block *b = block->blocks; b && b->name; b++)
		if (b->size == 0 && !b->is_later)
			conf_block_init(b, (char *)base + b->offset);
}

static void clear_array(const struct conf_block *block, void *base)
{
	size_t *count = (void *)((char *)base + block->count_offset);
	char *items;

	memcpy(&items, (char *)base + block->offset, sizeof(items));
	for (size_t i = 0; i < *count; i++)
		conf_block_clear(block, items + i * block->size);
	free(items);
	*count = 0;
}

void conf_block_clear(const struct conf_block *block, void *base)
{
	if (block->title)
		block->title->kind->clear((char *)base + block->title->offset);
	for (const struct conf_option *o = block->options; o->name; o++)
		if (o->kind->clear && !(o->flags & OPTION_LATER))
			o->kind->clear((char *)base + o->offset);
	for (const struct conf_block *b = block->blocks; b && b->name; b++) {
		if (b->is_later)
			continue;
		if (b->size == 0)
			conf_block_clear(b, (char *)base + b->offset);
		else
			clear_array(b, base);
	}
}
