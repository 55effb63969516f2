/* Keys of the index: big-endian, so that their order is that of time. */
#include "queue/index.h"

static void key_add(struct key *k, uint64_t value, unsigned nbytes)
{
	while (nbytes-- > 0)
		k->bytes[k->n++] = (char)(value >> nbytes * 8);
}

void key_message(struct key *k, uint64_t id)
{
	k->n = 0;
	key_add(k, id, 8);
}

void key_delivery(struct key *k, uint64_t id, uint16_t number)
{
	k->n = 0;
	key_add(k, id, 8);
	key_add(k, number, 2);
}

void key_schedule(struct key *k, uint64_t due_ms, uint64_t id, uint16_t number)
{
	k->n = 0;
	key_add(k, due_ms, 8);
	key_add(k, id, 8);
	key_add(k, number, 2);
}

void key_destination(
    struct key *k, struct span domain, uint64_t id, uint16_t number)
{
	k->n = domain.n < INDEX_KEY_MAX - 11 ? domain.n : INDEX_KEY_MAX - 11;
	if (k->n > 0)
		memcpy(k->bytes, domain.p, k->n);
	key_add(k, 0, 1);
	key_add(k, id, 8);
	key_add(k, number, 2);
}

void key_attempt(struct key *k, uint64_t id, uint16_t number, uint32_t count)
{
	k->n = 0;
	key_add(k, id, 8);
	key_add(k, number, 2);
	key_add(k, count, 4);
}

uint64_t get_be64(const char *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

uint32_t get_be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
	       (uint32_t)u[2] << 8 | u[3];
}

void key_tail(struct span key, uint64_t *id, uint16_t *number)
{
	const char *p = key.p + key.n - 10;

	*id = key.n >= 10 ? get_be64(p) : 0;
	*number =
	    key.n >= 10
		? (uint16_t)((unsigned char)p[8] << 8 | (unsigned char)p[9])
		: 0;
}
