/* Delivery status notifications.
 *
 * multipart/report = words for people (report_words.c),
 *                    message/delivery-status (RFC 3464 section 2),
 *                    the original or its header
 */
#include "runner/report.h"

#include "common/date.h"
#include "common/id.h"
#include "common/reply.h"
#include "runner/report_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum { FOLD_AT = 76, LINE_MAX_BYTES = 900, REPORT_BYTES_MAX = 8 << 20 };

/* --- text ----------------------------------------------------------------- */

static char safe_byte(const struct writing *w, char c)
{
	if ((unsigned char)c >= 0x80)
		return w->is_utf8 ? c : '?';
	return c >= 0x20 && c < 0x7f ? c : '?';
}

void report_put_safe(const struct writing *w, struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		buf_putc(w->out, safe_byte(w, text.p[i]));
}

/* The next piece of text: up to the last blank that fits, else to the hard
 * end, never inside a UTF-8 sequence. */
static struct span cut_piece(struct span *rest, size_t room)
{
	struct span piece = *rest;
	size_t blank = 0, hard = LINE_MAX_BYTES;

	if (rest->n > room) {
		for (size_t i = 1; i < rest->n && i < hard; i++) {
			if (rest->p[i] != ' ')
				continue;
			if (blank > 0 && i > room)
				break;
			blank = i;
			if (i > room)
				break;
		}
		if (blank > 0)
			piece.n = blank;
		else if (rest->n > hard)
			piece.n = hard;
		while (blank == 0 && piece.n < rest->n && piece.n > hard - 4 &&
		       ((unsigned char)rest->p[piece.n] & 0xc0) == 0x80)
			piece.n--;
	}
	*rest = span_from(*rest, piece.n);
	if (blank > 0)
		*rest = span_from(*rest, 1);
	return piece;
}

void report_put_field(
    const struct writing *w, const char *name, struct span value)
{
	size_t used = strlen(name) + 2;
	bool is_first = true;

	if (value.n == 0)
		return;
	buf_printf(w->out, "%s: ", name);
	while (value.n > 0) {
		struct span piece =
		    cut_piece(&value, used < FOLD_AT ? FOLD_AT - used : 1);

		if (!is_first)
			buf_puts(w->out, "\r\n ");
		report_put_safe(w, piece);
		is_first = false;
		used = 1;
	}
	buf_puts(w->out, "\r\n");
}

void report_put_wrapped(
    const struct writing *w, const char *indent, struct span text)
{
	while (text.n > 0) {
		struct span piece = cut_piece(&text, 72 - strlen(indent));

		buf_puts(w->out, indent);
		report_put_safe(w, piece);
		buf_puts(w->out, "\r\n");
	}
}

/* --- the original ----------------------------------------------------------
 */

/* The header with its last CRLF, cut at a line where it is too long. */
static struct span header_of(struct span content)
{
	struct span header = { content.p, 0 };
	struct span rest = content;

	while (rest.n > 0) {
		struct span line = rest;
		ptrdiff_t end = span_find(rest, '\n');

		if (end < 0)
			break;
		line.n = (size_t)end + 1;
		if (line.n <= 2 || header.n + line.n > REPORT_HEADER_MAX)
			break;
		header.n += line.n;
		rest = span_from(rest, line.n);
	}
	return header;
}

/* RFC 3461 6.1: the whole only when it failed and the sender did not ask for
 * the header alone. */
