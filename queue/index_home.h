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

/* Sync, then leave a mark beside the data that says so, with its checksum. */
int index_mark_clean(MDB_env *env);
/* Is the mark there? It is taken away (on disk) before anything is written,
 * unless read_only. 1: it is there and about other data than this, which is
 * damaged or foreign. -1 with errno: it cannot be taken away. */
int index_take_clean_mark(MDB_env *env, bool read_only, bool *was_clean);

/* From now on a crash of this process leaves a mark that the index of this
 * spool is in doubt: LMDB trusts its file, and dies of a damaged one each time
 * anew. To be called before the sandbox. */
void index_doubt_after_crash(const char *spool);
/* The same for a program that only reads: it says so and exits with 1. */
void index_explain_crash(void);
/* folder: of the index. */
bool index_is_in_doubt(const char *folder);

#endif
