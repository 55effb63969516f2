/* The envelope of an exported message as JSON: what stands beside its content
 * in a folder of "outpost queue export".
 */
#ifndef QUEUE_TOOL_ENVELOPE_H
#define QUEUE_TOOL_ENVELOPE_H

#include "common/messages.h"

#include <jansson.h>

enum { FILED_BYTES_MAX = 16 << 20 }; /* of one envelope's file */

struct filed {
	struct envelope envelope; /* origin ORIGIN_IMPORT after filed_parse */
	uint64_t id, accepted_at; /* 0: not said */
	uint64_t size_bytes;	  /* of the content */
	uint32_t crc;		  /* CRC-32C of the content */
	bool has_size, has_crc;
	json_t *root; /* holds the texts after filed_parse */
};

/* Read and check all of one file. *f is to be cleared on success. Unknown
 * names are errors: a misspelt "hold" must not send. Returns 0, or -1 with
 * *why, which names the member. */
int filed_parse(struct span text, struct filed *f, struct outcome *why);
void filed_clear(struct filed *f);

/* The object; info: what is said for people besides (may be NULL), under
 * "was". NULL: no memory, or a text is not UTF-8. */
json_t *filed_print(const struct filed *f, json_t *info);

#endif
