/* sendmail -bp and -q: the work of outpost-queue. */
#ifndef INJECT_QUEUE_TOOL_H
#define INJECT_QUEUE_TOOL_H

#include "inject/options.h"

/* Become outpost-queue, which lies beside this program. Returns only on
 * failure: EX_UNAVAILABLE with *why. */
int queue_tool_run(const struct options *options, struct outcome *why);

#endif
