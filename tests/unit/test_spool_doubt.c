/* What the spool may not believe: the clock, readers that died in the middle,
 * an index that its keeper died of (hazards 24 and 25). */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "queue/index_home.h"
#include "tests/unit/spool_rig.c"

#define YEAR_US (UINT64_C(365) * 86400 * 1000000)

/* --- The clock ------------------------------------------------------------ */

/* Ids go on growing whatever the clock does, over restarts too, so that none
 * is given twice, and nothing accepted is lost. */
static void ids_grow_whatever_the_clock_does(void **state)
{
	enum { RESTART, KILL, POWER_CUT, NOTHING };
	static const uint64_t clocks[] = {
		UINT64_C(1700000000000000),
		UINT64_C(1700000000000000) - YEAR_US,
		0,
		1,
		UINT64_C(4294967295000000), /* 2106 */
		UINT64_C(4294967296000000),
		UINT64_C(1700000000000000),
		0,
	};
	struct rig_items list;
	uint64_t last = 0, id;
	struct rig r;
	size_t n = 0;

	(void)state;
	rig_begin(&r, 1);
	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
		for (int how = RESTART; how <= NOTHING; how++) {
			sim_set_clock(r.sim, clocks[i]);
			id = rig_send(&r, "a@b.example");
			assert_true(id > last);
			last = id;
			if (how == KILL)
				rig_kill(&r);
			else if (how == POWER_CUT)
				rig_power_cut(&r);
			else if (how == RESTART) {
				spool_close(r.spool);
				rig_open(&r);
			}
			assert_int_equal(rig_list(&r, NULL, &list), ++n);
		}
	for (size_t i = 1; i < n; i++)
		assert_true(list.items[i].message > list.items[i - 1].message);
	rig_verify(&r);
	rig_end(&r);
}

static void large_bodies_keep_their_names(void **state)
{
	struct recipient to = { .address = SPAN_LITERAL("a@b.example") };
	struct envelope e = { .recipients = &to, .nrecipients = 1 };
	size_t n = INLINE_BODY_MAX + 1;
	char *body = malloc(n), prefix[100];
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	for (int i = 0; i < 4; i++) {
		memset(body, 'a' + i, n);
		sim_set_clock(r.sim, i % 2 ? 0 : UINT64_C(1700000000000000));
		rig_accept(&r, &e, (struct span){ body, n });
		rig_kill(&r);
	}
	snprintf(prefix, sizeof(prefix), "%s/large/", r.path);
	assert_int_equal(sim_count(r.sim, prefix), 4);
	rig_verify(&r);
	free(body);
	rig_end(&r);
}

/* What was deferred goes out in order of its times, at whatever time it is;
 * an operator gets at what the clock has put off by years. */
static void a_retry_undoes_a_wrong_clock(void **state)
{
	const uint64_t right = UINT64_C(1700000000000000);
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	sim_set_clock(r.sim, right + 10 * YEAR_US);
	id = rig_send(&r, "a@b.example");
	rig_kill(&r);
	sim_set_clock(r.sim, right);
	assert_int_equal(rig_change(&r, CHANGE_RETRY, 0,
			     (struct filter){ .state = -1, .uid = UINT32_MAX }),
	    1);
	rig_deliver(&r, id);
	assert_int_equal(rig_count(&r), 0);
	rig_end(&r);
}

/* --- Readers -------------------------------------------------------------- */

static bool die(const struct item *item, void *arg)
{
	(void)item;
	(void)arg;
	raise(SIGKILL);
	return true;
}

/* Reads while the keeper lives, and is killed in the middle of it. */
static void read_and_die(const char *path)
{
	struct spool_options options = { .path = path, .read_only = true };
	struct filter all = { .state = -1, .uid = UINT32_MAX };
	struct cursor after = { 0 };
	struct outcome why;
	struct spool *spool = spool_open(&options, NULL, &why);

	if (!spool)
		_exit(1);
	spool_list(spool, &all, &after, 1000, die, NULL);
	_exit(2);
}

/* The keeper: a message for each byte that comes, then a byte back. */
static void keep(const char *path, int fd)
{
	struct recipient to = { .address = SPAN_LITERAL("a@b.example") };
	struct envelope e = { .recipients = &to, .nrecipients = 1 };
	struct spool_options options = { .path = path };
	struct outcome why;
	struct spool *spool = spool_open(&options, NULL, &why);
	uint64_t id;
	char byte;

	while (spool && read(fd, &byte, 1) == 1) {
		struct incoming *in = spool_incoming_new(spool, &e, &why);

		if (spool_incoming_data(in, SPAN_LITERAL("x\r\n"), &why) < 0 ||
		    spool_stage_message(spool, in, &id, &why) < 0 ||
		    spool_commit(spool, &why) < 0)
			break;
		spool_maintain(spool);
		if (write(fd, &byte, 1) != 1)
			break;
	}
	_exit(1);
}

static void ask(int fd)
{
	char byte = 'm';

	assert_int_equal(write(fd, &byte, 1), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
}

/* Three times as many as LMDB has places for. */
static void dead_readers_leave_no_trace(void **state)
{
	struct spool_options options = { .read_only = true };
	char path[] = "/tmp/spool-doubt-XXXXXX", command[64];
	struct spool_stats stats;
	struct spool *spool;
	struct outcome why;
	int pair[2], status;
	pid_t keeper;

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	keeper = fork();
	if (keeper == 0) {
		close(pair[0]);
		keep(path, pair[1]);
	}
	close(pair[1]);
	ask(pair[0]);
	for (int i = 0; i < 200; i++) {
		pid_t reader = fork();

		if (reader == 0)
			read_and_die(path);
		assert_int_equal(waitpid(reader, &status, 0), reader);
		if (!WIFSIGNALED(status))
			fail_msg("reader %d: status %d", i, status);
	}
	ask(pair[0]);
	options.path = path;
	spool = spool_open(&options, NULL, &why);
	if (!spool)
		fail_msg("%s", why.detail);
	spool_stats(spool, &stats);
	assert_int_equal(stats.messages, 2);
	spool_close(spool);
	kill(keeper, SIGKILL);
	waitpid(keeper, &status, 0);
	close(pair[0]);
	snprintf(command, sizeof(command), "rm -rf %s", path);
	assert_int_equal(system(command), 0);
}

/* --- Doubt ---------------------------------------------------------------- */

/* A keeper that crashes leaves a mark, and the next index is a new one. */
static void a_crash_puts_the_index_in_doubt(void **state)
{
	static const int crashes[] = { SIGBUS, SIGSEGV, SIGABRT };
	char path[128];
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	rig_index_path(&r, path);
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
		int status;
		pid_t pid;

		rig_send(&r, "a@b.example");
		pid = fork();
		if (pid == 0) {
			index_doubt_after_crash(r.path);
			raise(crashes[i]);
			raise(crashes[i]);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), crashes[i]);
		assert_true(index_is_in_doubt(path));
		rig_kill(&r);
		assert_false(index_is_in_doubt(path));
		assert_int_equal(rig_count(&r), i + 1);
	}
	rig_verify(&r);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_grow_whatever_the_clock_does),
		cmocka_unit_test(large_bodies_keep_their_names),
		cmocka_unit_test(a_retry_undoes_a_wrong_clock),
		cmocka_unit_test(dead_readers_leave_no_trace),
		cmocka_unit_test(a_crash_puts_the_index_in_doubt),
	};

	log_open("test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
