/* What the runner remembers across restarts, though it has no disk: the keeper
 * keeps it, and tells all of it to a new runner. */
#include "runner/runner.h"

#include "runner/keeper_parts.h"

enum { TELL_MS = 10000 };

static void tell_one(struct span key, struct span value, void *arg)
{
	struct runner *runner = arg;

	buf_reset(&runner->scratch);
	put_span(&runner->scratch, key);
	put_span(&runner->scratch, value);
	wire_send(runner->keeper, MSG_REMEMBER, 0, buf_span(&runner->scratch));
}

void memory_tell(struct runner *runner)
{
	if (runner->keeper)
		schedule_memories(runner->schedule, now_monotonic_ms(),
		    runner_utc_ms(), tell_one, runner);
}

static void on_tell(void *arg)
{
	struct runner *runner = arg;

	memory_tell(runner);
	loop_timer_set(runner->loop, &runner->memory,
	    now_monotonic_ms() + TELL_MS, on_tell, runner);
}

void memory_begin(struct runner *runner)
{
	loop_timer_set(runner->loop, &runner->memory,
	    now_monotonic_ms() + TELL_MS, on_tell, runner);
}

/* Of an older program, perhaps: what does not fit is forgotten. */
void keeper_on_remembered(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct reader r = reader_of(message->payload);
	struct span value;

	(void)wire;
	get_span(&r);
	value = get_span(&r);
	if (!reader_is_done(&r))
		keeper_cut_off(runner, "malformed memory");
	else if (schedule_recall(runner->schedule, now_monotonic_ms(),
		     runner_utc_ms(), value) < 0)
		log_detail("memory-unreadable", NULL);
}
