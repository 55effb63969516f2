/* From a domain or host name to hosts with addresses in the order of trial, and
 * what is published about TLS with them: RFC 5321 section 5.1, RFC 7505 (null
 * MX), RFC 7672 (DANE), RFC 8461 (MTA-STS).
 */
#ifndef REMOTE_MX_H
#define REMOTE_MX_H

#include "common/messages.h"
#include "remote/dnsquery.h"
#include "remote/dnssystem.h"
#include "remote/stslookup.h"

struct mx_options {
	struct dns_client *client;
	const struct hosts *hosts; /* for RESOLVE_HOST */
	bool allow_local;	   /* MX may lead to this machine or link */
	int dane;		   /* enum conf_switch */
	int mta_sts;		   /* enum conf_switch */
	struct sts_client *sts;	   /* NULL: no MTA-STS */
};

/* answered is called once, possibly before this returns; what the answer
 * points to is borrowed. */
void mx_resolve(const struct mx_options *options,
    const struct resolve_query *query,
    void (*answered)(const struct resolve_answer *a, void *arg), void *arg);

/* Loopback, link-local, unspecified, multicast, reserved; also behind an IPv4
 * address inside an IPv6 one. */
bool mx_is_local(struct span bytes);

#endif
