/* outpost queue explain: why a message is where it is, what happens next and
 * when, and what would change that. Nothing is guessed: the chain is what the
 * journal recorded.
 */
#include "queue/tool_item.h"
#include "queue/tool_message.h"

#include "common/cause.h"
#include "common/id.h"
#include "common/reply.h"
#include "common/replyrule.h"
#include "queue/tool_text.h"

#include <stdarg.h>
#include <stdio.h>

/* One recipient's story, as JSON: both outputs are made from it. */

static void add(
    json_t *chain, json_t *when, const char *what, json_t *why, json_t *from)
{
	json_array_append_new(
	    chain, json_pack("{ss so so so}", "what", what, "when", when, "why",
		       why, "from", from));
}

static const char *format(struct buf *out, const char *format_text, ...)
    __attribute__((format(printf, 2, 3)));

static const char *format(struct buf *out, const char *format_text, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format_text);
	vsnprintf(text, sizeof(text), format_text, args);
	va_end(args);
	buf_reset(out);
	text_put_utf8(out, span_of(text));
	return buf_text(out);
}

static void add_accepted(
    json_t *chain, const struct shown_message *m, struct buf *scratch)
{
	const char *why;

	if (m->uid != UINT32_MAX)
		why = format(scratch, "submitted by uid %u (%s)", m->uid,
		    shown_origin(m->origin));
	else
		why = format(scratch, "came by %s%s%s", shown_origin(m->origin),
		    m->client.n ? " from " : "", text_safe(m->client));
	add(chain, json_time(m->accepted_at), "accepted", json_string(why),
	    json_null());
	if (m->hold_until == UINT64_MAX)
		add(chain, json_time(m->accepted_at), "held",
		    json_string("the sender asked to hold it until released"),
		    json_null());
	else if (m->hold_until > 0)
		add(chain, json_time(m->accepted_at), "held",
		    json_string("the sender asked for a later time"),
		    json_null());
}

/* The reply rule that decided, by name; a built-in one with its reason. */
static void add_rule(
    json_t *chain, const struct shown_try *try, struct buf *scratch)
{
	struct span rule = cause_part(try->cause, "rule");
	struct span relay = cause_part(try->cause, "relay");
	const struct reply_builtin *builtin = reply_builtin_named(rule);
	const char *why;

	if (rule.n == 0)
		return;
	why = format(scratch, "%s%s%s%s%s",
	    builtin ? "built-in reply rule " : "reply rule ", text_safe(rule),
	    builtin ? ": " : "", builtin ? builtin->why : "",
	    relay.n ? "; from now on by the relay it names" : "");
	add(chain, json_time(try->at), "rule", json_string(why),
	    json_text(rule));
}

static void add_try(
    json_t *chain, const struct shown_try *try, struct buf *scratch)
{
	const char *why;

	if (try->result == RCPT_UNTOUCHED)
		return;
	if (*shown_host(try) && reply_is_quoted(try->reply))
		why = format(scratch, "%s answered%s%s", shown_host(try),
		    try->line.n ? ", asked by line " : "",
		    text_safe(try->line));
	else if (*shown_host(try))
		why = format(scratch, "with %s%s%s", shown_host(try),
		    try->line.n ? ", by line " : "", text_safe(try->line));
	else
		why = format(scratch, "no host was reached%s%s",
		    try->cause.n ? ": " : "",
		    text_safe(cause_word(try->cause)));
	add(chain, json_time(try->at), shown_result(try->result),
	    json_string(why), json_text(try->reply));
	add_rule(chain, try, scratch);
}

/* What it waits for, and the command or setting that would end the wait. */
struct prospect {
	const char *what, *change; /* change: command without the id, or NULL */
};

static struct prospect prospect_of(const struct view *view)
{
	if (view->off && strncmp(view->off, "check:", 6) == 0)
		return (struct prospect){
			"its line group must pass its checks (require-check) "
			"and fails, or was not checked yet; sent when it "
			"passes: at the next reload, start or day",
			NULL
		};
	if (view->off && *view->off)
		return (struct prospect){
			"outbound is off for its line or destination", NULL
		};
	if (view->off)
		return (struct prospect){ "outbound is off: nothing is sent",
			"outpost outbound on" };
	switch (view->item->state) {
	case STATE_ACTIVE:
		return (struct prospect){ "a line is delivering it", NULL };
	case STATE_HELD:
		return (struct prospect){
			view->next_try_s ? "held; sent when the hold ends"
					 : "held; stays until it is released",
			"outpost queue release"
		};
	case STATE_SUSPENDED:
		return (struct prospect){
			"quarantined: its line died too often; stays until "
			"it is released or bounced",
			"outpost queue release"
		};
	case STATE_REPORTING:
		return (struct prospect){
			"final; the report to the sender is being made", NULL
		};
	case STATE_UNCERTAIN:
		return (struct prospect){
			"tried again: the last attempt may have delivered it",
			"outpost queue retry"
		};
	case STATE_DEFERRED:
		return (
		    struct prospect){ "tried again", "outpost queue retry" };
	default:
		break;
	}
	return (struct prospect){
		"due: sent as soon as its destination takes mail and a line is "
		"free",
		NULL
	};
}

