/* Matching: all ways through the pattern at once (Thompson's simulation), each
 * step at most once a byte. */
#include "common/pattern_parts.h"

#include <stdlib.h>

/* The steps that wait for the next byte. */
struct waiting_steps {
	uint16_t at[PATTERN_STEPS_MAX];
	size_t n;
};

struct run {
	const struct pattern *pattern;
	struct waiting_steps lists[2];
	uint32_t seen[PATTERN_STEPS_MAX]; /* in which round */
	uint16_t stack[2 * PATTERN_STEPS_MAX];
	uint32_t round;
	bool is_begin, is_end;
};

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	free(pattern->steps);
	free(pattern->sets);
	free(pattern);
}

/* Follow what needs no byte from step `from` on. True: found. */
static bool enter(struct run *run, struct waiting_steps *to, size_t from)
{
	const struct step *steps = run->pattern->steps;
	size_t depth = 0;

	run->stack[depth++] = (uint16_t)from;
	while (depth > 0) {
		uint16_t at = run->stack[--depth];
		const struct step *step = &steps[at];

		if (run->seen[at] == run->round)
			continue;
		run->seen[at] = run->round;
		if (step->kind == STEP_FOUND)
			return true;
		if (step->kind < STEP_BEGIN)
			to->at[to->n++] = at;
		else if (step->kind == STEP_BEGIN ? run->is_begin
			 : step->kind == STEP_END ? run->is_end
						  : false)
			run->stack[depth++] = (uint16_t)(at + 1);
		if (step->kind == STEP_SPLIT)
			run->stack[depth++] = (uint16_t)(at + step->b);
		if (step->kind == STEP_SPLIT || step->kind == STEP_JUMP)
			run->stack[depth++] = (uint16_t)(at + step->a);
	}
	return false;
}

static bool takes(
    const struct pattern *p, const struct step *step, unsigned char c)
{
	if (step->kind == STEP_BYTE)
		return step->value == c;
	return step->kind == STEP_ANY || byte_set_has(&p->sets[step->value], c);
}

/* One byte further. True: found. */
static bool advance(struct run *run, const struct waiting_steps *from,
    struct waiting_steps *to, unsigned char c)
{
	const struct pattern *p = run->pattern;

	to->n = 0;
	run->round++;
	for (size_t i = 0; i < from->n; i++)
		if (takes(p, &p->steps[from->at[i]], c) &&
		    enter(run, to, from->at[i] + 1U))
			return true;
	return !p->is_anchored && enter(run, to, 0);
}

bool pattern_matches(const struct pattern *pattern, struct span text)
{
	struct run run;
	unsigned now = 0;

	run.pattern = pattern;
	run.lists[0].n = 0;
	run.round = 1;
	memset(run.seen, 0, pattern->nsteps * sizeof(run.seen[0]));
	run.is_begin = true;
	run.is_end = text.n == 0;
	if (enter(&run, &run.lists[0], 0))
		return true;
	run.is_begin = false;
	for (size_t i = 0; i < text.n; i++) {
		if (pattern->is_anchored && run.lists[now].n == 0)
			return false;
		run.is_end = i + 1 == text.n;
		if (advance(&run, &run.lists[now], &run.lists[!now],
			pattern_fold((unsigned char)text.p[i])))
			return true;
		now = !now;
	}
	return false;
}
