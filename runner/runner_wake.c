/* Waking what waited for a destination: its mail is retried by the keeper, a
 * page at a time, one destination and cause after the other. */
#include "runner/keeper_parts.h"

#include <stdlib.h>

enum { WAKES_MAX = 1000, WAKE_PAGE = 1000 };

/* Mail of one destination to be retried, for one cause. */
struct wake {
	TAILQ_ENTRY(wake) entry;
	const char *cause;
	char domain[]; /* "": of any */
};

static const char *const wake_causes[] = { "connect", "suspended", "dns" };

static void ask_wake(struct runner *runner)
{
	const struct wake *wake = TAILQ_FIRST(&runner->wakes);
	struct change change = { .action = CHANGE_RETRY,
		.after = runner->waking,
		.max = WAKE_PAGE,
		.filter = { .state = STATE_DEFERRED, .uid = UINT32_MAX } };

	if (!wake || runner->is_waking)
		return;
	change.filter.destination = span_of(wake->domain);
	change.filter.cause = span_of(wake->cause);
	buf_reset(&runner->scratch);
	change_put(&runner->scratch, &change);
	wire_send(runner->keeper, MSG_CHANGE, 0, buf_span(&runner->scratch));
	runner->is_waking = true;
}

static void drop_wake(struct runner *runner)
{
	struct wake *wake = TAILQ_FIRST(&runner->wakes);

	TAILQ_REMOVE(&runner->wakes, wake, entry);
	runner->nwakes--;
	free(wake);
	runner->waking = (struct cursor){ 0 };
}

/* Each costs the keeper a walk through its index: none twice, but for the one
 * that is under way, and not without end. */
static bool is_wake_waiting(
    const struct runner *runner, const char *domain, const char *cause)
{
	const struct wake *wake = TAILQ_FIRST(&runner->wakes);

	while (wake && (wake = TAILQ_NEXT(wake, entry)))
		if (wake->cause == cause && strcmp(wake->domain, domain) == 0)
			return true;
	return false;
}

static void add_wake(
    struct runner *runner, const char *domain, const char *cause)
{
	struct wake *wake;

	if (is_wake_waiting(runner, domain, cause))
		return;
	wake = runner->nwakes < WAKES_MAX
		   ? malloc(sizeof(*wake) + strlen(domain) + 1)
		   : NULL;
	if (!wake)
		return; /* its mail comes at its own time then */
	wake->cause = cause;
	memcpy(wake->domain, domain, strlen(domain) + 1);
	TAILQ_INSERT_TAIL(&runner->wakes, wake, entry);
	runner->nwakes++;
}

void keeper_wake(struct runner *runner, const struct destination *d)
{
	const struct way *way = d->owned;

	log_event("destination-up", "destination", d->name, NULL);
	for (size_t i = 0; i < sizeof(wake_causes) / sizeof(*wake_causes); i++)
		add_wake(
		    runner, way->domain ? way->domain : "", wake_causes[i]);
	ask_wake(runner);
}

void keeper_on_change_done(
    struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct reader r = reader_of(message->payload);
	bool has_more;

	(void)wire;
	get_u32(&r);
	cursor_get(&r, &runner->waking);
	has_more = get_u8(&r);
	if (!reader_is_done(&r) || !runner->is_waking) {
		keeper_cut_off(runner, "malformed answer to a change");
		return;
	}
	runner->is_waking = false;
	if (!has_more)
		drop_wake(runner);
	ask_wake(runner);
}

void keeper_on_failed(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;

	(void)wire;
	if (message->id & TLSRPT_ID)
		tlsrpt_on_failed(runner, message->id);
	if (message->id & TLSRPT_ID || !runner->is_waking)
		return;
	runner->is_waking = false;
	drop_wake(runner);
	ask_wake(runner);
}

void keeper_drop_wakes(struct runner *runner)
{
	while (!TAILQ_EMPTY(&runner->wakes))
		drop_wake(runner);
	runner->is_waking = false;
}
