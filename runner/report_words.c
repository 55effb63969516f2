/* The part of a report that people read: what happened, the server's words,
 * what to do. */
#include "runner/report_parts.h"

#include "common/date.h"
#include "common/id.h"
#include "common/reply.h"

struct advice {
	const char *status; /* beginning of it, without the class */
	const char *text;
};

static const struct advice advices[] = {
	{ "1.1", "There is no such mailbox. Check the spelling of the part "
		 "before the @." },
	{ "1.10", "That domain says that it takes no mail at all. Check the "
		  "address." },
	{ "1.2", "There is no such domain. Check the spelling of the part "
		 "after the @." },
	{ "1.3", "The address is not written as an address can be. Check it." },
	{ "1.6", "The mailbox has moved. Ask the recipient for the new "
		 "address." },
	{ "2.1", "The mailbox is closed. Reach the recipient another way." },
	{ "2.2", "The mailbox is full. Send it again later, or reach the "
		 "recipient another way." },
	{ "2.3", "The message is too large for that mailbox. Send it smaller, "
		 "or as a link." },
	{ "3.4", "The message is too large for that server. Send it smaller, "
		 "or as a link." },
	{ "4.1", "No server of that domain answered. If this lasts, the "
		 "administrator of that domain has to mend it." },
	{ "4.3", "The name servers of that domain did not answer. If this "
		 "lasts, its administrator has to mend it." },
	{ "4.4", "The mail servers of that domain cannot be found. Check the "
		 "spelling; else its administrator has to mend it." },
	{ "4.6", "That domain's mail is directed back to this server. The "
		 "administrator of one of the two has to mend it." },
	{ "4.7", "The time for delivering it has run out. If it still matters, "
		 "send it again, or reach the recipient another way." },
	{ "6.7", "That server cannot take addresses outside ASCII. Use another "
		 "address of the recipient." },
	{ "7.", "That server refuses it by its rules. Its words above say why; "
		"if they do not help, show them to your administrator." },
};

static const char *advice_for(struct span status)
{
	struct span rest = span_from(status, 2);

	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		struct span begin = span_of(advices[i].status);
		bool is_open = begin.p[begin.n - 1] == '.';

		if (is_open ? span_has_prefix_nocase(rest, advices[i].status)
			    : span_is_equal(rest, begin))
			return advices[i].text;
	}
	return NULL;
}

const char *report_subject(const struct writing *w)
{
	if (w->is_about_report)
		return "Double bounce: a report could not be delivered";
	if (w->has_kind[REPORT_FAILED])
		return "Your message could not be delivered";
	if (w->has_kind[REPORT_DELAYED])
		return "Your message is delayed; no action is needed yet";
	return "Your message has been passed on";
}

static void put_kind_heading(const struct writing *w, uint8_t kind)
{
	const char *text = "";

	if (kind == REPORT_FAILED && w->is_about_report)
		text = "This report, which this server wrote about another "
		       "message, could not be delivered to its reader. It is "
		       "given to you as the postmaster instead.";
	else if (kind == REPORT_FAILED)
		text = "Your message could not be delivered to the following "
		       "address. Nothing more will be tried for it.";
	else if (kind == REPORT_DELAYED)
		text = "Your message could not be delivered yet to the "
		       "following address. It is still being tried: you need "
		       "not send it again.";
	else if (kind == REPORT_RELAYED)
		text = "Your message has been passed on for the following "
		       "address, to a server that sends no such notices: "
		       "this is the last you hear of it unless it fails.";
	else
		text = "Your message has been delivered to the following "
		       "address.";
	report_put_wrapped(w, "", span_of(text));
	buf_puts(w->out, "\r\n");
}

static void put_recipient(
    const struct writing *w, const struct job_recipient *r)
{
	const char *advice;

	buf_puts(w->out, "  <");
	report_put_safe(w, r->address);
	buf_puts(w->out, ">\r\n");
	if (r->report != REPORT_FAILED && r->report != REPORT_DELAYED) {
		buf_puts(w->out, "\r\n");
		return;
	}
	if (r->reply.n > 0 && r->host.n > 0) {
		bool is_quoted = reply_is_quoted(r->reply);

		buf_puts(w->out, is_quoted
				     ? "    The server "
				     : "    The reason, with the server ");
		report_put_safe(w, r->host);
		buf_puts(w->out, is_quoted ? " said:\r\n" : ":\r\n");
	} else if (r->reply.n > 0) {
		buf_puts(w->out, "    The reason:\r\n");
	}
	report_put_wrapped(w, "      ", r->reply);
	advice = advice_for(r->status);
	/* advice on a server's rules only when it was one that spoke */
	if (advice && r->report == REPORT_FAILED &&
	    (r->host.n > 0 || !span_has_prefix_nocase(r->status, "5.7.")))
		report_put_wrapped(w, "    ", span_of(advice));
	buf_puts(w->out, "\r\n");
}

static void put_until(const struct writing *w)
{
	char date[DATE_TEXT_BYTES];

	if (w->c->retry_until <= 0)
		return;
	date_print(w->c->retry_until, date);
	buf_printf(w->out, "It will be tried until %s.\r\n\r\n", date);
}

static void put_kind(const struct writing *w, uint8_t kind)
{
	const struct job *job = w->c->job;
	size_t n = job->nrecipients < REPORT_RECIPIENTS_MAX
		       ? job->nrecipients
		       : REPORT_RECIPIENTS_MAX;

	put_kind_heading(w, kind);
	for (size_t i = 0; i < n; i++)
		if (job->recipients[i].report == kind)
			put_recipient(w, &job->recipients[i]);
	if (kind == REPORT_DELAYED)
		put_until(w);
}

void report_put_words(const struct writing *w)
{
	char id[ID_TEXT_BYTES], date[DATE_TEXT_BYTES];

	for (int kind = REPORT_FAILED; kind <= REPORT_DELIVERED; kind++)
		if (w->has_kind[kind])
			put_kind(w, (uint8_t)kind);
	id_print(w->c->job->message, id);
	date_print((int64_t)w->c->job->accepted_at, date);
	buf_printf(w->out, "The message was accepted by %s on\r\n%s as %s.\r\n",
	    w->c->localname, date, id);
	buf_puts(w->out, w->is_whole ? "It follows below.\r\n"
				     : "Its header follows below.\r\n");
}
