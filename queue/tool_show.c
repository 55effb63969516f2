/* outpost queue show: one message, its recipients and all attempts. */
#include "queue/tool_item.h"
#include "queue/tool_message.h"

#include "common/cause.h"
#include "common/id.h"
#include "queue/tool_source.h"
#include "queue/tool_text.h"

#include <stdio.h>
#include <unistd.h>

/* --- content -------------------------------------------------------------- */

struct content {
	const struct tool_options *options;
	bool is_past_headers, is_safe;
	struct buf line; /* what has come of the line that is not yet whole */
};

static void put_content(const struct content *content, struct span text)
{
	struct buf out;

	if (!content->is_safe) {
		fwrite(text.p, 1, text.n, stdout);
		return;
	}
	buf_init(&out, text.n * 4 + 1);
	text_put_lines(&out, text);
	fwrite(out.data, 1, out.len, stdout);
	buf_clear(&out);
}

static void take_line(struct content *content)
{
	struct span line = buf_span(&content->line);
	bool is_empty = line.n == 1 || (line.n == 2 && line.p[0] == '\r');

	if (content->is_past_headers ? content->options->body
				     : content->options->headers)
		put_content(content, line);
	if (is_empty)
		content->is_past_headers = true;
	buf_reset(&content->line);
}

static void take_body(struct span data, void *arg)
{
	struct content *content = arg;

	if (content->options->raw) {
		fwrite(data.p, 1, data.n, stdout);
		return;
	}
	while (data.n > 0) {
		ptrdiff_t end = span_find(data, '\n');
		struct span part = { data.p,
			end < 0 ? data.n : (size_t)end + 1 };

		buf_put_raw(&content->line, part);
		data = span_from(data, part.n);
		/* a line without end is given in pieces */
		if (end >= 0 || content->line.len >= DATA_CHUNK_MAX)
			take_line(content);
	}
}

static int show_content(struct tool *tool)
{
	struct content content = { .options = &tool->options,
		.is_safe = isatty(STDOUT_FILENO) };
	const struct source_visitor visitor = { .body = take_body,
		.arg = &content };
	struct outcome why;
	int status;

	buf_init(&content.line, DATA_CHUNK_MAX * 2);
	status =
	    source_body(tool->source, tool->options.ids[0], &visitor, &why);
	if (content.line.len > 0)
		take_line(&content);
	buf_clear(&content.line);
	return status < 0 ? tool_fail("show", &why) : 0;
}

/* --- for people ----------------------------------------------------------- */

static void print_time(const char *name, uint64_t at, uint64_t now)
{
	char time[TOOL_TIME_MAX], rest[TOOL_SHORT_MAX];

	text_time(at, time);
	if (at > now) {
		text_until(at, now, rest);
		printf("%-11s %s (%s)\n", name, time, rest);
	} else {
		text_span_of_time(now - at, rest);
		printf("%-11s %s (%s ago)\n", name, time, rest);
	}
}

static void print_text(const char *name, struct span text)
{
	if (text.n > 0)
		printf("%-11s %s\n", name, text_safe(text));
}

static void print_message(struct tool *tool, const struct shown_message *m)
{
	printf("%-11s %s\n", "Message", id_text(m->id));
	printf(
	    "%-11s %s\n", "Sender", m->sender.n ? text_safe(m->sender) : "<>");
	print_time("Accepted", m->accepted_at, tool->now_s);
	printf("%-11s %s", "Origin", shown_origin(m->origin));
	if (m->uid != UINT32_MAX)
		printf(", uid %u", m->uid);
	putchar('\n');
	print_text("Client", m->client);
	print_text("Login", m->login);
	print_text("Envelope id", m->envid);
	print_text("Line", m->line);
	if (m->hold_until == UINT64_MAX)
		printf("%-11s %s\n", "Held", "until released");
	else if (m->hold_until > 0)
		print_time("Held until", m->hold_until, tool->now_s);
	if (m->items) {
		struct view view = view_of(tool, &m->items->item);

		printf("%-11s %llu bytes\n", "Size",
		    (unsigned long long)view.item->size_bytes);
		print_time("Expires", view.expires_s, tool->now_s);
	}
	if (m->smtputf8 || m->requiretls)
		printf("%-11s%s%s\n", "Needs", m->smtputf8 ? " SMTPUTF8" : "",
		    m->requiretls ? " REQUIRETLS" : "");
}

static bool is_queued(const struct shown_message *m, struct span address)
{
	for (const struct shown_item *i = m->items; i; i = i->next)
		if (span_is_equal(i->item.address, address))
			return true;
	return false;
}

static void print_recipients(struct tool *tool, const struct shown_message *m)
{
	printf("\nRecipients\n");
	for (const struct shown_item *i = m->items; i; i = i->next) {
		struct view view = view_of(tool, &i->item);

		printf("  %-30s %-9s attempts %u, next %s%s%s\n",
		    text_safe(i->item.address), view.state, i->item.attempts,
		    view_next(&view, tool->now_s), *view.cause ? ", " : "",
		    text_safe(span_of(view.cause)));
		if (i->item.reply.n > 0)
			printf("  %-30s %s\n", "", text_safe(i->item.reply));
	}
	for (size_t i = 0; i < m->nrecipients; i++)
		if (!is_queued(m, m->recipients[i]))
			printf("  %-30s done\n", text_safe(m->recipients[i]));
}