/* The command that would end the wait; null when there is none. */
static json_t *change_of(const struct view *view,
    const struct prospect *prospect, struct buf *scratch)
{
	bool takes_id = prospect->change &&
			strncmp(prospect->change, "outpost queue", 13) == 0;
	struct span name = span_of(view->off), kind = span_cut(&name, ':');

	if (span_is_equal(kind, SPAN_LITERAL("check")))
		return json_string(format(
		    scratch, "outpost dnscheck --line %s", text_safe(name)));
	if (name.n > 0)
		return json_string(
		    format(scratch, "outpost outbound on --%s %s",
			text_safe(kind), text_safe(name)));
	if (!prospect->change)
		return json_null();
	return json_string(format(scratch, "%s%s%s", prospect->change,
	    takes_id ? " " : "", takes_id ? id_text(view->item->message) : ""));
}

static json_t *next_of(
    struct tool *tool, const struct view *view, struct buf *scratch)
{
	struct prospect prospect = prospect_of(view);
	json_t *when = view->next_try_s > tool->now_s
			   ? json_time(view->next_try_s)
			   : json_null();

	return json_pack("{ss so so so}", "what", prospect.what, "when", when,
	    "change", change_of(view, &prospect, scratch), "gives_up",
	    json_time(view->expires_s));
}

static json_t *story_of(
    struct tool *tool, const struct shown_message *m, const struct item *item)
{
	struct view view = view_of(tool, item);
	json_t *story = view_to_json(&view), *chain = json_array();
	struct buf scratch;

	buf_init(&scratch, 65536);
	add_accepted(chain, m, &scratch);
	for (const struct shown_try *t = m->tries; t; t = t->next)
		if (shown_item_of(m, t) == item)
			add_try(chain, t, &scratch);
	json_object_set_new(story, "chain", chain);
	json_object_set_new(story, "next", next_of(tool, &view, &scratch));
	buf_clear(&scratch);
	return story;
}

/* --- for people ----------------------------------------------------------- */

static const char *string_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text_safe(span_of(text)) : "";
}

static void print_step(const json_t *step)
{
	printf("  %-20s %s: %s\n", string_of(step, "when"),
	    string_of(step, "what"), string_of(step, "why"));
	if (*string_of(step, "from"))
		printf("  %-20s   \"%s\"\n", "", string_of(step, "from"));
}

static void print_next(
    struct tool *tool, const struct view *view, const json_t *next)
{
	const char *when = string_of(next, "when");

	printf("  %-20s %s%s%s%s\n", *when ? when : "now",
	    string_of(next, "what"), *when ? " (" : "",
	    *when ? view_next(view, tool->now_s) : "", *when ? ")" : "");
	if (view->item->state != STATE_REPORTING)
		printf("  %-20s given up then, with a report to the sender\n",
		    string_of(next, "gives_up"));
	if (*string_of(next, "change"))
		printf("  %-20s %s\n",
		    "to change this:", string_of(next, "change"));
}

static void print_story(
    struct tool *tool, const struct item *item, const json_t *story)
{
	struct view view = view_of(tool, item);
	const json_t *step;
	size_t i;

	printf("%s from %s to %s: %s%s%s\n", string_of(story, "id"),
	    item->sender.n ? string_of(story, "sender") : "<>",
	    string_of(story, "recipient"), view.state, *view.cause ? ", " : "",
	    text_safe(span_of(view.cause)));
	json_array_foreach(json_object_get(story, "chain"), i, step)
	    print_step(step);
	print_next(tool, &view, json_object_get(story, "next"));
}

int tool_explain(struct tool *tool)
{
	struct shown_message message;
	struct outcome why;
	int status = 0;

	if (shown_load(tool, &message, &why) < 0)
		status = tool_fail("explain", &why);
	for (struct shown_item *i = status ? NULL : message.items; i;
	     i = i->next) {
		json_t *story = story_of(tool, &message, &i->item);

		if (tool->options.is_json) {
			json_line(story);
			continue;
		}
		print_story(tool, &i->item, story);
		json_decref(story);
	}
	shown_clear(&message);
	return status;
}
