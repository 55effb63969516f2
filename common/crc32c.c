/* CRC-32C. */
#include "common/crc32c.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum { POLYNOMIAL = (int)0x82f63b78 }; /* reflected */

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_make(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ (uint32_t)POLYNOMIAL
				      : crc >> 1;
		table[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^
				      table[0][table[k - 1][i] & 255];
}

static uint32_t eight_bytes(uint32_t crc, const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	word = le64toh(word) ^ crc;
	return table[7][word & 255] ^ table[6][word >> 8 & 255] ^
	       table[5][word >> 16 & 255] ^ table[4][word >> 24 & 255] ^
	       table[3][word >> 32 & 255] ^ table[2][word >> 40 & 255] ^
	       table[1][word >> 48 & 255] ^ table[0][word >> 56];
}

uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	pthread_once(&table_once, table_make);
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8)
		crc = eight_bytes(crc, p);
	for (; n > 0; n--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
	return ~crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(
    uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t wide = ~crc;
	uint32_t rest;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		wide = _mm_crc32_u64(wide, word);
	}
	rest = (uint32_t)wide;
	for (; n > 0; n--, p++)
		rest = _mm_crc32_u8(rest, *p);
	return ~rest;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	if (__builtin_cpu_supports("sse4.2"))
		return by_instruction(crc, data, n);
	return crc32c_by_table(crc, data, n);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	return crc32c_by_table(crc, data, n);
}
#endif
