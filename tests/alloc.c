/* Allocations that fail. Preloaded into a program under test:
 *   ALLOC_FAIL=n   its n-th allocation fails;  n+: and all behind it
 *   ALLOC_ODDS=n   one in n fails, at random, from the first wait in the
 * sandbox on (libconfuse and libseccomp do not live without); ALLOC_MAX of them
 * in a process ALLOC_IN=NAME  only in programs whose name begins so
 *   ALLOC_COUNT=1  how many there were is said at the end
 * Each failure is said on standard error. Unit tests define ALLOC_HERE, include
 * this file and call alloc_fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static struct {
	long left; /* until one fails; 0: none does */
	long failed, count, max;
	bool goes_on; /* all behind it fail too */
	bool is_loud;
	bool is_confined, is_serving;
	unsigned long odds, dice;
} alloc;

/* The n-th allocation from now fails; 0: none. */
static inline void alloc_fail(long n, bool goes_on)
{
	alloc.left = n;
	alloc.goes_on = goes_on;
	alloc.failed = 0;
}

/* None fails from now on; alloc.failed says how many did. */
static inline void alloc_stop(void)
{
	alloc.left = 0;
}

static bool has_bad_luck(void)
{
	if (alloc.odds == 0 || !alloc.is_serving || alloc.failed >= alloc.max)
		return false;
	alloc.dice ^= alloc.dice << 13;
	alloc.dice ^= alloc.dice >> 7;
	alloc.dice ^= alloc.dice << 17;
	return alloc.dice % alloc.odds == 0;
}

static bool alloc_fails(void)
{
	static const char text[] = "an allocation fails\n";
	bool is_due;

	alloc.count++;
	is_due = alloc.left > 0 && --alloc.left == 0;
	if (!is_due && !has_bad_luck())
		return false;
	if (alloc.goes_on)
		alloc.left = 1;
	alloc.failed++;
	if (alloc.is_loud && write(2, text, sizeof(text) - 1) < 0)
		alloc.is_loud = false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return alloc_fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return alloc_fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return alloc_fails() ? NULL : __libc_realloc(p, n);
}

#ifndef ALLOC_HERE
__attribute__((constructor)) static void alloc_begin(void)
{
	const char *fail = getenv("ALLOC_FAIL"), *odds = getenv("ALLOC_ODDS");
	const char *in = getenv("ALLOC_IN"), *max = getenv("ALLOC_MAX");
	const char *name = program_invocation_short_name;

	if ((!fail && !odds) || (in && strncmp(name, in, strlen(in)) != 0))
		return;
	alloc.is_loud = true;
	alloc.left = fail ? atol(fail) : 0;
	alloc.goes_on = fail && strchr(fail, '+');
	alloc.max = max ? atol(max) : 0;
	alloc.odds = odds ? strtoul(odds, NULL, 10) : 0;
}

void *seccomp_init(uint32_t action)
{
	void *(*next)(uint32_t);

	alloc.is_confined = alloc.is_serving = false;
	alloc.failed = 0;
	alloc.dice = 88172645463325252UL + 2654435761UL * (unsigned)getpid();
	*(void **)&next = dlsym(RTLD_NEXT, "seccomp_init");
	return next(action);
}

void seccomp_release(void *filter)
{
	void (*next)(void *);

	*(void **)&next = dlsym(RTLD_NEXT, "seccomp_release");
	next(filter);
	alloc.is_confined = true;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	alloc.is_serving = alloc.is_confined;
	return epoll_pwait(fd, events, n, timeout, NULL);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec t = { timeout / 1000, timeout % 1000 * 1000000L };

	alloc.is_serving = alloc.is_confined;
	return ppoll(fds, n, timeout < 0 ? NULL : &t, NULL);
}

__attribute__((destructor)) static void alloc_end(void)
{
	if (getenv("ALLOC_COUNT"))
		dprintf(2, "%ld allocations\n", alloc.count);
}
#endif
