/* The findings as a person reads them, as a program does, and as a page. */
#ifndef DNSCHECK_REPORT_H
#define DNSCHECK_REPORT_H

#include "dnscheck/run.h"

#include <jansson.h>

struct since;

struct report {
	const struct run *run;
	const struct since *since; /* NULL: nothing to compare with */
	bool is_quiet;		   /* failures only */
	bool has_color;
};

/* Appended to *out, which has the whole report's limit. */
enum { REPORT_BYTES_MAX = 256 << 20 };
void report_text(const struct report *report, struct buf *out);
void report_json(const struct report *report, struct buf *out);
void report_html(const struct report *report, struct buf *out);

/* What the findings of a line group come to. */
enum verdict_kind { VERDICT_FINE, VERDICT_NOTES, VERDICT_OPEN, VERDICT_BAD };
struct line_verdict {
	enum verdict_kind kind;
	struct buf text; /* one line, escaped by nobody; buf_clear it */
};
void line_verdict(
    const struct run *run, const char *line, struct line_verdict *verdict);

/* --- an earlier --json ---------------------------------------------------- */

/* From a descriptor that was opened before the sandbox (closed). NULL with
 * *error: not such a file. */
struct since *since_load(int fd, struct buf *error);
void since_free(struct since *since);
/* Whether that finding, with the same status, was there. */
bool since_had(const struct since *since, const struct finding *finding);
/* The earlier findings that are gone, in their order: number i, or false. */
bool since_gone(const struct since *since, const struct findings *now, size_t i,
    struct finding *gone);

#endif
