/* SMTP commands, as a server reads them: verb, path, ESMTP parameters.
 *
 * command   = verb [ SP argument ] CRLF                     RFC 5321 4.1.1
 * MAIL FROM: Reverse-path [ SP Mail-parameters ]
 * RCPT TO:   Forward-path [ SP Rcpt-parameters ]
 * BDAT       chunk-size [ SP "LAST" ]                       RFC 3030
 */
#ifndef INJECT_COMMAND_H
#define INJECT_COMMAND_H

#include "common/buf.h"

enum {
	COMMAND_LINE_MAX = 4096, /* bytes with CRLF; 512 and extensions */
	PARAMETERS_MAX = 16,
	ENVID_MAX = 100, /* RFC 3461 section 4.4, as sent */
	ORCPT_MAX = 500, /* RFC 3461 section 4.2, as sent */
};

enum verb {
	VERB_UNKNOWN = 0,
	VERB_EHLO,
	VERB_HELO,
	VERB_MAIL,
	VERB_RCPT,
	VERB_DATA,
	VERB_BDAT,
	VERB_RSET,
	VERB_NOOP,
	VERB_QUIT,
	VERB_VRFY,
	VERB_EXPN,
	VERB_HELP,
	VERB_STARTTLS,
	VERB_AUTH,
	VERB_FOREIGN, /* GET, POST, CONNECT: a browser was talked into this */
};

/* A reply to be: constant texts. */
struct answer {
	uint16_t code;
	const char *status; /* RFC 3463; NULL: none */
	const char *text;
};

struct parameter {
	struct span name, value;
	bool has_value;
};

/* All spans are borrowed from the line. */
struct command {
	enum verb verb;
	struct span argument; /* what follows the verb, trimmed */
	struct span path;     /* MAIL, RCPT: what stood between < and > */
	struct parameter parameters[PARAMETERS_MAX];
	size_t nparameters;
	uint64_t chunk; /* BDAT: octets */
	bool is_last;
};

/* The verb alone: never fails. */
enum verb command_verb(struct span line);

/* Parse a line without its CRLF, which has no CR, LF or NUL left in it (that
 * is checked). Returns 0, or -1 with *why and c->verb valid. */
int command_parse(struct span line, struct command *c, struct answer *why);

enum { HOLD_MAX_S = 90 * 86400 }; /* FUTURERELEASE (RFC 4865) */

/* Parameters of MAIL. envid: decoded, appended to the buffer given. */
struct mail_parameters {
	bool has_size, is_utf8, requires_tls;
	uint64_t hold_s;     /* HOLDFOR; 0: not given */
	uint64_t hold_until; /* HOLDUNTIL, UTC seconds; 0: not given */
	uint64_t by_s;	     /* BY in mode R; 0: not given */
	uint64_t size;
	uint8_t body; /* enum body_kind */
	uint8_t ret;  /* enum dsn_ret */
	int8_t priority;
	size_t envid_bytes; /* appended to *envid; 0: not given */
};
int mail_parameters(const struct command *c, struct mail_parameters *p,
    struct buf *envid, struct answer *why);

/* Parameters of RCPT. orcpt: "rfc822;address" decoded, appended. is_utf8: the
 * transaction has SMTPUTF8. */
struct rcpt_parameters {
	uint8_t notify; /* NOTIFY_* bits */
	size_t orcpt_bytes;
};
int rcpt_parameters(const struct command *c, bool is_utf8,
    struct rcpt_parameters *p, struct buf *orcpt, struct answer *why);

/* RFC 3461 section 4: appends the decoded text; printable ASCII only. */
int xtext_decode(struct span text, struct buf *out);
/* RFC 6533 section 3: "\x{HEX}" for what is not plain; with is_raw also UTF-8
 * as it is. Appends UTF-8 without control characters. */
int utf8_address_decode(struct span text, bool is_raw, struct buf *out);

#endif
