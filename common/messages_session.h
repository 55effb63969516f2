/* Contents of messages: where mail goes (hosts and their TLS policy, look-ups,
 * sessions, lines). Included by common/messages.h.
 */
#ifndef COMMON_MESSAGES_SESSION_H
#define COMMON_MESSAGES_SESSION_H

#include "common/messages.h"

/* Where jobs go. */
enum tls_level { TLS_NONE = 0, TLS_MAY = 1, TLS_REQUIRE = 2, TLS_VERIFY = 3 };
enum {
	HOSTS_MAX = 50,
	ADDRESSES_MAX = 16,
	TLSA_MAX = 16,		/* records of one host that are used */
	TLSA_DATA_MAX = 4096,	/* bytes of one */
	TICKET_MAX = 12288,	/* a TLS session to resume, as bytes */
	CREDENTIAL_MAX = 16384, /* a password, token, certificate or key */
};

/* What a published policy asks of TLS with one host. The line obeys the
 * stricter of it and the session's own level; TLS_NONE of the session wins over
 * all. */
enum tls_policy_kind {
	TLS_POLICY_NONE = 0,	   /* nothing published, or not looked for */
	TLS_POLICY_DANE = 1,	   /* RFC 7672: the TLSA records */
	TLS_POLICY_DANE_BLIND = 2, /* secure TLSA, none usable: TLS, any
				    * certificate (RFC 7672 2.2) */
	TLS_POLICY_STS = 3,	   /* RFC 8461 enforce: certificate for the
				    * host's name */
};

struct tlsa { /* RFC 6698 2.1 */
	uint8_t usage, selector, matching;
	struct span data;
};

struct host_policy {
	uint8_t kind;	      /* enum tls_policy_kind */
	bool is_shadow;	      /* what it would have failed is only reported */
	bool is_secure;	      /* the name came by DNSSEC-validated answers */
	struct span domain;   /* whose policy: the recipient domain (STS), the
			       * TLSA base domain (DANE); empty: none */
	struct span evidence; /* one line: which answers say so */
	struct span names[3]; /* reference identifiers of DANE-TA, the TLSA
			       * base domain (and SNI) first */
	uint8_t nnames;
	uint8_t ntlsa;
	struct tlsa tlsa[TLSA_MAX];
};

struct host {
	struct span name; /* MX or relay host name, or "[192.0.2.1]" */
	uint16_t preference;
	uint16_t port;
	bool implicit_tls;		      /* smtps */
	struct span addresses[ADDRESSES_MAX]; /* 4 or 16 bytes each, in order */
	uint8_t naddresses;		      /* 0: see why */
	struct outcome why;		      /* when naddresses is 0 */
	struct host_policy policy;
	struct span ticket; /* to resume; kept by the runner for this host,
			     * session level and policy only; or empty */
};
void host_put(struct buf *b, const struct host *h);
void host_get(struct reader *r, struct host *h);
/* What a report (RFC 8460 4.3) says of a host that is not used because of what
 * is published about TLS with it: enum tls_result; NOT_TRIED: it is not so. */
uint8_t host_policy_result(const struct host *h);

struct resolve_query {
	uint8_t kind;	  /* enum resolve_kind */
	struct span name; /* domain, host name or address literal */
	uint16_t port;	  /* put into the hosts */
	bool implicit_tls;
	bool wants_policy; /* look for DANE and MTA-STS too */
};
enum resolve_kind {
	RESOLVE_MX = 1,	    /* RFC 5321 5.1: MX, implicit MX, null MX */
	RESOLVE_HOST = 2,   /* A and AAAA of one host */
	RESOLVE_TLSRPT = 3, /* where reports about TLS with that domain go, as
			     * lines. PERM: nowhere (RFC 8460 section 3) */
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
	struct span lines; /* MX: the MTA-STS policy of the domain, for reports;
			    * TLSRPT: URIs. Each ended by LF, in all at most
			    * TLS_LINES_MAX */
};
void resolve_answer_put(struct buf *b, const struct resolve_answer *a);
int resolve_answer_get(struct reader *r, struct resolve_answer *a);
void resolve_answer_free(struct resolve_answer *a);

