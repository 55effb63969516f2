/* Mail addresses on the envelope: RFC 5321 mailbox, with SMTPUTF8 (RFC 6531),
 * quoted local parts and address literals; domains through libidn2.
 *
 * Mailbox = Local-part "@" ( Domain / address-literal )   RFC 5321 4.1.2
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include "common/outcome.h"

struct address {
	struct span local;  /* as written, with its quotes; borrowed */
	struct span domain; /* as written; "[...]" for a literal; borrowed */
	bool is_utf8;	    /* local part or domain has non-ASCII */
	bool is_literal;
};

/* Parse a whole mailbox without <>. Bounds: ADDRESS_MAX in all, 64 local
 * (octets, quotes counted), 255 domain. Source routes are refused. Returns 0,
 * or -1 with *why (5.1.3 recipient syntax). */
int address_parse(struct span text, struct address *a, struct outcome *why);

/* The domain in lower-case A-labels without a trailing dot ("[1.2.3.4]" and
 * "[IPv6:2001:db8::1]" in canonical form), appended to *out: the delivery's
 * destination. 0, or -1 with *why. */
int address_domain_key(
    const struct address *a, struct buf *out, struct outcome *why);

/* A host or domain name alone (not a literal): to lower-case A-labels. */
int domain_to_ascii(struct span domain, struct buf *out, struct outcome *why);
/* Syntax of a host name in A-labels: letters, digits, hyphens, dots, at least
 * min_labels labels. */
bool domain_is_valid(struct span domain, unsigned min_labels);
/* "example.org" matches itself, "*.example.org" what is below it. */
bool domain_matches(const char *pattern, struct span domain);

#endif
