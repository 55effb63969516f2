/* What setup proposes from: each outside address and its name, where one leads
 * back to the other; and port 25. Findings for a program, not for people.
 */
#include "dnscheck/checks.h"
#include "dnscheck/names.h"

static void check_name(struct run *run, void *arg)
{
	const struct place *place = arg;
	struct finding f = { .code = "propose-name",
		.status = FINDING_SKIP,
		.subject = place->external };
	union net_address a;

	if (net_parse(span_of(place->external), 0, &a) == 0) {
		const struct ask_answer *answer =
		    ask_reverse(run->ask, net_bytes(&a));
		const struct ask_record *r = ask_first(answer, ASK_PTR);

		for (; r && f.status != FINDING_OK; r = ask_next(answer, r)) {
			if (!names_is_host(r->name.p) ||
			    names_resolve(run, r->name.p, place->external)
				    .match != NAMES_HAS)
				continue;
			f.status = FINDING_OK;
			f.found = r->name.p;
		}
	}
	run_found(run, place, &f);
}

void propose_plan(struct run *run)
{
	if (run->options->mode != RUN_PROPOSE)
		return;
	for (size_t i = 0; i < run->nplaces; i++)
		if (run->places[i].external[0])
			run_add(run, check_name, &run->places[i]);
}
