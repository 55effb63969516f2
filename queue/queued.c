/* The keeper: its beginning, its rounds and its end. */
#include "queue/queued_parts.h"

#include "common/log.h"
#include "queue/history.h"
#include "queue/tlscount.h"

#include <stdlib.h>
#include <unistd.h>

enum { MAINTAIN_MS = 100, MAINTAIN_MORE_MS = 2, STOP_MARGIN_MS = 500 };

struct keeper *keeper_new(struct loop *loop)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return NULL;
	keeper->loop = loop;
	keeper->own_uid = geteuid();
	keeper->limits.owner_uid = keeper->own_uid;
	/* All of it at once (pages that are not used cost nothing): a message
	 * is never cut short for want of memory. */
	buf_init(&keeper->scratch, WIRE_FRAME_MAX);
	if (buf_reserve(&keeper->scratch, WIRE_FRAME_MAX))
		return keeper;
	free(keeper);
	return NULL;
}

static void close_listeners(struct keeper *keeper)
{
	for (size_t i = 0; i < keeper->nlisteners; i++) {
		struct listener *listener = &keeper->listeners[i];

		if (listener->is_watched)
			loop_remove(keeper->loop, listener->fd);
		close(listener->fd);
	}
	keeper->nlisteners = 0;
}

static void cancel_timers(struct keeper *keeper)
{
	loop_timer_cancel(keeper->loop, &keeper->batch_timer);
	loop_timer_cancel(keeper->loop, &keeper->kept_timer);
	loop_timer_cancel(keeper->loop, &keeper->maintain_timer);
	loop_timer_cancel(keeper->loop, &keeper->sweep_timer);
	loop_timer_cancel(keeper->loop, &keeper->accept_timer);
	loop_timer_cancel(keeper->loop, &keeper->stop_timer);
	loop_timer_cancel(keeper->loop, &keeper->history_timer);
}

/* Transactions belong to the spool, so they go before it. */
static void close_spool(struct keeper *keeper)
{
	struct spool *spool = keeper->spool;
	struct claim *claim;

	for (struct conn *conn = keeper->conns; conn; conn = conn->next)
		submit_drop_all(conn);
	group_clear(keeper);
	keeper->spool = NULL;
	while (keeper->conns)
		conn_drop(keeper->conns);
	while ((claim = claims_take_any(&keeper->claims)) != NULL)
		free(claim);
	spool_close(spool);
	history_close(keeper->history);
	keeper->history = NULL;
	tlscount_close(keeper->tlscount);
	keeper->tlscount = NULL;
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	close_listeners(keeper);
	for (size_t i = 0; i < keeper->nearly; i++)
		close(keeper->early[i].fd);
	close_spool(keeper);
	cancel_timers(keeper);
	buf_clear(&keeper->scratch);
	free(keeper);
}

void keeper_set_limits(
    struct keeper *keeper, const struct keeper_limits *limits)
{
	keeper->limits = *limits;
	if (keeper->spool)
		spool_set_max_bytes(keeper->spool, limits->spool_bytes);
}

void keeper_listen(struct keeper *keeper, enum listener_kind kind, int fd)
{
	struct listener *listener = &keeper->listeners[keeper->nlisteners];

	if (keeper->nlisteners == LISTENERS_MAX || keeper->is_stopping ||
	    (kind != LISTENER_SUBMIT && kind != LISTENER_QUEUE)) {
		log_warn("listener-refused", NULL);
		close(fd);
		return;
	}
	*listener = (struct listener){ keeper,
		kind == LISTENER_SUBMIT ? CONN_SUBMIT : CONN_QUEUE, fd, false };
	keeper->nlisteners++;
	conn_accept_more(keeper);
}

static void connect_peer(struct keeper *keeper, enum role role, int fd)
{
	struct conn *conn;

	/* A new runner: the old one is lost, seen or not. */
	if (role == ROLE_RUNNER && keeper->runner)
		conn_drop(keeper->runner);
	conn = conn_new(
	    keeper, role == ROLE_RUNNER ? CONN_RUNNER : CONN_SMTPD, fd);
	if (!conn || role != ROLE_RUNNER)
		return;
	keeper->runner = conn;
	history_tell_memories(keeper);
}

void keeper_peer(struct keeper *keeper, enum role role, int fd)
{
	bool is_early = !keeper->spool;

	if ((role != ROLE_RUNNER && role != ROLE_SMTPD) ||
	    keeper->is_stopping ||
	    (is_early && keeper->nearly == EARLY_PEERS_MAX)) {
		log_warn("peer-refused", NULL);
		close(fd);
		return;
	}
	if (!is_early) {
		connect_peer(keeper, role, fd);
		return;
	}
	keeper->early[keeper->nearly].role = role;
	keeper->early[keeper->nearly++].fd = fd;
}

/* --- background work ------------------------------------------------------
 * Some of it needs a moment when nothing is staged: right after a commit. */

static void want_maintenance(void *arg)
{
	struct keeper *keeper = arg;

	keeper->is_maintain_due = true;
}

static void maintain_in(struct keeper *keeper, uint64_t ms)
{
	if (keeper->maintain_timer.place == 0)
		loop_timer_set(keeper->loop, &keeper->maintain_timer,
		    now_monotonic_ms() + ms, want_maintenance, keeper);
}

static void maintain(struct keeper *keeper)
{
	if (!keeper->is_maintain_due || spool_has_staged(keeper->spool))
		return;
	keeper->is_maintain_due = false;
	if (spool_maintain(keeper->spool))
		maintain_in(keeper, MAINTAIN_MORE_MS);
	if (spool_has_staged(keeper->spool))
		group_wake(keeper);
}

void keeper_set_history(struct keeper *keeper, struct history *history)
{
	keeper->history = history;
}

void keeper_set_tlscount(struct keeper *keeper, struct tlscount *tlscount)
{
	keeper->tlscount = tlscount;
}

void keeper_run(struct keeper *keeper, struct spool *spool)
{
	keeper->spool = spool;
	for (size_t i = 0; i < keeper->nearly; i++)
		connect_peer(
		    keeper, keeper->early[i].role, keeper->early[i].fd);
	keeper->nearly = 0;
	conn_accept_more(keeper);
	maintain_in(keeper, MAINTAIN_MS);
}

/* --- the end -------------------------------------------------------------- */

static bool may_end(const struct keeper *keeper)
{
	if (keeper->is_grace_over)
		return true;
	return keeper->batch.count == 0 && keeper->kept.count == 0 &&
	       (keeper->claims.count == 0 || !keeper->runner);
}

static void end(struct keeper *keeper)
{
	close_spool(keeper);
	cancel_timers(keeper);
	loop_stop(keeper->loop);
}

static void on_grace_over(void *arg)
{
	struct keeper *keeper = arg;

	keeper->is_grace_over = true;
}

void keeper_stop(struct keeper *keeper, uint32_t grace_ms)
{
	uint64_t wait =
	    grace_ms > STOP_MARGIN_MS ? grace_ms - STOP_MARGIN_MS : 0;

	keeper->is_stopping = true;
	close_listeners(keeper);
	if (!keeper->spool) {
		loop_stop(keeper->loop);
		return;
	}
	loop_timer_set(keeper->loop, &keeper->stop_timer,
	    now_monotonic_ms() + wait, on_grace_over, keeper);
	group_wake(keeper);
}

void keeper_after_round(struct keeper *keeper)
{
	if (!keeper->spool)
		return;
	if (group_end_round(keeper))
		maintain_in(keeper, MAINTAIN_MS);
	maintain(keeper);
	if (keeper->is_stopping && may_end(keeper))
		end(keeper);
}
