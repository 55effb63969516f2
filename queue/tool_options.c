/* The queue tool's command line.
 *
 * Each command allows groups of options, one letter each:
 *   F filters   L --limit   C --count   J --json   S --headers, --body, --raw,
 * --session Y --yes, --all, --dry-run   H --for, --until   R --reset   T
 * --rates   D --delete   A --again
 */
#include "queue/tool.h"

#include "common/id.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { IDS_MAX = 10000 };

static const struct tool_command commands[] = {
	{ "list", "FLCJ", IDS_NONE, 0, tool_list,
	    "deliveries, one recipient a line" },
	{ "show", "SJ", IDS_ONE, 0, tool_show,
	    "envelope, recipients and all attempts of one message" },
	{ "explain", "J", IDS_ONE, 0, tool_explain,
	    "why it is where it is, what is next, what would change that" },
	{ "hold", "FYJH", IDS_ANY, CHANGE_HOLD, tool_change,
	    "keep from being sent" },
	{ "release", "FYJ", IDS_ANY, CHANGE_RELEASE, tool_change,
	    "end a hold or a suspension" },
	{ "retract", "FYJ", IDS_ANY, CHANGE_RETRACT, tool_change,
	    "take back what has not been sent to anybody" },
	{ "retry", "FYJR", IDS_ANY, CHANGE_RETRY, tool_change,
	    "try now; --reset forgets earlier attempts" },
	{ "delete", "FYJ", IDS_ANY, CHANGE_DELETE, tool_change,
	    "remove without telling anybody" },
	{ "bounce", "FYJ", IDS_ANY, CHANGE_BOUNCE, tool_change,
	    "give up now and tell the sender" },
	{ "stats", "JT", IDS_NONE, 0, tool_stats,
	    "counts and bytes by state, destination and line" },
	{ "export", "FLJD", IDS_FOLDER, 0, tool_export,
	    "DIR: messages with their envelopes into a folder" },
	{ "import", "JA", IDS_FOLDER, 0, tool_import,
	    "DIR: messages from such a folder" },
	{ "verify", "J", IDS_NONE, 0, tool_verify,
	    "read the whole spool and report what does not fit" },
	{ "replies", "LFJ", IDS_WORD, 0, tool_replies,
	    "list: refusals of the last 14 days; test: what the reply rules "
	    "would make of them now (outpost replies)" },
	{ NULL },
};

/* mailq takes what list takes, to be forgiving. */
static const struct tool_command mailq_command = { "mailq", "FLCJ", IDS_NONE, 0,
	tool_mailq, "the queue in the classic look" };

enum {
	OPTION_STATE = 256,
	OPTION_SENDER,
	OPTION_RECIPIENT,
	OPTION_DESTINATION,
	OPTION_LINE,
	OPTION_CAUSE,
	OPTION_OLDER,
	OPTION_NEWER,
	OPTION_LIMIT,
	OPTION_COUNT,
	OPTION_JSON,
	OPTION_HEADERS,
	OPTION_BODY,
	OPTION_RAW,
	OPTION_SESSION,
	OPTION_YES,
	OPTION_ALL,
	OPTION_DRY_RUN,
	OPTION_FOR,
	OPTION_UNTIL,
	OPTION_RESET,
	OPTION_RATES,
	OPTION_DELETE,
	OPTION_AGAIN,
};

static const struct option longs[] = {
	{ "state", required_argument, NULL, OPTION_STATE },
	{ "sender", required_argument, NULL, OPTION_SENDER },
	{ "recipient", required_argument, NULL, OPTION_RECIPIENT },
	{ "destination", required_argument, NULL, OPTION_DESTINATION },
	{ "line", required_argument, NULL, OPTION_LINE },
	{ "cause", required_argument, NULL, OPTION_CAUSE },
	{ "older", required_argument, NULL, OPTION_OLDER },
	{ "newer", required_argument, NULL, OPTION_NEWER },
	{ "limit", required_argument, NULL, OPTION_LIMIT },
	{ "count", no_argument, NULL, OPTION_COUNT },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "headers", no_argument, NULL, OPTION_HEADERS },
	{ "body", no_argument, NULL, OPTION_BODY },
	{ "raw", no_argument, NULL, OPTION_RAW },
	{ "session", no_argument, NULL, OPTION_SESSION },
	{ "yes", no_argument, NULL, OPTION_YES },
	{ "all", no_argument, NULL, OPTION_ALL },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "for", required_argument, NULL, OPTION_FOR },
	{ "until", required_argument, NULL, OPTION_UNTIL },
	{ "reset", no_argument, NULL, OPTION_RESET },
	{ "rates", no_argument, NULL, OPTION_RATES },
	{ "delete", no_argument, NULL, OPTION_DELETE },
	{ "again", no_argument, NULL, OPTION_AGAIN },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char option_groups[] = "FFFFFFFFLCJSSSSYYYHHRTDA";

static const char *option_name(int code)
{
	for (size_t i = 0; longs[i].name; i++)
		if (longs[i].val == code)
			return longs[i].name;
	return "?";
}

