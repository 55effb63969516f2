/* The report for a person at a terminal. */
#include "dnscheck/report.h"

#include "dnscheck/escape.h"

#include <stdio.h>

static const char *const colors[] = { "\033[32m", "\033[36m", "\033[33m",
	"\033[31m" };

static void put_status(const struct report *r, uint8_t status, struct buf *out)
{
	if (r->has_color)
		buf_printf(out, "%s%-4s\033[0m", colors[status],
		    finding_status_name(status));
	else
		buf_printf(out, "%-4s", finding_status_name(status));
}

static void put_label(struct buf *out, const char *label, const char *text)
{
	if (!text[0])
		return;
	buf_printf(out, "          %-9s ", label);
	escape_terminal(out, text);
	buf_putc(out, '\n');
}

static void put_finding(
    const struct report *r, const struct finding *f, struct buf *out)
{
	buf_puts(out, "    ");
	put_status(r, f->status, out);
	buf_printf(out, "  %-22s ", f->code);
	escape_terminal(out, f->subject);
	if (f->found[0]) {
		buf_puts(out, f->subject[0] ? ": " : "");
		escape_terminal(out, f->found);
	}
	buf_putc(out, '\n');
	if (f->status == FINDING_OK)
		return;
	put_label(out, "expected:", f->expected);
	put_label(out, "remedy:", f->remedy);
	put_label(out, "record:", f->record);
}

/* --- groups --------------------------------------------------------------- */

static void put_heading(
    const struct finding *f, const struct finding *before, struct buf *out)
{
	bool is_new_line = !before || strcmp(f->line, before->line) != 0;
	bool is_new = is_new_line || strcmp(f->node, before->node) != 0 ||
		      strcmp(f->address, before->address) != 0;

	if (!is_new)
		return;
	buf_puts(out, before ? "\n" : "");
	if (f->line[0]) {
		buf_puts(out, "line \"");
		escape_terminal(out, f->line);
		buf_putc(out, '"');
	} else {
		buf_puts(out, "node ");
		escape_terminal(out, f->node);
	}
	if (f->address[0]) {
		buf_puts(out, " from ");
		escape_terminal(out, f->address);
	}
	buf_putc(out, '\n');
}

static void put_findings(const struct report *r, struct buf *out)
{
	const struct findings *all = &r->run->findings;
	const struct finding *before = NULL;

	for (size_t i = 0; i < all->count; i++) {
		const struct finding *f = &all->items[i];

		if (r->is_quiet && f->status != FINDING_FAIL)
			continue;
		put_heading(f, before, out);
		put_finding(r, f, out);
		before = f;
	}
	if (all->dropped > 0)
		buf_printf(out,
		    "\n%zu checks or findings more than can be "
		    "shown were left out\n",
		    all->dropped);
}

/* --- verdicts ------------------------------------------------------------- */

static const uint8_t verdict_status[] = { FINDING_OK, FINDING_WARN,
	FINDING_SKIP, FINDING_FAIL };

static void put_verdict(
    const struct report *r, const char *line, struct buf *out)
{
	struct line_verdict v;

	line_verdict(r->run, line, &v);
	buf_puts(out, "  ");
	put_status(r, verdict_status[v.kind], out);
	buf_puts(out, "  line \"");
	escape_terminal(out, line);
	buf_puts(out, "\" ");
	escape_terminal(out, buf_text(&v.text));
	buf_putc(out, '\n');
	buf_clear(&v.text);
}

static void put_verdicts(const struct report *r, struct buf *out)
{
	const struct run *run = r->run;
	const char *last = NULL;

	if (run->nplaces == 0)
		return;
	buf_puts(out, "\nverdict\n");
	for (size_t i = 0; i < run->nplaces; i++) {
		if (!last || strcmp(last, run->places[i].line) != 0)
			put_verdict(r, run->places[i].line, out);
		last = run->places[i].line;
	}
}

/* --- what has changed ----------------------------------------------------- */

static void put_change(const struct report *r, const char *what,
    const struct finding *f, struct buf *out)
{
	buf_printf(out, "  %s ", what);
	put_status(r, f->status, out);
	buf_printf(out, "  ");
	escape_terminal(out, f->code);
	buf_putc(out, ' ');
	escape_terminal(out, f->subject);
	if (f->line[0]) {
		buf_puts(out, " line \"");
		escape_terminal(out, f->line);
		buf_putc(out, '"');
	}
	buf_puts(out, ": ");
	escape_terminal(out, f->found);
	buf_putc(out, '\n');
}

static void put_changes(const struct report *r, struct buf *out)
{
	const struct findings *now = &r->run->findings;
	struct finding gone;
	size_t n = 0;

	buf_puts(out, "\nchanged since then\n");
	for (size_t i = 0; since_gone(r->since, now, i, &gone); i++, n++)
		put_change(r, "-", &gone, out);
	for (size_t i = 0; i < now->count; i++)
		if (!since_had(r->since, &now->items[i])) {
			put_change(r, "+", &now->items[i], out);
			n++;
		}
	if (n == 0)
		buf_puts(out, "  nothing\n");
}

void report_text(const struct report *r, struct buf *out)
{
	put_findings(r, out);
	if (!r->is_quiet && r->run->options->mode == RUN_NODE)
		put_verdicts(r, out);
	if (r->since)
		put_changes(r, out);
}
