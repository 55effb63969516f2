/* One message from standard input to the keeper. */
#ifndef INJECT_SEND_H
#define INJECT_SEND_H

#include "common/conf.h"
#include "inject/options.h"

/* Read, complete and submit. 0 with *id: the message is on disk. Else an exit
 * status of sysexits(3) with *why: nothing was queued. */
int send_message(const struct options *options, const struct conf *conf,
    uint64_t *id, struct outcome *why);

#endif
