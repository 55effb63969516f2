/* The command line of sendmail. */
#include "inject/options.h"

#include "common/conf.h"
#include "common/log.h"
#include "common/messages.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

enum { ENVID_MAX = 100 }; /* RFC 3461 section 4.4 */

enum argument {
	WITHOUT,
	WITH,  /* behind the letter, or the next argument */
	GLUED, /* behind the letter or not at all */
};

struct rule {
	char letter;
	enum argument argument;
	int (*apply)(struct options *o, char *value, struct outcome *why);
};

static int usage(struct outcome *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int usage(struct outcome *why, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	outcome_perm(why, "5.5.4", "%s; sendmail -h lists the options", text);
	return EX_USAGE;
}

static const char *shown(const char *value)
{
	return log_escape(span_of(value));
}

/* Accepted for the sake of callers, without effect here. Options that name a
 * file (-X, -D) must never make us touch it. */
static int ignore(struct options *o, char *value, struct outcome *why)
{
	(void)o;
	(void)value;
	(void)why;
	return 0;
}

static int set_body(struct options *o, char *value, struct outcome *why)
{
	if (strcasecmp(value, "8BITMIME") == 0)
		o->is_8bit = true;
	else if (strcasecmp(value, "7BIT") != 0)
		return usage(why, "-B%s: 7BIT or 8BITMIME", shown(value));
	return 0;
}

static int set_task(struct options *o, char *value, struct outcome *why)
{
	static const struct {
		char letter;
		enum inject_task task;
	} tasks[] = { { 'm', TASK_SEND }, { 's', TASK_SMTP },
		{ 'p', TASK_LIST }, { 'i', TASK_ALIASES } };

	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
		if (value[0] == tasks[i].letter && value[1] == '\0') {
			o->task = tasks[i].task;
			return 0;
		}
	}
	if (value[0] == 'd' || value[0] == 'D')
		return usage(why,
		    "-b%s: a listener is configured and run by "
		    "\"outpost run\"",
		    shown(value));
	return usage(
	    why, "-b%s: only -bm, -bs, -bp and -bi are known", shown(value));
}

static int set_conf(struct options *o, char *value, struct outcome *why)
{
	(void)why;
	o->conf_file = value;
	return 0;
}

static int set_conf_as_root(struct options *o, char *value, struct outcome *why)
{
	if (getuid() == 0)
		return set_conf(o, value, why);
	outcome_perm(why, "5.7.0",
	    "-C is for root only; use -c for a configuration of your own");
	return EX_NOPERM;
}

static int set_full_name(struct options *o, char *value, struct outcome *why)
{
	for (const char *c = value; *c; c++)
		if (iscntrl((unsigned char)*c))
			return usage(why, "-F: control character in the name");
	o->full_name = value;
	return 0;
}

static int set_sender(struct options *o, char *value, struct outcome *why)
{
	if (span_has_line_breaks(span_of(value)))
		return usage(why, "-f: line break in the address");
	o->sender = value;
	return 0;
}

static int set_help(struct options *o, char *value, struct outcome *why)
{
	(void)why;
	/* -h N was sendmail's hop count. */
	if (!value)
		o->task = TASK_HELP;
	return 0;
}

static int set_ignore_dots(struct options *o, char *value, struct outcome *why)
{
	(void)value;
	(void)why;
	o->ignores_dots = true;
	return 0;
}

static int set_aliases(struct options *o, char *value, struct outcome *why)
{
	(void)value;
	(void)why;
	o->task = TASK_ALIASES;
	return 0;
}

static int set_notify(struct options *o, char *value, struct outcome *why)
{
	static const char *const words[] = { "never", "success", "failure",
		"delay" };
	struct span rest = span_of(value);
	uint8_t bits = 0;

	do {
		struct span word = span_trim(span_cut(&rest, ','));
		unsigned i = 0;

		while (i < 4 && !span_is_equal_nocase(word, span_of(words[i])))
			i++;
		if (i == 4)
			return usage(why,
			    "-N %s: \"never\", or some of success, failure, "
			    "delay",
			    shown(value));
		bits |= (uint8_t)(1 << i);
	} while (rest.n > 0);
	if ((bits & NOTIFY_NEVER) && bits != NOTIFY_NEVER)
		return usage(
		    why, "-N %s: \"never\" stands alone", shown(value));
	o->notify = bits;
	return 0;
}

static int set_ret(struct options *o, char *value, struct outcome *why)
{
	if (strcasecmp(value, "full") == 0)
		o->ret = RET_FULL;
	else if (strcasecmp(value, "hdrs") == 0)
		o->ret = RET_HDRS;
	else
		return usage(why, "-R %s: full or hdrs", shown(value));
	return 0;
}

static int set_envid(struct options *o, char *value, struct outcome *why)
{
	size_t n = strlen(value);

	for (size_t i = 0; i < n; i++)
		if (value[i] <= ' ' || value[i] > '~')
			return usage(
			    why, "-V: only printable ASCII without blanks");
	if (n == 0 || n > ENVID_MAX)
		return usage(why, "-V: 1 to %d bytes", ENVID_MAX);
	o->envid = value;
	return 0;
}

/* -o letter value, the old form of -O. */
static int set_old(struct options *o, char *value, struct outcome *why)
{
	if (value[0] == 'i')
		o->ignores_dots = true;
	else if (value[0] == '\0')
		return usage(why, "-o: option letter missing");
	return 0;
}

static int set_long(struct options *o, char *value, struct outcome *why)
{
	struct span rest = span_of(value);
	struct span name = span_cut(&rest, '=');

	(void)why;
	if (span_is_equal_nocase(name, span_of("IgnoreDots")))
		o->ignores_dots = rest.n == 0 || tolower(rest.p[0]) == 't';
	return 0;
}