static int fail(struct buf *error, const char *what, const char *about)
{
	buf_reset(error);
	buf_printf(
	    error, "%s%s%s", what, about ? ": " : "", about ? about : "");
	return -1;
}

/* --- values --------------------------------------------------------------- */

static int read_state(
    const char *text, struct filter *filter, struct buf *error)
{
	for (int state = 0; state < STATE_COUNT; state++)
		if (strcmp(text, delivery_state_name((uint8_t)state)) == 0) {
			filter->state = (int8_t)state;
			return 0;
		}
	fail(error, "--state", text);
	buf_puts(error, " is not one of");
	for (int state = 0; state < STATE_COUNT; state++)
		buf_printf(error, " %s", delivery_state_name((uint8_t)state));
	return -1;
}

static int read_ago(
    const char *text, uint64_t now_s, uint64_t *at, struct buf *error)
{
	uint32_t seconds;

	if (conf_parse_duration(text, &seconds) < 0 || seconds > now_s)
		return fail(
		    error, "not a duration such as 30s, 5m, 4h or 5d", text);
	*at = now_s - seconds;
	return 0;
}

static int read_until(const char *text, uint64_t *until, struct buf *error)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t at = timegm(&tm);

	if (!end || *end || at <= 0)
		return fail(error,
		    "--until: not a time such as 2026-12-31T08:00:00Z", text);
	*until = (uint64_t)at;
	return 0;
}

static int read_pattern(const char *text, struct span *to, struct buf *error)
{
	*to = span_of(text);
	if (to->n == 0 || to->n > ADDRESS_MAX || span_has_line_breaks(*to))
		return fail(error, "not something to look for", text);
	return 0;
}

static int read_filter(struct tool_options *o, int code, const char *text,
    uint64_t now_s, struct buf *error)
{
	o->has_filter = true;
	switch (code) {
	case OPTION_STATE:
		return read_state(text, &o->filter, error);
	case OPTION_SENDER:
		return read_pattern(text, &o->filter.sender, error);
	case OPTION_RECIPIENT:
		return read_pattern(text, &o->filter.recipient, error);
	case OPTION_DESTINATION:
		return read_pattern(text, &o->filter.destination, error);
	case OPTION_LINE:
		return read_pattern(text, &o->filter.line, error);
	case OPTION_CAUSE:
		return read_pattern(text, &o->filter.cause, error);
	case OPTION_OLDER:
		return read_ago(text, now_s, &o->filter.older_than, error);
	default:
		return read_ago(text, now_s, &o->filter.newer_than, error);
	}
}

static int read_limit(const char *text, uint64_t *limit, struct buf *error)
{
	if (span_to_u64(span_of(text), 1000000000, limit) < 0 || *limit == 0)
		return fail(error, "--limit: not a number above 0", text);
	return 0;
}

static int read_for(
    const char *text, uint64_t now_s, uint64_t *until, struct buf *error)
{
	uint32_t seconds;

	if (conf_parse_duration(text, &seconds) < 0)
		return fail(error,
		    "--for: not a duration such as 30s, 5m, 4h or 5d", text);
	*until = now_s + seconds;
	return 0;
}

static bool *flag_of(struct tool_options *o, int code)
{
	switch (code) {
	case OPTION_COUNT:
		return &o->count_only;
	case OPTION_JSON:
		return &o->is_json;
	case OPTION_HEADERS:
		return &o->headers;
	case OPTION_BODY:
		return &o->body;
	case OPTION_RAW:
		return &o->raw;
	case OPTION_SESSION:
		return &o->session;
	case OPTION_YES:
		return &o->is_yes;
	case OPTION_ALL:
		return &o->is_all;
	case OPTION_DRY_RUN:
		return &o->is_dry_run;
	case OPTION_RESET:
		return &o->reset;
	case OPTION_DELETE:
		return &o->is_delete;
	case OPTION_AGAIN:
		return &o->is_again;
	default:
		return &o->rates;
	}
}

static int read_option(struct tool_options *o, int code, const char *text,
    uint64_t now_s, struct buf *error)
{
	char group = option_groups[code - OPTION_STATE];

	if (!strchr(o->command->allows, group)) {
		fail(error, o->command->name, "has no option --");
		buf_puts(error, option_name(code));
		return -1;
	}
	if (group == 'F')
		return read_filter(o, code, text, now_s, error);
	if (code == OPTION_LIMIT)
		return read_limit(text, &o->limit, error);
	if (code == OPTION_FOR)
		return read_for(text, now_s, &o->until, error);
	if (code == OPTION_UNTIL)
		return read_until(text, &o->until, error);
	*flag_of(o, code) = true;
	return 0;
}

/* --- the whole line ------------------------------------------------------- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int find_command(
    const char *name, struct tool_options *o, struct buf *error)
{
	static const char *const later[] = { "top" };

	for (size_t i = 0; commands[i].name; i++)
		if (strcmp(commands[i].name, name) == 0) {
			o->command = &commands[i];
			return 0;
		}
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (strcmp(later[i], name) == 0)
			return fail(error, "not yet supported", name);
	return fail(error, "no such command", name);
}

/* The command is the first word that is no option; -c may stand before it. */
static int find_word(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0)
			i++;
		else if (argv[i][0] != '-')
			return i;
	}
	return 0;
}

