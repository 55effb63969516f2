/* An LMDB database that is one file of one process. */
#include "common/lmdb_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

static bool is_whole(MDB_env *env)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	int fd;

	return mdb_env_info(env, &info) == 0 && mdb_env_stat(env, &stat) == 0 &&
	       mdb_env_get_fd(env, &fd) == 0 && fstat(fd, &st) == 0 &&
	       (uint64_t)st.st_size >=
		   (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

static int open_table(MDB_env *env, MDB_dbi *dbi)
{
	MDB_txn *txn;
	int error = mdb_txn_begin(env, NULL, 0, &txn);

	if (error)
		return error;
	error = mdb_dbi_open(txn, NULL, 0, dbi);
	if (error) {
		mdb_txn_abort(txn);
		return error;
	}
	return mdb_txn_commit(txn);
}

int lmdb_file_open(
    const char *path, size_t map_bytes, MDB_env **env, MDB_dbi *dbi)
{
	int error = mdb_env_create(env);

	if (error) {
		*env = NULL;
		return error;
	}
	mdb_env_set_mapsize(*env, map_bytes);
	/* one process, no path after this: no lock file */
	error = mdb_env_open(
	    *env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, 0600);
	if (!error && !is_whole(*env))
		error = MDB_CORRUPTED;
	if (!error)
		error = open_table(*env, dbi);
	if (error) {
		mdb_env_close(*env);
		*env = NULL;
	}
	return error;
}
