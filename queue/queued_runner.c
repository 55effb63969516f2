/* The runner's connection: announcements, the due index, claims and jobs. */
#include "queue/queued_parts.h"

#include "common/id.h"
#include "common/log.h"

enum {
	WINDOW_MAX = 1 << 20,
	DUE_MAX = 10000,
	UNREADABLE_WAIT_MS = 3600000,
	JOB_HEAD_MAX = WIRE_FRAME_MAX - INLINE_BODY_MAX,
};

/* --- announcements and the due index -------------------------------------- */

static void tell_more(struct keeper *keeper)
{
	if (keeper->is_more_told)
		return;
	keeper->is_more_told = true;
	wire_send(
	    keeper->runner->wire, MSG_MORE_DUE, 0, (struct span){ NULL, 0 });
}

static void send_waiting(
    struct keeper *keeper, uint64_t id, const struct waiting *w)
{
	buf_reset(&keeper->scratch);
	waiting_put(&keeper->scratch, w);
	wire_send(
	    keeper->runner->wire, MSG_WAITING, id, buf_span(&keeper->scratch));
}

static bool announce_one(const struct waiting *w, void *arg)
{
	struct keeper *keeper = arg;

	if (w->due_ms == UINT64_MAX)
		return true; /* held until released */
	if (keeper->window == 0) {
		tell_more(keeper);
		return false;
	}
	keeper->window--;
	send_waiting(keeper, 0, w);
	return true;
}

void runner_announce(struct keeper *keeper, uint64_t message)
{
	if (!keeper->runner)
		return;
	if (keeper->window == 0)
		tell_more(keeper);
	else if (spool_waiting(keeper->spool, message, announce_one, keeper) ==
		 0)
		tell_more(keeper); /* it could not be read: again, by DUE */
}

void runner_tell_changed(
    struct keeper *keeper, uint64_t message, uint16_t delivery)
{
	if (!keeper->runner)
		return;
	buf_reset(&keeper->scratch);
	put_u64(&keeper->scratch, message);
	put_u16(&keeper->scratch, delivery);
	wire_send(
	    keeper->runner->wire, MSG_CHANGED, 0, buf_span(&keeper->scratch));
}

static void on_window(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct keeper *keeper = conn->keeper;
	struct reader r = reader_of(message->payload);
	uint32_t more = get_u32(&r);

	(void)wire;
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed window");
		return;
	}
	if (more > WINDOW_MAX - keeper->window)
		more = WINDOW_MAX - keeper->window;
	keeper->window += more;
	keeper->is_more_told = false;
}

struct due_visit {
	struct keeper *keeper;
	uint64_t id;
};

static bool send_due(const struct waiting *w, void *arg)
{
	const struct due_visit *visit = arg;

	send_waiting(visit->keeper, visit->id, w);
	return true;
}

static void on_due(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct keeper *keeper = conn->keeper;
	struct reader r = reader_of(message->payload);
	struct due_visit visit = { keeper, message->id };
	struct due_query query;
	uint64_t next_due_ms = 0;
	bool has_more = false;

	due_query_get(&r, &query);
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed due query");
		return;
	}
	if (query.max > DUE_MAX)
		query.max = DUE_MAX;
	keeper->is_more_told = false;
	spool_due(
	    keeper->spool, &query, send_due, &visit, &next_due_ms, &has_more);
	buf_reset(&keeper->scratch);
	put_u64(&keeper->scratch, next_due_ms);
	put_u8(&keeper->scratch, has_more);
	wire_send(wire, MSG_DUE_END, message->id, buf_span(&keeper->scratch));
	conn_hold_back(conn);
}

/* --- claims --------------------------------------------------------------- */

static void send_gone(struct conn *conn, uint64_t id)
{
	wire_send(conn->wire, MSG_GONE, id, (struct span){ NULL, 0 });
}

static void on_claim(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct request request = {
		.kind = REQUEST_CLAIM, .conn = conn, .id = message->id
	};

	(void)wire;
	request.message = get_u64(&r);
	request.delivery = get_u16(&r);
	request.claim_for = get_u8(&r);
	if (!reader_is_done(&r) || request.claim_for > CLAIM_REPORT) {
		conn_cut(conn, "malformed claim");
		return;
	}
	if (spool_stage_claim(conn->keeper->spool, request.message,
		request.delivery, (enum claim_for)request.claim_for) < 0) {
		send_gone(conn, message->id);
		return;
	}
	if (!group_add(conn->keeper, &request))
		fatal(EXIT_TRY_LATER, "no memory for a claim");
}

/* --- jobs ----------------------------------------------------------------- */

/* A report may be about more recipients than a frame holds: the rest gets the
 * next report. */
static void put_head(struct buf *out, struct job *job)
{
	buf_reset(out);
	job_put_head(out, job);
	while (out->len > JOB_HEAD_MAX && job->nrecipients > 1) {
		job->nrecipients /= 2;
		buf_reset(out);
		job_put_head(out, job);
	}
}

