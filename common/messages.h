/* Every message between programs: its type, and the typed contents that
 * several programs put and get. The payload's layout stands behind each type;
 * "outcome", "envelope"... are the put/get functions of that name.
 *
 * ids: where a request has an answer, the answer carries the request's id.
 * Times are UTC seconds unless the name says otherwise.
 */
#ifndef COMMON_MESSAGES_H
#define COMMON_MESSAGES_H

#include "common/buf.h"
#include "common/outcome.h"

enum message_type {
	/* supervisor -> child (descriptor 3 of every child) */
	MSG_CONFIG = 1, /* fd: the whole configuration as text (conf_print);
			 * payload: span path of the file it came from */
	MSG_LISTENER,	/* id: enum listener_kind; payload: u32 index of the
			 * conf listen block; fds: socket[, certificate, key] */
	MSG_PEER,	/* id: enum role, above PEER_ROLE_BITS the stream's
			 * number; fd: a stream to that program */
	MSG_RUN,	/* all of the above has been sent: begin */
	MSG_STOP,	/* finish what is in hand, then exit 0;
			 * payload: u32 grace_ms */
	MSG_OUTBOUND,	/* to the runner: u8 on, span scope ("" all,
			 * "line:NAME", "destination:NAME") */
	MSG_LOG_LEVEL,	/* u8 enum log_level */
	/* child -> supervisor */
	MSG_READY,     /* serving */
	MSG_NOTE,      /* span: one line for "outpost status" */
	MSG_PEER_LOST, /* id: as in MSG_PEER; it broke: a new one, please */

	/* inject, smtpd, runner -> queued: one message. id: the client's own
	 * transaction number, unique among its open ones */
	MSG_SUBMIT = 20,  /* envelope */
	MSG_SUBMIT_DATA,  /* bytes of the message, CRLF line ends */
	MSG_SUBMIT_END,	  /* u64 total bytes of data sent */
	MSG_SUBMIT_ABORT, /* forget it; no answer */
	/* queued -> client */
	MSG_ACCEPTED, /* u64 message id: it is on disk */
	MSG_REFUSED,  /* outcome: nothing of it is kept */

	/* runner -> queued */
	MSG_WINDOW = 30, /* u32 n: announce up to n more new deliveries */
	MSG_DUE,     /* due_query: answer with MSG_WAITING each, MSG_DUE_END */
	MSG_CLAIM,   /* u64 message, u16 delivery, u8 enum claim_for */
	MSG_UNCLAIM, /* u64 message, u16 delivery: not begun after all */
	MSG_OUTCOME, /* attempt */
	/* queued -> runner */
	MSG_WAITING,  /* waiting; id 0: newly accepted, else the MSG_DUE's */
	MSG_DUE_END,  /* u64 next_due_ms (UTC; 0: nothing), u8 has_more */
	MSG_MORE_DUE, /* window used up, others wait in the index: ask */
	MSG_CHANGED,  /* u64 message, u16 delivery: held, released, re-timed or
		       * gone: forget it unless claimed, ask again if due */
	MSG_JOB,      /* job; its claim is on disk. fd: large body, read-only */
	MSG_GONE,     /* the claim cannot be had: no longer there or not due */
	MSG_RECORDED, /* the outcome is on disk */

	/* runner -> resolve and back */
	MSG_RESOLVE = 50, /* resolve_query */
	MSG_RESOLVED,	  /* resolve_answer */

	/* runner <-> spawner */
	MSG_LINE_START = 60, /* id: line number; span group name */
	MSG_LINE_STARTED,    /* id; u32 pid; fd: stream to the line */
	MSG_LINE_ENDED,	     /* id; u32 wait status */
	MSG_LINE_FAILED,     /* id; outcome: fork or socket failed */

	/* runner -> line */
	MSG_SESSION = 70, /* id: session; session: where the next jobs go */
	MSG_DELIVER,	  /* id: job number; job. fd: large body */
	MSG_SESSION_END,  /* no more jobs for it: finish, QUIT */
	/* line -> runner */
	MSG_RESULT,	  /* id: job number; result: exactly one per job */
	MSG_SESSION_DONE, /* id: session; session_report. All jobs given for
			   * it have been answered before this */
	MSG_LINE_STATE,	  /* u8 enum line_state, span peer */

