/* Reports: a claimed job is composed into a DSN and submitted to the keeper,
 * which settles what it is about in the same record. */
#include "runner/runner.h"

#include "common/date.h"
#include "common/id.h"
#include "runner/report.h"

enum { NOBODY_AGAIN_MS = 3600000 };

static void send_data(struct runner *runner, uint64_t id, struct span text)
{
	while (text.n > 0) {
		struct span chunk = text;

		if (chunk.n > DATA_CHUNK_MAX)
			chunk.n = DATA_CHUNK_MAX;
		wire_send(runner->keeper, MSG_SUBMIT_DATA, id, chunk);
		text = span_from(text, chunk.n);
	}
}

void report_submit(
    struct runner *runner, uint64_t id, struct envelope *e, struct span text)
{
	char date[DATE_TEXT_BYTES];
	struct buf head;

	buf_init(&head, 1024);
	buf_printf(&head, "Received: by %s (Outpost)\r\n\tid ",
	    runner->conf->localname);
	if (head.overflow)
		fatal(EXIT_TRY_LATER, "no memory for a report");
	e->trace_head = buf_span(&head);
	date_print(now_utc(), date);
	e->trace_tail = span_of(log_text(";\r\n\t%s", date));
	buf_reset(&runner->scratch);
	envelope_put(&runner->scratch, e);
	wire_send(runner->keeper, MSG_SUBMIT, id, buf_span(&runner->scratch));
	send_data(runner, id, text);
	buf_reset(&runner->scratch);
	put_u64(&runner->scratch, text.n);
	wire_send(
	    runner->keeper, MSG_SUBMIT_END, id, buf_span(&runner->scratch));
	buf_clear(&head);
}

static void submit(
    struct runner *runner, struct task *task, const struct report *report)
{
	const struct recipient reader = { .address = report->to };
	struct envelope e = {
		.origin = ORIGIN_REPORT,
		.body = report->body,
		.smtputf8 = report->smtputf8,
		.requiretls = report->requiretls,
		.uid = UINT32_MAX,
		.about = task->delivery->message,
		.refs = report->refs,
		.nrefs = report->nrefs,
		.recipients = &reader,
		.nrecipients = 1,
	};

	report_submit(runner, task->id, &e, buf_span(&report->text));
	task->state = TASK_SUBMITTING;
}

/* The configuration has no reader for it any more. */
static void wait_for_reader(struct runner *runner, struct task *task)
{
	log_warn("report-without-reader", "about",
	    id_text(task->delivery->message), "set", "postmaster", NULL);
	keeper_unclaim(runner, task->delivery);
	schedule_report_later(runner->schedule,
	    now_monotonic_ms() + NOBODY_AGAIN_MS, task->delivery);
	task_end(&runner->tasks, task);
}

void report_job(struct runner *runner, struct task *task, const struct job *job)
{
	const struct delivery *d = task->delivery;
	struct report_case c = {
		.job = job,
		.localname = runner->conf->localname,
		.postmaster = runner->conf->postmaster,
		.now = now_utc(),
		.retry_until =
		    (int64_t)(d->expires_at
				  ? d->expires_at
				  : job->accepted_at +
					runner->conf->retry.lifetime_s),
	};
	struct report report;

	if (report_compose(&c, &report) < 0)
		fatal(EXIT_TRY_LATER, "no memory for a report");
	task->has_report = job->nrecipients >= REPORT_RECIPIENTS_MAX / 2;
	if (report.to.n > 0 && report.nrefs > 0)
		submit(runner, task, &report);
	else
		wait_for_reader(runner, task);
	report_clear(&report);
}
