/* The daemon loop. */
#include "common/loop.h"

#include "common/deadline.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EVENTS_A_ROUND = 64, SIGNALS = 65 };

struct watch {
	loop_handler *handler; /* NULL: not watched */
	void *arg;
	uint32_t generation; /* so that a stale event finds nobody */
};

struct loop {
	int epoll_fd, signal_fd;
	bool is_stopping;
	struct watch *watches; /* by descriptor */
	size_t nwatches;
	struct timer **heap; /* heap[0] unused */
	size_t ntimers, heap_room;
	sigset_t signals;
	struct {
		loop_action *action;
		void *arg;
	} on_signal[SIGNALS];
	struct deferral *deferred;
	loop_action *after_round;
	void *after_round_arg;
};

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->signal_fd = -1;
	sigemptyset(&loop->signals);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	if (loop->signal_fd >= 0)
		close(loop->signal_fd);
	free(loop->watches);
	free(loop->heap);
	free(loop);
}

static int make_room(struct loop *loop, int fd)
{
	size_t room = loop->nwatches ? loop->nwatches : 64;
	struct watch *grown;

	if ((size_t)fd < loop->nwatches)
		return 0;
	while (room <= (size_t)fd)
		room *= 2;
	grown = reallocarray(loop->watches, room, sizeof(*grown));
	if (!grown)
		return -1;
	memset(grown + loop->nwatches, 0,
	    (room - loop->nwatches) * sizeof(*grown));
	loop->watches = grown;
	loop->nwatches = room;
	return 0;
}

static int control(struct loop *loop, int op, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };

	event.data.u64 =
	    (uint64_t)loop->watches[fd].generation << 32 | (uint32_t)fd;
	return epoll_ctl(loop->epoll_fd, op, fd, &event);
}

int loop_add(struct loop *loop, int fd, uint32_t events, loop_handler *handler,
    void *arg)
{
	if (fd < 0 || make_room(loop, fd) < 0)
		return -1;
	loop->watches[fd].generation++;
	if (control(loop, EPOLL_CTL_ADD, fd, events) < 0)
		return -1;
	loop->watches[fd].handler = handler;
	loop->watches[fd].arg = arg;
	return 0;
}

int loop_change(struct loop *loop, int fd, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, fd, events);
}

void loop_remove(struct loop *loop, int fd)
{
	if (fd < 0 || (size_t)fd >= loop->nwatches ||
	    !loop->watches[fd].handler)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	loop->watches[fd].handler = NULL;
	loop->watches[fd].generation++;
}

/* Timer heap: the earliest at the top. */

static void place(struct loop *loop, size_t at, struct timer *timer)
{
	loop->heap[at] = timer;
	timer->place = at;
}

static void sift_up(struct loop *loop, size_t at, struct timer *timer)
{
	while (at > 1 && loop->heap[at / 2]->at_ms > timer->at_ms) {
		place(loop, at, loop->heap[at / 2]);
		at /= 2;
	}
	place(loop, at, timer);
}

static void sift_down(struct loop *loop, size_t at, struct timer *timer)
{
	size_t child;

	while ((child = at * 2) <= loop->ntimers) {
		if (child < loop->ntimers &&
		    loop->heap[child + 1]->at_ms < loop->heap[child]->at_ms)
			child++;
		if (loop->heap[child]->at_ms >= timer->at_ms)
			break;
		place(loop, at, loop->heap[child]);
		at = child;
	}
	place(loop, at, timer);
}

void loop_timer_cancel(struct loop *loop, struct timer *timer)
{
	size_t at = timer->place;
	struct timer *last;

	if (at == 0)
		return;
	timer->place = 0;
	last = loop->heap[loop->ntimers--];
	if (last == timer)
		return;
	sift_up(loop, at, last);
	sift_down(loop, last->place, last);
}

