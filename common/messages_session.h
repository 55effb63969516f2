/* Contents of messages: where mail goes (hosts and their TLS policy, look-ups,
 * sessions, lines). Included by common/messages.h.
 */
#ifndef COMMON_MESSAGES_SESSION_H
#define COMMON_MESSAGES_SESSION_H

#include "common/messages.h"

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

#endif
