/* Contents of messages: what TLS with other servers came to, counted for
 * reports to their domains, and the way of those reports (RFC 8460).
 */
#ifndef COMMON_MESSAGES_TLSRPT_H
#define COMMON_MESSAGES_TLSRPT_H

#include "common/messages.h"

enum {
	TLS_COUNTS_MAX = 200, /* in one message */
	TLS_LINES_MAX = 4096, /* a policy as lines, or the places to report
			       * to, each ended by LF */
	TLS_REASON_MAX = 200, /* why, in words */
	TLS_DOMAIN_MAX = 255,
	TLS_URIS_MAX = 10,	 /* places to report to */
	TLS_POST_MAX = 524288,	 /* bytes of one report */
	TLS_POST_ADDRESSES = 16, /* ADDRESSES_MAX */
	TLS_ROWS_A_DOMAIN = 100, /* kept apart in a day, about */
};
/* Ids of the runner's own that stand beside those of tasks and questions. */
#define TLSRPT_ID ((uint64_t)1 << 63)

/* Sessions that ended alike, on one day. */
struct tls_count {
	uint32_t day;		   /* since 1970, UTC */
	struct span domain;	   /* whose mail it was: who gets the report */
	uint8_t policy;		   /* enum tls_policy_kind */
	struct span policy_domain; /* against which it is defined */
	struct span lines;	   /* the policy, each line ended by LF */
	uint8_t result;		   /* enum tls_result, not NOT_TRIED */
	struct span host;	   /* the MX */
	struct span address;	   /* its, without port */
	struct span source;	   /* ours */
	struct span reason;	   /* of a failure, in words */
	uint64_t sessions;
};
void tls_count_put(struct buf *b, const struct tls_count *c);
void tls_count_get(struct reader *r, struct tls_count *c);
/* "2026-11-22" to the day, 0 or -1; and back. */
enum { TLS_DAY_BYTES = 12 };
int tls_day_parse(struct span text, uint32_t *day);
void tls_day_print(uint32_t day, char text[TLS_DAY_BYTES]);

struct tls_read {
	uint32_t day;
	struct span domain;
	bool is_next;	 /* the first domain after that one, else that one */
	bool wants_rows; /* else only what there is of it */
};
void tls_read_put(struct buf *b, const struct tls_read *q);
void tls_read_get(struct reader *r, struct tls_read *q);

/* Where the report to a domain stands. */
enum tls_report_state {
	TLS_REPORT_OPEN = 0,
	TLS_REPORT_SENT = 1,	 /* to every place it names */
	TLS_REPORT_UNWANTED = 2, /* it names none */
	TLS_REPORT_GIVEN_UP = 3,
	TLS_REPORT_COUNT
};
struct tls_domain {
	uint32_t day;
	struct span domain; /* empty: there is none */
	uint64_t successful, failed;
	uint64_t missed;  /* of that day: sessions there was no room for */
	uint8_t state;	  /* enum tls_report_state */
	uint8_t tries;	  /* so far */
	uint16_t done;	  /* bits: places that have it */
	uint64_t next_at; /* UTC seconds; 0: at any time */
};
void tls_domain_put(struct buf *b, const struct tls_domain *d);
void tls_domain_get(struct reader *r, struct tls_domain *d);

/* A report on its way by HTTPS. */
struct tls_post {
	struct span uri;  /* "https://host[:port]/path" */
	struct span host; /* of it */
	uint16_t port;
	struct span addresses[TLS_POST_ADDRESSES]; /* none: look them up */
	uint8_t naddresses;
	struct span body; /* JSON, compressed by gzip */
};
void tls_post_put(struct buf *b, const struct tls_post *p);
void tls_post_get(struct reader *r, struct tls_post *p);

/* What an operator asks for. */
struct tls_send {
	uint32_t day;
	struct span domain; /* empty: all */
	bool is_dry;	    /* only say what would be sent where */
};
void tls_send_put(struct buf *b, const struct tls_send *s);
void tls_send_get(struct reader *r, struct tls_send *s);

#endif
