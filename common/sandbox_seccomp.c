/* The filter of system calls, by libseccomp. What is not listed is denied and
 * ends the process: a handler reports the call, then a second denied call,
 * made while SIGSYS is blocked, has the kernel kill it. The handler cannot be
 * replaced, because sigaction of SIGSYS is denied too.
 */
#include "common/sandbox_parts.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALL(name) SCMP_SYS(name)

/* On descriptors that are open already, memory, clocks, the process itself. */
static const int base_calls[] = { CALL(read), CALL(write), CALL(readv),
	CALL(writev), CALL(pread64), CALL(pwrite64), CALL(preadv),
	CALL(pwritev), CALL(preadv2), CALL(pwritev2), CALL(close),
	CALL(close_range), CALL(lseek), CALL(fstat), CALL(dup), CALL(dup2),
	CALL(dup3), CALL(fcntl), CALL(poll), CALL(ppoll), CALL(select),
	CALL(pselect6), CALL(epoll_create), CALL(epoll_create1),
	CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait),
	CALL(epoll_pwait2), CALL(timerfd_create), CALL(timerfd_settime),
	CALL(timerfd_gettime), CALL(eventfd2), CALL(signalfd4), CALL(pipe2),
	CALL(sendmsg), CALL(recvmsg), CALL(sendmmsg), CALL(recvmmsg),
	CALL(sendto), CALL(recvfrom), CALL(getsockopt), CALL(setsockopt),
	CALL(shutdown), CALL(getsockname), CALL(getpeername), CALL(sendfile),
	CALL(munmap), CALL(mremap), CALL(madvise), CALL(brk), CALL(futex),
	CALL(set_robust_list), CALL(get_robust_list), CALL(rseq),
	CALL(membarrier), CALL(clock_gettime), CALL(clock_getres),
	CALL(gettimeofday), CALL(time), CALL(nanosleep), CALL(clock_nanosleep),
	CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigtimedwait),
	CALL(sigaltstack), CALL(restart_syscall), CALL(getpid), CALL(gettid),
	CALL(getppid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid),
	CALL(getrandom), CALL(sched_yield), CALL(sched_getaffinity),
	CALL(sysinfo), CALL(uname), CALL(getrusage), CALL(times), CALL(exit),
	CALL(exit_group) };

/* Files by path (Landlock says which) and changes of open files. */
static const int file_calls[] = { CALL(openat), CALL(open), CALL(stat),
	CALL(lstat), CALL(newfstatat), CALL(statx), CALL(access),
	CALL(faccessat), CALL(faccessat2), CALL(rename), CALL(renameat),
	CALL(renameat2), CALL(unlink), CALL(unlinkat), CALL(mkdir),
	CALL(mkdirat), CALL(rmdir), CALL(ftruncate), CALL(fallocate),
	CALL(fsync), CALL(fdatasync), CALL(sync_file_range), CALL(msync),
	CALL(flock), CALL(getdents64), CALL(readlink), CALL(readlinkat),
	CALL(statfs), CALL(fstatfs), CALL(fchmod), CALL(fadvise64),
	CALL(copy_file_range), CALL(umask) };

static const int connect_calls[] = { CALL(connect), CALL(bind) };

/* A forked child may put on a narrower filter. */
static const int fork_calls[] = { CALL(wait4), CALL(waitid), CALL(kill),
	CALL(seccomp), CALL(landlock_create_ruleset), CALL(landlock_add_rule),
	CALL(landlock_restrict_self) };

static const int accept_calls[] = { CALL(accept), CALL(accept4) };
static const int unix_calls[] = { CALL(socketpair) };
static const int sync_calls[] = { CALL(fsync), CALL(fdatasync) };

static void check(int rc)
{
	/* -EDOM: the call does not exist on this architecture. */
	if (rc < 0 && rc != -EDOM && rc != -EEXIST)
		fatal(EXIT_TRY_LATER, "seccomp: %s", strerror(-rc));
}

static void allow_each(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (calls[i] != __NR_SCMP_ERROR)
			check(
			    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0));
}

#define ALLOW(ctx, calls) \
	allow_each(ctx, calls, sizeof(calls) / sizeof(*(calls)))

static void allow_if(scmp_filter_ctx ctx, int call, struct scmp_arg_cmp a)
{
	check(seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, 1, &a));
}

static void allow_if_two(
    scmp_filter_ctx ctx, int call, struct scmp_arg_cmp a, struct scmp_arg_cmp b)
{
	struct scmp_arg_cmp both[] = { a, b };

	check(seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, 2, both));
}

