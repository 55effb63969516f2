/* The lines: the spawner that forks them, a connection to each, what each is
 * doing. */
#ifndef RUNNER_LINES_H
#define RUNNER_LINES_H

#include "runner/runner.h"

void spawner_connect(struct runner *runner, int fd);

/* A peer for each line of the schedule that has none. 0, or -1 without memory.
 */
int lines_new(struct runner *runner);
void lines_free(struct runner *runner);

/* Decisions. */
void line_start(struct runner *runner, struct line *line);
void line_session(
    struct runner *runner, struct line *line, struct destination *d);
void line_session_end(struct line *line);
/* As soon as it has no job any more. */
void line_close(struct line *line);

/* A claim for the line is under way; it came to nothing. */
void line_expects(struct line *line, struct task *task);
void line_expects_not(struct task *task);
/* The job of such a claim, payload and descriptor as the keeper sent them.
 * False: the session it was for is over; nothing was done. */
bool line_deliver(struct task *task, struct message *message);

/* The keeper is gone: what the lines hold is nobody's any more. */
void lines_forget_tasks(struct runner *runner);
/* Close all of them: what they still hold is uncertain. */
void lines_close(struct runner *runner);

/* "default/3". */
const char *line_name(const struct line *line);
void line_describe(const struct line *line, struct line_info *info);

#endif
