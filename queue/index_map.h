/* Where LMDB mapped its file: it does not tell. */
#ifndef QUEUE_INDEX_MAP_H
#define QUEUE_INDEX_MAP_H

#include <lmdb.h>

/* NULL when /proc/self/maps cannot be read or does not have it. */
void *index_map_find(MDB_env *env);

#endif
