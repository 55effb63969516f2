/* Sites and limits as JSON, for people: what was found, on what evidence, and
 * what would pin it. */
#ifndef RUNNER_SITES_H
#define RUNNER_SITES_H

#include "runner/schedule.h"
#include "runner/site.h"

struct json_t;

/* By its name, one of its hosts or of its destinations. */
bool sites_matches(const struct site *site, struct span name);
struct json_t *sites_object(
    const struct site *site, uint64_t now, uint64_t utc_ms);
/* Deliveries that had to wait, by limit. */
struct json_t *sites_limited(const struct schedule_counts *counts);
struct json_t *sites_why(struct schedule *s, const struct delivery *d,
    uint64_t now, uint64_t utc_ms);

#endif
