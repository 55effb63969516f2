/* What the configuration allows, told to the schedule: limits of line groups,
 * their addresses and times, of destinations and sites. And what servers say of
 * theirs. */
#include "runner/runner.h"

#include "common/replyrule.h"
#include "common/window.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	PLACE_MAX = 4200,
	SITE_MAX = 2000,
	WINDOWS_LOOK_MS = 60000, /* the clock may be set */
};

static const char *place_text(
    const struct conf_place *place, char text[PLACE_MAX])
{
	if (!place->file)
		return NULL;
	snprintf(text, PLACE_MAX, "%s:%d", place->file, place->line);
	return text;
}

static struct limits limits_of(
    const struct conf_destination *block, char place[PLACE_MAX])
{
	if (!block)
		return (struct limits){ 0 };
	return (struct limits){
		.connections = (unsigned)block->connections,
		.in_flight = (unsigned)block->in_flight,
		.messages = (unsigned)block->messages_per_connection,
		.rate = block->rate,
		.from = place_text(&block->place, place),
	};
}

/* --- line groups -----------------------------------------------------------*/

void limits_group(struct runner *runner, size_t at, int group)
{
	const struct conf_line *line = &runner->conf->lines[at];
	uint64_t now = now_monotonic_ms();
	char place[PLACE_MAX];
	struct limits limits = { .in_flight = (unsigned)line->in_flight,
		.rate = line->rate,
		.from = place_text(&line->place, place) };
	struct limits each = { .connections =
				   (unsigned)line->address_connections,
		.rate = line->address_rate,
		.from = limits.from };

	if (schedule_group_limits(runner->schedule, now, group, &limits) < 0 ||
	    schedule_group_binds(runner->schedule, now, group,
		(const char *const *)line->bind.items, line->bind.count,
		&each) < 0)
		fatal(EXIT_TRY_LATER, "no memory for the lines");
}

static void on_windows(void *arg)
{
	limits_windows(arg);
}

static void set_window(
    struct runner *runner, const struct conf_line *line, size_t group)
{
	uint64_t now = now_monotonic_ms();
	int64_t utc = now_utc(), change = INT64_MAX;
	struct window window;
	struct outcome why;
	bool is_open = true;
	uint64_t until = UINT64_MAX;

	if (line->window &&
	    window_parse(span_of(line->window), &window, &why) == 0) {
		is_open = window_is_open(&window, utc);
		change = window_change(&window, utc);
	}
	if (change != INT64_MAX)
		until = now + (uint64_t)(change - utc) * 1000;
	schedule_group_closed(runner->schedule, (int)group, !is_open, until);
}

/* Looked at each minute, and so when one opens or closes: those are whole
 * minutes of the clock. */
void limits_windows(struct runner *runner)
{
	const struct conf *conf = runner->conf;
	uint64_t utc = runner_utc_ms();
	bool has_windows = false;

	for (size_t i = 0; i < conf->nlines; i++) {
		has_windows |= conf->lines[i].window != NULL;
		set_window(runner, &conf->lines[i], runner->groups[i]);
	}
	if (has_windows)
		loop_timer_set(runner->loop, &runner->windows,
		    now_monotonic_ms() + WINDOWS_LOOK_MS -
			utc % WINDOWS_LOOK_MS,
		    on_windows, runner);
	else
		loop_timer_cancel(runner->loop, &runner->windows);
}

/* --- destinations and sites ------------------------------------------------*/

void limits_destination(
    struct runner *runner, struct destination *d, const struct route *route)
{
	char place[PLACE_MAX];
	struct limits limits = limits_of(route->limits, place);

	schedule_destination_limits(
	    runner->schedule, now_monotonic_ms(), d, &limits);
}

void limits_site(struct runner *runner, struct destination *d)
{
	const struct conf_destination *block;
	struct span names[HOSTS_MAX];
	struct host *hosts;
	struct limits limits;
	struct buf site;
	char place[PLACE_MAX];
	size_t n = 0, nnames = 0;

	buf_init(&site, SITE_MAX);
	if (way_site(d->owned, &site) == 0 &&
	    way_hosts(d->owned, &hosts, &n) == 0) {
		for (; nnames < n && nnames < HOSTS_MAX; nnames++)
			names[nnames] = hosts[nnames].name;
		block = route_site_limits(runner->conf, names, nnames);
		limits = limits_of(block, place);
		schedule_set_site(runner->schedule, now_monotonic_ms(), d,
		    buf_span(&site), &limits);
		free(hosts);
	}
	buf_clear(&site);
}

/* --- what servers say ------------------------------------------------------*/

/* A reply rule knew it, or it says so itself. What is said of one recipient is
 * not said of us. */
static bool speaks_of_rate(const struct rcpt_outcome *o)
{
	static const char *const words[] = { "rate limit", "rate-limit",
		"ratelimit", "rate exceed", "sending rate", "too many mes",
		"too many mail", "too many conn", "throttl", "too fast",
		"too quickly", "slow down" };
	const struct reply_builtin *rule =
	    o->rule >= REPLY_RULE_BUILTIN ? reply_builtin(o->rule) : NULL;
	char text[256];
	size_t n =
	    o->reply.n < sizeof(text) - 1 ? o->reply.n : sizeof(text) - 1;

	if (o->result != RCPT_DEFERRED || o->code < 400 || o->code > 499)
		return false;
	if (rule && strcmp(rule->name, "gmail-rate-recipient") == 0)
		return false;
	if (rule)
		return strstr(rule->name, "rate") != NULL;
	for (size_t i = 0; i < n; i++) {
		char c = o->reply.p[i];

		text[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	text[n] = '\0';
	if (strstr(text, "greylist") || strstr(text, "graylist"))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

bool limits_pushback(
    struct runner *runner, struct delivery *d, const struct result *result)
{
	const struct rcpt_outcome *found = NULL;
	bool is_cut = false;

	if (result->host.n == 0)
		return false;
	for (size_t i = 0; i < result->nrecipients; i++) {
		const struct rcpt_outcome *o = &result->recipients[i];

		if (o->result == RCPT_DELIVERED)
			return false;
		is_cut |= o->result == RCPT_DEFERRED && o->code == 421;
		if (!found && speaks_of_rate(o))
			found = o;
	}
	/* a closed session says it once more, when it is over */
	if (found && !is_cut)
		schedule_pushback(
		    runner->schedule, now_monotonic_ms(), d, found->reply);
	return found || is_cut;
}
