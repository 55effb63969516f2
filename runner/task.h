/* What the runner has begun with the keeper: one task a claim, from the claim
 * to the record. Its id travels in the messages and is checked when it comes
 * back: an id that was never given, or is over, finds nothing. */
#ifndef RUNNER_TASK_H
#define RUNNER_TASK_H

#include "runner/schedule.h"
#include "runner/settle.h"

enum task_kind { TASK_DELIVER, TASK_REFUSE, TASK_REPORT };
enum task_state {
	TASK_CLAIMING,	 /* until MSG_JOB or MSG_GONE */
	TASK_AT_LINE,	 /* until MSG_RESULT */
	TASK_RECORDING,	 /* until MSG_RECORDED */
	TASK_SUBMITTING, /* a report, until MSG_ACCEPTED or MSG_REFUSED */
};

struct task {
	LIST_ENTRY(task) of_line; /* AT_LINE, CLAIMING for a line */
	uint64_t id;
	uint8_t kind, state;
	bool is_free, has_report;
	uint8_t origin;
	bool has_sender;
	uint16_t nrecipients;
	struct delivery *delivery; /* the schedule's */
	struct line *line;	   /* NULL: none, or it is gone */
	uint64_t session;
	uint64_t given_ms;
	struct settle_recipient *recipients; /* owned, with its texts */
	uint32_t next_free;
};

struct tasks {
	struct task **slots;
	uint32_t nslots, room, first_free; /* slot + 1; 0: none */
	size_t count;
};

struct task *task_new(struct tasks *tasks, uint8_t kind, struct delivery *d);
struct task *task_find(const struct tasks *tasks, uint64_t id);
void task_end(struct tasks *tasks, struct task *task);
/* All of them, and the memory. */
void tasks_clear(struct tasks *tasks);

/* Keep what the decision about a result will need of the job. */
int task_keep_job(struct task *task, const struct job *job);

#endif
