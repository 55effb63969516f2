/* What the parts of the DNS client share; only ask*.c and the tests include it.
 *
 * ask.c remembers and chooses whom to ask; ask_try.c is one try, a socket and a
 * wait; ask_packet.c makes packets and takes them apart.
 */
#ifndef DNSCHECK_ASK_PARTS_H
#define DNSCHECK_ASK_PARTS_H

#include "dnscheck/ask.h"

enum {
	ASK_PACKET_MAX = 65535,
	ASK_EDNS_BYTES = 1232, /* fits one packet everywhere; DNS flag day */
	ASK_NAME_TEXT_MAX = 255 * 4 + 2, /* as text, every byte as \DDD */
};

/* An empty answer; then its parts, which it owns. */
struct ask_answer *ask_answer_new(
    struct span name, uint16_t type, enum ask_status status);
/* A copy with a NUL behind it. */
struct span ask_answer_keep(struct ask_answer *answer, struct span text);
void ask_answer_why(struct ask_answer *answer, enum ask_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Room for n records, zeroed. */
struct ask_record *ask_answer_room(struct ask_answer *answer, size_t n);

/* name as in struct ask_record, from any script. -1: not a name. */
int ask_name(struct span name, char text[ASK_NAME_TEXT_MAX]);

/* The question as a packet. way: how; with_ad: AD is wanted. -1: too long. */
int ask_packet_put(struct buf *out, const char *name, uint16_t type,
    uint16_t id, const struct ask_way *way);

enum ask_reading {
	PACKET_READ,
	PACKET_FOREIGN, /* not the answer to this question */
	PACKET_BROKEN,	/* has its id, but cannot be read */
	PACKET_NO_EDNS, /* FORMERR or NOTIMPL: without EDNS perhaps */
};
/* *answer is set by READ and NO_EDNS; was_truncated says so, and the rest of
 * what came need not be complete then. */
enum ask_reading ask_packet_read(struct span packet, const char *name,
    uint16_t type, uint16_t id, struct ask_answer **answer);

/* One try, at most until deadline. Never NULL. */
struct ask_answer *ask_try(const struct ask_way *way, const char *name,
    uint16_t type, struct deadline deadline);

#endif
