/* The client of the submission socket, against a keeper in a child process. */
#include "common/deadline.h"
#include "common/submit.h"
#include "common/wire.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum keeper {
	ACCEPTS,
	REFUSES_AT_THE_END,
	REFUSES_EARLY, /* and reads no more */
	CLOSES_EARLY,
	CLOSES_AT_THE_END,
	ANSWERS_JUNK,
};

static const struct wire_rule rules[] = {
	{ MSG_SUBMIT, WIRE_FRAME_MAX, NULL },
	{ MSG_SUBMIT_DATA, DATA_CHUNK_MAX, NULL },
	{ MSG_SUBMIT_END, 8, NULL },
	{ 0, 0, NULL },
};

static void refuse(struct wire *wire, uint64_t id)
{
	struct outcome why;
	struct buf b;

	outcome_perm(&why, "5.7.1", "not today");
	buf_init(&b, 1000);
	outcome_put(&b, &why);
	wire_send(wire, MSG_REFUSED, id, buf_span(&b));
	buf_clear(&b);
}

static void accept_message(struct wire *wire, uint64_t id, uint64_t message)
{
	struct buf b;

	buf_init(&b, 8);
	put_u64(&b, message);
	wire_send(wire, MSG_ACCEPTED, id, buf_span(&b));
	buf_clear(&b);
}

static void answer(
    struct wire *wire, enum keeper how, const struct message *m, uint64_t got)
{
	struct reader r = reader_of(m->payload);

	if (how == ACCEPTS && get_u64(&r) == got)
		accept_message(wire, m->id, got);
	else if (how == ANSWERS_JUNK)
		wire_send(wire, MSG_SUBMIT, m->id, (struct span){ 0 });
	else if (how == REFUSES_AT_THE_END || how == ACCEPTS)
		refuse(wire, m->id);
}

/* The id it gives is the number of bytes it got. */
static void keep(int fd, enum keeper how)
{
	struct deadline soon = deadline_in_ms(5000);
	struct wire *wire = wire_new(NULL, fd, "client", rules, NULL, NULL);
	struct message m = { 0 };
	uint64_t got = 0;

	while (wire_receive(wire, &m, soon) == 1) {
		if (m.type == MSG_SUBMIT_DATA)
			got += m.payload.n;
		if (m.type == MSG_SUBMIT_END)
			answer(wire, how, &m, got);
		if (m.type == MSG_SUBMIT && how == REFUSES_EARLY) {
			refuse(wire, m.id);
			wire_flush(wire, soon);
			pause();
		}
		if (m.type == MSG_SUBMIT_END || how == CLOSES_EARLY)
			break;
	}
	wire_flush(wire, soon);
	wire_free(wire);
}

struct run {
	int status;
	uint64_t id;
	struct outcome why;
};

static struct run submit(enum keeper how, size_t size)
{
	struct recipient to = { .address = SPAN_LITERAL("a@b.example") };
	struct envelope e = {
		.origin = ORIGIN_LOCAL, .recipients = &to, .nrecipients = 1
	};
	struct run run = { 0 };
	char *data = calloc(1, size + 1);
	struct submit *s;
	int fds[2];
	pid_t keeper;

	assert_int_equal(wire_pair(fds), 0);
	keeper = fork();
	if (keeper == 0) {
		close(fds[0]);
		keep(fds[1], how);
		_exit(0);
	}
	close(fds[1]);
	s = submit_new(fds[0], &run.why);
	assert_non_null(s);
	run.status =
	    submit_begin(s, &e, &run.why) < 0 ||
		    submit_data(s, (struct span){ data, size }, &run.why) < 0 ||
		    submit_end(s, &run.id, &run.why) < 0
		? -1
		: 0;
	submit_free(s);
	kill(keeper, SIGKILL);
	waitpid(keeper, NULL, 0);
	free(data);
	return run;
}

static const size_t sizes[] = { 0, 1, DATA_CHUNK_MAX, DATA_CHUNK_MAX + 1,
	8 << 20 };

static void test_accepts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct run run = submit(ACCEPTS, sizes[i]);

		assert_int_equal(run.status, 0);
		assert_int_equal(run.id, sizes[i]);
	}
}

static void test_refuses(void **state)
{
	static const enum keeper keepers[] = { REFUSES_AT_THE_END,
		REFUSES_EARLY };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct run run = submit(keepers[k], sizes[i]);

			assert_int_equal(run.status, -1);
			assert_int_equal(run.why.verdict, VERDICT_PERM);
			assert_string_equal(run.why.status, "5.7.1");
			assert_string_equal(run.why.detail, "not today");
		}
	}
}

static void test_breaks(void **state)
{
	static const enum keeper keepers[] = { CLOSES_EARLY, CLOSES_AT_THE_END,
		ANSWERS_JUNK };

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct run run = submit(keepers[k], sizes[i]);

			assert_int_equal(run.status, -1);
			assert_int_equal(run.why.verdict, VERDICT_TEMP);
			assert_true(run.why.detail[0]);
		}
	}
}

static void test_no_keeper(void **state)
{
	uint64_t start = now_monotonic_ms();
	struct outcome why = { 0 };

	(void)state;
	assert_null(submit_open("/nonexistent", &why));
	assert_int_equal(why.verdict, VERDICT_TEMP);
	assert_in_range(now_monotonic_ms() - start, 1500, 4000);
	assert_non_null(strstr(why.detail, "/nonexistent/submit.sock"));
}

static void test_envelope_too_long(void **state)
{
	static char address[1000];
	static struct recipient many[2000];
	struct envelope e = { .recipients = many, .nrecipients = 2000 };
	struct outcome why = { 0 };
	struct submit *s;
	int fds[2];

	(void)state;
	memset(address, 'a', sizeof(address));
	for (size_t i = 0; i < 2000; i++)
		many[i].address = (struct span){ address, sizeof(address) };
	assert_int_equal(wire_pair(fds), 0);
	s = submit_new(fds[0], &why);
	assert_int_equal(submit_begin(s, &e, &why), -1);
	assert_int_equal(why.verdict, VERDICT_PERM);
	submit_free(s);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_breaks),
		cmocka_unit_test(test_no_keeper),
		cmocka_unit_test(test_envelope_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
