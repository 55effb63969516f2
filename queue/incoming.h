/* A message coming in, collected until it is staged: see spool.h. */
#ifndef QUEUE_INCOMING_H
#define QUEUE_INCOMING_H

#include "queue/large.h"
#include "queue/spool.h"

struct incoming {
	struct spool *spool;
	struct envelope envelope; /* its texts in text */
	char *text;
	struct report_ref *refs;
	struct recipient *recipients;
	struct buf content; /* while it is small; else the writer's buffer */
	struct large_file *large; /* NULL: small */
	uint64_t id;		  /* large: given when the file was begun */
	bool is_finished;	  /* its file is in place */
	uint64_t size_bytes;	  /* of what was given */
	struct incoming *next;	  /* kept for use again */
};

/* Put "trace head, id, trace tail, CRLF"; nothing without a trace. */
void incoming_trace_put(
    const struct incoming *in, uint64_t id, struct buf *out);

#endif
