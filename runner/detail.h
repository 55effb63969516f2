/* Which sessions are logged in detail: "line:GROUP" and "destination:NAME" that
 * an operator has named, each until its time. Pure. */
#ifndef RUNNER_DETAIL_H
#define RUNNER_DETAIL_H

#include "common/span.h"

enum { DETAILS_MAX = 64, DETAIL_SCOPE_MAX = 600 };

struct details {
	struct {
		char *scope;
		uint64_t until_ms; /* UINT64_MAX: until it is taken back */
	} items[DETAILS_MAX];
	size_t n;
};

/* False: no such kind of scope, or too many of them. */
bool details_set(struct details *d, struct span scope, bool is_detailed,
    uint64_t until_ms, uint64_t now_ms);
/* destination: as sessions name it (a domain, "relay:isp"...). */
bool details_has(const struct details *d, const char *group,
    const char *destination, uint64_t now_ms);
void details_clear(struct details *d);

#endif
