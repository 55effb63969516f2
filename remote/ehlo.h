/* What a server says it can do: the answer to EHLO (RFC 5321 4.1.1.1). */
#ifndef REMOTE_EHLO_H
#define REMOTE_EHLO_H

#include "common/reply.h"

struct ehlo {
	char name[256]; /* what the server calls itself; printable */
	bool has_pipelining, has_chunking, has_8bitmime, has_binarymime;
	bool has_smtputf8, has_dsn, has_starttls, has_requiretls;
	bool has_size;
	uint64_t size_bytes; /* 0: no limit said */
	bool has_auth;
	uint32_t auth;	    /* mechanisms that we know, SASL_BIT of each */
	char auth_text[96]; /* the first of all offered, printable */
};

/* Read the capabilities from a positive reply. Unknown words are passed over;
 * a word with bad parameters counts as not offered (SIZE: as without limit). */
void ehlo_parse(const struct reply *reply, struct ehlo *ehlo);
/* After HELO: only the name. */
void ehlo_parse_helo(const struct reply *reply, struct ehlo *ehlo);

#endif
