/* One recipient in the queue as the tool shows it. */
#include "queue/tool_item.h"

#include "common/cause.h"
#include "common/id.h"
#include "queue/tool_text.h"

#include <stdio.h>

static const char *cause_text(struct span cause)
{
	static char word[64];

	cause = cause_word(cause);
	snprintf(word, sizeof(word), "%.*s", (int)cause.n, cause.p);
	return word;
}

static const char *cause_of(const struct item *item, const char *off)
{
	switch (item->state) {
	case STATE_HELD:
		return "hold";
	case STATE_SUSPENDED:
		return "suspended";
	case STATE_ACTIVE:
	case STATE_REPORTING:
		return "";
	default:
		break;
	}
	if (off && strncmp(off, "check:", 6) == 0)
		return "check-failed";
	if (off)
		return "outbound-off";
	if (item->cause.n > 0)
		return cause_text(item->cause);
	return item->state == STATE_DEFERRED ? "retry" : "";
}

/* It would go now, if it may. */
static bool is_due(const struct tool *tool, const struct item *item)
{
	return item->state == STATE_READY ||
	       ((item->state == STATE_DEFERRED ||
		    item->state == STATE_UNCERTAIN) &&
		   item->next_try_ms / 1000 <= tool->now_s);
}

struct view view_of(struct tool *tool, const struct item *item)
{
	struct view view = { .item = item,
		.state = delivery_state_name(item->state),
		.expires_s = item->expires_at };

	if (is_due(tool, item))
		view.off = tool_off_scope(tool, item);
	view.cause = cause_of(item, view.off);
	if (item->next_try_ms != UINT64_MAX && item->state != STATE_ACTIVE)
		view.next_try_s = item->next_try_ms / 1000;
	if (view.expires_s == 0)
		view.expires_s =
		    item->accepted_at + tool->conf->retry.lifetime_s;
	return view;
}

json_t *json_text(struct span text)
{
	struct buf clean;
	json_t *string;

	if (text.n == 0)
		return json_null();
	buf_init(&clean, text.n * 3 + 1);
	text_put_utf8(&clean, text);
	string = json_stringn(clean.data, clean.len);
	buf_clear(&clean);
	return string ? string : json_null();
}

json_t *json_time(uint64_t utc_s)
{
	char text[TOOL_TIME_MAX];

	if (utc_s == 0)
		return json_null();
	text_time(utc_s, text);
	return json_string(text);
}

static void set(json_t *object, const char *name, json_t *value)
{
	json_object_set_new(object, name, value);
}

json_t *view_to_json(const struct view *view)
{
	const struct item *item = view->item;
	json_t *object = json_object();

	set(object, "id", json_string(id_text(item->message)));
	set(object, "state", json_string(view->state));
	set(object, "sender",
	    item->sender.n ? json_text(item->sender) : json_string(""));
	set(object, "recipient", json_text(item->address));
	set(object, "destination", json_text(item->domain));
	set(object, "line", json_text(item->line));
	set(object, "size_bytes", json_integer((json_int_t)item->size_bytes));
	set(object, "accepted", json_time(item->accepted_at));
	set(object, "attempts", json_integer(item->attempts));
	set(object, "next_try", json_time(view->next_try_s));
	set(object, "expires", json_time(view->expires_s));
	set(object, "reply", json_text(item->reply));
	set(object, "status", json_text(item->status));
	set(object, "cause", json_text(span_of(view->cause)));
	set(object, "uncertain", json_integer(item->uncertain));
	return object;
}

void json_line(json_t *object)
{
	/* ASCII: no byte of it means anything to a terminal */
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(object);
}

const char *view_next(const struct view *view, uint64_t now_s)
{
	static char text[TOOL_SHORT_MAX];

	if (view->item->state == STATE_ACTIVE)
		return "-";
	if (view->next_try_s == 0)
		return view->item->state == STATE_HELD ? "held" : "-";
	text_until(view->next_try_s, now_s, text);
	return text;
}
