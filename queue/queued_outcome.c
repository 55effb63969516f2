/* What came of claims: outcomes recorded, claims given back.
 *
 * An outcome is kept until it is on disk, whatever the disk says. A runner
 * that goes away leaves claims behind of which nobody knows what came: they
 * are recorded as uncertain and are due again.
 */
#include "queue/queued_parts.h"

#include "common/id.h"
#include "common/log.h"

#include <stdlib.h>

/* --- claims given back ---------------------------------------------------- */

/* Give a claim back. is_known: it is claimed for sure, so that a refusal is
 * the disk's and for now. */
void outcome_unclaim(
    struct keeper *keeper, uint64_t message, uint16_t delivery, bool is_known)
{
	struct request request = { .kind = REQUEST_UNCLAIM,
		.message = message,
		.delivery = delivery };

	if (spool_stage_unclaim(keeper->spool, message, delivery) < 0) {
		if (is_known)
			group_keep(keeper, &request);
	} else if (!group_add(keeper, &request)) {
		group_keep(keeper, &request);
	}
}

void outcome_on_unclaim(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	uint64_t id = get_u64(&r);
	uint16_t delivery = get_u16(&r);
	struct claim *claim;

	(void)wire;
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed unclaim");
		return;
	}
	claim = claims_take(&conn->keeper->claims, id, delivery);
	outcome_unclaim(conn->keeper, id, delivery, claim != NULL);
	free(claim);
}

void outcome_answer_unclaim(struct keeper *keeper, struct request *request,
    const struct outcome *failure)
{
	if (failure)
		group_keep(keeper, request);
}

/* --- outcomes ------------------------------------------------------------- */

void held_record_free(struct held_record *record)
{
	if (!record)
		return;
	attempt_free(&record->attempt);
	free(record->claim);
	free(record);
}

static void keep_record(struct keeper *keeper, struct request *request)
{
	group_keep(keeper, request);
	request->record = NULL; /* kept has it now */
}

static void stage_record(struct keeper *keeper, struct request *request)
{
	const struct attempt *attempt = &request->record->attempt;

	if (spool_stage_attempt(keeper->spool, attempt) == 0) {
		if (!group_add(keeper, request))
			fatal(EXIT_TRY_LATER, "no memory for an outcome");
		return;
	}
	if (request->record->claim) { /* so it is the disk's refusal */
		keep_record(keeper, request);
		return;
	}
	log_warn(
	    "outcome-without-claim", "id", id_text(attempt->message), NULL);
	if (request->conn)
		wire_send(request->conn->wire, MSG_RECORDED, request->id,
		    (struct span){ NULL, 0 });
	held_record_free(request->record);
}

/* The frame is the wire's: keep its bytes, and the attempt that points into
 * them. NULL: malformed. */
static struct held_record *record_new(struct span payload)
{
	struct held_record *record = calloc(1, sizeof(*record) + payload.n);
	struct reader r;

	if (!record)
		fatal(EXIT_TRY_LATER, "no memory for an outcome");
	if (payload.n > 0)
		memcpy(record->payload, payload.p, payload.n);
	r = reader_of((struct span){ record->payload, payload.n });
	if (attempt_get(&r, &record->attempt) < 0) {
		free(record);
		return NULL;
	}
	if (reader_is_done(&r) &&
	    record->attempt.result.nrecipients <= RCPTS_PER_DELIVERY)
		return record;
	held_record_free(record);
	return NULL;
}

void outcome_on_attempt(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct held_record *record = record_new(message->payload);
	struct request request = { .kind = REQUEST_RECORD,
		.conn = conn,
		.id = message->id,
		.record = record };

	(void)wire;
	if (!record) {
		conn_cut(conn, "malformed outcome");
		return;
	}
	record->claim = claims_take(&conn->keeper->claims,
	    record->attempt.message, record->attempt.delivery);
	stage_record(conn->keeper, &request);
}

void outcome_answer_record(struct keeper *keeper, struct request *request,
    const struct outcome *failure)
{
	if (failure)
		keep_record(keeper, request);
	else if (request->conn)
		wire_send(request->conn->wire, MSG_RECORDED, request->id,
		    (struct span){ NULL, 0 });
}

void outcome_stage_kept(struct keeper *keeper, struct request *request)
{
	if (request->kind == REQUEST_RECORD)
		stage_record(keeper, request);
	else
		outcome_unclaim(
		    keeper, request->message, request->delivery, true);
}

/* An attempt of our own making, the same for all recipients of a claim. Takes
 * the claim over. */
void outcome_record_ourselves(struct keeper *keeper, struct claim *claim,
    const struct attempt *like, enum rcpt_result result, const char *reply)
{
	struct held_record *record = calloc(1, sizeof(*record));
	struct rcpt_outcome *outcomes =
	    calloc(claim->nrecipients + 1U, sizeof(*outcomes));
	uint8_t *reports = calloc(claim->nrecipients + 1U, 1);
	struct request request = { .kind = REQUEST_RECORD };

	if (!record || !outcomes || !reports)
		fatal(EXIT_TRY_LATER, "no memory for an outcome");
	for (uint16_t i = 0; i < claim->nrecipients; i++)
		outcomes[i] = (struct rcpt_outcome){
			.index = claim->indexes[i],
			.result = (uint8_t)result,
			.status = "4.3.0",
			.reply = span_of(reply),
		};
	record->attempt = *like;
	record->attempt.message = claim->message;
	record->attempt.delivery = claim->delivery;
	record->attempt.reports = reports;
	record->attempt.result.recipients = outcomes;
	record->attempt.result.nrecipients = claim->nrecipients;
	record->claim = claim;
	request.record = record;
	stage_record(keeper, &request);
}

void outcome_runner_lost(struct keeper *keeper)
{
	const struct attempt like = { .next_try_ms = now_utc_us() / 1000,
		.counts = true,
		.cause = SPAN_LITERAL("uncertain") };
	struct claim *claim;

	keeper->window = 0;
	keeper->is_more_told = false;
	if (!keeper->spool)
		return;
	while ((claim = claims_take_any(&keeper->claims)) != NULL) {
		if (claim->claim_for == CLAIM_DELIVER) {
			outcome_record_ourselves(keeper, claim, &like,
			    RCPT_UNCERTAIN,
			    "the runner was lost during the attempt");
			continue;
		}
		outcome_unclaim(keeper, claim->message, claim->delivery, true);
		free(claim);
	}
}
