/* What index.c, index_open.c and index_state.c share. */
#ifndef QUEUE_INDEX_PARTS_H
#define QUEUE_INDEX_PARTS_H

#include "queue/index.h"

enum { INDEX_FORMAT = 1 };

/* index.c */
/* A transaction that reads. Readers that were killed leave their places taken:
 * then they are looked for. 0, or LMDB's error. */
int index_begin_reading(struct index *ix, MDB_txn **txn);
/* The map is new or has grown: where it is, how large it is. */
void index_map_note(struct index *ix);

/* index_state.c: into ix->now; all zero when there is none. 0, or -1. */
int index_state_load(struct index *ix, MDB_txn *txn);

#endif
