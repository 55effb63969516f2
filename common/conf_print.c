/* The effective settings as a configuration file that reads back the same. */
#include "common/conf_parts.h"

static void print_option(const struct conf_option *option, const char *base,
    const char *indent, struct buf *out)
{
	struct buf value;

	if (option->flags & OPTION_LATER)
		return;
	buf_init(&value, out->limit);
	option->kind->print(option, base + option->offset, &value);
	if (value.len > 0) {
		buf_printf(out, "%s%s = ", indent, option->name);
		buf_put_raw(out, buf_span(&value));
		buf_putc(out, '\n');
	}
	out->overflow |= value.overflow;
	buf_clear(&value);
}

static void print_element(
    const struct conf_block *block, const char *base, struct buf *out)
{
	buf_printf(out, "\n%s ", block->name);
	if (block->title) {
		block->title->kind->print(
		    block->title, base + block->title->offset, out);
		buf_putc(out, ' ');
	}
	buf_puts(out, "{\n");
	for (const struct conf_option *o = block->options; o->name; o++)
		print_option(o, base, "\t", out);
	buf_puts(out, "}\n");
}

static void print_block(
    const struct conf_block *block, const char *base, struct buf *out)
{
	const char *items;
	size_t count;

	if (block->is_later)
		return;
	if (block->size == 0) {
		print_element(block, base + block->offset, out);
		return;
	}
	memcpy(&items, base + block->offset, sizeof(items));
	memcpy(&count, base + block->count_offset, sizeof(count));
	for (size_t i = 0; i < count; i++)
		print_element(block, items + i * block->size, out);
}

void conf_print(const struct conf *conf, struct buf *out)
{
	const char *base = (const char *)conf;

	buf_printf(out, "# effective settings%s%s\n",
	    conf->file[0] ? " of " : "", conf->file);
	for (const struct conf_option *o = conf_root.options; o->name; o++)
		print_option(o, base, "", out);
	for (const struct conf_block *b = conf_root.blocks; b->name; b++)
		print_block(b, base, out);
}