/* Without a command only -h makes sense. */
static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-h") == 0 ||
		    strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

static int read_ids(
    int n, char **words, struct tool_options *o, struct buf *error)
{
	if (o->command->ids == IDS_WORD) {
		o->word = n == 1 ? words[0] : "";
		return 0;
	}
	if (o->command->ids == IDS_FOLDER && n > 0) {
		o->word = *words++;
		n--;
	}
	if (n <= 0)
		return 0;
	if (o->command->ids == IDS_NONE || o->command->run == tool_import)
		return fail(error, "not expected", words[0]);
	if (o->command->ids == IDS_ONE && n > 1)
		return fail(error, o->command->name, "one ID only");
	if (n > IDS_MAX)
		return fail(error, "too many IDs", NULL);
	o->ids = calloc((size_t)n, sizeof(*o->ids));
	if (!o->ids)
		return fail(error, "out of memory", NULL);
	for (int i = 0; i < n; i++)
		if (id_parse(span_of(words[i]), &o->ids[o->nids++]) < 0)
			return fail(error, "not the ID of a message", words[i]);
	return 0;
}

static int check(const struct tool_options *o, struct buf *error)
{
	if (o->command->ids == IDS_WORD && strcmp(o->word, "list") != 0 &&
	    strcmp(o->word, "test") != 0)
		return fail(error, o->command->name, "list or test");
	if (o->command->ids == IDS_FOLDER && !o->word)
		return fail(error, o->command->name, "needs a folder");
	if (o->command->ids == IDS_ONE && o->nids != 1)
		return fail(error, o->command->name, "needs an ID");
	if (o->nids > 0 && (o->has_filter || o->is_all))
		return fail(error, "IDs or filters, not both", NULL);
	if (o->is_all && o->has_filter)
		return fail(error, "--all or filters, not both", NULL);
	if (o->command->ids == IDS_ANY && o->nids == 0 && !o->has_filter &&
	    !o->is_all)
		return fail(error, o->command->name,
		    "needs IDs, filters (--sender, --destination...) or "
		    "--all");
	return 0;
}

static int read_options(int argc, char **argv, uint64_t now_s,
    struct tool_options *o, struct buf *error)
{
	int code;

	optind = 0; /* glibc: start over, for tests */
	opterr = 0;
	while ((code = getopt_long(argc, argv, ":c:hv", longs, NULL)) != -1) {
		if (code == 'c')
			o->conf_path = optarg;
		else if (code == 'h')
			o->is_help = true;
		else if (code == 'v' && o->command == &mailq_command)
			continue;
		else if (code == ':')
			return fail(error, "needs a value", argv[optind - 1]);
		else if (code < OPTION_STATE)
			return fail(error, "no such option", argv[optind - 1]);
		else if (read_option(o, code, optarg, now_s, error) < 0)
			return -1;
	}
	return 0;
}

int tool_options_parse(int argc, char **argv, uint64_t now_s,
    struct tool_options *o, struct buf *error)
{
	const char *name = argc > 0 ? base_name(argv[0]) : "";
	int word = find_word(argc, argv);
	bool is_mailq = strcmp(name, "mailq") == 0;

	*o = (struct tool_options){ .until = UINT64_MAX,
		.filter = { .state = -1, .uid = UINT32_MAX } };
	if (is_mailq)
		o->command = &mailq_command;
	else if (word > 0 && find_command(argv[word], o, error) < 0)
		return -1;
	if (!o->command) {
		o->is_help = asks_for_help(argc, argv);
		return o->is_help ? 0 : fail(error, "no command", NULL);
	}
	if (read_options(argc, argv, now_s, o, error) < 0)
		return -1;
	if (o->is_help)
		return 0;
	if (!is_mailq)
		optind++; /* permuted: the command is the first operand */
	if (read_ids(argc - optind, argv + optind, o, error) < 0)
		return -1;
	return check(o, error);
}

void tool_options_clear(struct tool_options *o)
{
	free(o->ids);
	o->ids = NULL;
	o->nids = 0;
}

void tool_usage(FILE *to)
{
	fputs(
	    "usage: outpost queue COMMAND [-c FILE] [OPTIONS] [ID...]\n\n", to);
	for (size_t i = 0; commands[i].name; i++)
		fprintf(to, "  %-8s  %s\n", commands[i].name, commands[i].help);
	fputs("\nfilters of list and of all changes: --state, --sender, "
	      "--recipient,\n--destination, --line, --cause, --older, --newer; "
	      "list: "
	      "--limit, --count;\nshow: --headers, --body, --raw, --session; "
	      "changes: "
	      "--all, --dry-run, --yes;\nhold: --for, --until; retry: "
	      "--reset; stats: --rates; export: "
	      "filters, --limit,\n--delete; import: --again; all: --json.  See "
	      "outpost-queue(1).\n",
	    to);
}