static void print_rule(struct span cause)
{
	struct span rule = cause_part(cause, "rule");
	struct span relay = cause_part(cause, "relay");

	if (rule.n > 0)
		printf(", reply rule %s", text_safe(rule));
	if (relay.n > 0)
		printf(", from now on by relay %s", text_safe(relay));
}

static void print_try(
    const struct shown_message *m, const struct shown_try *try)
{
	const struct item *item = shown_item_of(m, try);
	char time[TOOL_TIME_MAX];

	text_time(try->at, time);
	printf("  %s %s", time, shown_result(try->result));
	if (item)
		printf(" %s", text_safe(item->address));
	else
		printf(
		    " recipient %u.%u (done)", try->delivery, try->recipient);
	if (*shown_host(try))
		printf(" at %s", shown_host(try));
	if (try->line.n > 0)
		printf(" by %s", text_safe(try->line));
	print_rule(try->cause);
	printf(", %s, %.1f s\n", try->tls.n ? text_safe(try->tls) : "no TLS",
	    try->took_ms / 1000.0);
	if (try->reply.n > 0)
		printf("    %s\n", text_safe(try->reply));
}

static void print_all(struct tool *tool, const struct shown_message *m)
{
	print_message(tool, m);
	print_recipients(tool, m);
	if (m->tries)
		printf("\nAttempts\n");
	for (const struct shown_try *t = m->tries; t; t = t->next)
		print_try(m, t);
}

/* --- for programs --------------------------------------------------------- */

static json_t *try_to_json(
    const struct shown_message *m, const struct shown_try *try)
{
	const struct item *item = shown_item_of(m, try);
	json_t *object = json_object();

	json_object_set_new(object, "when", json_time(try->at));
	json_object_set_new(
	    object, "recipient", item ? json_text(item->address) : json_null());
	json_object_set_new(
	    object, "result", json_string(shown_result(try->result)));
	json_object_set_new(
	    object, "code", try->code ? json_integer(try->code) : json_null());
	json_object_set_new(object, "status", json_text(try->status));
	json_object_set_new(object, "reply", json_text(try->reply));
	json_object_set_new(object, "host", json_text(try->host));
	json_object_set_new(object, "address", json_text(try->address));
	json_object_set_new(object, "tls", json_text(try->tls));
	json_object_set_new(object, "line", json_text(try->line));
	json_object_set_new(object, "cause", json_text(cause_word(try->cause)));
	json_object_set_new(
	    object, "rule", json_text(cause_part(try->cause, "rule")));
	json_object_set_new(
	    object, "relay", json_text(cause_part(try->cause, "relay")));
	json_object_set_new(object, "took_ms", json_integer(try->took_ms));
	json_object_set_new(object, "counts", json_boolean(try->counts));
	return object;
}

static json_t *recipients_to_json(
    struct tool *tool, const struct shown_message *m)
{
	json_t *list = json_array();

	for (const struct shown_item *i = m->items; i; i = i->next) {
		struct view view = view_of(tool, &i->item);

		json_array_append_new(list, view_to_json(&view));
	}
	for (size_t i = 0; i < m->nrecipients; i++)
		if (!is_queued(m, m->recipients[i]))
			json_array_append_new(
			    list, json_pack("{sosn}", "recipient",
				      json_text(m->recipients[i]), "state"));
	return list;
}

static void print_json(struct tool *tool, const struct shown_message *m)
{
	json_t *object = json_object(), *tries = json_array();

	for (const struct shown_try *t = m->tries; t; t = t->next)
		json_array_append_new(tries, try_to_json(m, t));
	json_object_set_new(object, "id", json_string(id_text(m->id)));
	json_object_set_new(object, "sender",
	    m->sender.n ? json_text(m->sender) : json_string(""));
	json_object_set_new(object, "accepted", json_time(m->accepted_at));
	json_object_set_new(
	    object, "origin", json_string(shown_origin(m->origin)));
	json_object_set_new(object, "uid",
	    m->uid == UINT32_MAX ? json_null() : json_integer(m->uid));
	json_object_set_new(object, "login", json_text(m->login));
	json_object_set_new(object, "client", json_text(m->client));
	json_object_set_new(object, "envelope_id", json_text(m->envid));
	json_object_set_new(object, "line", json_text(m->line));
	json_object_set_new(object, "size_bytes",
	    m->items ? json_integer((json_int_t)m->items->item.size_bytes)
		     : json_null());
	json_object_set_new(object, "hold_until",
	    m->hold_until == UINT64_MAX ? json_string("released")
					: json_time(m->hold_until));
	json_object_set_new(object, "smtputf8", json_boolean(m->smtputf8));
	json_object_set_new(object, "requiretls", json_boolean(m->requiretls));
	json_object_set_new(object, "recipients", recipients_to_json(tool, m));
	json_object_set_new(object, "attempts", tries);
	json_line(object);
}

int tool_show(struct tool *tool)
{
	const struct tool_options *o = &tool->options;
	bool has_content = o->headers || o->body;
	struct shown_message message;
	struct outcome why;
	int status = 0;

	if (o->raw)
		return show_content(tool);
	if (o->session)
		return tool_show_sessions(tool);
	if (shown_load(tool, &message, &why) < 0)
		status = tool_fail("show", &why);
	else if (o->is_json)
		print_json(tool, &message);
	else
		print_all(tool, &message);
	shown_clear(&message);
	if (status != 0 || o->is_json || !has_content)
		return status;
	putchar('\n');
	return show_content(tool);
}
