/* The spawner, which forks the lines. */
#include "runner/lines_parts.h"

#include "common/log.h"

#include <errno.h>

static void fail_start(struct line_peer *p)
{
	schedule_line_lost(p->runner->schedule, now_monotonic_ms(), p->line);
}

static void on_started(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct line_peer *p = line_find(runner, message->id);
	struct reader r = reader_of(message->payload);
	uint32_t pid = get_u32(&r);

	(void)wire;
	if (!p || p->line->phase != LINE_STARTING)
		return;
	if (!reader_is_done(&r) || message->nfds != 1) {
		fail_start(p);
		return;
	}
	p->pid = pid;
	p->rules_at = 0;
	p->wire = wire_new(runner->loop, message->fds[0], p->name, lines_rules,
	    line_on_closed, p);
	message->fds[0] = -1;
	if (!p->wire) {
		fail_start(p);
		return;
	}
	wire_refuse_fds(p->wire);
	line_set_state(p, LINE_IDLE);
	schedule_line_started(runner->schedule, now_monotonic_ms(), p->line);
}

/* Its socket tells in better order: what it said last is read first. */
static void on_ended(struct wire *wire, struct message *message, void *arg)
{
	(void)wire;
	(void)message;
	(void)arg;
}

static void on_failed(struct wire *wire, struct message *message, void *arg)
{
	struct line_peer *p = line_find(arg, message->id);

	(void)wire;
	if (p && p->line->phase == LINE_STARTING)
		fail_start(p);
}

static const struct wire_rule spawner_rules[] = {
	{ MSG_LINE_STARTED, 4, on_started },
	{ MSG_LINE_ENDED, 4, on_ended },
	{ MSG_LINE_FAILED, 1024, on_failed },
	{ 0 },
};

static void lose_start(struct line *line, void *arg)
{
	(void)arg;
	if (line->phase == LINE_STARTING)
		fail_start(line_peer_of(line));
}

/* Lines that run go on: their sockets tell when they end. */
static void on_spawner_closed(struct wire *wire, const char *why, void *arg)
{
	struct runner *runner = arg;

	log_warn("spawner-lost", "why", why, NULL);
	if (runner->spawner == wire)
		runner->spawner = NULL;
	wire_free(wire);
	child_peer_lost(runner->child, ROLE_REMOTE);
	schedule_set_usable(runner->schedule, runner->spawner != NULL);
	schedule_each_line(runner->schedule, lose_start, NULL);
}

void spawner_connect(struct runner *runner, int fd)
{
	wire_free(runner->spawner);
	runner->spawner = wire_new(runner->loop, fd, "spawner", spawner_rules,
	    on_spawner_closed, runner);
	if (!runner->spawner)
		log_warn("spawner-not-connected", "why", strerror(errno), NULL);
	schedule_each_line(runner->schedule, lose_start, NULL);
	schedule_set_usable(runner->schedule, runner->spawner != NULL);
}

void line_start(struct runner *runner, struct line *line)
{
	if (!runner->spawner) {
		fail_start(line_peer_of(line));
		return;
	}
	buf_reset(&runner->scratch);
	put_span(&runner->scratch, span_of(schedule_group_name(line)));
	wire_send(runner->spawner, MSG_LINE_START, line_peer_of(line)->id,
	    buf_span(&runner->scratch));
}
