/* Inspection and control: the queue tool's side of the keeper.
 *
 * Root, the keeper's own user and the spool's owner see and change all;
 * everybody else sees his own mail and may retract it.
 */
#include "queue/queued_parts.h"

#include "common/id.h"
#include "common/log.h"

#include <stdlib.h>

enum {
	PAGE_MAX = 1000,     /* items in one answer */
	EXAMINED_MAX = 5000, /* recipients looked at for one answer */
	ATTEMPTS_BYTES = 4 << 20,
};

static void fail(struct conn *conn, uint64_t id, const struct outcome *why)
{
	send_outcome(conn, MSG_FAILED, id, why);
}

static void fail_not_there(struct conn *conn, uint64_t id, uint64_t message)
{
	struct outcome why;

	outcome_perm(&why, "5.2.0", "%s is not in the queue", id_text(message));
	fail(conn, id, &why);
}

static void send_end(
    struct conn *conn, uint64_t id, const struct cursor *after, bool has_more)
{
	struct buf *out = &conn->keeper->scratch;

	buf_reset(out);
	cursor_put(out, after);
	put_u8(out, has_more);
	wire_send(conn->wire, MSG_LIST_END, id, buf_span(out));
}

/* --- list ----------------------------------------------------------------- */

struct page {
	struct conn *conn;
	uint64_t id;
	uint32_t count, max;
	bool count_only;
};

static bool send_item(const struct item *item, void *arg)
{
	struct page *page = arg;
	struct buf *out = &page->conn->keeper->scratch;

	page->count++;
	if (!page->count_only) {
		buf_reset(out);
		item_put(out, item);
		wire_send(page->conn->wire, MSG_ITEM, page->id, buf_span(out));
	}
	return page->count_only || page->count < page->max;
}

static void restrict_filter(const struct conn *conn, struct filter *filter)
{
	if (!conn->is_admin)
		filter->uid = conn->uid;
}

static void on_list(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct page page = { .conn = conn, .id = message->id };
	struct list_query query;
	struct outcome why;
	bool has_more;

	(void)wire;
	conn_touch(conn);
	list_query_get(&r, &query);
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed list query");
		return;
	}
	restrict_filter(conn, &query.filter);
	page.max = query.max > 0 && query.max < PAGE_MAX ? query.max : PAGE_MAX;
	page.count_only = query.count_only;
	has_more = spool_list(conn->keeper->spool, &query.filter, &query.after,
	    EXAMINED_MAX, send_item, &page);
	if (spool_list_result(conn->keeper->spool, &why) < 0) {
		fail(conn, message->id, &why);
		return;
	}
	buf_reset(&conn->keeper->scratch);
	cursor_put(&conn->keeper->scratch, &query.after);
	put_u8(&conn->keeper->scratch, has_more);
	if (page.count_only)
		put_u32(&conn->keeper->scratch, page.count);
	wire_send(conn->wire, MSG_LIST_END, message->id,
	    buf_span(&conn->keeper->scratch));
	conn_hold_back(conn);
}

/* --- show ----------------------------------------------------------------- */

/* The message's envelope, if it is there and the client may see it. */
static int look_up(struct conn *conn, uint64_t id, uint64_t message,
    struct envelope *envelope, uint64_t *accepted_at)
{
	if (spool_envelope(
		conn->keeper->spool, message, envelope, accepted_at) < 0) {
		fail_not_there(conn, id, message);
		return -1;
	}
	if (conn->is_admin || envelope->uid == conn->uid)
		return 0;
	envelope_free(envelope);
	/* Which ids exist is nobody's business. */
	fail_not_there(conn, id, message);
	return -1;
}

static void send_attempt(uint64_t at, const struct attempt *attempt, void *arg)
{
	struct page *page = arg;
	struct buf *out = &page->conn->keeper->scratch;

	if (page->count > ATTEMPTS_BYTES)
		return;
	buf_reset(out);
	put_u64(out, at);
	attempt_put(out, attempt);
	if (out->overflow)
		return;
	page->count += (uint32_t)out->len;
	wire_send(page->conn->wire, MSG_ATTEMPT, page->id, buf_span(out));
}

