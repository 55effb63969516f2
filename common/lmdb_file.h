/* An LMDB database that is one file of one process: no lock file, one table.
 * For what may be lost and made anew, not for the spool's index.
 */
#ifndef COMMON_LMDB_FILE_H
#define COMMON_LMDB_FILE_H

#include <lmdb.h>

/* Open or make the file at path (mode 600). Returns 0, or LMDB's error or an
 * errno with nothing open: MDB_CORRUPTED also for a file that was cut short,
 * which would kill whoever reads its map beyond the end. */
int lmdb_file_open(
    const char *path, size_t map_bytes, MDB_env **env, MDB_dbi *dbi);

#endif
