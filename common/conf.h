/* The configuration: the whole grammar of outpost.conf(5), typed and checked.
 *
 * conf_load reads all of the file or gives every error with file:line. What is
 * read can be printed again as a file (conf_print) that reads back the same:
 * so the supervisor hands the effective settings to its children, which never
 * open the file.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/buf.h"
#include "common/log.h"

#include <stdint.h>

struct strings {
	char **items;
	size_t count;
};

enum conf_mode { MODE_DIRECT = 0, MODE_RELAY = 1 };
enum conf_listen_tls {
	LISTEN_TLS_NONE = 0,
	LISTEN_TLS_STARTTLS = 1,
	LISTEN_TLS_IMPLICIT = 2,
};
enum conf_auth { AUTH_NONE = 0, AUTH_OPTIONAL = 1, AUTH_REQUIRED = 2 };

/* "20/m": events in a period; 0 events: no limit. */
enum { RATE_A_SECOND_MAX = 1000000 }; /* what a clock can tell apart */
struct rate {
	uint32_t events;
	uint32_t per_seconds;
};

/* Where a block began, for messages and "explain". */
struct conf_place {
	char *file;
	int line;
};

struct conf_listen {
	struct conf_place place;
	char *address; /* "127.0.0.1:25", "[::1]:25" or "unix:path" */
	enum conf_listen_tls tls;
	char *certificate, *key; /* absolute paths or NULL */
	enum conf_auth auth;
	char *users;
	struct strings allow; /* addresses, CIDR */
};

/* "smtp://host:port", "smtps://", "submission://"; or host, host:port, [ip]. */
struct conf_server {
	char *host; /* without brackets for an address literal */
	uint16_t port;
	bool implicit_tls;
	bool is_literal;
	bool use_mx; /* a bare domain without port: look up its MX? no: only
		      * the form "mx:domain" does */
};

struct conf_relay {
	struct conf_place place;
	char *name;
	struct conf_server *servers;
	size_t nservers;
	int tls; /* enum tls_level of messages.h, -1: not given */
	/* The login. The supervisor reads what the files and the command give
	 * and hands it to the runner; nobody else sees it. */
	char *user, *password_file;
	struct strings token_command; /* prints a token on its first line */
	struct strings mechanisms;    /* allowed ones; empty: by what is given*/
	char *certificate, *key;      /* for EXTERNAL */
};

/* What a line group has of its own on one node. */
struct conf_node {
	char *name;
	char *localname;
	struct strings bind;
};

struct conf_line {
	struct conf_place place;
	char *name;
	int count;	 /* 0: auto */
	char *localname; /* NULL: the global one */
	struct strings bind;
	char *relay; /* NULL: by mode */
	int messages_per_connection;
	struct rate rate;
	char *window;		 /* common/window.h; NULL: always */
	int in_flight;		 /* messages at once; 0: no limit */
	int address_connections; /* from one bind address; 0: no limit */
	struct rate address_rate;
	bool require_check; /* dnscheck must not find it failing */
	/* empty after loading: this node's have been applied */
	struct conf_node *nodes;
	size_t nnodes;
};

struct conf_route {
	struct conf_place place;
	char *pattern; /* "example.org" or "*.example.net" */
	struct conf_server *servers;
	size_t nservers;
	char *line, *relay; /* NULL: not given */
	int tls;	    /* -1: not given */
};

struct conf_destination {
	struct conf_place place;
	char *pattern;
	int connections; /* 0: not given; so the next two */
	int in_flight, messages_per_connection;
	struct rate rate;
};

struct conf_sender {
	struct conf_place place;
	char *pattern; /* "alice@example.net", "@example.net", "uid:1000" */
	char *relay, *line;
	uint32_t hold_s;
};

/* Recipients that only some may write to. */
struct conf_restrict {
	struct conf_place place;
	char *pattern;	      /* "all-users@example.com", "@example.com" */
	struct strings allow; /* senders, as in a sender block; logins */
};

struct conf_retry {
	int attempts;	 /* 0: until lifetime */
	uint32_t wait_s; /* before the second attempt */
	double factor;	 /* each wait is this much longer */
	uint32_t max_wait_s;
	uint32_t lifetime_s;
	uint32_t warn_after_s; /* 0: never */
	int jitter_percent;
	char *fallback_relay;
	int fallback_after;
};

