/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): by the processor's instruction
 * where it has one, by tables elsewhere. */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what crc covers so far (0: nothing) followed by n bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);

/* The same by tables, whatever the processor has: for tests. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t n);

#endif
