/* The daemon loop: epoll, a table of (descriptor, handler), a heap of timers,
 * signals by signalfd. One thread. */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

typedef void loop_handler(int fd, uint32_t events, void *arg);
typedef void loop_action(void *arg);

/* NULL with errno on failure. Free closes only the loop's own descriptors. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Watch fd (borrowed) for EPOLLIN/EPOLLOUT/...: level-triggered. add returns
 * 0 or -1 with errno. remove must come before the caller closes fd; it is safe
 * inside any handler, also of another descriptor of the same round. */
int loop_add(struct loop *loop, int fd, uint32_t events, loop_handler *handler,
    void *arg);
int loop_change(struct loop *loop, int fd, uint32_t events);
void loop_remove(struct loop *loop, int fd);

/* A timer is the caller's memory, zeroed before first use; it must be
 * cancelled before the memory goes. Setting one again moves it. at_ms is
 * monotonic (common/deadline.h). */
struct timer {
	uint64_t at_ms;
	loop_action *action;
	void *arg;
	size_t place; /* the loop's: 1-based place in the heap, 0 = not set */
};
int loop_timer_set(struct loop *loop, struct timer *timer, uint64_t at_ms,
    loop_action *action, void *arg);
void loop_timer_cancel(struct loop *loop, struct timer *timer);

/* Call action when signo arrives (blocks it for ordinary delivery). */
int loop_signal(struct loop *loop, int signo, loop_action *action, void *arg);

/* Called once after every round of handlers, before the loop waits again: the
 * place to commit or flush what the round has gathered. One per loop. */
void loop_after_round(struct loop *loop, loop_action *action, void *arg);

/* Call action once at the end of the present round, after the after-round
 * action (or before the first wait): many causes, one effect. The deferral is
 * the caller's memory, zeroed before first use, cancelled before it goes. */
struct deferral {
	loop_action *action;
	void *arg;
	struct deferral *next, **link; /* the loop's; link NULL: not queued */
};
void loop_defer(struct loop *loop, struct deferral *deferral,
    loop_action *action, void *arg);
void loop_defer_cancel(struct deferral *deferral);

/* Run until loop_stop. Returns 0, or -1 with errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
