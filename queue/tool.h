/* The queue tool: "outpost queue" and mailq.
 *
 * One command of the table in tool_options.c is run on a source: the keeper,
 * or, while it is not running, the spool itself, read only.
 */
#ifndef QUEUE_TOOL_H
#define QUEUE_TOOL_H

#include "common/conf.h"
#include "common/messages.h"

#include <jansson.h>

enum { EXIT_PROBLEM = 1, EXIT_USAGE = 2, EXIT_CONF = 78 };

struct tool;

struct tool_command {
	const char *name;
	const char *allows; /* groups of options, see tool_options.c */
	enum { IDS_NONE, IDS_ONE, IDS_ANY, IDS_WORD, IDS_FOLDER } ids;
	uint8_t action;		       /* enum change_action, or 0 */
	int (*run)(struct tool *tool); /* exit status */
	const char *help;
};

struct tool_options {
	const struct tool_command *command;
	const char *conf_path;
	bool is_help, is_json, count_only, is_yes, is_all, is_dry_run;
	bool headers, body, raw, session, reset, rates;
	bool is_delete, is_again;
	const char *word; /* IDS_WORD, IDS_FOLDER: what stands before ids */
	uint64_t limit;	  /* 0: none */
	uint64_t until;	  /* hold: UTC seconds */
	struct filter filter;
	bool has_filter;
	uint64_t *ids;
	size_t nids;
};

/* Read the command line; argv[0] "mailq" lists in the classic way. Times are
 * relative to now_s. 0, or -1 with a line in *error. */
int tool_options_parse(int argc, char **argv, uint64_t now_s,
    struct tool_options *options, struct buf *error);
void tool_options_clear(struct tool_options *options);
void tool_usage(FILE *to);

enum tool_outbound { OUTBOUND_UNASKED, OUTBOUND_ON, OUTBOUND_OFF };

struct tool {
	struct tool_options options;
	struct conf *conf;
	struct source *source;
	uint64_t now_s;
	enum tool_outbound outbound;
	json_t *off; /* array: what is not sent though outbound is on */
};

/* The commands. Each returns the exit status. */
int tool_list(struct tool *tool);
int tool_mailq(struct tool *tool);
int tool_show(struct tool *tool);
int tool_explain(struct tool *tool);
int tool_change(struct tool *tool);
int tool_stats(struct tool *tool);
int tool_verify(struct tool *tool);
int tool_replies(struct tool *tool);
int tool_export(struct tool *tool);
int tool_import(struct tool *tool);
/* The part of show that comes from the history. */
int tool_show_sessions(struct tool *tool);

/* Say on stderr what went wrong; EXIT_PROBLEM. */
int tool_fail(const char *what, const struct outcome *why);

/* The part of outbound mail that the item belongs to and that is off: "" all,
 * "line:NAME", "destination:NAME"; NULL: none. Asked of the supervisor once; an
 * answer that does not come counts as on. */
const char *tool_off_scope(struct tool *tool, const struct item *item);
/* Take note of one status object: the "outbound" of it, 0 off, 1 on, -1 not
 * said; what of it is off goes into tool->off. */
int tool_read_status(struct tool *tool, struct span json);

#endif
