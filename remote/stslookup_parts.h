/* What the halves of the policy look-up share: a flight is one domain being
 * looked up for whoever asks meanwhile. */
#ifndef REMOTE_STSLOOKUP_PARTS_H
#define REMOTE_STSLOOKUP_PARTS_H

#include "common/messages.h"
#include "common/wire.h"
#include "remote/stslookup.h"

#include <sys/queue.h>

struct sts_waiter {
	struct sts_waiter *next;
	void (*answered)(const struct sts_entry *e, uint32_t ttl_s, void *arg);
	void *arg;
};

struct flight {
	TAILQ_ENTRY(flight) entry;
	struct sts_client *client;
	struct sts_waiter *waiters;
	struct timer timer;
	bool is_late;	  /* what is known has been given out already */
	bool is_fetching; /* outpost-fetch has it, under this id */
	uint64_t id;
	uint32_t ttl_s;
	char record[STS_ID_MAX + 1]; /* the id that the record shows */
	unsigned pending;	     /* address questions */
	unsigned naddresses;
	uint8_t lengths[ADDRESSES_MAX];
	unsigned char addresses[ADDRESSES_MAX][16];
	char why[320];
	char domain[DNS_NAME_MAX + 1];
};

/* A policy that could not be had: not tried again at once. */
struct sts_failure {
	uint64_t until_ms;
	char record[STS_ID_MAX + 1];
	char domain[DNS_NAME_MAX + 1];
};

enum { STS_FAILURES = 256, FLIGHT_CHAINS = 1024 };

TAILQ_HEAD(flights, flight);

struct sts_client {
	struct sts_options options;
	struct wire *fetcher; /* NULL: not there */
	uint64_t last_id;
	size_t nflights, nfetching;
	struct flights chains[FLIGHT_CHAINS]; /* by domain */
	struct sts_failure failures[STS_FAILURES];
	size_t next_failure;
	struct sts_counts counts;
};

/* stsfetch.c: get the policy. It ends in one of the two below. */
void fetch_begin(struct flight *f);

/* stslookup.c: the flight is over. */
void flight_land(struct flight *f, struct span text);
void flight_fail(struct flight *f, const char *why);

#endif
