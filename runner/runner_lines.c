/* A line group's number of lines, changed by an operator: until the next
 * reload, or start of the runner, which go by the configuration. */
#include "runner/runner.h"

#include "runner/lines.h"

bool runner_set_lines(struct runner *runner, struct span group, uint32_t count)
{
	const struct conf *conf = runner->conf;

	for (size_t i = 0; i < conf->nlines; i++) {
		const struct conf_line *line = &conf->lines[i];

		if (!span_is_equal(group, span_of(line->name)))
			continue;
		/* those that are too many end after what they have in hand */
		return schedule_add_group(runner->schedule, line->name, count,
			   (unsigned)line->messages_per_connection) >= 0 &&
		       lines_new(runner) == 0;
	}
	return false;
}
