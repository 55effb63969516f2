/* One report about TLS: what was counted becomes JSON, and goes to one place
 * after the other. RFC 8460 section 5. */
#include "runner/tlsrpt_parts.h"

#include "runner/tlsrpt_report.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 400, JSON_MAX = 4 << 20, MAIL_LIFE_S = 86400 };

static void serve_next(struct runner *runner);

/* --- ROWS ----------------------------------------------------------------- */

void tlsrpt_on_row(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	struct reader r = reader_of(message->payload);
	struct tls_count c;

	(void)wire;
	tls_count_get(&r, &c);
	if (reader_is_done(&r) &&
	    walk_awaits(runner, message->id, TLSRPT_ROWS) &&
	    w->nrows < ROWS_MAX &&
	    w->rows.len + message->payload.n < TLSRPT_ROWS_BYTES) {
		buf_put_raw(&w->rows, message->payload);
		w->nrows++;
	}
}

static struct tls_count *read_rows(const struct tlsrpt_walk *w)
{
	struct tls_count *rows = calloc(w->nrows + 1, sizeof(*rows));
	struct reader r = reader_of(buf_span(&w->rows));

	for (unsigned i = 0; rows && i < w->nrows; i++)
		tls_count_get(&r, &rows[i]);
	return rows;
}

static struct tlsrpt_case case_of(const struct runner *runner)
{
	const struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	return (struct tlsrpt_case){ .domain = span_of(w->domain),
		.day = w->day,
		.localname = runner->conf->localname,
		.postmaster = runner->conf->postmaster };
}

/* 0, or -1: no memory, or too much. */
static int compose(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	struct tlsrpt_case c = case_of(runner);
	struct tls_count *rows = read_rows(w);
	json_t *json = NULL;
	char *text = NULL;
	int status = -1;

	c.rows = rows;
	c.nrows = w->nrows;
	if (rows)
		json = tlsrpt_json(&c);
	if (json)
		text = json_dumps(json, JSON_INDENT(1));
	buf_init(&w->gzip, TLS_POST_MAX);
	if (text)
		status = tlsrpt_gzip(span_of(text), &w->gzip);
	free(text);
	json_decref(json);
	free(rows);
	return status;
}

void tlsrpt_report(struct runner *runner)
{
	if (compose(runner) == 0) {
		serve_next(runner);
		return;
	}
	walk_log(runner, "no memory for it");
	walk_say(runner, walk_failed(runner), "no memory for it");
	walk_next(runner);
}

/* --- SEND ----------------------------------------------------------------- */

/* RFC 8460 5.3: not to be kept back by what it reports: see is_tls_report. */
static int send_mail(struct runner *runner, struct span to)
{
	struct tlsrpt_case c = case_of(runner);
	const struct recipient place = { .address = to,
		.notify = NOTIFY_NEVER };
	struct envelope e = { .origin = ORIGIN_REPORT,
		.uid = UINT32_MAX,
		.expires_at = (uint64_t)now_utc() + MAIL_LIFE_S,
		.recipients = &place,
		.nrecipients = 1 };
	struct buf text, contact;
	int status;

	buf_init(&text, JSON_MAX);
	buf_init(&contact, ADDRESS_MAX);
	tlsrpt_contact(&c, &contact);
	e.sender = buf_span(&contact);
	status = tlsrpt_mail(
	    &c, to, buf_span(&runner->tlsrpt->walk.gzip), now_utc(), &text);
	if (status == 0)
		report_submit(runner, walk_step(runner, TLSRPT_SEND), &e,
		    buf_span(&text));
	buf_clear(&text);
	buf_clear(&contact);
	return status;
}

static int send_post(struct runner *runner, struct span uri)
{
	const struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	struct tls_post post = { .uri = uri, .body = buf_span(&w->gzip) };

	if (!runner->resolver)
		return -1;
	buf_reset(&runner->scratch);
	tls_post_put(&runner->scratch, &post);
	wire_send(runner->resolver, MSG_TLS_POST,
	    walk_step(runner, TLSRPT_SEND), buf_span(&runner->scratch));
	return 0;
}

static int serve(struct runner *runner, struct span uri)
{
	static const char mailto[] = "mailto:";

	if (span_has_prefix_nocase(uri, mailto))
		return send_mail(runner, span_from(uri, sizeof(mailto) - 1));
	return send_post(runner, uri);
}

/* Every place has been tried. */
static void all_served(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	uint16_t all = (uint16_t)((1U << w->place) - 1);
	const char *result = "sent";

	if ((w->found.done & all) == all) {
		w->found.state = TLS_REPORT_SENT;
		walk_mark(runner);
	} else {
		result = walk_failed(runner);
	}
	walk_say(runner, result, NULL);
	walk_next(runner);
}

static void serve_next(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	while (w->rest.n > 0 && w->place < TLS_URIS_MAX) {
		struct span uri = span_cut(&w->rest, '\n');

		w->place++;
		if (w->found.done & 1U << (w->place - 1))
			continue;
		snprintf(w->uri, sizeof(w->uri), "%.*s", (int)uri.n, uri.p);
		if (serve(runner, uri) == 0)
			return;
		walk_log(runner, "it could not be begun");
	}
	all_served(runner);
}

/* why: NULL when it has it. Marked at once: a restart does not send again. */
void tlsrpt_served(struct runner *runner, const char *why)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	walk_log(runner, why);
	if (!why) {
		w->found.done |= (uint16_t)(1U << (w->place - 1));
		walk_mark(runner);
	}
	serve_next(runner);
}

void tlsrpt_on_submitted(
    struct runner *runner, uint64_t id, const struct outcome *why)
{
	if (walk_awaits(runner, id, TLSRPT_SEND))
		tlsrpt_served(runner, why ? why->detail : NULL);
}

void tlsrpt_on_posted(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct reader r = reader_of(message->payload);
	struct outcome why;

	(void)wire;
	outcome_get(&r, &why);
	if (walk_awaits(runner, message->id, TLSRPT_SEND) && runner->keeper)
		tlsrpt_served(runner,
		    why.verdict == VERDICT_OK && !r.bad ? NULL : why.detail);
}
