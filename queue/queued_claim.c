/* The claims that the runner holds. */
#include "queue/queued_claim.h"

#include <stdlib.h>

/* By message alone: a report ends the claims of all its deliveries. */
static size_t bucket_of(uint64_t message)
{
	return (size_t)((message * 0x9e3779b97f4a7c15ULL) >> 52) %
	       CLAIM_BUCKETS;
}

static size_t block_bytes(const struct job *job, size_t n, size_t *addresses_at)
{
	size_t size = sizeof(struct claim) + n * sizeof(uint16_t);

	size = (size + sizeof(char *) - 1) / sizeof(char *) * sizeof(char *);
	*addresses_at = size;
	size += n * sizeof(char *);
	for (size_t i = 0; i < n; i++)
		size += job->recipients[i].address.n + 1;
	return size;
}

static void copy_recipients(
    struct claim *claim, const struct job *job, size_t addresses_at)
{
	char *text;

	claim->addresses = (const char **)((char *)claim + addresses_at);
	text = (char *)(claim->addresses + claim->nrecipients);
	for (size_t i = 0; i < claim->nrecipients; i++) {
		struct span address = job->recipients[i].address;

		claim->indexes[i] = job->recipients[i].index;
		claim->addresses[i] = text;
		if (address.n > 0)
			memcpy(text, address.p, address.n);
		text[address.n] = '\0';
		text += address.n + 1;
	}
}

int claims_add(
    struct claims *claims, const struct job *job, enum claim_for claim_for)
{
	/* A report's recipients are nobody's to record. */
	size_t n = claim_for == CLAIM_DELIVER ? job->nrecipients : 0;
	size_t addresses_at, size = block_bytes(job, n, &addresses_at);
	struct claim *claim = malloc(size);
	size_t at = bucket_of(job->message);

	if (!claim)
		return -1;
	*claim = (struct claim){ .message = job->message,
		.accepted_at = job->accepted_at,
		.delivery = job->delivery,
		.attempts = job->attempts,
		.claim_for = (uint8_t)claim_for,
		.nrecipients = (uint16_t)n };
	copy_recipients(claim, job, addresses_at);
	claim->next = claims->buckets[at];
	claims->buckets[at] = claim;
	claims->count++;
	return 0;
}

static struct claim *take(struct claims *claims, struct claim **link)
{
	struct claim *claim = *link;

	if (!claim)
		return NULL;
	*link = claim->next;
	claims->count--;
	return claim;
}

struct claim *claims_take(
    struct claims *claims, uint64_t message, uint16_t delivery)
{
	struct claim **link = &claims->buckets[bucket_of(message)];

	while (*link &&
	       ((*link)->message != message || (*link)->delivery != delivery))
		link = &(*link)->next;
	return take(claims, link);
}

struct claim *claims_take_report(struct claims *claims, uint64_t message)
{
	struct claim **link = &claims->buckets[bucket_of(message)];

	while (*link && ((*link)->message != message ||
			    (*link)->claim_for != CLAIM_REPORT))
		link = &(*link)->next;
	return take(claims, link);
}

struct claim *claims_take_any(struct claims *claims)
{
	for (size_t i = 0; claims->count > 0 && i < CLAIM_BUCKETS; i++)
		if (claims->buckets[i])
			return take(claims, &claims->buckets[i]);
	return NULL;
}

const char *claim_address(const struct claim *claim, uint16_t index)
{
	for (size_t i = 0; i < claim->nrecipients; i++)
		if (claim->indexes[i] == index)
			return claim->addresses[i];
	return NULL;
}