static int set_retry(struct options *o, char *value, struct outcome *why)
{
	o->task = TASK_RETRY;
	if (!value || strcmp(value, "f") == 0)
		return 0;
	if (!strchr("IRS", value[0]))
		return usage(why,
		    "-q%s: -q, -qI, -qR and -qS are known; "
		    "\"outpost run\" retries by itself",
		    shown(value));
	if (value[1] == '\0')
		return usage(why, "-q%s: text to look for missing", value);
	o->retry_by = value[0];
	o->retry_what = value + 1;
	return 0;
}

static int set_reads_header(struct options *o, char *value, struct outcome *why)
{
	(void)value;
	(void)why;
	o->reads_header = true;
	return 0;
}

static int set_verbose(struct options *o, char *value, struct outcome *why)
{
	(void)value;
	(void)why;
	o->is_verbose = true;
	return 0;
}

static const struct rule rules[] = {
	{ 'A', WITH, ignore },
	{ 'B', WITH, set_body },
	{ 'C', WITH, set_conf_as_root },
	{ 'D', WITH, ignore },
	{ 'F', WITH, set_full_name },
	{ 'G', WITHOUT, ignore },
	{ 'I', WITHOUT, set_aliases },
	{ 'L', WITH, ignore },
	{ 'N', WITH, set_notify },
	{ 'O', WITH, set_long },
	{ 'R', WITH, set_ret },
	{ 'U', WITHOUT, ignore },
	{ 'V', WITH, set_envid },
	{ 'X', WITH, ignore },
	{ 'b', WITH, set_task },
	{ 'c', WITH, set_conf },
	{ 'd', GLUED, ignore },
	{ 'e', GLUED, ignore },
	{ 'f', WITH, set_sender },
	{ 'h', GLUED, set_help },
	{ 'i', WITHOUT, set_ignore_dots },
	{ 'm', WITHOUT, ignore },
	{ 'n', WITHOUT, ignore },
	{ 'o', WITH, set_old },
	{ 'p', WITH, ignore },
	{ 'q', GLUED, set_retry },
	{ 'r', WITH, set_sender },
	{ 't', WITHOUT, set_reads_header },
	{ 'v', WITHOUT, set_verbose },
	{ 'x', WITHOUT, ignore },
};

static const struct rule *find_rule(char letter)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].letter == letter)
			return &rules[i];
	return NULL;
}

static bool is_number(const char *text)
{
	return text && *text && strspn(text, "0123456789") == strlen(text);
}

/* One argument of option letters. *at: its index, moved over a value. */
static int parse_letters(
    int argc, char **argv, int *at, struct options *o, struct outcome *why)
{
	char *letters = argv[*at] + 1;

	for (; *letters; letters++) {
		const struct rule *rule = find_rule(*letters);
		char *value = letters[1] ? letters + 1 : NULL;
		char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
		int status;

		if (!rule)
			return usage(
			    why, "-%s: unknown option", shown(letters));
		if (rule->argument == WITHOUT)
			value = NULL;
		else if (!value && next &&
			 (rule->argument == WITH ||
			     (rule->letter == 'h' && is_number(next)))) {
			value = next;
			++*at;
		} else if (!value && rule->argument == WITH)
			return usage(why, "-%c: value missing", *letters);
		status = rule->apply(o, value, why);
		if (status != 0)
			return status;
		if (rule->argument != WITHOUT)
			return 0;
	}
	return 0;
}

const char *options_program(int argc, char **argv)
{
	const char *slash, *name = argc > 0 && argv[0] ? argv[0] : "";

	slash = strrchr(name, '/');
	name = slash ? slash + 1 : name;
	return *name ? name : "sendmail";
}

static int set_duration(
    const char *name, const char *value, uint32_t *seconds, struct outcome *why)
{
	if (!value || conf_parse_duration(value, seconds) < 0 || *seconds == 0)
		return usage(
		    why, "--%s: a time such as 30s, 2m, 4h or 5d", name);
	return 0;
}

/* --name=value or --name value. */
static int parse_word(
    int argc, char **argv, int *at, struct options *o, struct outcome *why)
{
	const char *word = argv[*at] + 2, *value = strchr(word, '=');
	struct span name = { word,
		value ? (size_t)(value - word) : strlen(word) };
	bool is_hold = span_is_equal(name, SPAN_LITERAL("hold"));

	if (!is_hold && !span_is_equal(name, SPAN_LITERAL("expire")))
		return usage(why, "%s: unknown option", shown(argv[*at]));
	if (value)
		value++;
	else if (*at + 1 < argc)
		value = argv[++*at];
	return is_hold ? set_duration("hold", value, &o->hold_s, why)
		       : set_duration("expire", value, &o->expire_s, why);
}

int options_parse(int argc, char **argv, struct options *o, struct outcome *why)
{
	const char *program = options_program(argc, argv);
	int at = 1;

	*o = (struct options){ 0 };
	if (strcmp(program, "newaliases") == 0)
		o->task = TASK_ALIASES;
	else if (strcmp(program, "mailq") == 0)
		o->task = TASK_LIST;
	for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
		int status;

		if (strcmp(argv[at], "--") == 0) {
			at++;
			break;
		}
		if (strcmp(argv[at], "--help") == 0) {
			o->task = TASK_HELP;
			continue;
		}
		status = argv[at][1] == '-'
			     ? parse_word(argc, argv, &at, o, why)
			     : parse_letters(argc, argv, &at, o, why);
		if (status != 0)
			return status;
	}
	if (at < argc) {
		o->recipients = argv + at;
		o->nrecipients = argc - at;
	}
	return 0;
}
