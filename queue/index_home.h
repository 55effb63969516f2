/* May the index be believed? It is never synced on the way, so only when it
 * was closed cleanly, or when the kernel that holds its pages still runs and
 * the file system was not mounted anew. */
#ifndef QUEUE_INDEX_HOME_H
#define QUEUE_INDEX_HOME_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>

enum { HOME_TEXT_MAX = 200 };

/* Boot, device and mount of the spool as text; "" when it cannot be told. */
void index_home_print(const char *spool, char text[HOME_TEXT_MAX]);

/* Sync, then leave a mark beside the data that says so. */
int index_mark_clean(MDB_env *env);
/* Is the mark there and about this very state? It is taken away (on disk)
 * before anything is written, unless read_only. -1 with errno: it cannot be
 * taken away. */
int index_take_clean_mark(MDB_env *env, bool read_only, bool *was_clean);

#endif
