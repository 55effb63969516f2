/* The report as one page that needs nothing else, and prints well. */
#include "dnscheck/report.h"

#include "dnscheck/escape.h"
#include "dnscheck/picture.h"

#include <stdio.h>
#include <time.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
    "'none'; style-src 'unsafe-inline'\">\n"
    "<title>outpost dnscheck</title>\n<style>\n"
    ":root{--ok:#1a7f37;--skip:#57606a;--warn:#9a6700;--fail:#cf222e}\n"
    "body{font:15px/1.45 system-ui,sans-serif;color:#1f2328;max-width:62rem;"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .3rem;"
    "border-bottom:1px solid #d0d7de}\n"
    "h3{font-size:1rem;margin:1.2rem 0 .3rem}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "td{padding:.35rem .5rem;border-bottom:1px solid #eaeef2;"
    "vertical-align:top;overflow-wrap:anywhere}\n"
    "td.s{width:3.2rem;font-weight:700}td.c{width:13rem;"
    "font-family:ui-monospace,monospace;font-size:.85rem}\n"
    ".ok{color:var(--ok)}.skip{color:var(--skip)}.warn{color:var(--warn)}"
    ".fail{color:var(--fail)}\n"
    "dl{margin:.3rem 0 0;display:grid;grid-template-columns:5.5rem 1fr;"
    "gap:.1rem .5rem}dt{color:#57606a}dd{margin:0}\n"
    "code{font-family:ui-monospace,monospace;font-size:.9em;background:"
    "#f6f8fa;border:1px solid #d0d7de;padding:.1em .3em;border-radius:3px}\n"
    ".verdict{margin:.5rem 0;padding:.5rem .8rem;border-left:5px solid}\n"
    "svg{width:100%;height:auto;display:block;margin:.5rem 0}\n"
    "@media print{body{margin:0;font-size:10pt;max-width:none}tr,svg,"
    ".verdict{break-inside:avoid}h2,h3{break-after:avoid}\n"
    "*{print-color-adjust:exact}}\n</style>\n</head>\n<body>\n";

static void put_text(
    struct buf *out, const char *before, const char *text, const char *behind)
{
	buf_puts(out, before);
	escape_html(out, text);
	buf_puts(out, behind);
}

static void put_title(const struct report *r, struct buf *out)
{
	time_t now = time(NULL);
	struct tm utc;
	char stamp[40] = "";

	if (gmtime_r(&now, &utc))
		strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M UTC", &utc);
	put_text(
	    out, "<h1>outpost dnscheck: node ", r->run->conf->node, "</h1>\n");
	put_text(out, "<p>", stamp, "</p>\n");
}

/* --- findings ------------------------------------------------------------- */

static void put_item(
    struct buf *out, const char *label, const char *text, bool is_record)
{
	if (!text[0])
		return;
	put_text(out, "<dt>", label, "</dt><dd>");
	put_text(out, is_record ? "<code>" : "", text,
	    is_record ? "</code></dd>" : "</dd>");
}

static void put_finding(const struct finding *f, struct buf *out)
{
	const char *status = finding_status_name(f->status);

	buf_printf(out, "<tr><td class=\"s %s\">%s</td><td class=\"c\">",
	    status, status);
	escape_html(out, f->code);
	put_text(out, "</td><td><b>", f->subject, "</b>");
	put_text(out, f->found[0] ? ": " : "", f->found, "");
	if (f->status != FINDING_OK) {
		buf_puts(out, "<dl>");
		put_item(out, "expected", f->expected, false);
		put_item(out, "remedy", f->remedy, false);
		put_item(out, "record", f->record, true);
		buf_puts(out, "</dl>");
	}
	buf_puts(out, "</td></tr>\n");
}

static const struct place *place_of(
    const struct run *run, const struct finding *f)
{
	for (size_t i = 0; i < run->nplaces; i++)
		if (strcmp(run->places[i].line, f->line) == 0 &&
		    strcmp(place_address(&run->places[i]), f->address) == 0)
			return &run->places[i];
	return NULL;
}

static void put_group(
    const struct report *r, const struct finding *f, struct buf *out)
{
	const struct place *place = place_of(r->run, f);

	if (!f->line[0]) {
		put_text(out, "<h2>Node ", f->node, "</h2>\n");
	} else {
		put_text(out, "<h2>Line group ", f->line, "");
		put_text(
		    out, f->address[0] ? " from " : "", f->address, "</h2>\n");
	}
	if (place && !place->is_relayed)
		picture_put(r->run, place, out);
}

static void put_findings(const struct report *r, struct buf *out)
{
	const struct findings *all = &r->run->findings;
	const struct finding *before = NULL;

	for (size_t i = 0; i < all->count; i++) {
		const struct finding *f = &all->items[i];

		if (!before || strcmp(before->line, f->line) != 0 ||
		    strcmp(before->address, f->address) != 0) {
			buf_puts(out, before ? "</table>\n" : "");
			put_group(r, f, out);
			buf_puts(out, "<table>\n");
		}
		put_finding(f, out);
		before = f;
	}
	buf_puts(out, before ? "</table>\n" : "<p>Nothing was found.</p>\n");
	if (all->dropped > 0)
		buf_printf(out,
		    "<p>%zu checks or findings more than can be "
		    "shown were left out.</p>\n",
		    all->dropped);
}

/* --- verdicts ------------------------------------------------------------- */

static void put_verdicts(const struct report *r, struct buf *out)
{
	static const char *const classes[] = { "ok", "warn", "skip", "fail" };
	const struct run *run = r->run;
	const char *last = NULL;

	for (size_t i = 0; i < run->nplaces; i++) {
		const char *line = run->places[i].line;
		struct line_verdict v;

		if (last && strcmp(last, line) == 0)
			continue;
		last = line;
		line_verdict(run, line, &v);
		buf_printf(out, "<p class=\"verdict %s\">", classes[v.kind]);
		put_text(out, "Line group <b>", line, "</b> ");
		put_text(out, "", buf_text(&v.text), "</p>\n");
		buf_clear(&v.text);
	}
}

void report_html(const struct report *r, struct buf *out)
{
	buf_puts(out, head);
	put_title(r, out);
	put_verdicts(r, out);
	put_findings(r, out);
	buf_puts(out, "</body>\n</html>\n");
}
