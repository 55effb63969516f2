/* The keeper as the queue tool's source: requests over its control socket. */
#include "queue/tool_source.h"

#include "common/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A page examines a bounded part of the queue, so a silent keeper is stuck. */
enum { ANSWER_MS = 60000 };

static const struct wire_rule answers[] = {
	{ MSG_ITEM, 65536, NULL },
	{ MSG_ATTEMPT, WIRE_FRAME_MAX, NULL },
	{ MSG_ENVELOPE, WIRE_FRAME_MAX, NULL },
	{ MSG_SUBMIT_DATA, DATA_CHUNK_MAX, NULL },
	{ MSG_LIST_END, 32, NULL },
	{ MSG_CHANGE_DONE, 32, NULL },
	{ MSG_STATS_DONE, 4096, NULL },
	{ MSG_FAILED, 1024, NULL },
	{ 0 },
};

struct keeper_source {
	struct wire *wire;
	uint64_t last_id;
};

void *source_keeper_new(const char *socket_path, struct outcome *why)
{
	struct keeper_source *k = calloc(1, sizeof(*k));
	int fd = wire_connect(socket_path);

	if (k && fd >= 0)
		k->wire = wire_new(NULL, fd, "keeper", answers, NULL, NULL);
	if (k && k->wire)
		return k;
	outcome_temp(why, "4.3.0", "%s: %s", socket_path, strerror(errno));
	free(k);
	return NULL;
}

static void keeper_free(void *self)
{
	struct keeper_source *k = self;

	wire_free(k->wire);
	free(k);
}

static int broken(struct outcome *why, const char *detail)
{
	return outcome_temp(why, "4.3.0", "the keeper: %s", detail);
}

static int ask(struct keeper_source *k, enum message_type type,
    struct buf *payload, struct outcome *why)
{
	int status;

	wire_send(k->wire, (uint16_t)type, ++k->last_id, buf_span(payload));
	buf_clear(payload);
	status = wire_flush(k->wire, deadline_in_ms(ANSWER_MS));
	return status < 0 ? broken(why, strerror(errno)) : 0;
}

static void drop_fds(struct message *message)
{
	for (int i = 0; i < message->nfds; i++)
		close(message->fds[i]);
	message->nfds = 0;
}

/* The next frame of the answer. 0, or -1: the end of it all. */
static int next(
    struct keeper_source *k, struct message *message, struct outcome *why)
{
	int status = wire_receive(k->wire, message, deadline_in_ms(ANSWER_MS));
	struct reader r;

	if (status <= 0)
		return broken(why,
		    status == 0 ? "closed the connection" : strerror(errno));
	drop_fds(message);
	if (message->id != k->last_id)
		return broken(why, "answered something else");
	if (message->type != MSG_FAILED)
		return 0;
	r = reader_of(message->payload);
	outcome_get(&r, why);
	return r.bad ? broken(why, "malformed refusal") : -1;
}

static bool give_item(
    const struct message *message, const struct source_visitor *visitor)
{
	struct reader r = reader_of(message->payload);
	struct item item;

	item_get(&r, &item);
	if (!reader_is_done(&r))
		return false;
	if (visitor->item)
		visitor->item(&item, visitor->arg);
	return true;
}

static bool give_attempt(
    const struct message *message, const struct source_visitor *visitor)
{
	struct reader r = reader_of(message->payload);
	uint64_t at = get_u64(&r);
	struct attempt attempt;

	if (attempt_get(&r, &attempt) < 0)
		return false;
	if (visitor->attempt)
		visitor->attempt(at, &attempt, visitor->arg);
	attempt_free(&attempt);
	return true;
}

static bool give_envelope(
    const struct message *message, const struct source_visitor *visitor)
{
	struct reader r = reader_of(message->payload);
	uint64_t accepted_at = get_u64(&r);
	struct envelope envelope;

	if (envelope_get(&r, &envelope) < 0)
		return false;
	if (visitor->envelope)
		visitor->envelope(accepted_at, &envelope, visitor->arg);
	envelope_free(&envelope);
	return true;
}

/* Hand on what comes up to the frame of the type end, left in *message. */
static int collect(struct keeper_source *k, enum message_type end,
    const struct source_visitor *visitor, struct message *message,
    struct outcome *why)
{
	bool is_fine = true;

