/* The kinds of single values in the configuration: parse, print, clear. Lists
 * are in conf_lists.c. */
#include "common/address.h"
#include "common/conf_parts.h"
#include "common/net.h"

#include <stdlib.h>
#include <unistd.h>

static void clear_text(void *at)
{
	char **text = at;

	free(*text);
	*text = NULL;
}

static void put_quoted(struct buf *out, const char *text)
{
	buf_putc(out, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\%03o", c);
		else if (c == '"' || c == '\\' || c == '$')
			buf_printf(out, "\\%c", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
}

static void print_text(
    const struct conf_option *option, const void *from, struct buf *out)
{
	char *const *text = from;

	(void)option;
	if (*text)
		put_quoted(out, *text);
}

/* Put a copy of text in place of what was there. */
static int keep(void *to, struct span text)
{
	char **slot = to;
	char *copy = span_dup(text);

	if (!copy)
		return -1;
	free(*slot);
	*slot = copy;
	return 0;
}

static int parse_text(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	size_t n = strlen(text);

	(void)file;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return -1;
	if (n < (size_t)option->min)
		return -1;
	return keep(to, span_of(text));
}

static int parse_name(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	(void)option;
	(void)file;
	if (text[0] == '\0' || strlen(text) > 64)
		return -1;
	for (const char *c = text; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			(*c >= '0' && *c <= '9') || strchr("._-", *c)))
			return -1;
	return keep(to, span_of(text));
}

static int parse_integer(
    const struct conf_option *option, const char *text, int64_t *value)
{
	uint64_t number;

	if (span_to_u64(span_of(text), INT64_MAX, &number) < 0 ||
	    (int64_t)number < option->min || (int64_t)number > option->max)
		return -1;
	*value = (int64_t)number;
	return 0;
}

static int parse_number(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	int64_t value;

	(void)file;
	if (option->choices && strcmp(text, option->choices[0].name) == 0) {
		*(int *)to = option->choices[0].value;
		return 0;
	}
	if (parse_integer(option, text, &value) < 0)
		return -1;
	*(int *)to = (int)value;
	return 0;
}

static void print_number(
    const struct conf_option *option, const void *from, struct buf *out)
{
	int value = *(const int *)from;

	if (option->choices && value == option->choices[0].value)
		buf_puts(out, option->choices[0].name);
	else if (option->fallback || value != option->unset)
		buf_printf(out, "%d", value);
}

static int parse_port(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	int64_t value;

	(void)file;
	if (parse_integer(option, text, &value) < 0)
		return -1;
	*(uint16_t *)to = (uint16_t)value;
	return 0;
}

static void print_port(
    const struct conf_option *option, const void *from, struct buf *out)
{
	(void)option;
	buf_printf(out, "%u", *(const uint16_t *)from);
}

static int parse_bool(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	static const char *const words[] = { "off", "on", "no", "yes", "false",
		"true" };

	(void)option;
	(void)file;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_is_equal_nocase(span_of(text), span_of(words[i]))) {
			*(bool *)to = i % 2;
			return 0;
		}
	return -1;
}

static void print_bool(
    const struct conf_option *option, const void *from, struct buf *out)
{
	(void)option;
	buf_puts(out, *(const bool *)from ? "on" : "off");
}

static int parse_choice(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	(void)file;
	for (const struct conf_choice *c = option->choices; c->name; c++) {
		if (strcmp(text, c->name) != 0)
			continue;
		*(int *)to = c->value;
		return c->is_later ? CONF_LATER : 0;
	}
	return -1;
}

static int parse_action(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	int ignored;

	if (strncmp(text, "relay:", 6) == 0) {
		if (parse_name(option, text + 6, file, to) < 0)
			return -1;
		return keep(to, span_of(text));
	}
	if (parse_choice(option, text, file, &ignored) != 0)
		return -1;
	return keep(to, span_of(text));
}

static void print_choice(
    const struct conf_option *option, const void *from, struct buf *out)
{
	int value = *(const int *)from;

	for (const struct conf_choice *c = option->choices; c->name; c++)
		if (c->value == value)
			buf_printf(out, "\"%s\"", c->name);
}

static int parse_duration(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	uint32_t value;

	(void)file;
	if (conf_parse_duration(text, &value) < 0 || value < option->min ||
	    value > option->max)
		return -1;
	*(uint32_t *)to = value;
	return 0;
}

static void print_duration(
    const struct conf_option *option, const void *from, struct buf *out)
{
	uint32_t value = *(const uint32_t *)from;

	/* 0 below its range: not given (the range itself is printed by it) */
	if (value == 0 && option->min > 0 && !option->fallback)
		return;
	if (value % 86400 == 0 && value > 0)
		buf_printf(out, "%ud", value / 86400);
	else if (value % 3600 == 0 && value > 0)
		buf_printf(out, "%uh", value / 3600);
	else if (value % 60 == 0 && value > 0)
		buf_printf(out, "%um", value / 60);
	else
		buf_printf(out, "%us", value);
}

static int parse_size(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	uint64_t value;

	(void)file;
	if (conf_parse_size(text, &value) < 0 ||
	    value < (uint64_t)option->min || value > (uint64_t)option->max)
		return -1;
	*(uint64_t *)to = value;
	return 0;
}

static void print_size(
    const struct conf_option *option, const void *from, struct buf *out)
{
	uint64_t value = *(const uint64_t *)from;
	const char *unit = "";

	(void)option;
	for (const char *next = "KMGT"; *next && value % 1024 == 0 && value > 0;
	     next++) {
		value /= 1024;
		unit = next;
	}
	buf_printf(out, "%llu%.1s", (unsigned long long)value, unit);
}

