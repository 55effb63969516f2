/* spawner.c: lines started, used inside their sandbox, ended. */
#include "remote/spawner.h"

#include "line_driver.h"

#include <sys/mman.h>

#define BODY "Subject: x\r\n\r\nhi\r\n"

struct house {
	struct wire *supervisor, *runner;
	pid_t pid;
};

static const struct wire_rule supervisor_rules[] = {
	{ MSG_READY, 0, NULL },
	{ MSG_NOTE, 1000, NULL },
	{ 0 },
};
static const struct wire_rule spawner_rules[] = {
	{ MSG_LINE_STARTED, 4, NULL },
	{ MSG_LINE_ENDED, 4, NULL },
	{ MSG_LINE_FAILED, 1024, NULL },
	{ 0 },
};

static void be_spawner(int control)
{
	char *argv[] = { "outpost-remote", NULL };

	/* silent: the sandbox logs each of its steps */
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
	alarm(LIMIT_S);
	if (control != 3) {
		dup2(control, 3);
		close(control);
	}
	close_range(4, ~0U, 0);
	_exit(spawner_main(1, argv));
}

static struct message receive(struct wire *wire, uint16_t type)
{
	struct message message;

	assert_int_equal(
	    wire_receive(wire, &message, deadline_in_ms(LIMIT_S * 1000)), 1);
	assert_int_equal(message.type, type);
	return message;
}

static void house_open(struct house *h)
{
	int control[2], runner[2], conf = memfd_create("conf", MFD_CLOEXEC);
	struct buf path;

	assert_int_equal(wire_pair(control), 0);
	assert_int_equal(wire_pair(runner), 0);
	h->pid = fork();
	if (h->pid == 0)
		be_spawner(control[1]);
	close(control[1]);
	h->supervisor =
	    wire_new(NULL, control[0], "spawner", supervisor_rules, NULL, NULL);
	h->runner =
	    wire_new(NULL, runner[0], "spawner", spawner_rules, NULL, NULL);
	buf_init(&path, 100);
	put_span(&path, SPAN_LITERAL("/nowhere/outpost.conf"));
	wire_send_fds(h->supervisor, MSG_CONFIG, 0, buf_span(&path), &conf, 1);
	buf_clear(&path);
	wire_send_fds(h->supervisor, MSG_PEER, ROLE_RUNNER, (struct span){ 0 },
	    &runner[1], 1);
	wire_send(h->supervisor, MSG_RUN, 0, (struct span){ 0 });
	wire_flush(h->supervisor, deadline_in_ms(1000));
	receive(h->supervisor, MSG_READY);
}

static void ask_line(struct house *h, uint64_t number, const char *group)
{
	struct buf payload;

	buf_init(&payload, 100);
	put_span(&payload, span_of(group));
	wire_send(h->runner, MSG_LINE_START, number, buf_span(&payload));
	buf_clear(&payload);
	wire_flush(h->runner, deadline_in_ms(1000));
}

/* The line's pid and its socket in *fd. */
static pid_t start_line(struct house *h, uint64_t number, int *fd)
{
	struct message message;
	struct reader r;
	pid_t pid;

	ask_line(h, number, "default");
	message = receive(h->runner, MSG_LINE_STARTED);
	assert_int_equal(message.id, number);
	assert_int_equal(message.nfds, 1);
	r = reader_of(message.payload);
	pid = (pid_t)get_u32(&r);
	*fd = message.fds[0];
	return pid;
}

static uint32_t expect_ended(struct house *h, uint64_t number)
{
	struct message message = receive(h->runner, MSG_LINE_ENDED);
	struct reader r = reader_of(message.payload);

	assert_int_equal(message.id, number);
	return get_u32(&r);
}

static void house_close(struct house *h)
{
	struct buf payload;
	int status;

	buf_init(&payload, 4);
	put_u32(&payload, 2000);
	wire_send(h->supervisor, MSG_STOP, 0, buf_span(&payload));
	wire_flush(h->supervisor, deadline_in_ms(1000));
	buf_clear(&payload);
	waitpid(h->pid, &status, 0);
	assert_int_equal(status, 0);
	wire_free(h->supervisor);
	wire_free(h->runner);
}

