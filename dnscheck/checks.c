/* The plans, and what checks have in common. */
#include "dnscheck/checks.h"

#include <stdio.h>

void checks_plan(struct run *run)
{
	static void (*const plans[])(struct run *) = { node_plan, resolver_plan,
		address_plan, reverse_plan, name_plan, port25_plan, relay_plan,
		server_plan, to_plan, propose_plan, domain_plan, list_plan };

	for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++)
		plans[i](run);
}

bool checks_has(enum run_mode mode)
{
	static const bool is_there[] = { [RUN_NODE] = true,
		[RUN_DOMAIN] = true,
		[RUN_TO] = true,
		[RUN_SERVER] = true,
		[RUN_RELAY] = true,
		[RUN_PROPOSE] = true,
		[RUN_SPF] = true };

	return mode < sizeof(is_there) / sizeof(*is_there) && is_there[mode];
}

void run_found(
    struct run *run, const struct place *place, const struct finding *finding)
{
	struct finding f = *finding;

	f.node = run->conf->node;
	if (place) {
		f.line = place->line;
		f.address = place_address(place);
	}
	findings_add(&run->findings, &f);
}

const char *run_where(struct run *run, const struct conf_place *place)
{
	const char *file =
	    run->conf->file[0] ? run->conf->file : "/etc/outpost/outpost.conf";

	if (place && place->file && place->file[0] && place->line > 0)
		return finding_text(
		    &run->findings, "%s:%d", place->file, place->line);
	return finding_text(&run->findings, "%s", file);
}

const char *run_localname_setting(struct run *run, const struct place *place)
{
	if (place->conf->localname)
		return finding_text(&run->findings,
		    "localname in line \"%s\" (%s)", place->line,
		    run_where(run, &place->conf->place));
	return finding_text(
	    &run->findings, "localname in %s", run_where(run, NULL));
}
