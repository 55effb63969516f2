/* Submissions: messages coming in over submit.sock, from smtpd and, as
 * reports, from the runner.
 *
 * A transaction that was refused is forgotten at once: data that is still on
 * its way for it names an unknown id and is ignored.
 */
#include "queue/queued_parts.h"

#include "common/address.h"
#include "common/policy.h"

#include <stdlib.h>

const struct wire_rule submit_rules[] = {
	{ MSG_SUBMIT, WIRE_FRAME_MAX, submit_on_begin },
	{ MSG_SUBMIT_DATA, DATA_CHUNK_MAX, submit_on_data },
	{ MSG_SUBMIT_END, 8, submit_on_end },
	{ MSG_SUBMIT_ABORT, 0, submit_on_abort },
	{ 0 },
};

static struct transaction **find(struct conn *conn, uint64_t id)
{
	struct transaction **link = &conn->open[id % conn->nbuckets];

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	return link;
}

static struct transaction *take_out(
    struct conn *conn, struct transaction **link)
{
	struct transaction *t = *link;

	*link = t->next;
	t->next = NULL;
	conn->nopen--;
	conn->keeper->open_bytes -= t->in_memory;
	t->in_memory = 0;
	return t;
}

void transaction_free(struct keeper *keeper, struct transaction *t)
{
	(void)keeper;
	if (!t)
		return;
	spool_incoming_free(t->incoming);
	free(t);
}

void submit_drop_all(struct conn *conn)
{
	for (size_t i = 0; conn->nopen > 0 && i < conn->nbuckets; i++)
		while (conn->open[i])
			transaction_free(
			    conn->keeper, take_out(conn, &conn->open[i]));
}

static void refuse(struct conn *conn, uint64_t id, const struct outcome *why)
{
	send_outcome(conn, MSG_REFUSED, id, why);
	conn_hold_back(conn);
}

static void refuse_open(
    struct conn *conn, struct transaction **link, const struct outcome *why)
{
	struct transaction *t = take_out(conn, link);

	refuse(conn, t->id, why);
	transaction_free(conn->keeper, t);
}

/* --- the envelope --------------------------------------------------------- */

/* Who may say what: the kernel says who called, and only programs of ours may
 * speak of clients, logins and reports. */
static void shape_envelope(const struct conn *conn, struct envelope *e)
{
	bool is_local = conn->kind == CONN_SUBMIT;

	e->uid = conn->uid;
	if (is_local && !(conn->is_admin && e->origin == ORIGIN_IMPORT))
		e->origin = ORIGIN_LOCAL;
	if (conn->kind == CONN_SMTPD)
		e->origin = ORIGIN_SMTP;
	if (is_local) {
		e->login = e->client = (struct span){ NULL, 0 };
		if (!conn->is_admin)
			e->line = (struct span){ NULL, 0 };
	}
	if (conn->kind == CONN_RUNNER) {
		e->origin = ORIGIN_REPORT;
	} else {
		e->about = 0;
		e->nrefs = 0;
	}
}

/* Whole header lines when an id and CRLF stand between head and tail: every CR
 * with its LF, every further line folded. */
static bool is_folded_text(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '\0' || c == '\n')
			return false;
		if (c != '\r')
			continue;
		if (i + 2 >= text.n || text.p[i + 1] != '\n' ||
		    (text.p[i + 2] != ' ' && text.p[i + 2] != '\t'))
			return false;
		i += 2;
	}
	return true;
}

static int check_sender(const struct envelope *e, struct outcome *why)
{
	struct address address;
	struct outcome detail;

	if (e->sender.n == 0 ||
	    address_parse(e->sender, &address, &detail) == 0)
		return 0;
	return outcome_perm(why, "5.1.7", "sender: %s", detail.detail);
}

/* What a sender's block holds, and a hold does not eat up the time there is
 * for delivery (RFC 4865 4.1.1). */
