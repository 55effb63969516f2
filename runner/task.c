/* One task a claim. */
#include "runner/task.h"

#include <stdlib.h>

/* id: how often the slot was used (from 1), and the slot. */
static uint32_t slot_of(uint64_t id)
{
	return (uint32_t)id;
}

static int grow(struct tasks *tasks)
{
	uint32_t room = tasks->room ? tasks->room * 2 : 64;
	struct task **grown =
	    reallocarray(tasks->slots, room, sizeof(struct task *));

	if (!grown)
		return -1;
	tasks->slots = grown;
	tasks->room = room;
	return 0;
}

static struct task *take_slot(struct tasks *tasks)
{
	struct task *task;

	if (tasks->first_free > 0) {
		task = tasks->slots[tasks->first_free - 1];
		tasks->first_free = task->next_free;
		return task;
	}
	if (tasks->nslots == tasks->room && grow(tasks) < 0)
		return NULL;
	task = calloc(1, sizeof(*task));
	if (!task)
		return NULL;
	task->id = tasks->nslots;
	tasks->slots[tasks->nslots++] = task;
	return task;
}

struct task *task_new(struct tasks *tasks, uint8_t kind, struct delivery *d)
{
	struct task *task = take_slot(tasks);

	if (!task)
		return NULL;
	*task = (struct task){ .id = task->id + (1ULL << 32),
		.kind = kind,
		.state = TASK_CLAIMING,
		.delivery = d };
	tasks->count++;
	return task;
}

struct task *task_find(const struct tasks *tasks, uint64_t id)
{
	struct task *task;

	if (slot_of(id) >= tasks->nslots)
		return NULL;
	task = tasks->slots[slot_of(id)];
	return task->id == id && !task->is_free ? task : NULL;
}

void task_end(struct tasks *tasks, struct task *task)
{
	free(task->recipients);
	task->recipients = NULL;
	task->is_free = true;
	task->next_free = tasks->first_free;
	tasks->first_free = slot_of(task->id) + 1;
	tasks->count--;
}

void tasks_clear(struct tasks *tasks)
{
	for (uint32_t i = 0; i < tasks->nslots; i++) {
		if (!tasks->slots[i]->is_free)
			free(tasks->slots[i]->recipients);
		free(tasks->slots[i]);
	}
	free(tasks->slots);
	*tasks = (struct tasks){ 0 };
}

static size_t texts_bytes(const struct job *job)
{
	size_t n = 0;

	for (size_t i = 0; i < job->nrecipients; i++)
		n += job->recipients[i].address.n;
	return n;
}

int task_keep_job(struct task *task, const struct job *job)
{
	size_t n = job->nrecipients;
	bool has_texts = job->origin == ORIGIN_REPORT;
	char *text;

	if (n > RCPTS_PER_DELIVERY)
		return -1;
	free(task->recipients);
	task->recipients = malloc((n + 1) * sizeof(task->recipients[0]) +
				  (has_texts ? texts_bytes(job) : 0));
	if (!task->recipients)
		return -1;
	text = (char *)(task->recipients + n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct job_recipient *r = &job->recipients[i];
		struct settle_recipient *kept = &task->recipients[i];

		*kept = (struct settle_recipient){ r->index, r->notify,
			{ NULL, 0 } };
		if (!has_texts || r->address.n == 0)
			continue;
		kept->address =
		    (struct span){ memcpy(text, r->address.p, r->address.n),
			    r->address.n };
		text += r->address.n;
	}
	task->nrecipients = (uint16_t)n;
	task->origin = job->origin;
	task->has_sender = job->sender.n > 0;
	return 0;
}
