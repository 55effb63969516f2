/* The MTA-STS policy that holds for a domain: its record asked for, the policy
 * fetched by outpost-fetch when there is none yet or a new one, kept for as
 * long as it says. RFC 8461 sections 3.1, 3.3 and 5.1.
 *
 * Whoever asks waits for the web server ten seconds at most; after that what
 * was known before holds, and what comes then is for the next one.
 */
#ifndef REMOTE_STSLOOKUP_H
#define REMOTE_STSLOOKUP_H

#include "common/loop.h"
#include "common/outcome.h"
#include "remote/dnsquery.h"
#include "remote/stscache.h"

struct sts_client;

struct sts_options {
	struct loop *loop;
	struct dns_client *dns;
	struct sts_cache *cache; /* not taken over */
	bool allow_local; /* policy hosts may be on this machine or link */
	uint16_t port;	  /* of policy hosts */
	void (*lost)(void *arg); /* the stream to outpost-fetch broke */
	/* what became of a report that was posted */
	void (*posted)(uint64_t id, const struct outcome *outcome, void *arg);
	void *arg;
};

/* NULL without memory; lives as long as the program. */
struct sts_client *sts_client_new(const struct sts_options *options);
/* The stream to outpost-fetch, taken over, instead of an earlier one. */
void sts_client_connect(struct sts_client *client, int fd);

/* domain: lower case, no dot at the end. answered is called once, possibly
 * before this returns. e: borrowed; NULL: no policy. ttl_s: ask again then. */
void sts_ask(struct sts_client *client, const char *domain,
    void (*answered)(const struct sts_entry *e, uint32_t ttl_s, void *arg),
    void *arg);

/* Have outpost-fetch post a report about TLS. Its posted comes once, or never
 * when outpost-fetch is lost. -1: it is not there. */
struct tls_post;
int sts_client_post(
    struct sts_client *client, uint64_t id, const struct tls_post *post);

struct sts_counts {
	uint64_t fetched, failed;
};
void sts_client_counts(
    const struct sts_client *client, struct sts_counts *counts);

#endif
