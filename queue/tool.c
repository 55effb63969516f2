/* What the commands share: failing, and the question to the runner whether mail
 * is being sent at all. */
#include "queue/tool.h"

#include "common/wire.h"
#include "queue/tool_text.h"

#include <stdio.h>
#include <unistd.h>

enum { STATUS_MS = 300, STATUS_LINES_MAX = 1000 };

static const struct wire_rule answers[] = {
	{ MSG_STATUS_LINE, 65536, NULL },
	{ MSG_END, 64, NULL },
	{ 0 },
};

int tool_fail(const char *what, const struct outcome *why)
{
	fprintf(stderr, "outpost-queue: %s: %s\n", what,
	    text_safe(span_of(why->detail)));
	return EXIT_PROBLEM;
}

int tool_read_status(struct span json)
{
	json_t *object = json_loadb(json.p, json.n, 0, NULL);
	const json_t *value = json_object_get(object, "outbound");
	int said = json_is_boolean(value) ? json_is_true(value) : -1;

	json_decref(object);
	return said;
}

static int connect_runner(const char *runtime)
{
	struct buf path;
	int fd;

	buf_init(&path, 4096);
	buf_printf(&path, "%s/runner.sock", runtime);
	fd = wire_connect(buf_text(&path));
	buf_clear(&path);
	return fd;
}

static bool ask(struct wire *wire)
{
	struct deadline deadline = deadline_in_ms(STATUS_MS);
	struct message message;
	bool is_off = false;

	wire_send(wire, MSG_STATUS, 1, (struct span){ NULL, 0 });
	if (wire_flush(wire, deadline) < 0)
		return false;
	for (int i = 0; i < STATUS_LINES_MAX; i++) {
		struct reader r;

		if (wire_receive(wire, &message, deadline) <= 0)
			break;
		for (int j = 0; j < message.nfds; j++)
			close(message.fds[j]);
		if (message.type == MSG_END)
			break;
		r = reader_of(message.payload);
		is_off |= tool_read_status(get_span(&r)) == 0;
	}
	return is_off;
}

bool tool_is_outbound_off(struct tool *tool)
{
	struct wire *wire;
	int fd;

	if (tool->outbound != OUTBOUND_UNASKED)
		return tool->outbound == OUTBOUND_OFF;
	tool->outbound = OUTBOUND_ON;
	fd = connect_runner(tool->conf->runtime);
	wire =
	    fd >= 0 ? wire_new(NULL, fd, "runner", answers, NULL, NULL) : NULL;
	if (wire && ask(wire))
		tool->outbound = OUTBOUND_OFF;
	wire_free(wire);
	return tool->outbound == OUTBOUND_OFF;
}
