/* outpost queue show ID --session: the words of the sessions in which this
 * message was not delivered, as far as the history still has them. */
#include "queue/tool_item.h"

#include "common/id.h"
#include "queue/history.h"
#include "queue/tool_source.h"
#include "queue/tool_text.h"

#include <stdio.h>

struct showing {
	struct tool *tool;
	unsigned count;
};

static json_t *lines_to_json(struct span text)
{
	json_t *lines = json_array();

	while (text.n > 0)
		json_array_append_new(lines, json_text(span_cut(&text, '\n')));
	return lines;
}

static void print_json(const struct transcript *t, uint64_t id)
{
	json_t *object = json_object();

	json_object_set_new(object, "id", json_string(id_text(id)));
	json_object_set_new(object, "began", json_time(t->began_ms / 1000));
	json_object_set_new(object, "line", json_text(t->line));
	json_object_set_new(object, "host", json_text(t->host));
	json_object_set_new(object, "address", json_text(t->address));
	json_object_set_new(object, "messages", json_integer(t->nmessages));
	json_object_set_new(object, "words", lines_to_json(t->text));
	json_line(object);
}

static void print_text(const struct transcript *t, bool is_first)
{
	struct span text = t->text;
	char time[TOOL_TIME_MAX];

	text_time(t->began_ms / 1000, time);
	printf("%s%s  %s [%s] by %s", is_first ? "" : "\n", time,
	    text_safe(t->host), text_safe(t->address), text_safe(t->line));
	if (t->nmessages > 1)
		printf(", with %u messages not delivered", t->nmessages);
	putchar('\n');
	while (text.n > 0)
		printf("  %s\n", text_safe(span_cut(&text, '\n')));
}

static bool show(const struct transcript *t, void *arg)
{
	struct showing *showing = arg;
	const struct tool_options *o = &showing->tool->options;

	if (o->is_json)
		print_json(t, o->ids[0]);
	else
		print_text(t, showing->count == 0);
	showing->count++;
	return true;
}

int tool_show_sessions(struct tool *tool)
{
	struct showing showing = { .tool = tool };
	struct outcome why;
	struct history *h = history_open_read(tool->conf->spool, &why);
	int status;

	if (!h)
		return tool_fail("show", &why);
	status =
	    history_sessions(h, tool->options.ids[0], show, &showing, &why);
	history_close(h);
	if (status < 0)
		return tool_fail("show", &why);
	if (showing.count == 0 && !tool->options.is_json)
		printf("no session is kept in which %s was not delivered (the "
		       "last %d are)\n",
		    id_text(tool->options.ids[0]), HISTORY_SESSIONS_MAX);
	return showing.count > 0 ? 0 : EXIT_PROBLEM;
}