	/* queue tool -> queued (control socket) */
	MSG_LIST = 80, /* list_query; answers MSG_ITEM..., MSG_LIST_END */
	MSG_SHOW,      /* u64 message; answers MSG_ITEM..., MSG_ATTEMPT...,
			* MSG_ENVELOPE, MSG_LIST_END */
	MSG_GET_BODY,  /* u64 message; answers MSG_SUBMIT_DATA...,
			* MSG_LIST_END */
	MSG_CHANGE,    /* change; answers MSG_CHANGE_DONE. Also from the
			* runner: CHANGE_RETRY when a destination is back */
	MSG_STATS,     /* answers MSG_STATS_DONE */
	/* queued -> queue tool */
	MSG_ITEM,	 /* item: one recipient of one delivery */
	MSG_ATTEMPT,	 /* u64 at, attempt */
	MSG_ENVELOPE,	 /* u64 accepted_at, envelope */
	MSG_LIST_END,	 /* cursor (u64 message, u16 delivery, u16 recipient),
			  * u8 has_more */
	MSG_CHANGE_DONE, /* u32 messages changed, cursor, u8 has_more */
	MSG_STATS_DONE,	 /* spool_stats */
	MSG_FAILED,	 /* outcome: the request could not be done */

	/* front command -> supervisor or runner (control sockets) */
	MSG_STATUS = 110, /* answers MSG_STATUS_LINE..., MSG_END */
	MSG_STATUS_LINE,  /* span: JSON object, one line */
	MSG_END,
	MSG_DO_STOP,	 /* answers MSG_END when all is down */
	MSG_DO_RELOAD,	 /* answers MSG_END or MSG_FAILED */
	MSG_DO_OUTBOUND, /* as MSG_OUTBOUND; answers MSG_END */
	MSG_LINES,	 /* answers MSG_LINE..., MSG_END */
	MSG_LINE,	 /* line_info */
};

enum listener_kind {
	LISTENER_SMTP = 1, /* to smtpd */
	LISTENER_SUBMIT,   /* to queued: RUNTIME/submit.sock, mode 0666 */
	LISTENER_QUEUE,	   /* to queued: RUNTIME/queue.sock, mode 0666; changes
			    * only from root, the spool's owner, or own mail */
	LISTENER_RUNNER,   /* to runner: RUNTIME/runner.sock, mode 0666 */
};

enum role {
	ROLE_SUPERVISOR = 0,
	ROLE_QUEUED,
	ROLE_RUNNER,
	ROLE_RESOLVE,
	ROLE_REMOTE, /* the spawner */
	ROLE_SMTPD,
	ROLE_COUNT
};
enum { PEER_ROLE_BITS = 8 };

