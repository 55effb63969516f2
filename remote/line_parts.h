/* The inside of a line, for its own files only. */
#ifndef REMOTE_LINE_PARTS_H
#define REMOTE_LINE_PARTS_H

#include "common/log.h"
#include "common/wire.h"
#include "remote/line.h"
#include "remote/pipeline.h"

struct line {
	const struct line_options *options;
	struct wire *runner;
	bool is_runner_gone, is_runner_bad;
	enum log_level log_level; /* outside of detailed sessions */
	struct dialogue dialogue;
	struct pipeline pipeline;
	struct backlog waiting;
	struct transaction *spare; /* memory of jobs that are done */
	enum line_state state;
	/* the session */
	bool has_session, is_ended; /* ended: no more jobs come */
	uint64_t session_id;
	char *session_text; /* what session's spans point into */
	struct session session;
	struct session_report report;
	struct outcome why; /* what went wrong last */
	size_t host_at;
	unsigned address_at, tries;
	bool is_spent;		  /* a message was lost with the last server */
	uint64_t trying_ms;	  /* since when without success */
	uint64_t idle_ms;	  /* since when nothing was to be done */
	struct replyrules *rules; /* told by the runner, or NULL */
	/* a reply rule ended the session */
	bool is_ruled;	   /* what refused the connection is a verdict */
	bool is_suspended; /* no more mail for this destination now */
	struct talk talk;  /* the present connection's words */
	uint64_t ill[TRANSCRIPT_MESSAGES_MAX]; /* not delivered by it */
	unsigned nill;
	uint64_t ill_at;    /* talk.noted when the first of them was */
	unsigned tokens;    /* transcripts that may be sent now */
	uint64_t tokens_ms; /* when the last was added */
};

/* line.c: the runner's side */
/* Messages from the runner that can be had now (wait: for one at least). */
void line_take(struct line *l);
bool line_may_take(const struct line *l);
void line_flush(struct line *l);
/* About the session; the payload is cleared. */
void line_tell(struct line *l, uint16_t type, struct buf *payload);
void line_set_state(struct line *l, enum line_state state);
/* Answer for a job and keep its memory. */
void line_done(struct transaction *t, void *arg);
void line_free_spare(struct line *l);

/* line_talk.c: a transcript of what did not go well, for the runner. */
void line_talk_begin(struct line *l);
/* What came of a job on the present connection. */
void line_talk_done(struct line *l, const struct transaction *t);
/* These were not done with when it ended. */
void line_talk_undone(struct line *l, const struct backlog *jobs);
/* The connection is over. why: it went badly; NULL: orderly. */
void line_talk_end(struct line *l, const struct outcome *why);

/* line_session.c: serve the session to its end, send MSG_SESSION_DONE. */
void line_serve(struct line *l);

/* line_hosts.c: which server, which next. */
/* Open a dialogue with the present address or those after it. 0, or -1 with
 * l->why: none is left. */
int line_open(struct line *l);
/* The connection is over, for l->pipeline.why: sort out what was begun, decide
 * where to go next. */
void line_lost(struct line *l);
/* A reply rule sends what is left to the next address, or nowhere. */
void line_move_on(struct line *l);

#endif
