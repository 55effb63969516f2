/* The sandbox: what is allowed works, what is not ends the process by SIGSYS.
 * Each attempt is made in a child of its own. */
#include "common/sandbox.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKED = 0, REFUSED = 1 };

static char folder[] = "/tmp/outpost-sandbox-XXXXXX";

static int result(bool ok)
{
	return ok ? WORKED : REFUSED;
}

/* --- attempts; each returns WORKED or REFUSED ------------------------------
 */

static int try_open(void)
{
	return result(open("/etc/passwd", O_RDONLY) >= 0);
}

static int try_exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return REFUSED;
}

static int try_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static int try_unix_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
}

static int try_packet_socket(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0) >= 0);
}

static int try_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

static int try_ptrace(void)
{
	return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0);
}

static int try_kill_parent(void)
{
	return result(kill(getppid(), 0) == 0);
}

static int try_writable_code(void)
{
	return result(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static int try_other_handler(void)
{
	return result(signal(SIGSYS, SIG_IGN) != SIG_ERR);
}

static int try_namespace(void)
{
	return result(unshare(CLONE_NEWUSER) == 0);
}

static int try_setuid(void)
{
	return result(setuid(0) == 0);
}

static int try_limits(void)
{
	return result(syscall(SYS_prlimit64, getppid(), 7, NULL, NULL) == 0);
}

static int try_accept(void)
{
	return result(accept4(-1, NULL, NULL, 0) < 0 && errno == EBADF);
}

static int try_pair(void)
{
	int fds[2];

	return result(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
}

static int try_write_outside(void)
{
	return result(
	    open("/tmp/outpost-outside", O_WRONLY | O_CREAT, 0600) >= 0);
}

static int try_write_inside(void)
{
	char path[64], other[64];
	int fd;

	snprintf(path, sizeof(path), "%s/a", folder);
	snprintf(other, sizeof(other), "%s/b", folder);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	return result(fd >= 0 && write(fd, "x", 1) == 1 &&
		      ftruncate(fd, 0) == 0 && fdatasync(fd) == 0 &&
		      rename(path, other) == 0 && unlink(other) == 0);
}

/* What every program needs: memory, clocks, time of day, the log. */
static int try_ordinary(void)
{
	struct timespec now;
	struct tm tm;
	time_t t = time(NULL);
	void *large = malloc(64 << 20);
	struct stat st;
	char line[100];

	memset(large, 1, 64 << 20);
	large = realloc(large, 128 << 20);
	free(large);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&t, &tm);
	snprintf(line, sizeof(line), "%f %s", 1.5, strerror(EACCES));
	prctl(PR_SET_NAME, "test");
	return result(
	    fstat(2, &st) == 0 && sysconf(_SC_OPEN_MAX) > 0 && isatty(0) >= 0);
}

/* On a descriptor that nothing can be synced of: the call is what counts. */
static int try_sync(void)
{
	return result(fdatasync(2) == 0 || errno == EINVAL);
}

static int try_abort(void)
{
	abort();
}

/* A line is forked by the spawner and narrows its sandbox further. */
static int try_narrowed(void)
{
	struct sandbox narrow = { "line", SANDBOX_CONNECT, NULL, NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		sandbox_enter(&narrow);
		_exit(try_socket() == WORKED ? (fork(), 1) : 2);
	}
	return result(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
		      WTERMSIG(status) == SIGSYS);
}

/* --- the table ------------------------------------------------------------ */

enum end { ENDS_WORKED, ENDS_REFUSED, ENDS_KILLED, ENDS_ABORTED };

static const struct {
	const char *name;
	int (*attempt)(void);
	unsigned allows;
	enum end end;
} cases[] = {
	{ "ordinary", try_ordinary, 0, ENDS_WORKED },
	{ "abort", try_abort, 0, ENDS_ABORTED },
	{ "open", try_open, 0, ENDS_KILLED },
	{ "open with connect", try_open, SANDBOX_CONNECT, ENDS_KILLED },
	{ "open with files", try_open, SANDBOX_FILES, ENDS_REFUSED },
	{ "exec", try_exec, SANDBOX_FILES | SANDBOX_FORK, ENDS_KILLED },
	{ "socket", try_socket, SANDBOX_FILES, ENDS_KILLED },
	{ "socket with connect", try_socket, SANDBOX_CONNECT, ENDS_WORKED },
	{ "unix socket", try_unix_socket, SANDBOX_CONNECT, ENDS_REFUSED },
	{ "packet socket", try_packet_socket, SANDBOX_CONNECT, ENDS_KILLED },
	{ "netlink", try_netlink, SANDBOX_CONNECT, ENDS_KILLED },
	{ "fork", try_fork, SANDBOX_CONNECT, ENDS_KILLED },
	{ "fork with fork", try_fork, SANDBOX_FORK, ENDS_WORKED },
	{ "ptrace", try_ptrace, SANDBOX_FORK, ENDS_KILLED },
	{ "kill parent", try_kill_parent, 0, ENDS_KILLED },
	{ "kill parent with fork", try_kill_parent, SANDBOX_FORK,
	    ENDS_REFUSED },
	{ "code", try_writable_code, 0, ENDS_KILLED },
	{ "handler", try_other_handler, 0, ENDS_KILLED },
	{ "namespace", try_namespace, SANDBOX_FORK, ENDS_KILLED },
	{ "setuid", try_setuid, SANDBOX_FORK, ENDS_KILLED },
	{ "limits of others", try_limits, 0, ENDS_KILLED },
	{ "accept", try_accept, 0, ENDS_KILLED },
	{ "accept with accept", try_accept, SANDBOX_ACCEPT, ENDS_WORKED },
	{ "pair", try_pair, SANDBOX_CONNECT, ENDS_KILLED },
	{ "pair with unix", try_pair, SANDBOX_UNIX, ENDS_WORKED },
	{ "write outside", try_write_outside, SANDBOX_FILES, ENDS_REFUSED },
	{ "write inside", try_write_inside, SANDBOX_FILES, ENDS_WORKED },
	{ "sync", try_sync, 0, ENDS_KILLED },
	{ "sync with sync", try_sync, SANDBOX_SYNC, ENDS_WORKED },
	{ "open with sync", try_open, SANDBOX_SYNC, ENDS_KILLED },
	{ "narrowed", try_narrowed,
	    SANDBOX_FORK | SANDBOX_CONNECT | SANDBOX_UNIX, ENDS_WORKED },
};

static bool has_landlock(void)
{
	return syscall(444, NULL, 0, 1) >= 1;
}

static bool has_signal_scope(void)
{
	return syscall(444, NULL, 0, 1) >= 6;
}

/* The folder belongs to the user that root becomes. */
static void give_folder(void)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() == 0 && sandbox_user_ids("outpost-test", &uid, &gid))
		assert_int_equal(chown(folder, uid, gid), 0);
}

