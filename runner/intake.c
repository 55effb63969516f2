/* Credit and pages. */
#include "runner/intake.h"

void intake_init(struct intake *in, size_t window)
{
	*in = (struct intake){
		.window = window, .due_at = UINT64_MAX, .sweep_at = UINT64_MAX
	};
}

void intake_start(struct intake *in, uint64_t now)
{
	intake_init(in, in->window);
	in->has_more = true;
	in->sweep_at = now + SWEEP_MS;
}

static bool has_room(const struct intake *in, size_t in_memory)
{
	return in_memory * 4 < in->window * 3;
}

static void ask(struct intake *in, uint64_t now, struct due_query *query)
{
	in->is_reading = true;
	in->read_at = now;
	*query = (struct due_query){
		.after_due_ms = in->at.due_ms,
		.after_message = in->at.message,
		.after_delivery = in->at.delivery,
		.until_ms = now,
		.max = PAGE_MAX,
	};
}

/* Where the main reading goes on; false: nothing to read. */
static bool choose_place(struct intake *in, uint64_t now)
{
	if (now >= in->sweep_at) {
		in->sweep_at = now + SWEEP_MS;
		in->cursor = (struct due_key){ 0 };
		in->due_at = UINT64_MAX;
		in->is_wanted = false;
		return true;
	}
	if (in->has_more)
		return true;
	if (!in->is_wanted && now < in->due_at)
		return false;
	if (now < in->read_at + READ_PAUSE_MS)
		return false;
	in->is_wanted = false;
	in->due_at = UINT64_MAX;
	in->cursor =
	    (struct due_key){ .due_ms = in->cursor.due_ms > MARGIN_MS
					    ? in->cursor.due_ms - MARGIN_MS
					    : 0 };
	return true;
}

/* The clock was set back: pauses are not for as long as that, and what comes
 * due now lies before where reading had come to. */
static void check_clock(struct intake *in, uint64_t now)
{
	uint64_t seen_at = in->seen_at;

	in->seen_at = now;
	if (now >= seen_at)
		return;
	if (in->read_at > now)
		in->read_at = now > READ_PAUSE_MS ? now - READ_PAUSE_MS : 0;
	if (in->sweep_at > now + SWEEP_MS)
		in->sweep_at = now + SWEEP_MS;
	if (in->cursor.due_ms > now)
		in->cursor = (struct due_key){ .due_ms = now };
}

bool intake_read(struct intake *in, uint64_t now, size_t in_memory,
    struct schedule *s, struct due_query *query)
{
	check_clock(in, now);
	if (schedule_reread(s))
		in->sweep_at = 0;
	if (in->is_reading)
		return false;
	if (in->is_refill) {
		if (!schedule_refill_more(s))
			in->is_refill = false;
		else {
			ask(in, now, query);
			return true;
		}
	}
	if (schedule_refill(s, &in->at)) {
		in->is_refill = true;
		ask(in, now, query);
		return true;
	}
	if (!has_room(in, in_memory) || !choose_place(in, now))
		return false;
	in->at = in->cursor;
	ask(in, now, query);
	return true;
}

void intake_waiting(struct intake *in, const struct waiting *w, bool is_new)
{
	if (is_new) {
		if (in->credit > 0)
			in->credit--;
		return;
	}
	in->at = (struct due_key){ w->due_ms, w->message, w->delivery };
}

void intake_end(struct intake *in, uint64_t next_due_ms, bool has_more)
{
	in->is_reading = false;
	if (in->is_refill) {
		in->is_refill = has_more;
		return;
	}
	in->cursor = in->at;
	if (in->cursor.due_ms > in->seen_at) /* set back while it was read */
		in->cursor = (struct due_key){ .due_ms = in->seen_at };
	in->has_more = has_more;
	if (next_due_ms > 0)
		intake_due_at(in, next_due_ms);
}

void intake_want(struct intake *in)
{
	in->is_wanted = true;
}

void intake_sweep_now(struct intake *in)
{
	in->sweep_at = 0;
}

void intake_sweep_soon(struct intake *in, uint64_t now)
{
	if (in->sweep_at > now + SWEEP_SOON_MS)
		in->sweep_at = now + SWEEP_SOON_MS;
}

void intake_due_at(struct intake *in, uint64_t at)
{
	if (at < in->due_at)
		in->due_at = at;
}

/* Half of what is free, topped up when half of that is used. */
uint32_t intake_grant(struct intake *in, size_t in_memory)
{
	size_t room = in->window > in_memory ? in->window - in_memory : 0;
	size_t target = room / 2;
	uint32_t more;

	if (target < 1 || in->credit >= target / 2 + 1)
		return 0;
	more = (uint32_t)target - in->credit;
	in->credit = (uint32_t)target;
	return more;
}

uint64_t intake_wake(const struct intake *in, size_t in_memory)
{
	uint64_t at = in->is_wanted ? 0 : in->due_at;

	if (in->is_reading || !has_room(in, in_memory))
		return UINT64_MAX; /* an event will come */
	if (at < in->read_at + READ_PAUSE_MS)
		at = in->read_at + READ_PAUSE_MS;
	return at < in->sweep_at ? at : in->sweep_at;
}
