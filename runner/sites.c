/* Sites and limits as JSON. */
#include "runner/sites.h"

#include "common/date.h"

#include <jansson.h>
#include <stdio.h>

enum { MEMBERS_SHOWN = 20 };

bool sites_matches(const struct site *site, struct span name)
{
	const struct destination *d;
	struct span rest = span_of(site->name);

	if (span_is_equal_nocase(rest, name))
		return true;
	while (rest.n > 0)
		if (span_is_equal_nocase(span_cut(&rest, ','), name))
			return true;
	LIST_FOREACH(d, &site->members, of_site)
	if (span_is_equal_nocase(span_of(d->name), name))
		return true;
	return false;
}

static json_t *time_of(uint64_t at, uint64_t now, uint64_t utc_ms)
{
	char text[DATE_RFC3339_BYTES];

	if (at == 0 || at == UINT64_MAX)
		return json_null();
	date_print_rfc3339((int64_t)((utc_ms + at - now) / 1000), text);
	return json_string(text);
}

/* "540/m", whole minutes where that says it well enough. */
static void print_pace(uint64_t an_hour, char text[32])
{
	if (an_hour >= 6000)
		snprintf(text, 32, "%llu/m", (unsigned long long)an_hour / 60);
	else
		snprintf(text, 32, "%llu/h", (unsigned long long)an_hour);
}

/* The block that would make what was found a rule. */
static json_t *pin_of(const struct site *site)
{
	const struct learned *l = &site->learned;
	struct span rest = span_of(site->name);
	struct span host = span_cut(&rest, ',');
	char pace[32];
	struct buf text;
	json_t *pin;

	if (l->ceiling == 0 && l->messages == 0 && l->pace == 0)
		return json_null();
	buf_init(&text, 1024);
	buf_printf(&text, "destination \"%.*s\" {", (int)host.n, host.p);
	if (l->ceiling > 0)
		buf_printf(&text, " connections = %u", l->ceiling);
	if (l->messages > 0)
		buf_printf(&text, " messages-per-connection = %u", l->messages);
	if (l->pace > 0) {
		print_pace(l->pace, pace);
		buf_printf(&text, " rate = \"%s\"", pace);
	}
	buf_puts(&text, " }");
	pin = json_string(buf_text(&text));
	buf_clear(&text);
	return pin;
}

static json_t *members_of(const struct site *site)
{
	json_t *array = json_array();
	const struct destination *d;
	unsigned n = 0;

	LIST_FOREACH(d, &site->members, of_site)
	if (n++ < MEMBERS_SHOWN)
		json_array_append_new(array, json_string(d->name));
	return array;
}

json_t *sites_object(const struct site *site, uint64_t now, uint64_t utc_ms)
{
	const struct learned *l = &site->learned;
	const struct gate *gate = &site->gate;
	char pace[32] = "";

	if (l->pace > 0)
		print_pace(l->pace, pace);
	return json_pack(
	    "{s:s, s:I, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, "
	    "s:I, s:o, s:s, s:s*, s:I, s:I, s:I, s:o}",
	    "site", site->name, "destinations_count",
	    (json_int_t)site->nmembers, "destinations", members_of(site),
	    "state", site->leader ? "suspended" : "up", "connections",
	    (json_int_t)gate->nsessions, "connections_max",
	    (json_int_t)gate->sessions_max, "in_flight",
	    (json_int_t)gate->in_flight, "connections_found",
	    (json_int_t)l->ceiling, "messages_per_connection_found",
	    (json_int_t)learned_messages(l, now), "rate_found", pace,
	    "refused_connections", (json_int_t)l->nrefused,
	    "closed_connections", (json_int_t)l->ncut, "rate_replies",
	    (json_int_t)l->nrate, "last_pushback",
	    time_of(l->pushed_at, now, utc_ms), "reply", l->reply, "from",
	    gate->limits.from, "configured_connections",
	    (json_int_t)gate->limits.connections, "configured_rate_events",
	    (json_int_t)gate->limits.rate.events, "configured_rate_seconds",
	    (json_int_t)gate->limits.rate.per_seconds, "pin", pin_of(site));
}

json_t *sites_limited(const struct schedule_counts *counts)
{
	json_t *object = json_object();

	for (int i = LIMIT_NONE + 1; object && i < LIMIT_COUNT; i++)
		if (counts->limited[i] > 0)
			json_object_set_new(object,
			    limit_name((enum limit_kind)i),
			    json_integer((json_int_t)counts->limited[i]));
	return object;
}

json_t *sites_why(
    struct schedule *s, const struct delivery *d, uint64_t now, uint64_t utc_ms)
{
	struct waits_for w;

	schedule_why(s, now, d, &w);
	return json_pack("{s:s, s:s, s:s*, s:s*, s:o, s:I, s:I, s:I, s:s*}",
	    "cause", limit_name(w.kind), "scope", scope_name(w.scope), "name",
	    w.name, "from", w.from, "until", time_of(w.until, now, utc_ms),
	    "now", (json_int_t)w.now, "max", (json_int_t)w.max, "per_seconds",
	    (json_int_t)w.per_seconds, "why", w.why ? w.why->detail : NULL);
}
