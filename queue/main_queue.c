/* outpost-queue ("outpost queue", mailq): inspection and control. */
#include "queue/tool.h"

#include "common/deadline.h"
#include "queue/tool_source.h"
#include "queue/tool_text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int usage_error(const char *error)
{
	fprintf(stderr,
	    "outpost-queue: %s\n(outpost queue -h shows what there is)\n",
	    text_safe(span_of(error)));
	return EXIT_USAGE;
}

static int read_conf(struct tool *tool)
{
	struct buf errors;

	buf_init(&errors, 65536);
	tool->conf = conf_load(tool->options.conf_path, &errors);
	if (!tool->conf)
		fputs(buf_text(&errors), stderr);
	buf_clear(&errors);
	return tool->conf ? 0 : EXIT_CONF;
}

/* Classic output speaks local time, as configured. */
static void set_timezone(const struct conf *conf)
{
	if (conf->timezone[0])
		setenv("TZ", conf->timezone, 1);
	tzset();
}

/* Those that read files of their own. */
static bool needs_source(const struct tool_command *command)
{
	return command->run != tool_verify && command->run != tool_replies &&
	       command->run != tool_import;
}

static int run(struct tool *tool)
{
	struct outcome why;
	int status = read_conf(tool);

	if (status != 0)
		return status;
	set_timezone(tool->conf);
	if (needs_source(tool->options.command)) {
		tool->source = source_open(tool->conf, &why);
		if (!tool->source)
			return tool_fail(tool->options.command->name, &why);
	}
	status = tool->options.command->run(tool);
	if (fflush(stdout) != 0 && status == 0)
		status = EXIT_PROBLEM;
	return status;
}

int main(int argc, char **argv)
{
	struct tool tool = { .now_s = (uint64_t)now_utc() };
	struct buf error;
	int status;

	signal(SIGPIPE, SIG_DFL);
	setvbuf(stdout, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, 65536);
	buf_init(&error, 4096);
	if (tool_options_parse(argc, argv, tool.now_s, &tool.options, &error) <
	    0)
		return usage_error(buf_text(&error));
	if (tool.options.is_help) {
		tool_usage(stdout);
		return 0;
	}
	status = run(&tool);
	source_free(tool.source);
	conf_free(tool.conf);
	json_decref(tool.off);
	tool_options_clear(&tool.options);
	buf_clear(&error);
	return status;
}
