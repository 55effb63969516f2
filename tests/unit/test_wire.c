/* wire.c and loop.c: frames, descriptors, junk, back-pressure, timers. */
#include "common/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PING = 7, BULK = 8 };

struct end {
	struct loop *loop;
	unsigned frames;
	uint64_t bytes, last_id;
	char text[64];
	char why[64];
	int fd;
};

static void on_frame(struct wire *wire, struct message *message, void *arg)
{
	struct end *end = arg;

	(void)wire;
	end->frames++;
	end->bytes += message->payload.n;
	end->last_id = message->id;
	snprintf(end->text, sizeof(end->text), "%.*s",
	    (int)(message->payload.n < 60 ? message->payload.n : 60),
	    message->payload.p);
	if (message->nfds > 0) {
		end->fd = message->fds[0];
		message->fds[0] = -1;
	}
	if (message->id == UINT64_MAX)
		loop_stop(end->loop);
}

static const struct wire_rule rules[] = {
	{ PING, 100, on_frame },
	{ BULK, 300000, on_frame },
	{ 0 },
};

static void on_closed(struct wire *wire, const char *why, void *arg)
{
	struct end *end = arg;

	snprintf(end->why, sizeof(end->why), "%s", why);
	wire_free(wire);
	loop_stop(end->loop);
}

static void give_up(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for 5 s");
}

static void run(struct end *end)
{
	struct timer timer = { 0 };

	loop_timer_set(
	    end->loop, &timer, now_monotonic_ms() + 5000, give_up, NULL);
	assert_int_equal(loop_run(end->loop), 0);
	loop_timer_cancel(end->loop, &timer);
}

