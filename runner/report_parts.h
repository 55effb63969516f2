/* What the files of the report composer share. */
#ifndef RUNNER_REPORT_PARTS_H
#define RUNNER_REPORT_PARTS_H

#include "runner/report.h"

struct writing {
	const struct report_case *c;
	struct buf *out;
	bool has_kind[REPORT_DELIVERED + 1];
	bool is_about_report; /* to the postmaster */
	bool is_utf8;	      /* RFC 6533 */
	bool is_whole;	      /* the original is returned complete */
	char boundary[80];
};

/* Text of foreign origin: printable, and ASCII unless UTF-8 is declared. */
void report_put_safe(const struct writing *w, struct span text);
/* "Name: value" folded, the value made safe. */
void report_put_field(
    const struct writing *w, const char *name, struct span value);
/* A paragraph wrapped at 72 columns behind an indent. */
void report_put_wrapped(
    const struct writing *w, const char *indent, struct span text);

/* report_words.c: what happened, in clear words */
void report_put_words(const struct writing *w);
const char *report_subject(const struct writing *w);

#endif
