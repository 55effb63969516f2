/* Contents of messages: mail and what came of it (envelope, waiting, job,
 * result, attempt). Included by common/messages.h.
 */
#ifndef COMMON_MESSAGES_MAIL_H
#define COMMON_MESSAGES_MAIL_H

#include "common/messages.h"

/* RFC 3461 NOTIFY, as bits; 0 = not given. */
enum {
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8,
};
enum dsn_ret { RET_DEFAULT = 0, RET_FULL = 1, RET_HDRS = 2 };
enum body_kind { BODY_7BIT = 0, BODY_8BIT = 1, BODY_BINARY = 2 };
enum origin {
	ORIGIN_LOCAL = 1, /* sendmail */
	ORIGIN_SMTP = 2,
	ORIGIN_REPORT = 3, /* our own DSN */
	ORIGIN_IMPORT = 4,
};

/* What a report (DSN) tells about one recipient: enum report_kind. */
enum report_kind {
	REPORT_NONE = 0,
	REPORT_FAILED = 1,
	REPORT_DELAYED = 2,
	REPORT_RELAYED = 3, /* RFC 3461: success asked, next hop can't DSN */
	REPORT_DELIVERED = 4,
};

struct recipient {
	struct span address; /* as in RCPT TO, without <> */
	struct span orcpt;   /* "rfc822;addr" decoded; empty: not given */
	uint8_t notify;	     /* bits */
};

/* A reference to what a report answers: that recipient's report is made when
 * the report itself is on disk, in the same journal record. */
struct report_ref {
	uint16_t delivery;
	uint16_t recipient; /* index in the delivery */
	uint8_t kind;	    /* enum report_kind */
};

struct envelope {
	struct span sender; /* without <>; empty: the null sender */
	uint8_t origin;	    /* enum origin */
	uint8_t body;	    /* enum body_kind */
	uint8_t ret;	    /* enum dsn_ret */
	bool smtputf8, requiretls;
	int8_t priority;   /* MT-PRIORITY -9..9 */
	uint32_t uid;	   /* submitter; UINT32_MAX: none. The keeper overwrites
			    * it with what the kernel says on submit.sock */
	struct span login; /* authenticated name; empty: none */
	struct span client;  /* "[192.0.2.1] helo" for the log; may be empty */
	struct span envid;   /* decoded; empty: not given */
	struct span line;    /* line group asked for; empty: by routes */
	uint64_t hold_until; /* 0: not held; UINT64_MAX: until released */
	uint64_t expires_at; /* 0: by retry settings */
	/* The trace header, made by the program that received the message;
	 * the keeper writes trace_head, the message's id, trace_tail and CRLF
	 * before the message. Whole lines, CRLF inside when folded. */
	struct span trace_head, trace_tail;
	/* Reports: about which message, and which of its recipients. */
	uint64_t about; /* 0: not a report */
	const struct report_ref *refs;
	size_t nrefs;
	const struct recipient *recipients;
	size_t nrecipients;
};
void envelope_put(struct buf *b, const struct envelope *e);
/* Spans are borrowed from the input; the arrays are allocated: free with
 * envelope_free. Returns 0, or -1 (malformed, a bound broken, CR/LF/NUL inside
 * a text other than trace). */
int envelope_get(struct reader *r, struct envelope *e);
void envelope_free(struct envelope *e);

enum claim_for { CLAIM_DELIVER = 0, CLAIM_REPORT = 1 };

struct due_query {
	uint64_t after_due_ms; /* start after this key; 0s: from the start */
	uint64_t after_message;
	uint16_t after_delivery;
	uint64_t until_ms; /* due at or before; UTC milliseconds */
	uint32_t max;
};
void due_query_put(struct buf *b, const struct due_query *q);
void due_query_get(struct reader *r, struct due_query *q);

/* One delivery as the schedule sees it. */
struct waiting {
	uint64_t message;
	uint16_t delivery;
	uint64_t due_ms;      /* UTC milliseconds */
	uint64_t accepted_at; /* UTC seconds */
	uint64_t expires_at;  /* 0: by retry settings */
	uint64_t size_bytes;
	uint16_t nrecipients; /* still pending */
	uint16_t attempts;    /* so far */
	uint16_t line_deaths; /* times a line died holding it */
	int8_t priority;
	uint8_t flags;	/* WAITING_* */
	uint8_t origin; /* enum origin */
	uint32_t uid;
	struct span domain; /* lower-case A-label recipient domain, or
			     * "[192.0.2.1]" */
	struct span sender;
	struct span line;  /* group asked for; empty */
	struct span relay; /* by which a reply rule sends it on; empty */
};
enum {
	WAITING_REPORT = 1,	/* recipients await a report, none pending */
	WAITING_UNCERTAIN = 2,	/* an earlier attempt may have delivered it */
	WAITING_WARNED = 4,	/* the delay notice has been made */
	WAITING_REQUIRETLS = 8, /* RFC 8689 */
	WAITING_RELAY = 16,	/* the runner's own: goes by that relay */
};
void waiting_put(struct buf *b, const struct waiting *w);
void waiting_get(struct reader *r, struct waiting *w);

