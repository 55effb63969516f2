/* The recipients of one message: gathered from arguments and header fields,
 * local names looked up in the aliases, all of them complete and checked.
 *
 * Functions return 0, or an exit status of sysexits(3) with *why.
 */
#ifndef INJECT_RECIPIENTS_H
#define INJECT_RECIPIENTS_H

#include "common/conf.h"
#include "common/messages.h"
#include "inject/addrlist.h"

struct aliases;

struct recipients {
	const struct conf *conf;
	struct span domain;	 /* for local names, borrowed */
	struct aliases *aliases; /* loaded when first needed */
	struct buf text;
	struct recipient *items; /* addresses are set by recipients_finish */
	size_t *ends;		 /* in text */
	size_t count, room;
	size_t lookups;
	bool is_utf8; /* one has non-ASCII */
};

void recipients_init(
    struct recipients *r, const struct conf *conf, struct span domain);
void recipients_clear(struct recipients *r);

/* One argument is one mailbox, whatever it looks like. EX_USAGE when it is
 * none, EX_NOUSER for programs and files. */
int recipients_add_argument(
    struct recipients *r, const char *argument, struct outcome *why);
/* The list of one header field. EX_DATAERR when it is none. */
int recipients_add_list(
    struct recipients *r, struct span value, struct outcome *why);
/* All are in: items is ready for an envelope, each with notify. */
void recipients_finish(struct recipients *r, uint8_t notify);

/* The domain that local names get: defaults { sender-domain } or localname. */
struct span recipients_domain(const struct conf *conf);

/* Append a mailbox for the envelope: local@domain, or local at our domain when
 * has_domain is false; in ASCII where only the domain is not. 0, or -1. */
int mailbox_put(struct buf *out, struct span address, bool has_domain,
    struct span domain, struct outcome *why);

/* An exit status for an outcome that is no success. */
int exit_status_of(const struct outcome *why);

#endif
