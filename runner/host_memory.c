/* What the runner remembers of servers. */
#include "runner/host_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/net.h"
#include "runner/table.h"

enum { BADS = 4096, TICKETS = 1024 };

struct bad {
	uint64_t key; /* 0: free */
	uint64_t until_ms, wait_ms;
};

struct kept {
	uint64_t key;
	char *data; /* NULL: free */
	size_t n;
};

/* One place for each key: what comes later takes it. */
struct host_memory {
	uint64_t seed;
	struct bad bads[BADS];
	struct kept tickets[TICKETS];
};

struct host_memory *host_memory_new(uint64_t seed)
{
	struct host_memory *m = calloc(1, sizeof(*m));

	if (m)
		m->seed = seed;
	return m;
}

void host_memory_free(struct host_memory *m)
{
	for (size_t i = 0; m && i < TICKETS; i++) {
		if (m->tickets[i].data)
			explicit_bzero(m->tickets[i].data, m->tickets[i].n);
		free(m->tickets[i].data);
	}
	free(m);
}

/* --- addresses that did not answer --------------------------------------- */

static uint64_t key_of(const struct host_memory *m, struct span text)
{
	uint64_t key = table_key(m->seed, text);

	return key ? key : 1;
}

static struct bad *find_bad(struct host_memory *m, struct span address)
{
	uint64_t key = key_of(m, address);
	struct bad *bad = &m->bads[key % BADS];

	return bad->key == key ? bad : NULL;
}

void host_memory_tried(
    struct host_memory *m, struct span address, bool is_ready, uint64_t now_ms)
{
	uint64_t key = key_of(m, address);
	struct bad *bad = &m->bads[key % BADS];

	if (is_ready) {
		if (bad->key == key)
			bad->key = 0;
		return;
	}
	if (bad->key != key)
		*bad = (struct bad){ key, 0, BAD_MS };
	else if (now_ms >= bad->until_ms && bad->wait_ms < BAD_MAX_MS)
		bad->wait_ms *= 2;
	bad->until_ms = now_ms + bad->wait_ms;
}

static bool is_bad(
    struct host_memory *m, const struct host *host, unsigned i, uint64_t now_ms)
{
	union net_address address;
	char text[NET_TEXT_MAX];
	const struct bad *bad;

	if (net_from_bytes(host->addresses[i], host->port, &address) < 0)
		return false;
	net_print(&address, text);
	bad = find_bad(m, span_of(text));
	return bad && now_ms < bad->until_ms;
}

/* Bad addresses behind the others; true: there are no others. */
static bool order_addresses(
    struct host_memory *m, struct host *host, uint64_t now_ms)
{
	struct span bad[ADDRESSES_MAX];
	unsigned ngood = 0, nbad = 0;

	for (unsigned i = 0; i < host->naddresses; i++) {
		if (is_bad(m, host, i, now_ms))
			bad[nbad++] = host->addresses[i];
		else
			host->addresses[ngood++] = host->addresses[i];
	}
	for (unsigned i = 0; i < nbad; i++)
		host->addresses[ngood + i] = bad[i];
	return ngood == 0;
}

/* Whoever is given an address whose pause is over finds out for all. */
static void begin_trial(
    struct host_memory *m, const struct host *host, uint64_t now_ms)
{
	union net_address address;
	char text[NET_TEXT_MAX];
	struct bad *bad;

	if (host->naddresses == 0 ||
	    net_from_bytes(host->addresses[0], host->port, &address) < 0)
		return;
	net_print(&address, text);
	bad = find_bad(m, span_of(text));
	if (bad && now_ms >= bad->until_ms)
		bad->until_ms = now_ms + BAD_MS;
}

void host_memory_order(
    struct host_memory *m, struct host *hosts, size_t nhosts, uint64_t now_ms)
{
	struct host *moved = nhosts ? calloc(nhosts, sizeof(*moved)) : NULL;
	size_t nmoved = 0, n = 0;

	if (!moved)
		return;
	for (size_t i = 0; i < nhosts; i++) {
		if (order_addresses(m, &hosts[i], now_ms))
			moved[nmoved++] = hosts[i];
		else if (n++ != i)
			hosts[n - 1] = hosts[i];
	}
	memcpy(hosts + n, moved, nmoved * sizeof(*moved));
	free(moved);
	begin_trial(m, &hosts[0], now_ms);
}

/* --- TLS sessions --------------------------------------------------------- */

static uint64_t ticket_key(const struct host_memory *m, struct span group,
    struct span destination, struct span host)
{
	uint64_t key = table_mix(key_of(m, group), key_of(m, destination));

	return table_mix(key, key_of(m, host));
}

void host_memory_keep(struct host_memory *m, struct span group,
    struct span destination, const struct ticket *ticket)
{
	uint64_t key = ticket_key(m, group, destination, ticket->host);
	struct kept *kept = &m->tickets[key % TICKETS];

	if (ticket->data.n == 0 && kept->key != key)
		return;
	if (kept->data)
		explicit_bzero(kept->data, kept->n);
	free(kept->data);
	*kept = (struct kept){ key, NULL, ticket->data.n };
	if (ticket->data.n == 0)
		return;
	kept->data = malloc(ticket->data.n);
	if (kept->data)
		memcpy(kept->data, ticket->data.p, ticket->data.n);
}

void host_memory_tickets(const struct host_memory *m, struct span group,
    struct span destination, struct host *hosts, size_t nhosts)
{
	for (size_t i = 0; i < nhosts && i < TICKETS_A_SESSION; i++) {
		uint64_t key = ticket_key(m, group, destination, hosts[i].name);
		const struct kept *kept = &m->tickets[key % TICKETS];

		if (kept->data && kept->key == key)
			hosts[i].ticket = (struct span){ kept->data, kept->n };
	}
}
