/* Preloaded into a program under test: its monotonic clock runs CLOCK_FACTOR
 * times as fast, and so do its waits; its wall clock is CLOCK_AHEAD_S ahead. */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long factor, start_ns, ahead_s;

static long long real_ns(clockid_t clock)
{
	struct timespec t;

	syscall(SYS_clock_gettime, clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("CLOCK_FACTOR");

	factor = text ? atoll(text) : 1;
	text = getenv("CLOCK_AHEAD_S");
	ahead_s = text ? atoll(text) : 0;
	start_ns = real_ns(CLOCK_MONOTONIC);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long long ns = real_ns(clock);

	if (clock == CLOCK_MONOTONIC)
		ns = start_ns + (ns - start_ns) * factor;
	else if (clock == CLOCK_REALTIME)
		ns += ahead_s * 1000000000LL;
	t->tv_sec = ns / 1000000000LL;
	t->tv_nsec = ns % 1000000000LL;
	return 0;
}

static int shorter(int timeout_ms)
{
	return timeout_ms > 0 ? (int)((timeout_ms + factor - 1) / factor)
			      : timeout_ms;
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return (int)syscall(SYS_poll, fds, n, shorter(timeout_ms));
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	return (int)syscall(
	    SYS_epoll_pwait, fd, events, max, shorter(timeout_ms), NULL, 8);
}
