/* Contents of messages: a look at one server as a line would meet it, without
 * mail (outpost-dnscheck asks, outpost-probe answers).
 */
#ifndef COMMON_MESSAGES_PROBE_H
#define COMMON_MESSAGES_PROBE_H

#include "common/messages.h"

enum probe_step {
	PROBE_CONNECT = 0,
	PROBE_GREET, /* banner, EHLO, TLS, login: as the session asks */
	PROBE_MAIL,  /* MAIL */
	PROBE_RCPT,  /* each recipient, then RSET */
	PROBE_DONE,
};

enum { PROBE_RCPTS_MAX = 16, PROBE_TALK_MAX = 32768, PROBE_NAMES_MAX = 400 };

struct probe {
	uint32_t timeout_ms; /* for each wait */
	bool may_mail;	     /* go on to MAIL, RCPT and RSET */
	struct span sender;
	struct span recipients[PROBE_RCPTS_MAX];
	uint8_t nrecipients;
	struct session session; /* one host; all its addresses are a race */
};
void probe_put(struct buf *b, const struct probe *p);
int probe_get(struct reader *r, struct probe *p); /* allocates hosts */
void probe_free(struct probe *p);

struct probed {
	uint8_t step;		/* enum probe_step: how far it came */
	struct outcome outcome; /* OK: PROBE_DONE; else why no further */
	uint16_t code;		/* of the last reply; 0: none */
	struct span address;	/* "192.0.2.1:25" */
	struct span source;	/* ours: "192.0.2.10" */
	struct span banner;	/* its text, lines parted by LF */
	struct span ehlo;	/* the last answer to EHLO, likewise */
	struct span tls;	/* as in struct result */
	uint8_t tls_result;	/* enum tls_result */
	int64_t expires;	/* UTC seconds: its certificate; 0: none seen */
	struct span names;	/* in that certificate, printable */
	uint32_t connect_ms, took_ms;
	struct outcome rcpts[PROBE_RCPTS_MAX]; /* OK: accepted */
	uint8_t nrcpts;
	struct span talk; /* all of it, as in struct transcript */
};
void probed_put(struct buf *b, const struct probed *p);
void probed_get(struct reader *r, struct probed *p);

#endif