static void show(struct conn *conn, uint64_t id, uint64_t message)
{
	struct keeper *keeper = conn->keeper;
	struct page items = { .conn = conn, .id = id, .max = PAGE_MAX };
	struct page attempts = { .conn = conn, .id = id };
	const struct filter filter = {
		.id = message, .state = -1, .uid = UINT32_MAX
	};
	struct cursor after = { 0 };
	struct outcome why;
	bool has_more;

	has_more = spool_list(
	    keeper->spool, &filter, &after, PAGE_MAX, send_item, &items);
	if (spool_list_result(keeper->spool, &why) < 0) {
		fail(conn, id, &why);
		return;
	}
	spool_attempts(keeper->spool, message, send_attempt, &attempts);
	send_end(conn, id, &after, has_more);
}

static void on_show(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct buf *out = &conn->keeper->scratch;
	uint64_t shown = get_u64(&r), accepted_at;
	struct envelope envelope;

	(void)wire;
	conn_touch(conn);
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed show");
		return;
	}
	if (look_up(conn, message->id, shown, &envelope, &accepted_at) < 0)
		return;
	buf_reset(out);
	put_u64(out, accepted_at);
	envelope_put(out, &envelope);
	if (!out->overflow)
		wire_send(conn->wire, MSG_ENVELOPE, message->id, buf_span(out));
	envelope_free(&envelope);
	show(conn, message->id, shown);
	conn_hold_back(conn);
}

/* --- body ----------------------------------------------------------------- */

/* One chunk; the next follows when the client has read. */
static void send_chunk(struct conn *conn)
{
	struct keeper *keeper = conn->keeper;
	struct body_stream *body = &conn->body;
	const struct cursor nowhere = { 0 };
	struct outcome why;
	ptrdiff_t n;

	buf_reset(&keeper->scratch);
	n = spool_body(keeper->spool, body->message, body->offset,
	    DATA_CHUNK_MAX, &keeper->scratch, &why);
	if (n > 0) {
		body->offset += (uint64_t)n;
		wire_send(conn->wire, MSG_SUBMIT_DATA, body->id,
		    buf_span(&keeper->scratch));
	} else {
		body->is_active = false;
		if (n < 0)
			fail(conn, body->id, &why);
		else
			send_end(conn, body->id, &nowhere, false);
	}
	conn_hold_back(conn);
}

void control_on_low(struct conn *conn)
{
	if (!conn->body.is_active || !conn->keeper->spool)
		return;
	conn_touch(conn);
	send_chunk(conn);
}

static void on_body(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	uint64_t shown = get_u64(&r), accepted_at;
	struct envelope envelope;

	(void)wire;
	conn_touch(conn);
	if (!reader_is_done(&r) || conn->body.is_active) {
		conn_cut(conn, "malformed or second request for a body");
		return;
	}
	if (look_up(conn, message->id, shown, &envelope, &accepted_at) < 0)
		return;
	envelope_free(&envelope);
	conn->body = (struct body_stream){ true, message->id, shown, 0 };
	send_chunk(conn);
}

/* --- change --------------------------------------------------------------- */

static void note_changed(uint64_t message, uint16_t delivery, void *arg)
{
	struct changed *changed = arg;

	put_u64(&changed->pairs, message);
	put_u16(&changed->pairs, delivery);
}

static void send_changed(
    struct conn *conn, uint64_t id, const struct changed *changed)
{
	struct buf *out = &conn->keeper->scratch;

	buf_reset(out);
	put_u32(out, changed->count);
	cursor_put(out, &changed->after);
	put_u8(out, changed->has_more);
	wire_send(conn->wire, MSG_CHANGE_DONE, id, buf_span(out));
}