/* What to make of replies: the first rule that fits. */
struct conf_reply {
	struct conf_place place;
	char *pattern;	   /* POSIX extended regular expression, on "code
			    * enhanced-code text" in one line */
	char *destination; /* pattern of recipient domains; NULL: all */
	char *action;	   /* "retry"... or "relay:NAME" */
	uint32_t after_s;  /* 0: not given */
};

enum conf_switch { SWITCH_OFF = 0, SWITCH_ON = 1, SWITCH_SHADOW = 2 };
struct conf_tls {
	int policy;	   /* enum tls_level: MAY = opportunistic */
	int dane, mta_sts; /* enum conf_switch; SHADOW: only reported */
	uint16_t mta_sts_port;
	bool tlsrpt;   /* send reports (RFC 8460) */
	char *ca_file; /* PEM; NULL: the system's bundle */
};

struct conf_defaults {
	char *reply_to, *sender_name, *sender_domain;
};

/* What dnscheck cannot know by itself. */
struct conf_dnscheck {
	struct strings external; /* "203.0.113.5", "10.0.0.5=203.0.113.5" */
	char *whoami;		 /* "NAME@SERVER"; NULL: nobody is asked */
	char *echo; /* "HOST[:PORT]", a mail server that says who we are */
	struct strings port25;		/* domains whose MX hosts are tried */
	bool guard;			/* at the start and every day */
	char *signed_name, *bogus_name; /* to try resolvers with */
	struct strings lists; /* blocklists, "zen.example", "domain:dbl.example"
			       */
};

struct conf_limits {
	uint64_t message_size, spool_size; /* bytes */
	int recipients;			   /* a message */
	int connections;	     /* smtpd, all clients; default 2000 */
	int connections_per_client;  /* default 100 */
	int destination_connections; /* per destination; default 20 */
};

struct conf {
	char *file; /* absolute path, or "" when there was none */
	/* Never NULL. node: the one chosen, else the host's bare name;
	 * timezone: "" for the system's. */
	char *node, *localname, *postmaster, *timezone;
	bool localname_is_found; /* not set: what the machine says of itself */
	char *spool, *runtime;	 /* absolute */
	char *log_to;		 /* "stderr", "syslog" or an absolute path */
	enum log_level log;
	bool outbound;
	bool allow_local_mx; /* MX records may lead to loopback, link-local */
	enum conf_mode mode;
	uint16_t port;
	struct strings resolvers; /* "127.0.0.1:53"; empty: the system's */
	char *aliases;
	struct conf_listen *listens;
	size_t nlistens;
	struct conf_relay *relays;
	size_t nrelays;
	struct conf_line *lines; /* at least "default" */
	size_t nlines;
	struct conf_route *routes;
	size_t nroutes;
	struct conf_destination *destinations;
	size_t ndestinations;
	struct conf_sender *senders;
	size_t nsenders;
	struct conf_retry retry;
	struct conf_defaults defaults;
	struct conf_limits limits;
	struct conf_tls tls;
	struct conf_dnscheck dnscheck;
	struct conf_reply *replies;
	size_t nreplies;
	struct conf_restrict *restricts;
	size_t nrestricts;
};

/* Errors are collected, one line each: "file:line: what, what is allowed". */
/* path: NULL looks at $OUTPOST_CONF, then /etc/outpost/outpost.conf; a file
 * that is not there is an error only when it was named. Returns the whole
 * configuration, or NULL with *errors filled (never both). */
struct conf *conf_load(const char *path, struct buf *errors);
/* The same as if it said node = "NODE"; NULL: what it says. */
struct conf *conf_load_as(
    const char *path, const char *node, struct buf *errors);
/* The text that conf_print made, from a descriptor (closed). */
struct conf *conf_load_fd(int fd, const char *path, struct buf *errors);
/* Effective settings as a configuration file. */
void conf_print(const struct conf *conf, struct buf *out);
void conf_free(struct conf *conf); /* NULL is fine */

const struct conf_relay *conf_relay(const struct conf *conf, const char *name);
const struct conf_line *conf_line(const struct conf *conf, const char *name);

/* Value parsers, also for command options. All: 0, or -1. conf_parse_server
 * allocates server->host, which the caller frees. */
int conf_parse_duration(const char *text, uint32_t *seconds); /* 30s 5m 4h 5d */
int conf_parse_size(const char *text, uint64_t *bytes);	      /* 10K 50M 2G */
int conf_parse_rate(const char *text, struct rate *rate);     /* 20/m 1000/h */
int conf_parse_server(const char *text, struct conf_server *server);

#endif
