/* One answer of the DNS, taken from a packet by ldns: the status, the records
 * at the end of the aliases, how long it holds, and whether whoever resolved
 * it has validated it. RFC 1035, 2181, 2308, 4035, 6698, 6840. */
#ifndef REMOTE_DNSANSWER_H
#define REMOTE_DNSANSWER_H

#include "common/buf.h"

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5, /* the alias itself: not followed */
	DNS_SOA = 6,   /* only whether there is one */
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
};

enum dns_status {
	DNS_FOUND = 0,
	DNS_NO_DATA = 1, /* the name is there, no record of that type */
	DNS_NO_NAME = 2, /* NXDOMAIN */
	DNS_FAILED = 3,	 /* nobody could say */
};

enum {
	DNS_NAME_MAX = 255,
	DNS_RECORDS_MAX = 64, /* kept of one answer; MX: the most preferred */
	DNS_TTL_MAX_S = 86400,
	DNS_NEGATIVE_TTL_MAX_S = 10800, /* RFC 2308 section 5 */
	DNS_PACKET_MAX = 65535,
	DNS_FROM_MAX = 64, /* NET_TEXT_MAX */
};

struct dns_record {
	uint16_t preference; /* MX */
	uint8_t nbytes;	     /* 4 or 16: an address */
	unsigned char bytes[16];
	char *name; /* MX, CNAME: lower case, "" is the root */
	char *data; /* TLSA: all of it as on the wire. TXT: its strings, one
		     * behind the other. NULL: neither */
	size_t ndata;
};

/* Shared by holding it. */
struct dns_answer {
	unsigned holders;
	enum dns_status status;
	bool is_secure; /* AD: the resolver says that it has validated it.
			 * What it is worth depends on the resolver: dnstry.c
			 * clears it when that one is not trusted */
	uint32_t ttl_s;
	char detail[160];	 /* why it failed; printable */
	char from[DNS_FROM_MAX]; /* which resolver; "" not from one */
	char *alias;		 /* FOUND by aliases: the name at their end */
	size_t nrecords;
	struct dns_record *records;
};

/* NULL without memory; held once. */
struct dns_answer *dns_answer_new(enum dns_status status);
struct dns_answer *dns_answer_hold(struct dns_answer *a);
void dns_answer_release(struct dns_answer *a); /* NULL is fine */

/* The packet that asks; recursion wanted. 0 or -1 (the name cannot be asked
 * for). "" is the root. */
enum {
	DNS_WITH_EDNS = 1,
	DNS_WITH_AD = 2, /* validated or not? AD, and DO by EDNS0 */
};
int dns_question_put(struct buf *out, const char *name, enum dns_type type,
    uint16_t id, unsigned how);

enum dns_reading {
	DNS_READ = 0,	   /* *answer is filled and the caller's */
	DNS_FOREIGN = 1,   /* not the answer to this question: go on waiting */
	DNS_TRUNCATED = 2, /* ask by TCP */
	DNS_NO_EDNS = 3,   /* the server does not understand EDNS0 */
};
/* A packet that cannot be read is FOREIGN; SERVFAIL and the like are READ with
 * status FAILED. */
enum dns_reading dns_answer_read(struct span packet, const char *name,
    enum dns_type type, uint16_t id, struct dns_answer **answer);

const char *dns_type_name(enum dns_type type);
const char *dns_status_name(enum dns_status status);

#endif