static int check_change(
    const struct conn *conn, const struct change *change, struct outcome *why)
{
	if (conn->keeper->is_stopping)
		return outcome_temp(why, "4.3.2", "shutting down");
	if (conn->kind == CONN_RUNNER)
		return change->action == CHANGE_RETRY
			   ? 0
			   : outcome_perm(
				 why, "5.7.1", "the runner only retries");
	if (!conn->is_admin && change->action != CHANGE_RETRACT)
		return outcome_perm(why, "5.7.1",
		    "only root and the spool's owner may do this; retract "
		    "takes back your own mail");
	return 0;
}

static const char *action_name(uint8_t action)
{
	static const char *const names[] = {
		[CHANGE_HOLD] = "hold",
		[CHANGE_RELEASE] = "release",
		[CHANGE_RETRY] = "retry",
		[CHANGE_DELETE] = "delete",
		[CHANGE_BOUNCE] = "bounce",
		[CHANGE_RETRACT] = "retract",
	};

	return names[action];
}

static void change(struct conn *conn, uint64_t id, struct change *change)
{
	struct keeper *keeper = conn->keeper;
	struct changed *changed = calloc(1, sizeof(*changed));
	struct request request = { .kind = REQUEST_CHANGE,
		.conn = conn,
		.id = id,
		.changed = changed };

	if (!changed)
		fatal(EXIT_TRY_LATER, "no memory for a change");
	buf_init(&changed->pairs, SIZE_MAX / 2);
	changed->after = change->after;
	if (change->max == 0 || change->max > PAGE_MAX)
		change->max = PAGE_MAX;
	changed->count = spool_stage_change(keeper->spool, change,
	    conn->is_admin ? UINT32_MAX : conn->uid, &changed->after,
	    &changed->has_more, note_changed, changed);
	if (change->is_dry_run) {
		send_changed(conn, id, changed);
		buf_clear(&changed->pairs);
		free(changed);
		return;
	}
	if (changed->count > 0)
		log_event("changed", "action", action_name(change->action),
		    "by", conn->kind == CONN_RUNNER ? "runner" : NULL, "uid",
		    conn->kind == CONN_RUNNER ? NULL
					      : log_text("%u", conn->uid),
		    "messages", log_text("%u", changed->count), NULL);
	if (!group_add(keeper, &request))
		fatal(EXIT_TRY_LATER, "no memory for a change");
}

void control_on_change(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct change asked;
	struct outcome why;

	(void)wire;
	conn_touch(conn);
	change_get(&r, &asked);
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed change");
		return;
	}
	if (check_change(conn, &asked, &why) < 0) {
		fail(conn, message->id, &why);
		return;
	}
	restrict_filter(conn, &asked.filter);
	change(conn, message->id, &asked);
	conn_hold_back(conn);
}

void control_answer_change(struct keeper *keeper, struct request *request,
    const struct outcome *failure)
{
	struct reader r = reader_of(buf_span(&request->changed->pairs));

	if (request->conn && failure)
		fail(request->conn, request->id, failure);
	else if (request->conn)
		send_changed(request->conn, request->id, request->changed);
	while (!failure && r.rest.n > 0) {
		uint64_t message = get_u64(&r);

		runner_tell_changed(keeper, message, get_u16(&r));
	}
}

/* --- stats ---------------------------------------------------------------- */

static void on_stats(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct buf *out = &conn->keeper->scratch;
	struct spool_stats stats = { 0 };
	struct outcome why;

	(void)wire;
	conn_touch(conn);
	if (!conn->is_admin) {
		outcome_perm(&why, "5.7.1",
		    "only root and the spool's owner may see the whole queue");
		fail(conn, message->id, &why);
		return;
	}
	spool_stats(conn->keeper->spool, &stats);
	buf_reset(out);
	spool_stats_put(out, &stats);
	wire_send(conn->wire, MSG_STATS_DONE, message->id, buf_span(out));
	conn_hold_back(conn);
}

const struct wire_rule control_rules[] = {
	{ MSG_LIST, 8192, on_list },
	{ MSG_SHOW, 8, on_show },
	{ MSG_GET_BODY, 8, on_body },
	{ MSG_CHANGE, 8192, control_on_change },
	{ MSG_STATS, 0, on_stats },
	{ MSG_TLS_READ, 512, tlsrpt_on_read },
	{ 0 },
};
