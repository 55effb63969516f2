/* outpost replies: the refusals of the last days, and what the reply rules as
 * they are configured now would make of them. */
#include "queue/tool_item.h"

#include "common/replyrule.h"
#include "queue/history.h"
#include "queue/tool_text.h"

#include <stdio.h>

struct showing {
	struct tool *tool;
	struct replyrules *rules; /* NULL: list */
	uint64_t shown, examined;
};

struct judged {
	uint8_t action;
	uint32_t after_s;
	struct span rule;
};

/* "suspend 1h", "as it is: tried again". */
static const char *judged_text(
    const struct judged *j, uint16_t code, char *to, size_t size)
{
	char time[TOOL_SHORT_MAX] = "";

	if (j->after_s > 0)
		text_span_of_time(j->after_s, time);
	if (j->action == REPLY_AS_IS)
		snprintf(to, size, "as it is (%s)",
		    code >= 500 ? "final" : "tried again");
	else
		snprintf(to, size, "%s%s%s", reply_action_name(j->action),
		    *time ? " " : "", time);
	return to;
}

static uint16_t code_of(struct span reply)
{
	uint64_t code = 0;

	reply = replyrule_text(reply);
	if (reply.n >= 3)
		(void)span_to_u64((struct span){ reply.p, 3 }, 599, &code);
	return (uint16_t)code;
}

static json_t *judged_to_json(const struct judged *j)
{
	return json_pack("{ss so so}", "action", reply_action_name(j->action),
	    "after_seconds",
	    j->after_s ? json_integer(j->after_s) : json_null(), "rule",
	    json_text(j->rule));
}

static void print_json(const struct stored_reply *x, const struct judged *old,
    const struct judged *new)
{
	json_t *object = json_object();

	json_object_set_new(
	    object, "count", json_integer((json_int_t)x->count));
	json_object_set_new(object, "destination", json_text(x->domain));
	json_object_set_new(object, "stage", json_text(x->stage));
	json_object_set_new(object, "host", json_text(x->host));
	json_object_set_new(object, "reply", json_text(x->reply));
	json_object_set_new(object, "first", json_time(x->first));
	json_object_set_new(object, "last", json_time(x->last));
	json_object_set_new(
	    object, new ? "old" : "verdict", judged_to_json(old));
	if (new)
		json_object_set_new(object, "new", judged_to_json(new));
	json_line(object);
}

static void print_judged(
    const char *name, const struct judged *j, uint16_t code)
{
	char text[64];

	printf("      %-4s %s%s%s\n", name,
	    judged_text(j, code, text, sizeof(text)),
	    j->rule.n ? ", rule " : "", text_safe(j->rule));
}

static void print_text(const struct stored_reply *x, const struct judged *old,
    const struct judged *new)
{
	char time[TOOL_TIME_MAX];
	uint16_t code = code_of(x->reply);

	text_time(x->last, time);
	printf("%5llu %s %s%s%s, last %s\n      %s\n",
	    (unsigned long long)x->count, text_safe(x->domain),
	    x->stage.n ? "to " : "", text_safe(x->stage), x->stage.n ? "" : "?",
	    time, text_safe(x->reply));
	print_judged(new ? "was" : "", old, code);
	if (new)
		print_judged("now", new, code);
}

static bool is_shown(
    const struct showing *showing, const struct stored_reply *x)
{
	struct span wanted = showing->tool->options.filter.destination;

	return wanted.n == 0 || span_is_equal_nocase(wanted, x->domain);
}

static bool is_same(const struct judged *a, const struct judged *b)
{
	return a->action == b->action && a->after_s == b->after_s;
}

static bool visit(const struct stored_reply *x, void *arg)
{
	struct showing *showing = arg;
	const struct tool_options *o = &showing->tool->options;
	struct judged old = { x->action, x->after_s, x->rule }, new;
	char rule[REPLY_RULE_TEXT];

	if (!is_shown(showing, x))
		return true;
	showing->examined += x->count;
	if (showing->rules) {
		struct reply_verdict v = replyrules_find(
		    showing->rules, replyrule_text(x->reply), x->domain);

		replyrule_print(showing->tool->conf, v.rule, rule);
		new = (struct judged){ v.action, v.after_s, span_of(rule) };
		if (is_same(&old, &new))
			return true;
	}
	showing->shown++;
	(o->is_json ? print_json : print_text)(
	    x, &old, showing->rules ? &new : NULL);
	return o->limit == 0 || showing->shown < o->limit;
}

static int show(struct showing *showing, struct outcome *why)
{
	struct history *h = history_open_read(showing->tool->conf->spool, why);
	int status = h ? history_replies(h, visit, showing, why) : -1;

	history_close(h);
	return status;
}

int tool_replies(struct tool *tool)
{
	struct showing showing = { .tool = tool };
	bool is_test = strcmp(tool->options.word, "test") == 0;
	struct outcome why;
	int status;

	if (is_test)
		showing.rules = replyrules_new(tool->conf, &why);
	if (is_test && !showing.rules)
		return tool_fail("replies", &why);
	status = show(&showing, &why);
	replyrules_free(showing.rules);
	if (status < 0)
		return tool_fail("replies", &why);
	if (is_test && !tool->options.is_json)
		printf("%llu verdicts would change (%llu refusals were looked "
		       "at)\n",
		    (unsigned long long)showing.shown,
		    (unsigned long long)showing.examined);
	return 0;
}