static void test_frames_arrive_in_order_with_descriptors(void **state)
{
	struct end end = { .loop = loop_new(), .fd = -1 };
	int fds[2], pipe_fds[2];
	struct wire *a, *b;
	char *bulk = calloc(1, 250000);

	(void)state;
	assert_int_equal(wire_pair(fds), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	a = wire_new(end.loop, fds[0], "a", rules, on_closed, &end);
	b = wire_new(end.loop, fds[1], "b", rules, on_closed, &end);
	for (int i = 0; i < 100; i++) {
		wire_send(a, PING, 1, SPAN_LITERAL("hello"));
		wire_send(a, BULK, 2, (struct span){ bulk, 250000 });
	}
	wire_send_fds(a, PING, 3, SPAN_LITERAL("take this"), &pipe_fds[1], 1);
	wire_send_two(a, PING, UINT64_MAX, SPAN_LITERAL("in two "),
	    SPAN_LITERAL("parts"));
	run(&end);
	assert_int_equal(end.frames, 202);
	assert_string_equal(end.text, "in two parts");
	assert_true(end.fd >= 0);
	assert_int_equal(write(end.fd, "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], bulk, 1), 1);
	close(end.fd);
	close(pipe_fds[0]);
	wire_free(a);
	wire_free(b);
	loop_free(end.loop);
	free(bulk);
}

/* Bytes of a stranger; what the receiver then says. */
static void test_junk_cuts_the_peer_off(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} junk[] = {
		{ "\0\7\0\0\0\0\0\145\0\0\0\0\0\0\0\0", 16 }, /* too long */
		{ "\0\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 },   /* no such type */
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 },   /* type 0 */
		{ "\0\7\0\1\0\0\0\0\0\0\0\0\0\0\0\0", 16 },   /* no fd came */
		{ "\0\7\0\5\0\0\0\0\0\0\0\0\0\0\0\0", 16 },   /* many fds */
		{ "\0\10\0\0\377\377\377\377\0\0\0\0\0\0\0\0", 16 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		struct end end = { .loop = loop_new(), .fd = -1 };
		int fds[2];

		assert_int_equal(wire_pair(fds), 0);
		wire_new(end.loop, fds[1], "b", rules, on_closed, &end);
		assert_int_equal(write(fds[0], junk[i].bytes, junk[i].n),
		    (ssize_t)junk[i].n);
		run(&end);
		assert_string_equal(end.why, "sent what it may not send");
		assert_int_equal(end.frames, 0);
		close(fds[0]);
		loop_free(end.loop);
	}
}

static void test_a_half_frame_and_an_end(void **state)
{
	struct end end = { .loop = loop_new(), .fd = -1 };
	int fds[2];

	(void)state;
	assert_int_equal(wire_pair(fds), 0);
	wire_new(end.loop, fds[1], "b", rules, on_closed, &end);
	assert_int_equal(write(fds[0], "\0\7\0\0\0\0\0\5", 8), 8);
	close(fds[0]);
	run(&end);
	assert_string_equal(end.why, "closed");
	assert_int_equal(end.frames, 0);
	loop_free(end.loop);
}

static void test_blocking_use(void **state)
{
	struct message message;
	struct wire *a, *b;
	int fds[2];

	(void)state;
	assert_int_equal(wire_pair(fds), 0);
	a = wire_new(NULL, fds[0], "a", rules, NULL, NULL);
	b = wire_new(NULL, fds[1], "b", rules, NULL, NULL);
	assert_int_equal(wire_receive(b, &message, deadline_in_ms(10)), -1);
	assert_int_equal(errno, ETIMEDOUT);
	wire_send(a, PING, 5, SPAN_LITERAL("one"));
	wire_send(a, PING, 6, SPAN_LITERAL("two"));
	assert_int_equal(wire_flush(a, deadline_in_ms(1000)), 0);
	assert_int_equal(wire_receive(b, &message, deadline_in_ms(1000)), 1);
	assert_int_equal(message.id, 5);
	assert_true(wire_has_next(b));
	assert_int_equal(wire_receive(b, &message, deadline_in_ms(1000)), 1);
	assert_true(span_is_equal(message.payload, SPAN_LITERAL("two")));
	assert_false(wire_has_next(b));
	wire_free(a);
	assert_int_equal(wire_receive(b, &message, deadline_in_ms(1000)), 0);
	wire_free(b);
}

static void resume(void *arg)
{
	wire_resume(arg);
}

/* Around the sizes at which the buffer for input grows, and between them. */
static void test_blocking_takes_frames_of_all_sizes(void **state)
{
	static const uint32_t sizes[] = { 0, 16367, 1, 16368, 16369, 5, 16384,
		32752, 0, 99, 32753, 100000, 7, 15000, 15000, 3 };
	size_t n = sizeof(sizes) / sizeof(*sizes);
	struct message message;
	struct wire *a, *b;
	char *bulk = malloc(100000);
	int fds[2];

	(void)state;
	memset(bulk, 'x', 100000);
	assert_int_equal(wire_pair(fds), 0);
	a = wire_new(NULL, fds[0], "a", rules, NULL, NULL);
	b = wire_new(NULL, fds[1], "b", rules, NULL, NULL);
	for (size_t from = 0; from < n; from += 4) {
		for (size_t i = from; i < from + 4; i++) {
			bulk[0] = (char)('a' + i);
			wire_send(a, BULK, i, (struct span){ bulk, sizes[i] });
		}
		assert_int_equal(wire_flush(a, deadline_in_ms(1000)), 0);
		for (size_t i = from; i < from + 4; i++) {
			assert_int_equal(
			    wire_receive(b, &message, deadline_in_ms(1000)), 1);
			assert_int_equal(message.id, i);
			assert_int_equal(message.payload.n, sizes[i]);
			if (sizes[i] > 0)
				assert_int_equal(message.payload.p[0], 'a' + i);
			for (size_t at = 1; at < sizes[i]; at++)
				assert_int_equal(message.payload.p[at], 'x');
		}
	}
	wire_trim(b);
	assert_false(wire_has_next(b));
	wire_free(a);
	wire_free(b);
	free(bulk);
}

static void test_pause_holds_the_sender_back(void **state)
{
	struct end end = { .loop = loop_new(), .fd = -1 };
	struct timer timer = { 0 };
	int fds[2];
	struct wire *a, *b;
	char *bulk = calloc(1, 300000);

	(void)state;
	assert_int_equal(wire_pair(fds), 0);
	a = wire_new(end.loop, fds[0], "a", rules, on_closed, &end);
	b = wire_new(end.loop, fds[1], "b", rules, on_closed, &end);
	wire_pause(b);
	for (int i = 0; i < 40; i++)
		wire_send(a, BULK, 1, (struct span){ bulk, 300000 });
	wire_push(a);
	assert_true(wire_queued(a) > 5000000);
	wire_send(a, PING, UINT64_MAX, SPAN_LITERAL("end"));
	loop_timer_set(end.loop, &timer, now_monotonic_ms() + 20, resume, b);
	run(&end);
	assert_int_equal(end.frames, 41);
	wire_free(a);
	wire_free(b);
	loop_free(end.loop);
	free(bulk);
}

struct talk {
	struct end asker, teller;
	struct wire *wire;
	size_t most; /* bytes queued for the asker */
};

enum { ANSWER_BYTES = 20000, QUESTIONS = 1000, BOUND = 50000 };

static void answer(struct wire *wire, struct message *message, void *arg)
{
	static const char bulk[ANSWER_BYTES];
	struct talk *talk = arg;

	talk->teller.frames++;
	wire_send(wire, BULK, message->id, (struct span){ bulk, sizeof(bulk) });
	if (wire_queued(wire) > talk->most)
		talk->most = wire_queued(wire);
}

static const struct wire_rule teller_rules[] = {
	{ PING, 100, answer },
	{ 0 },
};

/* Who does not read his answers is not heard; when he reads, all come. */
static void test_unread_answers_stop_the_hearing(void **state)
{
	struct talk talk = { 0 };
	struct loop *loop = loop_new();
	struct timer timer = { 0 };
	struct wire *asker;
	int fds[2];

	(void)state;
	talk.asker.loop = talk.teller.loop = loop;
	assert_int_equal(wire_pair(fds), 0);
	asker = wire_new(loop, fds[0], "a", rules, on_closed, &talk.asker);
	talk.wire = wire_new(loop, fds[1], "b", teller_rules, NULL, &talk);
	wire_bound(talk.wire, BOUND);
	wire_pause(asker);
	for (int i = 1; i < QUESTIONS; i++)
		wire_send(asker, PING, 1, SPAN_LITERAL("?"));
	wire_send(asker, PING, UINT64_MAX, SPAN_LITERAL("?"));
	loop_timer_set(loop, &timer, now_monotonic_ms() + 50, resume, asker);
	run(&talk.asker);
	assert_int_equal(talk.asker.frames, QUESTIONS);
	assert_int_equal(talk.teller.frames, QUESTIONS);
	assert_true(talk.most < BOUND + 2 * ANSWER_BYTES);
	wire_free(asker);
	wire_free(talk.wire);
	loop_free(loop);
}

struct ticks {
	struct loop *loop;
	unsigned seen[64], count;
};

struct tick {
	struct timer timer;
	struct ticks *all;
	unsigned number;
};

static void on_tick(void *arg)
{
	struct tick *tick = arg;

	tick->all->seen[tick->all->count++] = tick->number;
	if (tick->number == 63)
		loop_stop(tick->all->loop);
}

static void test_timers_fire_in_order(void **state)
{
	struct ticks all = { .loop = loop_new() };
	struct tick ticks[64] = { 0 };
	uint64_t now = now_monotonic_ms();

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		unsigned n = (i * 37) % 64; /* every number once, mixed */

		ticks[n].all = &all;
		ticks[n].number = n;
		loop_timer_set(
		    all.loop, &ticks[n].timer, now + n, on_tick, &ticks[n]);
	}
	for (unsigned n = 0; n < 63; n += 2)
		loop_timer_cancel(all.loop, &ticks[n].timer);
	assert_int_equal(loop_run(all.loop), 0);
	assert_int_equal(all.count, 32);
	for (unsigned i = 0; i < all.count; i++)
		assert_int_equal(all.seen[i], i * 2 + 1);
	loop_free(all.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_arrive_in_order_with_descriptors),
		cmocka_unit_test(test_junk_cuts_the_peer_off),
		cmocka_unit_test(test_a_half_frame_and_an_end),
		cmocka_unit_test(test_blocking_use),
		cmocka_unit_test(test_blocking_takes_frames_of_all_sizes),
		cmocka_unit_test(test_pause_holds_the_sender_back),
		cmocka_unit_test(test_unread_answers_stop_the_hearing),
		cmocka_unit_test(test_timers_fire_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
