/* outpost queue list, and mailq: the deliveries. */
#include "queue/tool_item.h"

#include "common/id.h"
#include "queue/tool_source.h"
#include "queue/tool_text.h"

#include <stdio.h>
#include <time.h>

struct listing {
	struct tool *tool;
	uint64_t count;
	uint64_t last_message, messages, bytes; /* mailq */
};

static const char *sender_text(const struct item *item)
{
	return item->sender.n ? text_safe(item->sender) : "<>";
}

/* The recipient's domain is the destination nearly always. */
static bool has_other_destination(const struct item *item)
{
	const char *at = item->address.n
			     ? memrchr(item->address.p, '@', item->address.n)
			     : NULL;
	struct span domain;

	if (!at || item->domain.n == 0)
		return item->domain.n > 0;
	domain = span_from(item->address, (size_t)(at - item->address.p) + 1);
	return !span_is_equal_nocase(domain, item->domain);
}

/* "held" and "suspended" need no word more. */
static bool has_news(const struct view *view)
{
	return *view->cause && view->item->state != STATE_HELD &&
	       view->item->state != STATE_SUSPENDED;
}

static void print_reply(const struct view *view)
{
	const struct item *item = view->item;

	if (item->reply.n == 0 && !has_news(view) && item->line.n == 0 &&
	    !has_other_destination(item))
		return;
	printf("%14s", "");
	if (has_other_destination(item))
		printf("to %s ", text_safe(item->domain));
	if (item->line.n > 0)
		printf("on %s ", text_safe(item->line));
	if (has_news(view))
		printf("%s%s", text_safe(span_of(view->cause)),
		    item->reply.n ? ": " : "");
	puts(text_safe(item->reply));
}

static void print_heading(void)
{
	printf("%-13s %4s %5s %-9s %5s %-8s %-28s %s\n", "ID", "AGE", "SIZE",
	    "STATE", "TRIES", "NEXT", "SENDER", "RECIPIENT");
}

static void print_view(struct tool *tool, const struct view *view)
{
	const struct item *item = view->item;
	uint64_t now = tool->now_s;
	char age[TOOL_SHORT_MAX], size[TOOL_SHORT_MAX];

	text_span_of_time(
	    now > item->accepted_at ? now - item->accepted_at : 0, age);
	text_size(item->size_bytes, size);
	printf("%-13s %4s %5s %-9s %5u %-8s %-28s %s\n", id_text(item->message),
	    age, size, view->state, item->attempts, view_next(view, now),
	    sender_text(item), text_safe(item->address));
	print_reply(view);
}

static bool list_item(const struct item *item, void *arg)
{
	struct listing *listing = arg;
	struct view view = view_of(listing->tool, item);

	if (listing->tool->options.is_json) {
		json_line(view_to_json(&view));
	} else {
		if (listing->count == 0)
			print_heading();
		print_view(listing->tool, &view);
	}
	listing->count++;
	return true;
}

static int count(struct tool *tool)
{
	struct outcome why;
	uint64_t n;

	if (source_count(tool->source, &tool->options.filter, &n, &why) < 0)
		return tool_fail("count", &why);
	if (tool->options.is_json)
		json_line(json_pack("{sI}", "count", (json_int_t)n));
	else
		printf("%llu\n", (unsigned long long)n);
	return 0;
}

int tool_list(struct tool *tool)
{
	struct listing listing = { .tool = tool };
	const struct source_visitor visitor = { .item = list_item,
		.arg = &listing };
	struct outcome why;

	if (tool->options.count_only)
		return count(tool);
	if (source_list(tool->source, &tool->options.filter,
		tool->options.limit, &visitor, &why) < 0)
		return tool_fail("list", &why);
	if (listing.count == 0 && !tool->options.is_json)
		puts(tool->options.has_filter ? "Nothing in the queue fits."
					      : "The queue is empty.");
	return 0;
}

/* --- mailq ---------------------------------------------------------------- */

static void mailq_head(const struct item *item)
{
	time_t at = (time_t)item->accepted_at;
	char text[32] = "?", mark = ' ';
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S", &tm);
	if (item->state == STATE_ACTIVE)
		mark = '*';
	else if (item->state == STATE_HELD || item->state == STATE_SUSPENDED)
		mark = '!';
	printf("%s%c %8llu %-19s  %s\n", id_text(item->message), mark,
	    (unsigned long long)item->size_bytes, text, sender_text(item));
}

static bool mailq_item(const struct item *item, void *arg)
{
	struct listing *listing = arg;
	struct view view = view_of(listing->tool, item);

	if (listing->count == 0)
		puts("--Queue ID----- --Size-- ---Arrival Time--- "
		     "--Sender/Recipient------");
	if (item->message != listing->last_message) {
		if (listing->count > 0)
			putchar('\n');
		mailq_head(item);
		listing->last_message = item->message;
		listing->messages++;
		listing->bytes += item->size_bytes;
	}
	if (item->reply.n > 0)
		printf("    (%s)\n", text_safe(item->reply));
	else if (*view.cause)
		printf("    (%s)\n", text_safe(span_of(view.cause)));
	printf("%45s %s\n", "", text_safe(item->address));
	listing->count++;
	return true;
}

int tool_mailq(struct tool *tool)
{
	struct listing listing = { .tool = tool };
	const struct source_visitor visitor = { .item = mailq_item,
		.arg = &listing };
	struct outcome why;

	if (tool->options.is_json || tool->options.count_only)
		return tool_list(tool);
	if (source_list(tool->source, &tool->options.filter,
		tool->options.limit, &visitor, &why) < 0)
		return tool_fail("mailq", &why);
	if (listing.count == 0)
		puts("Mail queue is empty");
	else
		printf("\n-- %llu Kbytes in %llu Request%s.\n",
		    (unsigned long long)((listing.bytes + 1023) / 1024),
		    (unsigned long long)listing.messages,
		    listing.messages == 1 ? "" : "s");
	return 0;
}
