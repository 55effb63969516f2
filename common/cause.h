/* The cause that a record keeps of why a delivery waits: a stable word, then
 * what a reply rule adds: "retry rule=outpost.conf:12 relay=isp".
 */
#ifndef COMMON_CAUSE_H
#define COMMON_CAUSE_H

#include "common/span.h"

enum { CAUSE_MAX = 255 };

struct span cause_word(struct span cause);
/* The value of "name=value"; empty: it is not there. */
struct span cause_part(struct span cause, const char *name);

#endif