static void allow_base(scmp_filter_ctx ctx)
{
	ALLOW(ctx, base_calls);
	allow_if(ctx, CALL(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	allow_if(
	    ctx, CALL(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* fstat of the C library */
	allow_if(ctx, CALL(newfstatat),
	    SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	/* Once more SIGSYS: see the title. */
	allow_if(ctx, CALL(rt_sigaction), SCMP_A0(SCMP_CMP_NE, SIGSYS));
	allow_if(ctx, CALL(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	/* abort() */
	allow_if(
	    ctx, CALL(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	/* getrlimit, also in sysconf(); not setrlimit, not of others */
	allow_if_two(ctx, CALL(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0),
	    SCMP_A2(SCMP_CMP_EQ, 0));
	/* a terminal or not? */
	allow_if(ctx, CALL(ioctl), SCMP_A1(SCMP_CMP_EQ, 0x5401 /* TCGETS */));
	allow_if(ctx, CALL(ioctl), SCMP_A1(SCMP_CMP_EQ, 0x541b /* FIONREAD */));
	/* the C library then does without: fork by clone, no new thread */
	check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0));
}

static void allow_socket(scmp_filter_ctx ctx, bool may_connect)
{
	/* syslog(3) tries again when its socket broke: it gets no other. */
	check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), CALL(socket), 1,
	    SCMP_A0(SCMP_CMP_EQ, AF_UNIX)));
	if (!may_connect)
		return;
	ALLOW(ctx, connect_calls);
	allow_if(ctx, CALL(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET));
	allow_if(ctx, CALL(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6));
}

static void allow_fork(scmp_filter_ctx ctx)
{
	const scmp_datum_t never = CLONE_VM | CLONE_FS | CLONE_FILES |
				   CLONE_NEWNS | CLONE_NEWCGROUP |
				   CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
				   CLONE_NEWPID | CLONE_NEWNET;
	static const unsigned long narrowing[] = { PR_SET_NO_NEW_PRIVS,
		PR_GET_NO_NEW_PRIVS, PR_SET_DUMPABLE, PR_SET_SECCOMP,
		PR_SET_PDEATHSIG };

	ALLOW(ctx, fork_calls);
	allow_if(ctx, CALL(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, never, 0));
	for (size_t i = 0; i < sizeof(narrowing) / sizeof(*narrowing); i++)
		allow_if(ctx, CALL(prctl), SCMP_A0(SCMP_CMP_EQ, narrowing[i]));
	/* a child's abort() */
	check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, CALL(tgkill), 0));
}

/* The C library tries clone3 first, then does with this. */
static void allow_threads(scmp_filter_ctx ctx)
{
	const scmp_datum_t thread =
	    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

	allow_if(ctx, CALL(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
}

static void allow_all_of(scmp_filter_ctx ctx, unsigned allows)
{
	allow_base(ctx);
	allow_socket(ctx, allows & SANDBOX_CONNECT);
	if (allows & SANDBOX_FILES)
		ALLOW(ctx, file_calls);
	if (allows & SANDBOX_FORK)
		allow_fork(ctx);
	if (allows & SANDBOX_ACCEPT)
		ALLOW(ctx, accept_calls);
	if (allows & SANDBOX_UNIX)
		ALLOW(ctx, unix_calls);
	if (allows & SANDBOX_THREADS)
		allow_threads(ctx);
	if (allows & SANDBOX_SYNC)
		ALLOW(ctx, sync_calls);
}

/* The process is about to die: what is not safe in a handler elsewhere is
 * worth the name of the call here. */
static void on_denied(int signo, siginfo_t *info, void *context)
{
	char *name =
	    seccomp_syscall_resolve_num_arch(info->si_arch, info->si_syscall);

	(void)signo;
	(void)context;
	log_warn("sandbox-denied", "call", name ? name : "?", "number",
	    log_text("%d", info->si_syscall), NULL);
	log_release();
	/* Denied, with SIGSYS blocked: the kernel kills. */
	signal(SIGSYS, SIG_DFL);
	_exit(EXIT_TRY_LATER);
}

static void report_denied(void)
{
	static bool is_set;
	struct sigaction action = { .sa_sigaction = on_denied,
		.sa_flags = SA_SIGINFO };

	if (is_set)
		return;
	if (sigaction(SIGSYS, &action, NULL) < 0)
		fatal(EXIT_TRY_LATER, "sigaction: %s", strerror(errno));
	is_set = true;
}

#ifdef OUTPOST_NO_SECCOMP
/* Sanitizers need calls of their own: their builds go without the filter. */
void sandbox_seccomp(const struct sandbox *sandbox)
{
	(void)sandbox;
	(void)report_denied;
	(void)allow_all_of;
	log_warn("sandbox-missing", "step", "seccomp", "why", "build", NULL);
}
#else
void sandbox_seccomp(const struct sandbox *sandbox)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int rc;

	if (!ctx)
		fatal(EXIT_TRY_LATER, "seccomp: no memory");
	check(seccomp_attr_set(
	    ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
	check(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
	allow_all_of(ctx, sandbox->allows);
	report_denied();
	rc = seccomp_load(ctx);
	if (rc < 0)
		fatal(EXIT_TRY_LATER, "seccomp: load: %s", strerror(-rc));
	seccomp_release(ctx);
	log_event(
	    "sandbox", "step", "seccomp", "program", sandbox->program, NULL);
}
#endif
