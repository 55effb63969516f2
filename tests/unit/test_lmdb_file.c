/* common/lmdb_file.c: made, found again; cut short or no database at all: an
 * error, and nothing left open. */
#include "common/lmdb_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAP_BYTES ((size_t)16 << 20)

static char folder[] = "/tmp/test_lmdb_file.XXXXXX";
static char path[64];

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/x.mdb", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

/* Put one value of that many bytes, or look for it. */
static int step(MDB_env *env, MDB_dbi dbi, size_t bytes, bool puts)
{
	char *text = calloc(1, bytes);
	MDB_val k = { 1, (void *)"k" }, v = { bytes, text };
	MDB_txn *txn;
	int error;

	assert_non_null(text);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	error = puts ? mdb_put(txn, dbi, &k, &v, 0) : mdb_get(txn, dbi, &k, &v);
	assert_int_equal(mdb_txn_commit(txn), 0);
	free(text);
	return error;
}

static void test_kept(void **state)
{
	struct stat st;
	MDB_env *env;
	MDB_dbi dbi;

	(void)state;
	assert_int_equal(lmdb_file_open(path, MAP_BYTES, &env, &dbi), 0);
	assert_int_equal(step(env, dbi, 100000, true), 0);
	mdb_env_close(env);
	assert_int_equal(lmdb_file_open(path, MAP_BYTES, &env, &dbi), 0);
	assert_int_equal(step(env, dbi, 1, false), 0);
	mdb_env_close(env);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_cut_short(void **state)
{
	MDB_env *env;
	MDB_dbi dbi;

	(void)state;
	assert_int_equal(truncate(path, 16384), 0);
	assert_int_equal(
	    lmdb_file_open(path, MAP_BYTES, &env, &dbi), MDB_CORRUPTED);
	assert_null(env);
}

static void test_no_database(void **state)
{
	FILE *file = fopen(path, "w");
	MDB_env *env;
	MDB_dbi dbi;

	(void)state;
	assert_non_null(file);
	for (int i = 0; i < 4096; i++)
		fputs("no database", file);
	fclose(file);
	assert_int_not_equal(lmdb_file_open(path, MAP_BYTES, &env, &dbi), 0);
	assert_null(env);
	assert_int_not_equal(
	    lmdb_file_open("/nowhere/x.mdb", MAP_BYTES, &env, &dbi), 0);
	assert_null(env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_no_database),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
