/* A rule's pattern, a NUL, then what a server says: small ones are compared
 * with the C library's regexec. */
#include "common/pattern.h"
#include "common/replyrule.h"

#include <regex.h>
#include <stdlib.h>

enum { COMPARE_PATTERN = 16, COMPARE_TEXT = 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= 0 || text.p[i] > 0x7e)
			return false;
	return true;
}

static void compare(const char *pattern, struct span text, bool found)
{
	char *copy = span_dup(text);
	regex_t re;

	if (!copy)
		return;
	if (regcomp(&re, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
		abort();
	if ((regexec(&re, copy, 0, NULL, 0) == 0) != found)
		abort();
	regfree(&re);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	char *pattern = span_dup(span_cut(&text, '\0'));
	struct outcome why;
	struct pattern *p = pattern ? pattern_new(pattern, &why) : NULL;
	struct span reply = replyrule_text(text);
	bool found;

	if (reply.n > text.n)
		abort();
	if (p) {
		found = pattern_matches(p, text);
		/* {0} of a group is a matter of taste for the C library, and
		 * many repeats of repeats of its time */
		if (strlen(pattern) <= COMPARE_PATTERN &&
		    text.n <= COMPARE_TEXT && is_plain(span_of(pattern)) &&
		    is_plain(text) && !strchr(pattern, '{'))
			compare(pattern, text, found);
	}
	pattern_free(p);
	free(pattern);
	return 0;
}
