/* Address lists as they stand in header fields (RFC 5322 section 3.4). */
#ifndef INJECT_ADDRLIST_H
#define INJECT_ADDRLIST_H

#include "common/outcome.h"

enum { COMMENT_DEPTH_MAX = 50 };

struct addrlist_item {
	uint32_t start, length; /* in the list's text */
	uint32_t local_end;	/* offset in the input behind the local part:
				 * where a missing "@domain" belongs */
	bool has_domain;
	bool has_name; /* a display name or a comment comes with it */
};

struct addrlist {
	struct buf text; /* the mailboxes, without comments and blanks */
	struct addrlist_item *items;
	size_t count, room;
	size_t max; /* items; more is an error */
};

void addrlist_init(struct addrlist *list, size_t max);
void addrlist_clear(struct addrlist *list);

/* Append the mailboxes of one field value (folds and comments as they are) or
 * of one argument. Time is linear, nothing recurses. The mailboxes are only
 * split here: address_parse judges them. 0, or -1 with *why: not an address
 * list (5.1.3), too many (5.5.3), no memory (4.3.0). */
int addrlist_parse(
    struct addrlist *list, struct span input, struct outcome *why);

/* "local@domain" or "local"; valid until the next parse. */
struct span addrlist_address(const struct addrlist *list, size_t i);

#endif
