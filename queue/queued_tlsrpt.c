/* Counts of TLS: the runner brings them and asks for them, an administrator
 * looks at them. */
#include "queue/queued_parts.h"

#include "common/log.h"
#include "queue/tlscount.h"

/* Without room on the disk it would be said every few seconds. */
enum { COMPLAIN_MS = 600000 };

static void complain(struct keeper *keeper, const char *why)
{
	uint64_t now = now_monotonic_ms();

	if (keeper->tlscount_complained_ms != 0 &&
	    now < keeper->tlscount_complained_ms + COMPLAIN_MS)
		return;
	keeper->tlscount_complained_ms = now;
	log_warn("tlsrpt-not-counted", "why", why, NULL);
}

void tlsrpt_on_counts(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct tls_count counts[TLS_COUNTS_MAX];
	uint16_t n = get_u16(&r);
	const char *why;

	(void)wire;
	for (unsigned i = 0; n <= TLS_COUNTS_MAX && i < n; i++)
		tls_count_get(&r, &counts[i]);
	if (n > TLS_COUNTS_MAX || !reader_is_done(&r)) {
		conn_cut(conn, "malformed counts of TLS");
		return;
	}
	if (conn->keeper->tlscount &&
	    tlscount_add(conn->keeper->tlscount, counts, n, &why) < 0)
		complain(conn->keeper, why);
}

void tlsrpt_on_mark(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct tls_domain d;
	const char *why;

	(void)wire;
	tls_domain_get(&r, &d);
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed state of a report");
		return;
	}
	if (conn->keeper->tlscount &&
	    tlscount_mark(conn->keeper->tlscount, &d, &why) < 0)
		complain(conn->keeper, why);
}

struct answer {
	struct conn *conn;
	uint64_t id;
};

static void send_domain(const struct tls_domain *d, void *arg)
{
	const struct answer *a = arg;
	struct buf *out = &a->conn->keeper->scratch;

	buf_reset(out);
	tls_domain_put(out, d);
	wire_send(a->conn->wire, MSG_TLS_DOMAIN, a->id, buf_span(out));
}

static void send_row(const struct tls_count *c, void *arg)
{
	const struct answer *a = arg;
	struct buf *out = &a->conn->keeper->scratch;

	buf_reset(out);
	tls_count_put(out, c);
	wire_send(a->conn->wire, MSG_TLS_ROW, a->id, buf_span(out));
}

static int read_counts(
    struct answer *a, const struct tls_read *q, struct outcome *why)
{
	struct tlscount *t = a->conn->keeper->tlscount;
	const char *text = "they could not be opened";

	if (a->conn->kind == CONN_QUEUE && !a->conn->is_admin)
		return outcome_perm(why, "5.7.1",
		    "only root and Outpost's own user may see this");
	if (!t || tlscount_read(t, q, send_domain, send_row, a, &text) < 0)
		return outcome_temp(why, "4.3.0", "counts of TLS: %s", text);
	return 0;
}

void tlsrpt_on_read(struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct answer a = { conn, message->id };
	struct reader r = reader_of(message->payload);
	struct outcome why;
	struct tls_read q;

	conn_touch(conn);
	tls_read_get(&r, &q);
	if (!reader_is_done(&r)) {
		conn_cut(conn, "malformed question about TLS");
		return;
	}
	if (read_counts(&a, &q, &why) < 0)
		send_outcome(conn, MSG_FAILED, message->id, &why);
	else
		wire_send(wire, MSG_END, message->id, (struct span){ 0 });
	conn_hold_back(conn);
}