/* Bounds that every program keeps. */
enum {
	ADDRESS_MAX = 1000,	  /* bytes of one address, as we accept it */
	RCPTS_PER_DELIVERY = 100, /* default and highest */
	RCPTS_PER_MESSAGE_MAX = 50000,
	DATA_CHUNK_MAX = 65536,	  /* bytes in one MSG_SUBMIT_DATA */
	INLINE_BODY_MAX = 262144, /* larger bodies live in spool/large and
				   * travel as descriptors */
	REPLY_MAX = 1000,	  /* bytes of a reply text that are kept */
	LOCALNAME_MAX = 255,
};

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
	struct span line; /* group asked for; empty */
};
enum {
	WAITING_REPORT = 1,    /* recipients await a report, none pending */
	WAITING_UNCERTAIN = 2, /* an earlier attempt may have delivered it */
	WAITING_WARNED = 4,    /* the delay notice has been made */
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

/* result: what a line says of one job. */
struct rcpt_outcome {
	uint16_t index; /* in its delivery */
	uint8_t result; /* enum rcpt_result */
	uint16_t code;	/* SMTP reply code; 0: no reply */
	char status[12];
	struct span reply; /* text of the reply or the reason, printable */
};
struct result {
	struct span host;    /* name, "" when none was reached */
	struct span address; /* "192.0.2.1:25" */
	struct span tls;     /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" */
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
	struct span cause;    /* a stable word: retry, rate, dns... */
	/* per recipient in result: FAILED and DELIVERED may ask for a report */
	const uint8_t *reports; /* enum report_kind, one per recipient; FAILED
				 * recipients without a report are done */
	struct result result;
};
void attempt_put(struct buf *b, const struct attempt *a);
int attempt_get(struct reader *r, struct attempt *a); /* allocates arrays */
void attempt_free(struct attempt *a);

/* Where jobs go. */
enum tls_level { TLS_NONE = 0, TLS_MAY = 1, TLS_REQUIRE = 2, TLS_VERIFY = 3 };
enum { HOSTS_MAX = 50, ADDRESSES_MAX = 16 };

struct host {
	struct span name; /* MX or relay host name, or "[192.0.2.1]" */
	uint16_t preference;
	uint16_t port;
	bool implicit_tls;		      /* smtps */
	struct span addresses[ADDRESSES_MAX]; /* 4 or 16 bytes each, in order */
	uint8_t naddresses;		      /* 0: see why */
	struct outcome why;		      /* when naddresses is 0 */
};
void host_put(struct buf *b, const struct host *h);
void host_get(struct reader *r, struct host *h);

struct resolve_query {
	uint8_t kind;	  /* enum resolve_kind */
	struct span name; /* domain, host name or address literal */
	uint16_t port;	  /* put into the hosts */
	bool implicit_tls;
};
enum resolve_kind {
	RESOLVE_MX = 1,	  /* RFC 5321 5.1: MX, implicit MX, null MX */
	RESOLVE_HOST = 2, /* A and AAAA of one host */
};
void resolve_query_put(struct buf *b, const struct resolve_query *q);
void resolve_query_get(struct reader *r, struct resolve_query *q);

struct resolve_answer {
	struct outcome outcome; /* OK: hosts follow. TEMP: DNS did not say.
				 * PERM: no such domain (5.1.2), null MX
				 * (5.1.10), loops back to us (5.4.6) */
	uint32_t ttl_s;
	struct span site;   /* the MX set in a canonical form */
	struct host *hosts; /* in order of trial; allocated */
	size_t nhosts;
};
void resolve_answer_put(struct buf *b, const struct resolve_answer *a);
int resolve_answer_get(struct reader *r, struct resolve_answer *a);
void resolve_answer_free(struct resolve_answer *a);

struct session {
	struct span destination; /* for the log and the process title */
	struct span localname;
	struct span binds[4]; /* source addresses, 4 or 16 bytes; empty */
	uint8_t nbinds;
	uint8_t tls;	   /* enum tls_level */
	uint16_t messages; /* per connection, at most */
	bool is_stepwise;  /* a host answered pipelined commands badly before */
	bool is_detailed;  /* log every command and reply */
	struct host *hosts;
	size_t nhosts;
};
void session_put(struct buf *b, const struct session *s);
int session_get(struct reader *r, struct session *s); /* allocates hosts */
void session_free(struct session *s);

/* How a session went. */
struct session_report {
	struct outcome outcome; /* OK: a host was reached and left orderly */
	struct span host;	/* the last one tried */
	uint32_t connections, messages, round_trips;
	bool must_be_stepwise; /* it answered pipelined commands badly */
	bool is_overloaded;    /* 421 or a connection failure: slow down */
};
void session_report_put(struct buf *b, const struct session_report *s);
void session_report_get(struct reader *r, struct session_report *s);

enum line_state {
	LINE_IDLE = 0,
	LINE_CONNECTING = 1,
	LINE_GREETING = 2, /* banner, EHLO, TLS */
	LINE_SENDING = 3,
	LINE_CLOSING = 4,
};
struct line_info {
	uint32_t number, pid;
	struct span group, peer, destination;
	uint8_t state;	  /* enum line_state */
	uint64_t message; /* 0: none */
	uint64_t since;	  /* UTC seconds in this state */
	uint64_t sent;	  /* messages so far */
};
void line_info_put(struct buf *b, const struct line_info *l);
void line_info_get(struct reader *r, struct line_info *l);

/* Queue inspection and control. */
enum delivery_state {
	STATE_READY = 0,
	STATE_ACTIVE = 1,
	STATE_DEFERRED = 2,
	STATE_HELD = 3,
	STATE_SUSPENDED = 4, /* quarantined: its line died too often */
	STATE_UNCERTAIN = 5, /* waits for another try after an uncertain one */
	STATE_REPORTING = 6, /* final; its report is being made */
	STATE_COUNT
};
const char *delivery_state_name(uint8_t state); /* "ready"... */

struct cursor {
	uint64_t message;
	uint16_t delivery, recipient;
};
void cursor_put(struct buf *b, const struct cursor *c);
void cursor_get(struct reader *r, struct cursor *c);

/* Empty or zero fields do not filter. Texts match without regard to case;
 * "@domain" matches a domain, "*" any run of characters. */
struct filter {
	uint64_t id;  /* one message */
	int8_t state; /* enum delivery_state, -1: any */
	struct span sender, recipient, destination, line;
	struct span cause; /* why it waits: the word in struct attempt */
	uint64_t older_than, newer_than; /* accepted before/after; UTC s */
	uint32_t uid;			 /* submitter; UINT32_MAX: any */
};
void filter_put(struct buf *b, const struct filter *f);
void filter_get(struct reader *r, struct filter *f);

struct list_query {
	struct filter filter;
	struct cursor after; /* zeros: from the start */
	uint32_t max;	     /* items in this answer, at most 1000 */
	bool count_only;     /* no items, only MSG_LIST_END with u32 count
			      * behind has_more */
};
void list_query_put(struct buf *b, const struct list_query *q);
void list_query_get(struct reader *r, struct list_query *q);

struct item {
	uint64_t message;
	uint16_t delivery, recipient; /* indexes */
	uint8_t state;
	uint8_t report; /* enum report_kind awaited */
	uint64_t accepted_at, next_try_ms, expires_at, size_bytes;
	uint16_t attempts, uncertain; /* counts */
	uint32_t uid;
	struct span sender, address, domain, line, reply, status, cause;
};
void item_put(struct buf *b, const struct item *i);
void item_get(struct reader *r, struct item *i);

enum change_action {
	CHANGE_HOLD = 1,
	CHANGE_RELEASE,
	CHANGE_RETRY,	/* due now; with until set: history cleared (--reset) */
	CHANGE_DELETE,	/* gone, nobody is told; recorded as retracted */
	CHANGE_BOUNCE,	/* fails now, with a report */
	CHANGE_RETRACT, /* as delete, if nothing of it has been sent */
};
struct change {
	uint8_t action;	 /* enum change_action */
	uint64_t until;	 /* HOLD: release time, UINT64_MAX: never */
	bool is_dry_run; /* count only */
	struct filter filter;
	struct cursor after; /* large changes go in pages */
	uint32_t max;
};
void change_put(struct buf *b, const struct change *c);
void change_get(struct reader *r, struct change *c);

/* The ledger: accepted = delivered + failed + retracted + queued, counted in
 * recipients; uncertain counts attempts, not recipients. */
struct spool_stats {
	uint64_t messages, recipients, bytes; /* in the queue now */
	uint64_t by_state[STATE_COUNT];	      /* deliveries */
	uint64_t accepted, delivered, failed, retracted, uncertain; /* ever */
	uint64_t accepted_messages;
	uint64_t oldest_accepted_at; /* 0: empty */
	uint64_t journal_bytes, free_bytes, large_files;
	uint64_t syncs, bytes_written; /* since start */
};
void spool_stats_put(struct buf *b, const struct spool_stats *s);
void spool_stats_get(struct reader *r, struct spool_stats *s);

#endif
