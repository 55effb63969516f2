/* What the checks of addresses and names ask alike. */
#ifndef DNSCHECK_NAMES_H
#define DNSCHECK_NAMES_H

#include "dnscheck/run.h"

/* Does a name have an address? */
enum names_match {
	NAMES_HAS = 0,	  /* this very one */
	NAMES_OTHER,	  /* others of that family */
	NAMES_NO_FAMILY,  /* only of the other family */
	NAMES_NO_ADDRESS, /* the name is there, without addresses */
	NAMES_NO_NAME,
	NAMES_UNKNOWN, /* could not be looked up */
};
struct names_found {
	enum names_match match;
	const struct ask_answer *answer; /* of that family */
};
/* address: as text; its family is asked for, and the other one only when that
 * has nothing. */
struct names_found names_resolve(
    struct run *run, const char *name, const char *address);

/* "192.0.2.1, 192.0.2.2 and 3 more"; "" without. */
const char *names_addresses(struct run *run, const struct ask_answer *answer);

/* A name that can stand after EHLO: syntax of a host, two labels, no digits
 * alone at its end. */
bool names_is_host(const char *name);
/* localhost, or below a domain that exists on some machines only. */
bool names_is_private(const char *name);

/* "mail.example.com. IN A 192.0.2.1" */
const char *names_address_record(
    struct run *run, const char *name, const char *address);
/* "1.2.0.192.in-addr.arpa. IN PTR mail.example.com." owner: NULL: the
 * address's own name. */
const char *names_pointer_record(
    struct run *run, const char *owner, const char *address, const char *name);

/* Who publishes what is below that name: "the zone example.com (primary
 * ns.example.com)", or the name itself when it cannot be found out. */
const char *names_zone(struct run *run, const char *name);

#endif