static void apply_hold(const struct conn *conn, struct envelope *e)
{
	const struct conf *conf = conn->keeper->limits.conf;
	const struct conf_sender *block;

	if (!conf || conn->kind == CONN_RUNNER)
		return;
	block = policy_sender_block(conf, e->sender, e->uid);
	if (block && block->hold_s > 0 && e->hold_until == 0)
		e->hold_until = (uint64_t)now_utc() + block->hold_s;
	if (e->hold_until > 0 && e->hold_until < UINT64_MAX &&
	    e->expires_at == 0)
		e->expires_at = e->hold_until + conf->retry.lifetime_s;
}

static int check_policy(
    const struct conn *conn, const struct envelope *e, struct outcome *why)
{
	const struct conf *conf = conn->keeper->limits.conf;
	const struct policy_sender sender = { e->sender, e->login, e->uid };

	for (size_t i = 0; conf && conf->nrestricts > 0 && i < e->nrecipients &&
			   conn->kind != CONN_RUNNER;
	     i++)
		if (policy_may_send(
			conf, &sender, e->recipients[i].address, why) < 0)
			return -1;
	return 0;
}

static int check_envelope(
    const struct conn *conn, const struct envelope *e, struct outcome *why)
{
	const struct keeper *keeper = conn->keeper;

	if (keeper->is_stopping)
		return outcome_temp(why, "4.3.2", "shutting down");
	if (conn->nopen >= conn->max_open)
		return outcome_temp(
		    why, "4.5.3", "too many messages open at once");
	if (keeper->open_bytes >= OPEN_BYTES_MAX)
		return outcome_temp(
		    why, "4.3.2", "too many messages are coming in at once");
	if (e->nrecipients == 0)
		return outcome_perm(why, "5.5.1", "no recipients");
	if (conn->kind != CONN_RUNNER &&
	    e->nrecipients > keeper->limits.recipients)
		return outcome_perm(why, "5.5.3",
		    "more than %u recipients (limits recipients)",
		    keeper->limits.recipients);
	if (!is_folded_text(e->trace_head) || !is_folded_text(e->trace_tail))
		return outcome_perm(why, "5.6.0", "malformed trace header");
	if (check_sender(e, why) < 0)
		return -1;
	return check_policy(conn, e, why);
}

static struct transaction *transaction_new(
    uint64_t id, const struct envelope *e)
{
	struct span client = e->client.n ? e->client : e->login;
	struct transaction *t =
	    calloc(1, sizeof(*t) + e->sender.n + client.n + 2);

	if (!t)
		return NULL;
	*t = (struct transaction){ .id = id,
		.about = e->about,
		.uid = e->uid,
		.nrecipients = (uint32_t)e->nrecipients,
		.origin = e->origin };
	if (e->sender.n > 0)
		memcpy(t->text, e->sender.p, e->sender.n);
	t->client = t->text + e->sender.n + 1;
	if (client.n > 0)
		memcpy(t->text + e->sender.n + 1, client.p, client.n);
	return t;
}

/* What the spool's copy takes, about: fifty thousand recipients are much more
 * than a small body. */
static uint64_t envelope_bytes(const struct envelope *e)
{
	uint64_t n = e->sender.n + e->envid.n + e->trace_head.n +
		     e->trace_tail.n + e->nrefs * sizeof(*e->refs);

	for (size_t i = 0; i < e->nrecipients; i++)
		n += sizeof(e->recipients[i]) + e->recipients[i].address.n +
		     e->recipients[i].orcpt.n;
	return n;
}

static int begin(struct conn *conn, uint64_t id, struct envelope *e,
    struct transaction **link, struct outcome *why)
{
	struct transaction *t;

	shape_envelope(conn, e);
	apply_hold(conn, e);
	if (check_envelope(conn, e, why) < 0)
		return -1;
	t = transaction_new(id, e);
	if (!t)
		return outcome_temp(why, "4.3.0", "out of memory");
	t->incoming = spool_incoming_new(conn->keeper->spool, e, why);
	if (!t->incoming) {
		free(t);
		return -1;
	}
	*link = t;
	t->in_memory = t->envelope_bytes = envelope_bytes(e);
	conn->keeper->open_bytes += t->in_memory;
	conn->nopen++;
	return 0;
}