static void send_job(struct conn *conn, uint64_t id, struct job *job, int fd)
{
	struct buf *out = &conn->keeper->scratch;

	put_head(out, job);
	if (fd >= 0)
		wire_send_fds(conn->wire, MSG_JOB, id, buf_span(out), &fd, 1);
	else
		wire_send_two(
		    conn->wire, MSG_JOB, id, buf_span(out), job->content);
}

struct indexes {
	uint16_t delivery;
	struct job_recipient recipients[RCPTS_PER_DELIVERY];
	size_t count;
};

static bool note_index(const struct item *item, void *arg)
{
	struct indexes *indexes = arg;

	if (item->delivery == indexes->delivery &&
	    indexes->count < RCPTS_PER_DELIVERY)
		indexes->recipients[indexes->count++].index = item->recipient;
	return true;
}

/* The body cannot be read: not the recipients' fault, and trying again at once
 * would spin. The attempt counts, so that an end comes. */
static void put_off(struct keeper *keeper, const struct request *request,
    const struct outcome *why)
{
	struct attempt like = { .counts = true,
		.cause = SPAN_LITERAL("spool") };
	const struct filter filter = {
		.id = request->message, .state = -1, .uid = UINT32_MAX
	};
	struct indexes indexes = { .delivery = request->delivery };
	struct job job = { .message = request->message,
		.delivery = request->delivery,
		.recipients = indexes.recipients };
	struct cursor after = { 0 };

	log_warn("body-unreadable", "id", id_text(request->message), "status",
	    why->status, "why", why->detail, NULL);
	like.next_try_ms = now_utc_us() / 1000 + UNREADABLE_WAIT_MS;
	spool_list(keeper->spool, &filter, &after, RCPTS_PER_MESSAGE_MAX,
	    note_index, &indexes);
	job.nrecipients = indexes.count;
	if (claims_add(&keeper->claims, &job, CLAIM_DELIVER) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a claim");
	outcome_record_ourselves(keeper,
	    claims_take(&keeper->claims, job.message, job.delivery), &like,
	    RCPT_DEFERRED, "the spool cannot read the message");
}

/* A report's claim is nobody's attempt: it ends, but not at once, or the runner
 * would ask again at once. */
static void give_back_later(struct keeper *keeper,
    const struct request *request, const struct outcome *why)
{
	const struct request unclaim = { .kind = REQUEST_UNCLAIM,
		.message = request->message,
		.delivery = request->delivery };

	log_warn("report-impossible", "id", id_text(request->message), "status",
	    why->status, "why", why->detail, NULL);
	group_keep(keeper, &unclaim);
}

static void give_job(struct keeper *keeper, struct request *request)
{
	enum claim_for claim_for = (enum claim_for)request->claim_for;
	struct job job = { 0 };
	struct outcome why;
	int fd = -1;

	if (spool_job(keeper->spool, request->message, request->delivery,
		claim_for, &job, &fd, &why) < 0) {
		send_gone(request->conn, request->id);
		if (claim_for == CLAIM_REPORT)
			give_back_later(keeper, request, &why);
		else
			put_off(keeper, request, &why);
		return;
	}
	if (claims_add(&keeper->claims, &job, claim_for) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a claim");
	send_job(request->conn, request->id, &job, fd);
	job_free(&job);
}

void runner_answer_claim(struct keeper *keeper, struct request *request,
    const struct outcome *failure)
{
	if (failure && request->conn)
		send_gone(request->conn, request->id);
	if (failure)
		return;
	if (request->conn)
		give_job(keeper, request);
	else
		outcome_unclaim(
		    keeper, request->message, request->delivery, true);
}

const struct wire_rule runner_rules[] = {
	{ MSG_WINDOW, 4, on_window },
	{ MSG_DUE, 64, on_due },
	{ MSG_CLAIM, 11, on_claim },
	{ MSG_UNCLAIM, 10, outcome_on_unclaim },
	{ MSG_OUTCOME, WIRE_FRAME_MAX, outcome_on_attempt },
	{ MSG_CHANGE, 8192, control_on_change },
	{ MSG_SUBMIT, WIRE_FRAME_MAX, submit_on_begin },
	{ MSG_SUBMIT_DATA, DATA_CHUNK_MAX, submit_on_data },
	{ MSG_SUBMIT_END, 8, submit_on_end },
	{ MSG_SUBMIT_ABORT, 0, submit_on_abort },
	{ MSG_TRANSCRIPT, TRANSCRIPT_MAX + 4096, history_on_transcript },
	{ MSG_REMEMBER, SCHEDULE_MEMORY_MAX + 128, history_on_remember },
	{ MSG_TLS_COUNTS, WIRE_FRAME_MAX, tlsrpt_on_counts },
	{ MSG_TLS_MARK, 512, tlsrpt_on_mark },
	{ MSG_TLS_READ, 512, tlsrpt_on_read },
	{ 0 },
};
