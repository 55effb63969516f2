/* What the commands share: failing, and the question to the supervisor whether
 * mail is being sent at all. */
#include "queue/tool.h"

#include "common/route.h"
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

int tool_read_status(struct tool *tool, struct span json)
{
	json_t *object = json_loadb(json.p, json.n, 0, NULL);
	const json_t *value = json_object_get(object, "outbound");
	json_t *off = json_object_get(object, "outbound_off");
	int said = json_is_boolean(value) ? json_is_true(value) : -1;

	if (json_is_array(off)) {
		json_decref(tool->off);
		tool->off = json_incref(off);
	}
	json_decref(object);
	return said;
}

static int connect_supervisor(const char *runtime)
{
	struct buf path;
	int fd;

	buf_init(&path, 4096);
	buf_printf(&path, "%s/outpost.sock", runtime);
	fd = wire_connect(buf_text(&path));
	buf_clear(&path);
	return fd;
}

static bool ask(struct tool *tool, struct wire *wire)
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
		is_off |= tool_read_status(tool, get_span(&r)) == 0;
	}
	return is_off;
}

static bool is_off(struct tool *tool)
{
	struct wire *wire;
	int fd;

	if (tool->outbound != OUTBOUND_UNASKED)
		return tool->outbound == OUTBOUND_OFF;
	tool->outbound = OUTBOUND_ON;
	fd = connect_supervisor(tool->conf->runtime);
	wire = fd >= 0 ? wire_new(NULL, fd, "supervisor", answers, NULL, NULL)
		       : NULL;
	if (wire && ask(tool, wire))
		tool->outbound = OUTBOUND_OFF;
	wire_free(wire);
	return tool->outbound == OUTBOUND_OFF;
}

/* The line group that took it, or that the rules would give it to. */
static struct span group_of(const struct conf *conf, const struct item *item)
{
	struct route_query q = {
		.domain = item->domain, .sender = item->sender, .uid = item->uid
	};
	struct span group = item->line;
	struct outcome why;
	struct route route;

	if (group.n > 0)
		return span_cut(&group, '/');
	if (route_find(conf, &q, &route, &why) < 0)
		return group;
	return span_of(route.line->name);
}

/* What a relay's or a route's mail is can be told only where the names are
 * those of the recipient's domain. */
static bool is_in_scope(
    const struct conf *conf, struct span scope, const struct item *item)
{
	struct span name = scope, domain = item->domain;
	struct span kind = span_cut(&name, ':');

	if (span_is_equal(kind, SPAN_LITERAL("line")) ||
	    span_is_equal(kind, SPAN_LITERAL("check")))
		return span_is_equal(group_of(conf, item), name);
	if (span_has_prefix_nocase(name, "route:"))
		name = span_from(name, 6);
	if (span_has_prefix_nocase(name, "*.")) {
		name = span_from(name, 1);
		if (domain.n > name.n)
			domain = span_from(domain, domain.n - name.n);
	}
	return span_is_equal_nocase(name, domain);
}

const char *tool_off_scope(struct tool *tool, const struct item *item)
{
	const json_t *scope;
	size_t i;

	if (is_off(tool))
		return "";
	json_array_foreach(tool->off, i, scope)
	{
		const char *text = json_string_value(scope);

		if (text && is_in_scope(tool->conf, span_of(text), item))
			return text;
	}
	return NULL;
}