/* One recipient inside a job. */
struct job_recipient {
	uint16_t index; /* in its delivery */
	uint8_t notify;
	uint8_t report; /* enum report_kind awaited (CLAIM_REPORT) */
	struct span address;
	struct span orcpt;
	struct span reply;  /* CLAIM_REPORT: last reply or reason */
	struct span status; /* CLAIM_REPORT: RFC 3463 */
	struct span host;   /* CLAIM_REPORT: who said so; may be empty */
	uint16_t delivery;  /* CLAIM_REPORT: its delivery (a report claim
			     * covers the message's other deliveries too) */
};

/* What a line (or the report writer) needs of one delivery. */
struct job {
	uint64_t message;
	uint16_t delivery;
	uint64_t accepted_at;
	uint64_t size_bytes; /* of the whole message with trace header */
	uint8_t body;	     /* enum body_kind */
	uint8_t ret;
	uint8_t origin;
	bool smtputf8, requiretls;
	int8_t priority;
	uint16_t
	    attempts;  /* made before this one; the keeper's own, not sent */
	bool is_large; /* body comes as a descriptor; content is empty */
	struct span sender, envid;
	struct span content; /* the message; CLAIM_REPORT: at most the first
			      * INLINE_BODY_MAX bytes of it */
	const struct job_recipient *recipients;
	size_t nrecipients;
};
/* head: everything but the content's bytes, which the sender gives as the
 * second part (wire_send_two) so that a body is not copied. */
void job_put_head(struct buf *b, const struct job *j);
int job_get(struct reader *r, struct job *j); /* allocates recipients */
void job_free(struct job *j);

enum rcpt_result {
	RCPT_UNTOUCHED = 0, /* not tried: no attempt is counted */
	RCPT_DELIVERED = 1,
	RCPT_DEFERRED = 2,
	RCPT_FAILED = 3,
	RCPT_UNCERTAIN = 4, /* the end was sent, no answer came: may have been
			     * accepted; tried again, recorded */
};

/* What a reply rule makes of a reply. NEXT_HOST the line does by itself. */
enum reply_action {
	REPLY_AS_IS = 0,
	REPLY_RETRY = 1,
	REPLY_BOUNCE = 2,
	REPLY_NEXT_HOST = 3,
	REPLY_SUSPEND = 4, /* no more mail to this destination for a while */
	REPLY_RELAY = 5,   /* the rest of its tries go by the rule's relay */
};
enum { REPLY_RULE_BUILTIN = 0x8000 };
/* What a reply answered. */
enum reply_stage {
	REPLY_TO_NOTHING = 0, /* or the reason says so itself: "banner: 554" */
	REPLY_TO_MAIL = 1,
	REPLY_TO_RCPT = 2,
	REPLY_TO_DATA = 3,
	REPLY_TO_CONTENT = 4,
};

/* result: what a line says of one job. */
struct rcpt_outcome {
	uint16_t index; /* in its delivery */
	uint8_t result; /* enum rcpt_result */
	uint16_t code;	/* SMTP reply code; 0: no reply */
	char status[12];
	struct span reply; /* text of the reply or the reason, printable */
	uint8_t action;	   /* enum reply_action: what a reply rule says */
	uint32_t after_s;  /* RETRY, SUSPEND: how long; 0: by retry settings */
	uint16_t rule;	   /* 1 + its number in the configuration, above
			    * REPLY_RULE_BUILTIN a built-in one; 0: none */
	uint8_t stage;	   /* enum reply_stage */
};
struct result {
	struct span host;    /* name, "" when none was reached */
	struct span address; /* "192.0.2.1:25" */
	struct span tls;     /* "TLSv1.3 TLS_AES_256_GCM_SHA384 policy=dane
			      * verified=dane-ee name=... sha256=..."; "" */
	uint32_t took_ms;
	bool peer_has_dsn; /* else success reports are ours (RELAYED) */
	const struct rcpt_outcome *recipients;
	size_t nrecipients;
};
void result_put(struct buf *b, const struct result *x);
int result_get(struct reader *r, struct result *x); /* allocates recipients */
void result_free(struct result *x);

/* attempt: the result with the runner's decision, for the record. */
struct attempt {
	uint64_t message;
	uint16_t delivery;
	uint64_t next_try_ms; /* when something is left to try; UTC ms */
	bool counts;	      /* an attempt is used up */
	bool line_died;	      /* the line died holding it */
	struct span line;     /* "default/3" */
	struct span cause;    /* a stable word: retry, rate, dns...; what a
			       * reply rule adds: common/cause.h */
	/* per recipient in result: FAILED and DELIVERED may ask for a report */
	const uint8_t *reports; /* enum report_kind, one per recipient; FAILED
				 * recipients without a report are done */
	struct result result;
};
void attempt_put(struct buf *b, const struct attempt *a);
int attempt_get(struct reader *r, struct attempt *a); /* allocates arrays */
void attempt_free(struct attempt *a);

/* The words of one connection that did not go well, secrets masked: kept in a
 * bounded ring, shown by "queue show ID --session". */
enum { TRANSCRIPT_MAX = 32768, TRANSCRIPT_MESSAGES_MAX = 64 };
struct transcript {
	uint64_t began_ms; /* UTC */
	struct span line, host, address;
	struct span text; /* lines "12.345 > EHLO ...", LF ends */
	uint64_t messages[TRANSCRIPT_MESSAGES_MAX];
	uint16_t nmessages;
};
void transcript_put(struct buf *b, const struct transcript *t);
void transcript_get(struct reader *r, struct transcript *t);

#endif
