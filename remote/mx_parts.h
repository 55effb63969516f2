/* A resolution on its way; mx.c gathers, mx_dane.c adds TLSA records,
 * mx_sts.c the MTA-STS policy, mx_answer.c sums up. */
#ifndef REMOTE_MX_PARTS_H
#define REMOTE_MX_PARTS_H

#include "remote/mx.h"
#include "remote/tlsa.h"

enum { TTL_TEMP_S = 30, TTL_NO_S = 60, STS_EVIDENCE_MAX = 700 };

/* The TLSA records of one host (RFC 7672 section 2.2). */
struct dane {
	struct dns_answer *tlsa; /* validated; held. NULL: none */
	bool has_failed;  /* nobody can say: the host is not to be used */
	const char *base; /* the TLSA base domain: of those below */
	char alias[DNS_NAME_MAX + 1]; /* the name at the end of aliases */
	char owner[DNS_NAME_MAX + 1]; /* what was asked last */
	char why[200];
	char evidence[TLSA_EVIDENCE_MAX];
};

struct candidate {
	struct resolution *resolution;
	uint16_t preference;
	uint8_t nv4, nv6;
	unsigned pending;    /* answers to come about its addresses */
	bool is_validated;   /* addresses: all that were found */
	bool is_unvalidated; /* one that was found is not */
	struct dane dane;
	char sts_evidence[STS_EVIDENCE_MAX];
	bool has_failed, has_no_name, is_no_host;
	unsigned nlocal;	 /* addresses left out */
	struct dns_record local; /* the first of them */
	unsigned char v4[ADDRESSES_MAX][4], v6[ADDRESSES_MAX][16];
	char failure[160];
	char name[DNS_NAME_MAX + 1];
};

struct resolution {
	struct mx_options options;
	uint8_t kind;
	uint16_t port;
	bool implicit_tls, allow_local;
	bool is_implicit; /* no MX: the domain itself */
	bool wants_dane, wants_sts;
	bool is_validated; /* the hosts' names: by DNSSEC, or ours */
	unsigned pending;  /* answers to come */
	uint32_t ttl_s;
	bool has_sts;
	struct sts_entry sts;	/* owned, with has_sts */
	struct outcome outcome; /* when it ended before hosts were asked */
	size_t ncandidates, room;
	struct candidate *candidates;
	void (*answered)(const struct resolve_answer *a, void *arg);
	void *arg;
	char name[DNS_NAME_MAX + 1];
};

/* Letters, digits, hyphens, underscores and dots; lower case. */
bool name_is_host(const char *name);

/* One question less to wait for; its answer lowers the time that all holds. */
void resolution_heard(
    struct resolution *r, const struct dns_answer *a, uint32_t ttl_s);
/* pending has become less. */
void resolution_go_on(struct resolution *r);

/* mx_dane.c: addresses are known; ask for TLSA where that is to be done. */
void dane_begin(struct candidate *c);
/* What it says about the host; may take the host's addresses away. *room: bytes
 * of records that the answer still takes. */
void dane_fill(struct candidate *c, struct host *h, size_t *room);

/* mx_sts.c: ask for the domain's policy, and what it says about a host, after
 * dane_fill. */
void sts_begin(struct resolution *r);
void sts_fill(struct candidate *c, struct host *h);
/* The policy as reports show it (RFC 8460 4.4); as much as there is room for.
 */
void sts_print_lines(const struct resolution *r, struct buf *lines);

/* The host is not to be used for now, for that reason. */
void host_leave_out(struct host *h, const char *status, const char *text);

/* Give the answer and free all. */
void resolution_finish(struct resolution *r);

#endif
