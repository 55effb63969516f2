/* A report about TLS with one domain on one day: JSON and mail. RFC 8460
 * sections 4.4 and 5.3. Pure. */
#ifndef RUNNER_TLSRPT_REPORT_H
#define RUNNER_TLSRPT_REPORT_H

#include "common/messages.h"

#include <jansson.h>

struct tlsrpt_case {
	struct span domain;
	uint32_t day;
	const char *localname;	/* who reports */
	const char *postmaster; /* whom to ask about it; "": of localname */
	const struct tls_count *rows; /* of that domain and day */
	size_t nrows;
};

/* To whom answers go: bare address. */
void tlsrpt_contact(const struct tlsrpt_case *c, struct buf *out);
/* The same for the same day, domain and reporter, so that who gets it twice
 * sees it. */
void tlsrpt_report_id(const struct tlsrpt_case *c, struct buf *out);

/* NULL: no memory. */
json_t *tlsrpt_json(const struct tlsrpt_case *c);
/* Text compressed by gzip, put behind what is in out. -1: no memory. */
int tlsrpt_gzip(struct span text, struct buf *out);
/* The message for one place, with CRLF. json: as by tlsrpt_gzip. -1: no
 * memory. */
int tlsrpt_mail(const struct tlsrpt_case *c, struct span to, struct span gzip,
    int64_t now, struct buf *out);

#endif