static bool returns_whole(const struct writing *w)
{
	const struct job *job = w->c->job;

	return w->has_kind[REPORT_FAILED] && job->ret != RET_HDRS &&
	       !job->requiretls && !job->is_large && job->body != BODY_BINARY &&
	       job->size_bytes <= job->content.n &&
	       job->content.n <= REPORT_ORIGINAL_MAX;
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static struct span returned(const struct writing *w)
{
	return w->is_whole ? w->c->job->content : header_of(w->c->job->content);
}

static bool contains(struct span text, struct span part)
{
	return part.n > 0 && text.n >= part.n &&
	       memmem(text.p, text.n, part.p, part.n) != NULL;
}

static void choose_boundary(struct writing *w)
{
	char id[ID_TEXT_BYTES];
	unsigned n = 0;

	id_print(w->c->job->message, id);
	do
		snprintf(w->boundary, sizeof(w->boundary), "=_%s_%llx_%u", id,
		    (unsigned long long)w->c->now, n++);
	while (contains(returned(w), span_of(w->boundary)));
}

static void put_part(const struct writing *w, const char *type, bool is_8bit)
{
	buf_printf(
	    w->out, "\r\n--%s\r\nContent-Type: %s\r\n", w->boundary, type);
	if (is_8bit)
		buf_puts(w->out, "Content-Transfer-Encoding: 8bit\r\n");
	buf_puts(w->out, "\r\n");
}

static void put_original(const struct writing *w)
{
	struct span text = returned(w);
	const char *type =
	    w->is_utf8 ? "message/global-headers" : "text/rfc822-headers";

	if (w->is_whole)
		type = w->is_utf8 ? "message/global" : "message/rfc822";
	put_part(w, type, !is_ascii(text));
	buf_put_raw(w->out, text);
	if (text.n > 0 && text.p[text.n - 1] != '\n')
		buf_puts(w->out, "\r\n");
}

/* --- message/delivery-status -----------------------------------------------
 */

static const char *action_name(uint8_t kind)
{
	static const char *const names[] = {
		[REPORT_FAILED] = "failed",
		[REPORT_DELAYED] = "delayed",
		[REPORT_RELAYED] = "relayed",
		[REPORT_DELIVERED] = "delivered",
	};

	return names[kind];
}

static void put_typed(const struct writing *w, const char *name,
    const char *type, struct span value)
{
	struct buf text;

	buf_init(&text, 4096);
	buf_printf(&text, "%s; ", type);
	buf_put_raw(&text, value);
	if (value.n > 0)
		report_put_field(w, name, buf_span(&text));
	buf_clear(&text);
}

static void put_date(const struct writing *w, const char *name, int64_t at)
{
	char date[DATE_TEXT_BYTES];

	date_print(at, date);
	report_put_field(w, name, span_of(date));
}

static struct span status_of(const struct job_recipient *r)
{
	if (r->status.n >= 5)
		return r->status;
	switch (r->report) {
	case REPORT_FAILED:
		return SPAN_LITERAL("5.0.0");
	case REPORT_DELAYED:
		return SPAN_LITERAL("4.0.0");
	default:
		return SPAN_LITERAL("2.0.0");
	}
}

static void put_recipient_status(
    const struct writing *w, const struct job_recipient *r)
{
	const char *type =
	    w->is_utf8 && !is_ascii(r->address) ? "utf-8" : "rfc822";

	buf_puts(w->out, "\r\n");
	report_put_field(w, "Original-Recipient", r->orcpt);
	put_typed(w, "Final-Recipient", type, r->address);
	buf_printf(w->out, "Action: %s\r\n", action_name(r->report));
	report_put_field(w, "Status", status_of(r));
	put_typed(w, "Remote-MTA", "dns", r->host);
	put_typed(w, "Diagnostic-Code",
	    r->host.n > 0 && reply_is_quoted(r->reply) ? "smtp" : "X-Outpost",
	    r->reply);
	if (r->report == REPORT_DELAYED && w->c->retry_until > 0)
		put_date(w, "Will-Retry-Until", w->c->retry_until);
}

static void put_status(const struct writing *w)
{
	const struct job *job = w->c->job;
	char id[ID_TEXT_BYTES];

	put_part(w,
	    w->is_utf8 ? "message/global-delivery-status"
		       : "message/delivery-status",
	    w->is_utf8);
	put_typed(w, "Reporting-MTA", "dns", span_of(w->c->localname));
	report_put_field(w, "Original-Envelope-Id", job->envid);
	id_print(job->message, id);
	report_put_field(w, "X-Outpost-Id", span_of(id));
	put_date(w, "Arrival-Date", (int64_t)job->accepted_at);
	for (size_t i = 0; i < job->nrecipients; i++)
		if (i < REPORT_RECIPIENTS_MAX && job->recipients[i].report)
			put_recipient_status(w, &job->recipients[i]);
}

/* --- the message -----------------------------------------------------------
 */

static void put_header(const struct writing *w, struct span to)
{
	char id[ID_TEXT_BYTES];

	id_print(w->c->job->message, id);
	buf_printf(w->out,
	    "From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <",
	    w->c->localname);
	report_put_safe(w, to);
	buf_printf(w->out, ">\r\nSubject: %s\r\n", report_subject(w));
	put_date(w, "Date", w->c->now);
	buf_printf(w->out,
	    "Message-ID: <%s.%llx.report@%s>\r\n"
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=%s;\r\n"
	    " boundary=\"%s\"\r\n",
	    id, (unsigned long long)w->c->now, w->c->localname,
	    w->is_utf8 ? "global-delivery-status" : "delivery-status",
	    w->boundary);
}

static void compose(const struct writing *w, struct report *report)
{
	bool is_8bit = w->is_utf8 || !is_ascii(returned(w));

	put_header(w, report->to);
	if (is_8bit)
		buf_puts(w->out, "Content-Transfer-Encoding: 8bit\r\n");
	buf_puts(w->out,
	    "\r\nThis is a report of a mail server, in the format of "
	    "RFC 3464.\r\n");
	put_part(w,
	    w->is_utf8 ? "text/plain; charset=utf-8"
		       : "text/plain; charset=us-ascii",
	    w->is_utf8);
	report_put_words(w);
	put_status(w);
	put_original(w);
	buf_printf(w->out, "\r\n--%s--\r\n", w->boundary);
	report->body = is_8bit ? BODY_8BIT : BODY_7BIT;
	/* what tells of that one in turn goes to the postmaster */
	report->requiretls =
	    w->c->job->requiretls && w->c->job->origin != ORIGIN_REPORT;
	report->smtputf8 = w->is_utf8;
}

static int collect(
    const struct job *job, struct writing *w, struct report *report)
{
	report->refs = calloc(job->nrecipients + 1, sizeof(report->refs[0]));
	if (!report->refs)
		return -1;
	for (size_t i = 0; i < job->nrecipients; i++) {
		const struct job_recipient *r = &job->recipients[i];

		if (r->report == REPORT_NONE || r->report > REPORT_DELIVERED ||
		    i >= REPORT_RECIPIENTS_MAX)
			continue;
		w->has_kind[r->report] = true;
		report->refs[report->nrefs++] =
		    (struct report_ref){ r->delivery, r->index, r->report };
	}
	return 0;
}

/* The sender; for a report of ours the postmaster; for other mail without a
 * sender nobody. */
static void choose_reader(
    const struct report_case *c, struct writing *w, struct report *report)
{
	const struct job *job = c->job;

	report->to = job->sender;
	if (job->sender.n > 0 || job->origin != ORIGIN_REPORT)
		return;
	w->is_about_report = true;
	report->to = span_of(c->postmaster);
	for (size_t i = 0; i < job->nrecipients; i++)
		if (span_is_equal_nocase(
			job->recipients[i].address, report->to))
			report->to = (struct span){ NULL, 0 };
}

int report_compose(const struct report_case *c, struct report *report)
{
	struct writing w = { .c = c, .out = &report->text };

	*report = (struct report){ 0 };
	buf_init(&report->text, REPORT_BYTES_MAX);
	if (collect(c->job, &w, report) < 0)
		return -1;
	choose_reader(c, &w, report);
	if (report->to.n == 0 || report->nrefs == 0)
		return 0;
	w.is_utf8 = c->job->smtputf8;
	w.is_whole = returns_whole(&w);
	choose_boundary(&w);
	compose(&w, report);
	return report->text.overflow ? -1 : 0;
}

void report_clear(struct report *report)
{
	buf_clear(&report->text);
	free(report->refs);
	*report = (struct report){ 0 };
}
