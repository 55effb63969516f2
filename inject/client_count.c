/* How many connections each client has: a hash table of chains. Its size is
 * bounded by the number of connections. */
#include "inject/client_count.h"

#include <stdlib.h>
#include <sys/random.h>

enum { CHAINS = 1024, KEY_BYTES = 8 };

struct entry {
	struct entry *next;
	unsigned char key[KEY_BYTES];
	unsigned count;
};

struct client_count {
	struct entry *chains[CHAINS];
	uint64_t seed;
};

struct client_count *client_count_new(void)
{
	struct client_count *counts = calloc(1, sizeof(*counts));

	if (counts &&
	    getrandom(&counts->seed, sizeof(counts->seed), GRND_NONBLOCK) < 0)
		counts->seed = 0;
	return counts;
}

void client_count_free(struct client_count *counts)
{
	if (!counts)
		return;
	for (size_t i = 0; i < CHAINS; i++)
		while (counts->chains[i]) {
			struct entry *e = counts->chains[i];

			counts->chains[i] = e->next;
			free(e);
		}
	free(counts);
}

/* False: not an IP address. */
static bool key_of(
    const union net_address *address, unsigned char key[KEY_BYTES])
{
	struct span bytes;

	if (address->sa.sa_family != AF_INET &&
	    address->sa.sa_family != AF_INET6)
		return false;
	bytes = net_bytes(address);
	memset(key, 0, KEY_BYTES);
	/* v4-mapped addresses differ in their last bytes only */
	if (bytes.n == 16 && IN6_IS_ADDR_V4MAPPED((
				 const struct in6_addr *)(const void *)bytes.p))
		bytes = span_from(bytes, 12);
	memcpy(key, bytes.p, bytes.n < KEY_BYTES ? bytes.n : KEY_BYTES);
	return true;
}

static struct entry **find(
    struct client_count *counts, const unsigned char key[KEY_BYTES])
{
	struct entry **at;
	uint64_t hash;

	memcpy(&hash, key, sizeof(hash));
	hash = (hash ^ counts->seed) * 0x9e3779b97f4a7c15u;
	at = &counts->chains[hash >> 54];
	while (*at && memcmp((*at)->key, key, KEY_BYTES) != 0)
		at = &(*at)->next;
	return at;
}

bool client_count_add(
    struct client_count *counts, const union net_address *address, unsigned max)
{
	unsigned char key[KEY_BYTES];
	struct entry **at;

	if (!key_of(address, key))
		return true;
	at = find(counts, key);
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return false;
		memcpy((*at)->key, key, KEY_BYTES);
	}
	if ((*at)->count >= max)
		return false;
	(*at)->count++;
	return true;
}

void client_count_remove(
    struct client_count *counts, const union net_address *address)
{
	unsigned char key[KEY_BYTES];
	struct entry **at, *gone;

	if (!key_of(address, key))
		return;
	at = find(counts, key);
	gone = *at;
	if (!gone || --gone->count > 0)
		return;
	*at = gone->next;
	free(gone);
}
