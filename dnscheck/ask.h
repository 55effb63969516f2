/* Questions to the DNS, as plain blocking calls from many threads at once: each
 * name and type is asked once, whoever asks again gets the same answer. What
 * comes back is parsed in this process, which must be in its sandbox before the
 * first question.
 */
#ifndef DNSCHECK_ASK_H
#define DNSCHECK_ASK_H

#include "common/conf.h"
#include "common/deadline.h"
#include "common/net.h"

enum ask_status {
	ASK_FOUND = 0,
	ASK_NO_DATA, /* the name exists, without records of that type */
	ASK_NO_NAME, /* NXDOMAIN */
	/* All below: it could not be found out, why says what happened. */
	ASK_SERVFAIL,
	ASK_REFUSED,
	ASK_TIMEOUT,
	ASK_UNREACHABLE, /* no way to a resolver, or its port is closed */
	ASK_MALFORMED,	 /* an answer that is none, or CNAMEs in circles */
	ASK_BAD_NAME,	 /* not a name that the DNS can be asked for */
};
const char *ask_status_name(enum ask_status status); /* "found"... */

enum {
	ASK_RECORDS_MAX = 1000,
	ASK_CNAMES_MAX = 10,
	ASK_QUESTIONS_MAX = 20000, /* in one run; what is beyond: TIMEOUT */
};

/* Types by their numbers, so that nobody else needs a DNS library. */
enum {
	ASK_A = 1,
	ASK_NS = 2,
	ASK_CNAME = 5,
	ASK_SOA = 6,
	ASK_PTR = 12,
	ASK_MX = 15,
	ASK_TXT = 16,
	ASK_AAAA = 28,
	ASK_TLSA = 52,
	ASK_CAA = 257,
};
const char *ask_type_name(uint16_t type); /* "MX"; those above */

/* Names are in lower case, without the last dot, other than plain bytes as
 * \DDD; "" is the root. Behind every span stands a NUL that is not counted. */
struct ask_record {
	uint16_t type;
	uint32_t ttl_s;
	struct span owner;
	struct span name;    /* MX, PTR, NS, CNAME, SOA (MNAME): to where */
	struct span data;    /* A, AAAA: the address; TXT: its strings joined;
			      * TLSA, CAA (value): bytes; others: as sent */
	uint16_t preference; /* MX */
	uint8_t usage, selector, matching; /* TLSA */
	uint8_t flags;			   /* CAA */
	struct span tag;		   /* CAA */
};

struct ask_answer {
	enum ask_status status;
	bool is_secure;	     /* AD from a resolver that is believed */
	bool says_secure;    /* AD, whoever says it */
	bool has_edns;	     /* the answer carries an OPT record */
	bool has_signatures; /* RRSIG in it */
	bool refuses_edns;   /* FORMERR or NOTIMPL */
	bool by_tcp;
	bool was_truncated; /* over UDP, before TCP */
	bool was_cut;	    /* more than ASK_RECORDS_MAX; the rest is left out*/
	uint8_t tries;
	uint32_t took_ms;   /* of the try that was answered */
	struct span server; /* who answered, "127.0.0.1:53" */
	struct span why;    /* one line: what happened, where status is none of
			     * the first three */
	struct span name;   /* asked for */
	uint16_t type;
	struct span canonical;		  /* behind CNAMEs */
	const struct ask_record *records; /* of the type asked for; and the
					   * CNAMEs before them */
	size_t nrecords;
};

/* FOUND, NO_DATA or NO_NAME: the DNS has spoken. */
bool ask_is_known(const struct ask_answer *answer);

struct ask;

struct ask_options {
	const struct strings *resolvers; /* "192.0.2.1:53[ trusted]"; empty:
					  * /etc/resolv.conf, read by ask_new */
	uint32_t try_ms;		 /* the first try; 0: 2 s */
	struct deadline deadline;	 /* nothing is waited for beyond it */
};

/* Before the sandbox: may read files. */
struct ask *ask_new(const struct ask_options *options);
void ask_free(struct ask *ask);

/* Never NULL; kept until ask_free. name: any script, with or without the last
 * dot. */
const struct ask_answer *ask(struct ask *ask, struct span name, uint16_t type);
/* PTR of an address (4 or 16 bytes). */
const struct ask_answer *ask_reverse(struct ask *ask, struct span address);
/* "10.2.0.192.in-addr.arpa" */
enum { ASK_REVERSE_MAX = 80 };
void ask_reverse_name(struct span address, char name[ASK_REVERSE_MAX]);

/* One server alone, one try, nothing remembered and no way round what goes
 * wrong: for the checks of resolvers, and for whoever must be asked himself. */
struct ask_way {
	union net_address server;
	const union net_address *from; /* bind to it; NULL: the kernel chooses*/
	bool over_tcp;
	bool without_edns;
	bool with_dnssec; /* DO */
	bool checking_disabled;
	bool without_recursion;
	uint16_t edns_bytes; /* 0: 1232 */
	uint32_t try_ms;     /* 0: as in ask_options */
};
/* The caller frees it with ask_answer_free. Never NULL. */
struct ask_answer *ask_one(struct ask *ask, const struct ask_way *way,
    struct span name, uint16_t type);
void ask_answer_free(struct ask_answer *answer);

/* The resolvers in use; false behind the last. */
struct ask_resolver {
	union net_address address;
	bool is_trusted;
};
bool ask_resolver(
    const struct ask *ask, size_t i, struct ask_resolver *resolver);
/* "configuration", or the file that names them. */
const char *ask_resolvers_from(const struct ask *ask);

/* First record of that type, or NULL; then the next one. */
const struct ask_record *ask_first(
    const struct ask_answer *answer, uint16_t type);
const struct ask_record *ask_next(
    const struct ask_answer *answer, const struct ask_record *after);
/* "192.0.2.1" of an A or AAAA. */
const char *ask_address_text(
    const struct ask_record *record, char text[NET_TEXT_MAX]);

#endif
