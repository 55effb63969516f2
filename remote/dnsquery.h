/* Questions to the resolvers, any number at once: UDP from a socket of its own
 * each (random port and id), again after silence, the next server in turn, TCP
 * when the answer was cut off. Same questions share one; answers are cached.
 */
#ifndef REMOTE_DNSQUERY_H
#define REMOTE_DNSQUERY_H

#include "common/loop.h"
#include "common/net.h"
#include "remote/dnsanswer.h"

enum { DNS_SERVERS_MAX = 8 };

struct dns_options {
	union net_address servers[DNS_SERVERS_MAX];
	bool is_trusted[DNS_SERVERS_MAX]; /* its AD bit is believed */
	size_t nservers;
	bool wants_secure;   /* ask for AD, mark what is validated */
	size_t cache_most;   /* answers */
	size_t sockets_most; /* at once; further questions wait */
	uint32_t first_ms;   /* wait for the first try; 0: 2 s */
	uint32_t total_ms;   /* until it is called a failure; 0: 40 s */
};

struct dns_counts {
	uint64_t asked, cached, failed, packets;
};

struct dns_client;

struct dns_client *dns_client_new(
    struct loop *loop, const struct dns_options *options);
void dns_client_free(struct dns_client *client); /* nobody is told any more */

/* TLSA is asked of trusted servers alone; what one of them fails to find out
 * (perhaps since it is forged) is not asked of one that would not notice.
 * name: lower case, no dot at the end. answered is called once, possibly
 * before dns_ask returns; the answer is borrowed, ttl_s what is left of it. */
void dns_ask(struct dns_client *client, const char *name, enum dns_type type,
    void (*answered)(struct dns_answer *a, uint32_t ttl_s, void *arg),
    void *arg);

void dns_client_counts(const struct dns_client *client, struct dns_counts *c);

#endif
