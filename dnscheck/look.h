/* One look at one server from one place, asked for and made sense of. */
#ifndef DNSCHECK_LOOK_H
#define DNSCHECK_LOOK_H

#include "dnscheck/prober.h"
#include "dnscheck/run.h"

struct look {
	const struct place *place; /* whose address and name; NULL: any */
	const char *host;	   /* its name, or "[192.0.2.1]" */
	uint16_t port;
	bool implicit_tls, is_relay;
	uint8_t tls; /* enum tls_level */
	struct span addresses[ADDRESSES_MAX];
	uint8_t naddresses;
	char literal[16];		  /* where the one address stands */
	const struct host_policy *policy; /* NULL: none published */
	const struct conf_relay *login;	  /* log in as this one says */
	const struct relay_login *secret; /* with it: its files */
	const char *sender, *recipient;	  /* NULL: no MAIL */
};

/* The host's addresses that can be reached from the place. */
enum look_names {
	LOOK_NAMED = 0,
	LOOK_NO_ADDRESS, /* there is none, why says so */
	LOOK_UNKNOWN,	 /* could not be found out */
};
enum look_names look_resolve(
    struct run *run, struct look *look, const char **why);

/* How far it came, and why no further. */
enum look_end {
	LOOK_DONE = 0,
	LOOK_NOT_MADE, /* no look, for reasons of our own */
	LOOK_REFUSED,  /* the connection, at once */
	LOOK_TIMEOUT,  /* no connection in time */
	LOOK_NO_ROUTE, /* no connection, otherwise */
	LOOK_SILENT,   /* connected; no banner that ends */
	LOOK_BANNER,   /* the banner says no */
	LOOK_EHLO,     /* EHLO and HELO failed */
	LOOK_TLS,
	LOOK_LOGIN,
	LOOK_MAIL,
	LOOK_RCPT,
};
/* A copy has its address in itself. */
void look_point(struct look *copy, const struct look *look);
enum look_end look_at(
    struct run *run, const struct look *look, struct probed *probed);

/* Text of a span that lives as long as the findings. */
const char *look_text(struct run *run, struct span text);
/* "192.0.2.1:25: what went wrong", or what was said last. */
const char *look_why(struct run *run, const struct probed *probed);
/* What a host calls itself: the first word behind the code. "" without. */
const char *look_name(struct run *run, struct span reply);
/* Whether that EHLO keyword is offered; *parameters: what stands behind it. */
bool look_offers(struct span ehlo, const char *keyword, struct span *rest);
/* An address in the text other than that one, as servers say "[192.0.2.1]" of
 * a client; -1: none. */
int look_find_address(struct span text, char address[64]);
/* "2026-12-31" */
const char *look_day(struct run *run, int64_t at_s);
/* The two names have their last two labels in common. */
bool look_is_related(const char *one, const char *other);

#endif
