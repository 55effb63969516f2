/* Group commit: what the rounds have staged goes to disk at once; then
 * everybody is answered.
 *
 * While the disk is busy requests gather in the sockets, so batches grow with
 * the load by themselves. Before a commit the sockets are read until a round
 * brings nothing new, within bounds.
 */
#include "queue/queued_parts.h"

#include "common/log.h"

#include <stdlib.h>

enum { KEPT_WAIT_MS = 500, KEPT_WAIT_MAX_MS = 30000 };

static void (*const answers[])(struct keeper *keeper, struct request *request,
    const struct outcome *failure) = {
	[REQUEST_MESSAGE] = submit_answer,
	[REQUEST_CLAIM] = runner_answer_claim,
	[REQUEST_UNCLAIM] = outcome_answer_unclaim,
	[REQUEST_RECORD] = outcome_answer_record,
	[REQUEST_CHANGE] = control_answer_change,
};

static bool requests_add(
    struct requests *requests, const struct request *request)
{
	if (requests->count == requests->room) {
		size_t room = requests->room ? requests->room * 2 : 64;
		struct request *grown = reallocarray(
		    requests->items, room, sizeof(*requests->items));

		if (!grown)
			return false;
		requests->items = grown;
		requests->room = room;
	}
	requests->items[requests->count++] = *request;
	return true;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Requests may also come between two rounds, from a connection resumed. */
void group_wake(struct keeper *keeper)
{
	if (keeper->batch_timer.place == 0)
		loop_timer_set(
		    keeper->loop, &keeper->batch_timer, 0, nothing, keeper);
}

bool group_add(struct keeper *keeper, const struct request *request)
{
	group_wake(keeper);
	if (!requests_add(&keeper->batch, request))
		return false;
	if (request->conn)
		request->conn->nrequests++;
	return true;
}

static void forget(struct requests *requests, const struct conn *conn)
{
	for (size_t i = 0; i < requests->count; i++)
		if (requests->items[i].conn == conn)
			requests->items[i].conn = NULL;
}

void group_forget(struct keeper *keeper, struct conn *conn)
{
	forget(&keeper->batch, conn);
	forget(&keeper->kept, conn);
}

/* --- what must not be lost ------------------------------------------------ */

static void stage_kept(void *arg)
{
	struct keeper *keeper = arg;
	struct requests kept = keeper->kept;

	keeper->kept = (struct requests){ 0 };
	for (size_t i = 0; i < kept.count; i++) {
		if (kept.items[i].conn)
			kept.items[i].conn->nrequests--;
		outcome_stage_kept(keeper, &kept.items[i]);
	}
	free(kept.items);
}

void group_keep(struct keeper *keeper, const struct request *request)
{
	uint32_t wait = keeper->kept_wait_ms;

	if (!requests_add(&keeper->kept, request))
		fatal(EXIT_TRY_LATER, "no memory to keep an outcome");
	if (request->conn)
		request->conn->nrequests++;
	if (keeper->kept_timer.place != 0)
		return;
	wait = wait ? wait * 2 : KEPT_WAIT_MS;
	keeper->kept_wait_ms =
	    wait < KEPT_WAIT_MAX_MS ? wait : KEPT_WAIT_MAX_MS;
	loop_timer_set(keeper->loop, &keeper->kept_timer,
	    now_monotonic_ms() + keeper->kept_wait_ms, stage_kept, keeper);
}

/* --- commit --------------------------------------------------------------- */

static void log_batch(struct keeper *keeper, const struct requests *batch)
{
	log_hold();
	for (size_t i = 0; i < batch->count; i++) {
		const struct request *request = &batch->items[i];

		if (request->kind == REQUEST_MESSAGE)
			log_accepted(request->transaction, request->message);
		if (request->kind != REQUEST_RECORD || !request->record)
			continue;
		log_attempt(request->record);
		history_note_attempt(keeper, request->record);
	}
	log_release();
}

static void free_request(struct keeper *keeper, struct request *request)
{
	if (request->kind == REQUEST_MESSAGE)
		transaction_free(keeper, request->transaction);
	else if (request->kind == REQUEST_RECORD)
		held_record_free(request->record);
	else if (request->kind == REQUEST_CHANGE && request->changed) {
		buf_clear(&request->changed->pairs);
		free(request->changed);
	}
}

static void answer_all(struct keeper *keeper, struct requests *batch,
    const struct outcome *failure)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct request *request = &batch->items[i];

		if (request->conn)
			request->conn->nrequests--;
		answers[request->kind](keeper, request, failure);
	}
}

static void push_all(const struct requests *batch)
{
	const struct conn *last = NULL;

	for (size_t i = 0; i < batch->count; i++) {
		const struct conn *conn = batch->items[i].conn;

		if (conn && conn != last)
			wire_push(conn->wire);
		last = conn;
	}
}

static void commit(struct keeper *keeper)
{
	struct requests batch = keeper->batch;
	struct outcome why;
	bool is_done = true;

	keeper->batch = (struct requests){ 0 };
	if (spool_has_staged(keeper->spool))
		is_done = spool_commit(keeper->spool, &why) == 0;
	if (is_done)
		keeper->kept_wait_ms = 0;
	else
		log_warn("commit-failed", "status", why.status, "why",
		    why.detail, "requests", log_text("%zu", batch.count), NULL);
	answer_all(keeper, &batch, is_done ? NULL : &why);
	push_all(&batch);
	if (keeper->runner)
		wire_push(keeper->runner->wire);
	if (is_done)
		log_batch(keeper, &batch);
	for (size_t i = 0; i < batch.count; i++)
		free_request(keeper, &batch.items[i]);
	free(batch.items);
}

bool group_end_round(struct keeper *keeper)
{
	if (keeper->batch.count == 0 && !spool_has_staged(keeper->spool))
		return false;
	if (keeper->batch.count > keeper->batch_seen &&
	    keeper->batch_rounds++ < BATCH_ROUNDS &&
	    spool_staged_bytes(keeper->spool) <
		spool_batch_bytes(keeper->spool)) {
		keeper->batch_seen = keeper->batch.count;
		group_wake(keeper);
		return false;
	}
	keeper->batch_seen = 0;
	keeper->batch_rounds = 0;
	loop_timer_cancel(keeper->loop, &keeper->batch_timer);
	commit(keeper);
	if (keeper->batch.count > 0 || spool_has_staged(keeper->spool))
		group_wake(keeper);
	return true;
}

static void clear(struct keeper *keeper, struct requests *requests)
{
	for (size_t i = 0; i < requests->count; i++)
		free_request(keeper, &requests->items[i]);
	free(requests->items);
	*requests = (struct requests){ 0 };
}

void group_clear(struct keeper *keeper)
{
	clear(keeper, &keeper->batch);
	clear(keeper, &keeper->kept);
}
