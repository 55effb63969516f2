/* Questions to the DNS, as plain blocking calls from many threads at once: each
 * name and type is asked once, whoever asks again gets the same answer. What
 * comes back is parsed in this process, which must be in its sandbox before the
 * first question.
 */
#ifndef DNSCHECK_ASK_H
#define DNSCHECK_ASK_H

#include "common/conf.h"
#include "common/deadline.h"
#include "common/span.h"

enum ask_status {
	ASK_FOUND = 0,
	ASK_NO_DATA, /* the name exists, without records of that type */
	ASK_NO_NAME, /* NXDOMAIN */
	ASK_SERVFAIL,
	ASK_REFUSED,
	ASK_TIMEOUT,
	ASK_MALFORMED, /* an answer that is none */
};
const char *ask_status_name(enum ask_status status); /* "found"... */

enum { ASK_RECORDS_MAX = 1000, ASK_TEXT_MAX = 65535 };

/* Names are in lower case, without the last dot. */
struct ask_record {
	uint16_t type;
	uint32_t ttl_s;
	struct span owner;
	struct span name;    /* MX, PTR, NS, CNAME: to where */
	struct span data;    /* A, AAAA: the address; TXT: its strings joined;
			      * TLSA, CAA (value), others: bytes */
	uint16_t preference; /* MX */
	uint8_t usage, selector, matching; /* TLSA */
	struct span tag;		   /* CAA */
};

struct ask_answer {
	enum ask_status status;
	bool is_secure; /* AD from a resolver that is believed */
	uint32_t took_ms;
	struct span server; /* who answered, "127.0.0.1:53" */
	struct span name;   /* asked for */
	uint16_t type;
	struct span canonical;		  /* behind CNAMEs */
	const struct ask_record *records; /* of the type asked for; and the
					   * CNAMEs before them */
	size_t nrecords;
};

struct ask;

struct ask_options {
	const struct strings *resolvers; /* "192.0.2.1:53[ trusted]"; empty:
					  * /etc/resolv.conf */
	uint32_t try_ms;		 /* one try; 0: 2 s */
	struct deadline deadline;	 /* nothing is waited for beyond it */
};

struct ask *ask_new(const struct ask_options *options);
void ask_free(struct ask *ask);

/* Never NULL; kept until ask_free. name: any script, with or without the last
 * dot. */
const struct ask_answer *ask(struct ask *ask, struct span name, uint16_t type);
/* PTR of an address (4 or 16 bytes). */
const struct ask_answer *ask_reverse(struct ask *ask, struct span address);
/* One resolver alone, not remembered: for the check of resolvers themselves.
 * over_tcp; with_dnssec: DO and CD as given. The caller frees it with
 * ask_answer_free. */
struct ask_answer *ask_one(struct ask *ask, unsigned resolver, struct span name,
    uint16_t type, bool over_tcp, bool checking_disabled);
void ask_answer_free(struct ask_answer *answer);
/* The resolvers in use; NULL behind the last. */
const char *ask_resolver(const struct ask *ask, unsigned i);

/* First record of that type, or NULL; then the next one. */
const struct ask_record *ask_first(
    const struct ask_answer *answer, uint16_t type);
const struct ask_record *ask_next(
    const struct ask_answer *answer, const struct ask_record *after);

#endif
