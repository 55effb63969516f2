/* MTA-STS: the record that says there is a policy, and the policy. RFC 8461
 * section 3. */
#ifndef REMOTE_STS_H
#define REMOTE_STS_H

#include "common/buf.h"

enum {
	STS_ID_MAX = 32,
	STS_TEXT_MAX = 65536, /* bytes of a policy */
	STS_MX_MAX = 200,
	STS_AGE_MAX_S = 31557600, /* a year */
};

enum sts_mode { STS_NONE = 0, STS_TESTING = 1, STS_ENFORCE = 2 };

struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age_s;
	size_t nmx;
	struct span mx[STS_MX_MAX]; /* patterns, borrowed from the text */
};

/* Whether a TXT record is one of these at all: others may stand beside it. */
bool sts_record_is(struct span txt);
/* Its id. 0 or -1: not as the RFC wants it. */
int sts_record_parse(struct span txt, char id[STS_ID_MAX + 1]);

/* 0, or -1 with *why: one clause. */
int sts_policy_parse(
    struct span text, struct sts_policy *policy, const char **why);
/* Whether an MX of that name (no dot at the end) is in the policy: section
 * 4.1, "*." stands for exactly one label. */
bool sts_policy_has(const struct sts_policy *policy, struct span name);

const char *sts_mode_name(enum sts_mode mode);

#endif