static int parse_rate(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	(void)option;
	(void)file;
	return conf_parse_rate(text, to);
}

static void print_rate(
    const struct conf_option *option, const void *from, struct buf *out)
{
	const struct rate *rate = from;
	const char *unit = rate->per_seconds == 1      ? "s"
			   : rate->per_seconds == 60   ? "m"
			   : rate->per_seconds == 3600 ? "h"
						       : "d";

	(void)option;
	if (rate->events > 0)
		buf_printf(out, "\"%u/%s\"", rate->events, unit);
}

/* Thousandths, so that no locale and no rounding come between. */
static int parse_factor(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct span part = span_of(text), whole = span_cut(&part, '.');
	uint64_t number, thousandths = 0;

	(void)file;
	if (span_to_u64(whole, 1000000, &number) < 0 || part.n > 3)
		return -1;
	if (strchr(text, '.') && span_to_u64(part, 999, &thousandths) < 0)
		return -1;
	for (size_t i = part.n; i < 3; i++)
		thousandths *= 10;
	thousandths += number * 1000;
	if (thousandths < (uint64_t)option->min * 1000 ||
	    thousandths > (uint64_t)option->max * 1000)
		return -1;
	*(double *)to = (double)thousandths / 1000;
	return 0;
}

static void print_factor(
    const struct conf_option *option, const void *from, struct buf *out)
{
	unsigned value = (unsigned)(*(const double *)from * 1000 + 0.5);
	unsigned rest = value % 1000, digits = 3;

	(void)option;
	buf_printf(out, "%u", value / 1000);
	if (rest == 0)
		return;
	for (; rest % 10 == 0; digits--)
		rest /= 10;
	buf_printf(out, ".%0*u", (int)digits, rest);
}

static int parse_percent(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct span number = span_of(text);
	uint64_t value;

	(void)file;
	if (number.n > 0 && number.p[number.n - 1] == '%')
		number.n--;
	if (span_to_u64(number, (uint64_t)option->max, &value) < 0)
		return -1;
	*(int *)to = (int)value;
	return 0;
}

static void print_percent(
    const struct conf_option *option, const void *from, struct buf *out)
{
	(void)option;
	buf_printf(out, "%d%%", *(const int *)from);
}

static int parse_path(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	char *path;

	if (text[0] == '\0' || parse_text(option, text, file, to) < 0)
		return -1;
	path = conf_absolute(file ? file->folder : "/", text);
	free(*(char **)to);
	*(char **)to = path;
	return 0;
}

static int parse_log_to(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	if (strcmp(text, "stderr") == 0 || strcmp(text, "syslog") == 0)
		return keep(to, span_of(text));
	return parse_path(option, text, file, to);
}

static int parse_mailbox(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct address address;

	(void)option;
	(void)file;
	if (address_parse(span_of(text), &address, NULL) < 0)
		return -1;
	return keep(to, span_of(text));
}

/* A zone of the system's data base: never a path out of it. */
static int parse_zone(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	char path[256] = "/usr/share/zoneinfo/";
	size_t n = strlen(text);

	(void)option;
	(void)file;
	if (n == 0)
		return keep(to, span_of(""));
	if (n > 100 || text[0] == '/' || strstr(text, ".."))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') ||
			(text[i] >= 'A' && text[i] <= 'Z') ||
			(text[i] >= '0' && text[i] <= '9') ||
			strchr("/_+-.", text[i])))
			return -1;
	memcpy(path + strlen(path), text, n + 1);
	if (strcmp(text, "UTC") != 0 && access(path, R_OK) < 0)
		return -1;
	return keep(to, span_of(text));
}

const struct conf_kind kind_text = { "a text on one line", false, false,
	parse_text, print_text, clear_text };
const struct conf_kind kind_name = {
	"up to 64 letters, digits, dots, dashes and underscores", false, false,
	parse_name, print_text, clear_text
};
const struct conf_kind kind_number = { NULL, false, true, parse_number,
	print_number, NULL };
const struct conf_kind kind_port = { NULL, false, true, parse_port, print_port,
	NULL };
const struct conf_kind kind_bool = { "on or off", false, false, parse_bool,
	print_bool, NULL };
const struct conf_kind kind_choice = { NULL, false, false, parse_choice,
	print_choice, NULL };
const struct conf_kind kind_action = { NULL, false, false, parse_action,
	print_text, clear_text };
const struct conf_kind kind_duration = { NULL, false, false, parse_duration,
	print_duration, NULL };
const struct conf_kind kind_size = { NULL, false, false, parse_size, print_size,
	NULL };
const struct conf_kind kind_rate = { "a number above 0 in a period, such as "
				     "\"20/m\" or \"1000/h\" (s, m, h, d)",
	false, false, parse_rate, print_rate, NULL };
const struct conf_kind kind_factor = { NULL, false, true, parse_factor,
	print_factor, NULL };
const struct conf_kind kind_percent = { NULL, false, false, parse_percent,
	print_percent, NULL };
const struct conf_kind kind_path = { "a path, relative to the file's folder",
	false, false, parse_path, print_text, clear_text };
const struct conf_kind kind_log_to = { "stderr, syslog or a file's path", false,
	false, parse_log_to, print_text, clear_text };
const struct conf_kind kind_mailbox = { "a mail address", false, false,
	parse_mailbox, print_text, clear_text };
const struct conf_kind kind_zone = {
	"a zone of /usr/share/zoneinfo such as \"Europe/Paris\", or UTC", false,
	false, parse_zone, print_text, clear_text
};
