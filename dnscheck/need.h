/* Memory that this tool cannot do without: it ends when there is none. */
#ifndef DNSCHECK_NEED_H
#define DNSCHECK_NEED_H

#include "common/log.h"

static inline void *need(void *memory)
{
	if (!memory)
		fatal(1, "out of memory");
	return memory;
}

#endif
