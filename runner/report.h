/* Delivery status notifications: RFC 3464 (format), RFC 3461 (who gets which),
 * RFC 6533 (addresses outside ASCII), RFC 3834 (no answers to answers). Pure:
 * a job claimed for a report becomes a message. */
#ifndef RUNNER_REPORT_H
#define RUNNER_REPORT_H

#include "common/messages.h"

enum {
	REPORT_ORIGINAL_MAX = 65536,  /* a larger one: only its header */
	REPORT_HEADER_MAX = 32768,    /* of the original, cut at a line */
	REPORT_RECIPIENTS_MAX = 1000, /* in one report; the rest gets more */
};

struct report_case {
	const struct job *job;	/* MSG_JOB for CLAIM_REPORT */
	const char *localname;	/* who reports */
	const char *postmaster; /* gets reports about reports; "": nobody */
	int64_t now;		/* UTC seconds */
	int64_t retry_until;	/* for delayed mail; 0: not known */
};

/* Spans are borrowed from the case; text and refs are owned. */
struct report {
	struct buf text; /* the message, CRLF */
	struct span to;	 /* the one recipient; empty: nobody is told */
	struct report_ref *refs;
	size_t nrefs;
	uint8_t body; /* enum body_kind */
	bool smtputf8;
	bool requiretls; /* RFC 8689 5: it tells no more in clear */
};

/* Returns 0, or -1 without memory. With report->to empty only the refs are
 * filled in: whom the report would have been about. */
int report_compose(const struct report_case *c, struct report *report);
void report_clear(struct report *report);

#endif
