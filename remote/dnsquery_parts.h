/* What the two halves of the DNS client share: questions and their tries. */
#ifndef REMOTE_DNSQUERY_PARTS_H
#define REMOTE_DNSQUERY_PARTS_H

#include "remote/dnscache.h"
#include "remote/dnsquery.h"

#include <sys/queue.h>

enum { DNS_CHAINS = 4096 };

struct waiter {
	struct waiter *next;
	void (*answered)(struct dns_answer *a, uint32_t ttl_s, void *arg);
	void *arg;
};

struct question {
	struct dns_client *client;
	struct question *next;	    /* in its chain */
	TAILQ_ENTRY(question) turn; /* when it waits for a socket */
	struct waiter *waiters;
	enum dns_type type;
	uint64_t began_ms;
	bool is_queued;
	/* the present try */
	bool is_tcp, no_edns;
	bool is_first; /* nobody kept silent yet */
	bool only_trusted;
	uint16_t id;
	int fd; /* -1: none */
	size_t server;
	unsigned tries, failures, foreign;
	struct timer timer;
	struct buf in, out; /* TCP */
	char why[160];	    /* the last failure */
	char name[];
};

TAILQ_HEAD(questions, question);

struct dns_client {
	struct loop *loop;
	struct dns_options options;
	struct dns_cache *cache;
	struct dns_counts counts;
	size_t sockets, first; /* of them: in their first try */
	size_t preferred;
	uint64_t preferred_ms;
	struct questions queue;
	bool is_beginning;
	struct question *chains[DNS_CHAINS];
	char *packet; /* DNS_PACKET_MAX bytes */
};

/* dnsquery.c: the question is over, its memory gone. finish takes a over. */
void question_finish(struct question *q, struct dns_answer *a);
void question_fail(struct question *q); /* q->why says why */

void questions_begin(struct dns_client *client); /* of those that wait */

/* dnstry.c */
void try_begin(struct question *q); /* the first try */
void try_hang_up(struct question *q);

#endif