int loop_timer_set(struct loop *loop, struct timer *timer, uint64_t at_ms,
    loop_action *action, void *arg)
{
	loop_timer_cancel(loop, timer);
	if (loop->ntimers + 1 >= loop->heap_room) {
		size_t room = loop->heap_room ? loop->heap_room * 2 : 64;
		struct timer **grown =
		    reallocarray(loop->heap, room, sizeof(struct timer *));

		if (!grown)
			return -1;
		loop->heap = grown;
		loop->heap_room = room;
	}
	timer->at_ms = at_ms;
	timer->action = action;
	timer->arg = arg;
	sift_up(loop, ++loop->ntimers, timer);
	return 0;
}

static void run_timers(struct loop *loop)
{
	uint64_t now = now_monotonic_ms();

	while (loop->ntimers > 0 && loop->heap[1]->at_ms <= now) {
		struct timer *timer = loop->heap[1];

		loop_timer_cancel(loop, timer);
		timer->action(timer->arg);
	}
}

static int wait_ms(const struct loop *loop)
{
	if (loop->ntimers == 0)
		return -1;
	return deadline_left_ms((struct deadline){ loop->heap[1]->at_ms });
}

static void on_signal(int fd, uint32_t events, void *arg)
{
	struct loop *loop = arg;
	struct signalfd_siginfo info;

	(void)events;
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo < SIGNALS &&
		    loop->on_signal[info.ssi_signo].action)
			loop->on_signal[info.ssi_signo].action(
			    loop->on_signal[info.ssi_signo].arg);
}

int loop_signal(struct loop *loop, int signo, loop_action *action, void *arg)
{
	bool is_first = loop->signal_fd < 0;

	if (signo <= 0 || signo >= SIGNALS) {
		errno = EINVAL;
		return -1;
	}
	loop->on_signal[signo].action = action;
	loop->on_signal[signo].arg = arg;
	sigaddset(&loop->signals, signo);
	/* A signal that the caller ignored would never come. */
	if (sigprocmask(SIG_BLOCK, &loop->signals, NULL) < 0 ||
	    signal(signo, SIG_DFL) == SIG_ERR)
		return -1;
	loop->signal_fd = signalfd(
	    loop->signal_fd, &loop->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signal_fd < 0)
		return -1;
	if (is_first)
		return loop_add(
		    loop, loop->signal_fd, EPOLLIN, on_signal, loop);
	return 0;
}

void loop_after_round(struct loop *loop, loop_action *action, void *arg)
{
	loop->after_round = action;
	loop->after_round_arg = arg;
}

void loop_defer(struct loop *loop, struct deferral *deferral,
    loop_action *action, void *arg)
{
	if (deferral->link)
		return;
	deferral->action = action;
	deferral->arg = arg;
	deferral->next = loop->deferred;
	deferral->link = &loop->deferred;
	if (deferral->next)
		deferral->next->link = &deferral->next;
	loop->deferred = deferral;
}

void loop_defer_cancel(struct deferral *deferral)
{
	if (!deferral->link)
		return;
	*deferral->link = deferral->next;
	if (deferral->next)
		deferral->next->link = deferral->link;
	deferral->link = NULL;
}

static void run_deferred(struct loop *loop)
{
	struct deferral *deferral;

	while ((deferral = loop->deferred) != NULL) {
		loop_defer_cancel(deferral);
		deferral->action(deferral->arg);
	}
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64;
	struct watch *watch = &loop->watches[fd];

	if (watch->handler &&
	    watch->generation == (uint32_t)(event->data.u64 >> 32))
		watch->handler(fd, event->events, watch->arg);
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[EVENTS_A_ROUND];

	run_deferred(loop);
	while (!loop->is_stopping) {
		int n = epoll_wait(
		    loop->epoll_fd, events, EVENTS_A_ROUND, wait_ms(loop));

		if (n < 0 && errno != EINTR)
			return -1;
		for (int i = 0; i < n; i++)
			dispatch(loop, &events[i]);
		run_timers(loop);
		if (loop->after_round)
			loop->after_round(loop->after_round_arg);
		run_deferred(loop);
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
}
