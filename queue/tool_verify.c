/* outpost queue verify: read the whole spool, report what does not fit. */
#include "queue/tool_item.h"

#include "queue/index_home.h"
#include "queue/spool.h"
#include "queue/tool_text.h"

#include <stdio.h>
#include <unistd.h>

static void report(const char *where, const char *what, void *arg)
{
	const struct tool *tool = arg;

	if (tool->options.is_json) {
		json_line(
		    json_pack("{so so}", "where", json_text(span_of(where)),
			"what", json_text(span_of(what))));
		return;
	}
	printf("%s: ", text_safe(span_of(where)));
	puts(text_safe(span_of(what)));
}

static void progress(const char *what, uint64_t done, uint64_t of)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s: %llu of %llu\033[K", what,
		    (unsigned long long)done, (unsigned long long)of);
}

int tool_verify(struct tool *tool)
{
	const struct spool_options options = { .path = tool->conf->spool,
		.read_only = true };
	struct outcome why;
	struct spool *spool;
	uint64_t problems;

	index_explain_crash();
	spool = spool_open(&options, progress, &why);
	if (!spool)
		return tool_fail(tool->conf->spool, &why);
	problems = spool_verify(spool, report, tool, progress);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (!tool->options.is_json)
		printf("%s: %llu problem%s\n", tool->conf->spool,
		    (unsigned long long)problems, problems == 1 ? "" : "s");
	spool_close(spool);
	return problems > 0 ? EXIT_PROBLEM : 0;
}