void submit_on_begin(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct envelope e;
	struct outcome why;
	struct transaction **link = find(conn, message->id);

	(void)wire;
	conn_touch(conn);
	if (*link) {
		conn_cut(conn, "began a message twice");
		return;
	}
	if (envelope_get(&r, &e) < 0) {
		conn_cut(conn, "malformed envelope");
		return;
	}
	if (!reader_is_done(&r)) {
		envelope_free(&e);
		conn_cut(conn, "envelope with something behind it");
		return;
	}
	if (begin(conn, message->id, &e, link, &why) < 0)
		refuse(conn, message->id, &why);
	envelope_free(&e);
}

/* --- content -------------------------------------------------------------- */

static int add_data(struct conn *conn, struct transaction *t, struct span data,
    struct outcome *why)
{
	struct keeper *keeper = conn->keeper;
	uint64_t before = t->in_memory;

	if (t->size_bytes + data.n > keeper->limits.message_size)
		return outcome_perm(why, "5.3.4",
		    "message larger than %llu bytes (limits message-size)",
		    (unsigned long long)keeper->limits.message_size);
	if (spool_incoming_data(t->incoming, data, why) < 0)
		return -1;
	t->size_bytes += data.n;
	t->in_memory = t->envelope_bytes;
	if (t->size_bytes <= INLINE_BODY_MAX)
		t->in_memory += t->size_bytes;
	keeper->open_bytes += t->in_memory - before;
	return 0;
}

void submit_on_data(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct transaction **link = find(conn, message->id);
	struct outcome why;

	(void)wire;
	conn_touch(conn);
	if (*link && add_data(conn, *link, message->payload, &why) < 0)
		refuse_open(conn, link, &why);
}

static int stage(struct conn *conn, struct transaction *t, uint64_t total,
    struct outcome *why)
{
	struct request request = {
		.kind = REQUEST_MESSAGE, .conn = conn, .id = t->id
	};

	if (total != t->size_bytes)
		return outcome_temp(why, "4.3.0",
		    "%llu bytes came of a message of %llu",
		    (unsigned long long)t->size_bytes,
		    (unsigned long long)total);
	if (spool_stage_message(
		conn->keeper->spool, t->incoming, &request.message, why) < 0)
		return -1;
	t->incoming = NULL;
	request.transaction = t;
	/* Without memory to remember it, it is stored but not promised. */
	if (!group_add(conn->keeper, &request))
		return outcome_temp(why, "4.3.0", "out of memory");
	return 0;
}

void submit_on_end(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	uint64_t total = get_u64(&r);
	struct transaction **link = find(conn, message->id), *t;
	struct outcome why;

	(void)wire;
	conn_touch(conn);
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed end of message");
		return;
	}
	if (!*link)
		return;
	t = take_out(conn, link);
	if (stage(conn, t, total, &why) == 0)
		return;
	refuse(conn, t->id, &why);
	transaction_free(conn->keeper, t);
}

void submit_on_abort(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct transaction **link = find(conn, message->id);

	(void)wire;
	conn_touch(conn);
	if (*link)
		transaction_free(conn->keeper, take_out(conn, link));
}

/* The spool has ended the claims of what the report names; any other made for
 * it is given back. */
static void end_claims(struct keeper *keeper, uint64_t about)
{
	struct claim *claim;

	while ((claim = claims_take_report(&keeper->claims, about)) != NULL) {
		outcome_unclaim(keeper, claim->message, claim->delivery, false);
		free(claim);
	}
}

void submit_answer(struct keeper *keeper, struct request *request,
    const struct outcome *failure)
{
	struct conn *conn = request->conn;

	if (conn && failure) {
		refuse(conn, request->id, failure);
	} else if (conn) {
		buf_reset(&keeper->scratch);
		put_u64(&keeper->scratch, request->message);
		wire_send(conn->wire, MSG_ACCEPTED, request->id,
		    buf_span(&keeper->scratch));
	}
	if (failure)
		return;
	if (request->transaction->about != 0)
		end_claims(keeper, request->transaction->about);
	runner_announce(keeper, request->message);
}