static int attempt_in_child(unsigned allows, int (*attempt)(void))
{
	const char *const paths[] = { folder, NULL };
	struct sandbox sandbox = { "test", allows, NULL, paths };
	int status, null;
	pid_t pid = fork();

	if (pid == 0) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, 2);
		setenv("TZ", ":/etc/localtime", 1);
		tzset();
		sandbox_drop_user("outpost-test");
		sandbox_enter(&sandbox);
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void check_end(const char *name, int status, enum end end)
{
	bool is_right = false;

	switch (end) {
	case ENDS_WORKED:
		is_right = WIFEXITED(status) && WEXITSTATUS(status) == WORKED;
		break;
	case ENDS_REFUSED:
		is_right = WIFEXITED(status) && WEXITSTATUS(status) == REFUSED;
		break;
	case ENDS_KILLED:
		is_right = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
		break;
	case ENDS_ABORTED:
		is_right = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
		break;
	}
	if (!is_right)
		fail_msg("%s: wait status %#x", name, (unsigned)status);
}

static void test_attempts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int status =
		    attempt_in_child(cases[i].allows, cases[i].attempt);

		/* These two are Landlock's to refuse. */
		if (cases[i].attempt == try_write_outside && !has_landlock())
			continue;
		if (cases[i].attempt == try_open &&
		    cases[i].end == ENDS_REFUSED && !has_landlock())
			continue;
		if (cases[i].attempt == try_kill_parent &&
		    cases[i].end == ENDS_REFUSED && !has_signal_scope() &&
		    geteuid() != 0)
			continue;
		check_end(cases[i].name, status, cases[i].end);
	}
}

/* Nothing listens at either port: refused by the kernel's sandbox, or by the
 * other side. */
static int try_port(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int error =
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;

	close(fd);
	return error;
}

/* Landlock ABI 4: TCP to the named ports alone. */
static void test_ports(void **state)
{
	static const uint16_t ports[] = { 2, 0 };
	struct sandbox sandbox = { "test", SANDBOX_CONNECT, NULL, NULL, ports };
	int status;
	pid_t pid;

	(void)state;
	if (syscall(444, NULL, 0, 1) < 4)
		skip();
	pid = fork();
	if (pid == 0) {
		sandbox_enter(&sandbox);
		_exit(try_port(2) == ECONNREFUSED && try_port(1) == EACCES
			  ? WORKED
			  : REFUSED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	check_end("ports", status, ENDS_WORKED);
}

/* The denied call is named in the log. */
static void test_report(void **state)
{
	struct sandbox sandbox = { "test", 0, NULL, NULL };
	char text[4096];
	int fds[2], status;
	ssize_t n, all = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 2);
		sandbox_enter(&sandbox);
		try_exec();
		_exit(0);
	}
	close(fds[1]);
	while (
	    (n = read(fds[0], text + all, sizeof(text) - 1 - (size_t)all)) > 0)
		all += n;
	text[all] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_non_null(strstr(text, "sandbox-denied call=execve"));
}

static void test_user_is_gone(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0 || !nobody)
		skip();
	pid = fork();
	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), 2);
		sandbox_drop_user("outpost-test");
		_exit(getuid() != nobody->pw_uid || setuid(0) == 0 ||
		      seteuid(0) == 0 || open("/etc/shadow", O_RDONLY) >= 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_user_is_gone),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	give_folder();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
