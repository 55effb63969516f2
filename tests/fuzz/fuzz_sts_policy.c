/* What a web server gives as an MTA-STS policy; before a NUL, if there is one,
 * a host name that is looked for in it. */
#include "remote/sts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sts_policy p;
	struct span text = { (const char *)data, size }, name = text;
	const char *why;

	if (span_find(text, '\0') >= 0)
		name = span_cut(&text, '\0');
	if (sts_policy_parse(text, &p, &why) < 0) {
		if (!why)
			abort();
		return 0;
	}
	if (why || p.max_age_s > STS_AGE_MAX_S || p.nmx > STS_MX_MAX ||
	    (p.nmx == 0 && p.mode != STS_NONE) || text.n > STS_TEXT_MAX)
		abort();
	for (size_t i = 0; i < p.nmx; i++)
		if (p.mx[i].n == 0 || p.mx[i].p < text.p ||
		    p.mx[i].p + p.mx[i].n > text.p + text.n)
			abort();
	sts_policy_has(&p, name);
	return 0;
}
