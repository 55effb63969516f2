/* What lines.c, lines_heard.c, lines_told.c and lines_spawner.c share. */
#ifndef RUNNER_LINES_PARTS_H
#define RUNNER_LINES_PARTS_H

#include "runner/lines.h"

enum { PEER_TEXT_MAX = 128 };

struct line_peer {
	struct runner *runner;
	struct line *line;
	struct wire *wire; /* NULL: not running */
	uint64_t id;	   /* for the spawner */
	uint32_t pid;
	bool is_to_end;	   /* MSG_SESSION_END when all claims are in */
	bool is_to_close;  /* when all its jobs are answered */
	unsigned rules_at; /* the reload whose reply rules it has been told */
	unsigned nclaims;  /* jobs that are still to come from the keeper */
	LIST_HEAD(, task) tasks;
	uint8_t state;
	uint64_t since, sent, message;
	char name[280];
	char peer[PEER_TEXT_MAX];
};

static inline struct line_peer *line_peer_of(const struct line *line)
{
	return line->peer;
}

/* lines.c */
struct line_peer *line_find(struct runner *runner, uint64_t id);
void line_set_state(struct line_peer *p, uint8_t state);
/* Its socket is closed: it died, was cut off or was let go. */
void line_peer_end(struct line_peer *p);
/* A line that is to go and has no job left goes. */
void line_close_when_done(struct line_peer *p);
void line_cut_off(struct line_peer *p, const char *why);
void line_on_closed(struct wire *wire, const char *why, void *arg);

/* lines_heard.c */
extern const struct wire_rule lines_rules[];

#endif