/* The MTA-STS policy of a domain (RFC 8461 3.3), from its web server. */
enum { FETCH_TEXT_MAX = 65536 };
struct fetch_query {
	struct span domain; /* whose; the server is mta-sts.DOMAIN */
	uint16_t port;
	struct span addresses[ADDRESSES_MAX]; /* 4 or 16 bytes each */
	uint8_t naddresses;
};
void fetch_query_put(struct buf *b, const struct fetch_query *q);
void fetch_query_get(struct reader *r, struct fetch_query *q);

struct fetch_answer {
	struct outcome outcome; /* OK: the text, unread; TEMP: why not */
	struct span text;
};
void fetch_answer_put(struct buf *b, const struct fetch_answer *a);
void fetch_answer_get(struct reader *r, struct fetch_answer *a);

/* How to log in to a relay; the secret is in these messages and nowhere else.
 */
struct login {
	struct span user;	 /* empty: no login by name */
	struct span secret;	 /* password or token */
	struct span certificate; /* PEM; for TLS and EXTERNAL; may be empty */
	struct span key;
	struct span mechanisms; /* allowed ones, parted by blanks; empty: all
				 * that do not need a token */
	bool is_token;		/* secret is for XOAUTH2, OAUTHBEARER */
	bool may_be_clear; /* also without TLS: the relay says tls = none */
};

/* What the files of a relay's login hold, on the way to the runner. */
struct relay_secret {
	struct span relay;
	struct span secret; /* password or token */
	struct span certificate, key;
	struct outcome outcome; /* OK, or why it cannot be had */
};
enum { RELAY_SECRET_MAX = 3 * CREDENTIAL_MAX + 2048 };
void relay_secret_put(struct buf *b, const struct relay_secret *s);
void relay_secret_get(struct reader *r, struct relay_secret *s);

struct session {
	struct span destination; /* for the log and the process title */
	struct span localname;
	struct span binds[4]; /* source addresses, 4 or 16 bytes; empty */
	uint8_t nbinds;
	uint8_t tls;	   /* enum tls_level */
	uint16_t messages; /* per connection, at most */
	bool is_stepwise;  /* a host answered pipelined commands badly before */
	bool is_detailed;  /* log every command and reply */
	bool is_relay;	   /* hosts are the configuration's, not MX */
	struct login login;
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
	bool is_login_refused; /* the relay did not take our login */
};
void session_report_put(struct buf *b, const struct session_report *s);
void session_report_get(struct reader *r, struct session_report *s);

/* One address that was tried: for the memory of bad hosts and for TLSRPT. */
enum tls_result {		  /* RFC 8460 4.3 */
	TLS_RESULT_NOT_TRIED = 0, /* it did not come to TLS, or none wanted */
	TLS_RESULT_OK,
	TLS_RESULT_STARTTLS_NOT_SUPPORTED,
	TLS_RESULT_HOST_MISMATCH,
	TLS_RESULT_EXPIRED,
	TLS_RESULT_NOT_TRUSTED,
	TLS_RESULT_VALIDATION_FAILURE,
	TLS_RESULT_TLSA_INVALID,
	TLS_RESULT_DNSSEC_INVALID,
	TLS_RESULT_DANE_REQUIRED,
	TLS_RESULT_STS_FETCH_ERROR,
	TLS_RESULT_STS_INVALID,
	TLS_RESULT_STS_WEBPKI_INVALID,
	TLS_RESULT_COUNT
};
const char *tls_result_name(uint8_t result); /* "starttls-not-supported"... */
struct host_tried {
	struct span host;    /* its name in the session */
	struct span address; /* "192.0.2.1:25" */
	struct span source;  /* "192.0.2.10"; empty: not connected */
	struct span domain;  /* policy domain; empty: none */
	uint8_t policy;	     /* enum tls_policy_kind */
	uint8_t tls;	     /* enum tls_result */
	bool is_shadow;
	struct outcome outcome; /* OK: it was ready for mail */
};
void host_tried_put(struct buf *b, const struct host_tried *t);
void host_tried_get(struct reader *r, struct host_tried *t);

/* A TLS session that may be resumed with this host. */
struct ticket {
	struct span host; /* its name in the session */
	struct span data; /* empty: forget what there is */
};
void ticket_put(struct buf *b, const struct ticket *t);
void ticket_get(struct reader *r, struct ticket *t);

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