	while (is_fine) {
		if (next(k, message, why) < 0)
			return -1;
		if (message->type == end)
			return 0;
		if (message->type == MSG_ITEM)
			is_fine = give_item(message, visitor);
		else if (message->type == MSG_ATTEMPT)
			is_fine = give_attempt(message, visitor);
		else if (message->type == MSG_ENVELOPE)
			is_fine = give_envelope(message, visitor);
		else if (message->type != MSG_SUBMIT_DATA)
			is_fine = false;
		else if (visitor->body)
			visitor->body(message->payload, visitor->arg);
	}
	return broken(why, "malformed answer");
}

static int keeper_list(void *self, struct list_query *query, uint64_t *count,
    const struct source_visitor *visitor, bool *has_more, struct outcome *why)
{
	struct message message;
	struct buf payload;
	struct reader r;

	buf_init(&payload, WIRE_FRAME_MAX);
	list_query_put(&payload, query);
	if (ask(self, MSG_LIST, &payload, why) < 0 ||
	    collect(self, MSG_LIST_END, visitor, &message, why) < 0)
		return -1;
	r = reader_of(message.payload);
	cursor_get(&r, &query->after);
	*has_more = get_u8(&r);
	if (query->count_only)
		*count += get_u32(&r);
	return reader_is_done(&r) ? 0 : broken(why, "malformed end of list");
}

/* Recipients beyond the first page come by list. */
static int show_rest(struct keeper_source *k, uint64_t id,
    const struct message *end, const struct source_visitor *visitor,
    struct outcome *why)
{
	struct list_query query = {
		.filter = { .id = id, .state = -1, .uid = UINT32_MAX },
	};
	struct reader r = reader_of(end->payload);
	uint64_t unused = 0;
	bool has_more;

	cursor_get(&r, &query.after);
	has_more = get_u8(&r);
	if (!reader_is_done(&r))
		return broken(why, "malformed end of list");
	while (has_more)
		if (keeper_list(k, &query, &unused, visitor, &has_more, why) <
		    0)
			return -1;
	return 0;
}

static int keeper_show(void *self, uint64_t id,
    const struct source_visitor *visitor, struct outcome *why)
{
	struct message message;
	struct buf payload;

	buf_init(&payload, 64);
	put_u64(&payload, id);
	if (ask(self, MSG_SHOW, &payload, why) < 0 ||
	    collect(self, MSG_LIST_END, visitor, &message, why) < 0)
		return -1;
	return show_rest(self, id, &message, visitor, why);
}

static int keeper_body(void *self, uint64_t id,
    const struct source_visitor *visitor, struct outcome *why)
{
	struct message message;
	struct buf payload;

	buf_init(&payload, 64);
	put_u64(&payload, id);
	if (ask(self, MSG_GET_BODY, &payload, why) < 0)
		return -1;
	return collect(self, MSG_LIST_END, visitor, &message, why);
}

static int keeper_stats(
    void *self, struct spool_stats *stats, struct outcome *why)
{
	const struct source_visitor none = { 0 };
	struct message message;
	struct buf payload;
	struct reader r;

	buf_init(&payload, 64);
	if (ask(self, MSG_STATS, &payload, why) < 0 ||
	    collect(self, MSG_STATS_DONE, &none, &message, why) < 0)
		return -1;
	r = reader_of(message.payload);
	spool_stats_get(&r, stats);
	return reader_is_done(&r) ? 0 : broken(why, "malformed statistics");
}

static int keeper_change(void *self, struct change *change, uint64_t *count,
    bool *has_more, struct outcome *why)
{
	const struct source_visitor none = { 0 };
	struct message message;
	struct buf payload;
	struct reader r;

	buf_init(&payload, WIRE_FRAME_MAX);
	change_put(&payload, change);
	if (ask(self, MSG_CHANGE, &payload, why) < 0 ||
	    collect(self, MSG_CHANGE_DONE, &none, &message, why) < 0)
		return -1;
	r = reader_of(message.payload);
	*count += get_u32(&r);
	cursor_get(&r, &change->after);
	*has_more = get_u8(&r);
	return reader_is_done(&r) ? 0 : broken(why, "malformed answer");
}

const struct source_kind source_keeper = {
	keeper_free,
	keeper_list,
	keeper_show,
	keeper_body,
	keeper_stats,
	keeper_change,
};