static void test_delivery(void **state)
{
	static const char *const script[] = { "A", "S:220 sink", "C?EHLO",
		"S:250-sink\r\n250 STARTTLS", "C:STARTTLS", "S:220 go", "H",
		"C?EHLO", "S:250-sink\r\n250-PIPELINING\r\n250 CHUNKING",
		"C?MAIL", "C?RCPT", "C:BDAT 18 LAST", "B:" BODY,
		"S:250 ok\r\n250 ok\r\n250 one", "C:QUIT", "E", NULL };
	struct house house;
	struct drive d;
	int fd;

	(void)state;
	house_open(&house);
	drive_serve(&d, script);
	start_line(&house, 7, &fd);
	drive_attach(&d, fd);
	drive_session(&d, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	drive_expect_done(&d);
	drive_finish(&d);
	assert_int_equal(expect_ended(&house, 7), 0);
	house_close(&house);
}

static void test_ends(void **state)
{
	struct house house;
	struct message message;
	int a, b, c;
	pid_t pid;

	(void)state;
	house_open(&house);
	pid = start_line(&house, 1, &a);
	start_line(&house, 2, &b);
	kill(pid, SIGKILL);
	assert_int_equal(expect_ended(&house, 1), SIGKILL);
	close(b);
	assert_int_equal(expect_ended(&house, 2), 0);
	ask_line(&house, 3, "no\ngroup");
	message = receive(house.runner, MSG_LINE_FAILED);
	assert_int_equal(message.id, 3);
	/* one still runs when it is told to stop */
	start_line(&house, 4, &c);
	close(c);
	house_close(&house);
	close(a);
}

/* The spawner lives on when the runner talks rubbish, and takes another. */
static void test_bad_runner(void **state)
{
	struct house house;
	struct message message;
	int runner[2], fd;

	(void)state;
	house_open(&house);
	wire_send(house.runner, 999, 1, SPAN_LITERAL("what?"));
	wire_flush(house.runner, deadline_in_ms(1000));
	assert_true(
	    wire_receive(house.runner, &message, deadline_in_ms(5000)) <= 0);
	wire_free(house.runner);
	assert_int_equal(wire_pair(runner), 0);
	house.runner =
	    wire_new(NULL, runner[0], "spawner", spawner_rules, NULL, NULL);
	wire_send_fds(house.supervisor, MSG_PEER, ROLE_RUNNER,
	    (struct span){ 0 }, &runner[1], 1);
	wire_flush(house.supervisor, deadline_in_ms(1000));
	start_line(&house, 9, &fd);
	close(fd);
	assert_int_equal(expect_ended(&house, 9), 0);
	house_close(&house);
}

/* A line has no hold of another's socket, though both were asked for at once:
 * it could speak to it as the runner, and keep it alive. */
static void test_asked_at_once(void **state)
{
	struct house house;
	struct message message;
	struct buf payload;
	int fds[3];

	(void)state;
	house_open(&house);
	buf_init(&payload, 100);
	put_span(&payload, SPAN_LITERAL("default"));
	for (uint64_t i = 0; i < 3; i++)
		wire_send(house.runner, MSG_LINE_START, i, buf_span(&payload));
	buf_clear(&payload);
	wire_flush(house.runner, deadline_in_ms(1000));
	for (uint64_t i = 0; i < 3; i++) {
		message = receive(house.runner, MSG_LINE_STARTED);
		assert_int_equal(message.id, i);
		fds[i] = message.fds[0];
	}
	for (uint64_t i = 0; i < 3; i++) {
		close(fds[i]);
		assert_int_equal(expect_ended(&house, i), 0);
	}
	house_close(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delivery),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_bad_runner),
		cmocka_unit_test(test_asked_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
