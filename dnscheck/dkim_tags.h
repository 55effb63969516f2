/* Lists of tags, "v=DKIM1; k=rsa; p=...", as DKIM, DMARC, MTA-STS, TLSRPT and
 * BIMI have them in TXT records. */
#ifndef DNSCHECK_DKIM_TAGS_H
#define DNSCHECK_DKIM_TAGS_H

#include "common/span.h"

enum { TAGS_MAX = 32 };

struct tags {
	struct {
		struct span name, value; /* without blanks around; borrowed */
	} items[TAGS_MAX];
	size_t count;
};

/* RFC 6376 section 3.2. 0, or -1 with *why, a phrase. */
int tags_parse(struct span text, struct tags *tags, const char **why);
/* The value of that tag; p NULL: there is none. */
struct span tags_find(const struct tags *tags, const char *name);
/* True when the first tag is exactly that: "v", "DMARC1". */
bool tags_begin(const struct tags *tags, const char *name, const char *value);
/* Without the blanks that may stand around names and values, CR and LF too. */
struct span tags_trim(struct span s);
/* True when one of the words of a value ("a:b:c") is that, but for case. */
bool tags_has_word(struct span value, char separator, const char *word);

#endif
