/* Which sessions are logged in detail. */
#include "runner/detail.h"

#include "common/address.h"

#include <stdlib.h>

static void forget(struct details *d, size_t i)
{
	free(d->items[i].scope);
	d->items[i] = d->items[--d->n];
}

static void forget_old(struct details *d, uint64_t now_ms)
{
	for (size_t i = d->n; i-- > 0;)
		if (d->items[i].until_ms <= now_ms)
			forget(d, i);
}

static bool is_scope(struct span scope)
{
	struct span name = scope, kind = span_cut(&name, ':');

	return name.n > 0 && scope.n <= DETAIL_SCOPE_MAX &&
	       !span_has_line_breaks(name) &&
	       (span_is_equal(kind, SPAN_LITERAL("line")) ||
		   span_is_equal(kind, SPAN_LITERAL("destination")));
}

bool details_set(struct details *d, struct span scope, bool is_detailed,
    uint64_t until_ms, uint64_t now_ms)
{
	char *copy;

	if (!is_scope(scope))
		return false;
	forget_old(d, now_ms);
	for (size_t i = d->n; i-- > 0;)
		if (span_is_equal_nocase(span_of(d->items[i].scope), scope))
			forget(d, i);
	if (!is_detailed)
		return true;
	copy = d->n < DETAILS_MAX ? span_dup(scope) : NULL;
	if (!copy)
		return false;
	d->items[d->n].scope = copy;
	d->items[d->n++].until_ms = until_ms;
	return true;
}

/* All that a route block matches shares one destination. */
static bool is_on_route(struct span destination, struct span domain)
{
	char pattern[DETAIL_SCOPE_MAX];

	if (!span_has_prefix_nocase(destination, "route:") ||
	    destination.n >= sizeof(pattern))
		return false;
	destination = span_from(destination, 6);
	memcpy(pattern, destination.p, destination.n);
	pattern[destination.n] = '\0';
	return domain_matches(pattern, domain);
}

static bool is_meant(
    const char *scope, const char *group, const char *destination)
{
	struct span name = span_of(scope), kind = span_cut(&name, ':');

	struct span to = span_of(destination), first = span_cut(&to, ' ');

	if (span_is_equal(kind, SPAN_LITERAL("line")))
		return span_is_equal(name, span_of(group));
	/* " tls=..." may stand behind it */
	return span_is_equal_nocase(name, first) || is_on_route(first, name);
}

bool details_has(const struct details *d, const char *group,
    const char *destination, uint64_t now_ms)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->items[i].until_ms > now_ms &&
		    is_meant(d->items[i].scope, group, destination))
			return true;
	return false;
}

void details_clear(struct details *d)
{
	while (d->n > 0)
		forget(d, 0);
}
