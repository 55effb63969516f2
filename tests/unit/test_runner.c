/* outpost-runner on a stage: the test plays supervisor, keeper, resolver,
 * spawner and line. Who sends nonsense is cut off; what was in hand is
 * recorded; who comes back is told again. */
#include "runner/runner.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 5000, MESSAGE_ID = 77 };

static struct wire *supervisor, *keeper, *resolver, *spawner, *line;
static pid_t pid;
static struct message got;
static struct buf out;

/* Anything goes: the test looks at what comes. */
static const struct wire_rule all_rules[] = {
	{ MSG_READY, 0, NULL },
	{ MSG_NOTE, 1024, NULL },
	{ MSG_WINDOW, 4, NULL },
	{ MSG_DUE, 64, NULL },
	{ MSG_CLAIM, 11, NULL },
	{ MSG_UNCLAIM, 10, NULL },
	{ MSG_OUTCOME, WIRE_FRAME_MAX, NULL },
	{ MSG_CHANGE, 8192, NULL },
	{ MSG_SUBMIT, WIRE_FRAME_MAX, NULL },
	{ MSG_SUBMIT_DATA, DATA_CHUNK_MAX, NULL },
	{ MSG_SUBMIT_END, 8, NULL },
	{ MSG_RESOLVE, 4096, NULL },
	{ MSG_LINE_START, 1024, NULL },
	{ MSG_SESSION, WIRE_FRAME_MAX, NULL },
	{ MSG_DELIVER, WIRE_FRAME_MAX, NULL },
	{ MSG_SESSION_END, 0, NULL },
	{ 0 },
};

static struct wire *blocking(int fd)
{
	struct wire *wire = wire_new(NULL, fd, "stage", all_rules, NULL, NULL);

	assert_non_null(wire);
	return wire;
}

static void send_fd(struct wire *to, uint16_t type, uint64_t id, const int *fd)
{
	wire_send_fds(to, type, id, buf_span(&out), fd, fd ? 1 : 0);
	assert_int_equal(wire_flush(to, deadline_in_ms(WAIT_MS)), 0);
	buf_reset(&out);
}

static void say(struct wire *to, uint16_t type, uint64_t id)
{
	send_fd(to, type, id, NULL);
}

static struct reader hear(struct wire *from, uint16_t type)
{
	int status = wire_receive(from, &got, deadline_in_ms(WAIT_MS));

	if (status != 1)
		print_message("waiting for %u: %d\n", type, status);
	assert_int_equal(status, 1);
	if (got.type != type)
		print_message("got %u, not %u\n", got.type, type);
	assert_int_equal(got.type, type);
	return reader_of(got.payload);
}

static void hear_end(struct wire *from)
{
	while (wire_receive(from, &got, deadline_in_ms(WAIT_MS)) == 1)
		;
	assert_int_not_equal(errno, ETIMEDOUT);
}

/* From the keeper's side, reading of the index answered on the way. */
static struct reader keeper_hear(uint16_t type)
{
	for (;;) {
		assert_int_equal(
		    wire_receive(keeper, &got, deadline_in_ms(WAIT_MS)), 1);
		if (got.type == type)
			return reader_of(got.payload);
		if (got.type == MSG_DUE) {
			put_u64(&out, 0);
			put_u8(&out, 0);
			say(keeper, MSG_DUE_END, got.id);
			continue;
		}
		if (got.type != MSG_WINDOW)
			print_message("got %u, not %u\n", got.type, type);
		assert_int_equal(got.type, MSG_WINDOW);
	}
}

static struct wire *peer(enum role role)
{
	int fds[2];

	assert_int_equal(wire_pair(fds), 0);
	send_fd(supervisor, MSG_PEER, role, &fds[1]);
	return blocking(fds[0]);
}

static const char *const settings =
    "localname = \"mail.example.com\"\n"
    "postmaster = \"post@example.com\"\n"
    "mode = \"relay\"\n"
    "relay \"default\" { servers = { \"smtp://192.0.2.1:25\" } }\n"
    "line \"default\" { count = 1 }\n";

static void send_config(void)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	size_t n = strlen(settings);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, settings, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	put_span(&out, SPAN_LITERAL("/nowhere/outpost.conf"));
	send_fd(supervisor, MSG_CONFIG, 0, &fd);
}

static void become_runner(int fd)
{
	char name[] = "outpost-runner", *argv[] = { name, NULL };

	if (!freopen("/dev/null", "w", stderr) || dup2(fd, 3) < 0)
		_exit(99);
	_exit(runner_main(1, argv));
}

static int begin(void **state)
{
	int fds[2];

	(void)state;
	buf_init(&out, WIRE_FRAME_MAX);
	assert_int_equal(wire_pair(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		become_runner(fds[1]);
	close(fds[1]);
	supervisor = blocking(fds[0]);
	send_config();
	keeper = peer(ROLE_QUEUED);
	resolver = peer(ROLE_RESOLVE);
	spawner = peer(ROLE_REMOTE);
	say(supervisor, MSG_RUN, 0);
	hear(supervisor, MSG_READY);
	line = NULL;
	return 0;
}

static int end(void **state)
{
	int status;

	(void)state;
	wire_free(line); /* nobody is left to say goodbye to */
	put_u32(&out, 2000);
	wire_send(supervisor, MSG_STOP, 0, buf_span(&out));
	/* one that was told before may have gone */
	(void)wire_flush(supervisor, deadline_in_ms(WAIT_MS));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	wire_free(supervisor);
	wire_free(keeper);
	wire_free(resolver);
	wire_free(spawner);
	buf_clear(&out);
	return 0;
}

/* --- parts of scenes ------------------------------------------------------ */

static void announce(uint64_t id)
{
	struct waiting w = { .message = id,
		.due_ms = 1,
		.accepted_at = (uint64_t)now_utc(),
		.size_bytes = 100,
		.nrecipients = 1,
		.origin = ORIGIN_SMTP,
		.uid = UINT32_MAX,
		.domain = SPAN_LITERAL("example.org"),
		.sender = SPAN_LITERAL("alice@example.com") };

	waiting_put(&out, &w);
	say(keeper, MSG_WAITING, 0);
}

static void resolve(void)
{
	struct host host = { .name = SPAN_LITERAL("[192.0.2.1]"),
		.port = 25,
		.addresses = { SPAN_LITERAL("\300\0\2\1") },
		.naddresses = 1 };
	struct resolve_answer answer = {
		.ttl_s = 3600, .hosts = &host, .nhosts = 1
	};
	struct reader r = hear(resolver, MSG_RESOLVE);
	struct resolve_query query;

	resolve_query_get(&r, &query);
	assert_true(reader_is_done(&r));
	assert_int_equal(query.kind, RESOLVE_HOST);
	assert_true(span_is_equal(query.name, SPAN_LITERAL("[192.0.2.1]")));
	outcome_ok(&answer.outcome);
	resolve_answer_put(&out, &answer);
	say(resolver, MSG_RESOLVED, got.id);
}

static void start_line(void)
{
	struct reader r = hear(spawner, MSG_LINE_START);
	int fds[2];

	assert_true(span_is_equal(get_span(&r), SPAN_LITERAL("default")));
	assert_int_equal(wire_pair(fds), 0);
	put_u32(&out, 4711);
	send_fd(spawner, MSG_LINE_STARTED, got.id, &fds[1]);
	wire_free(line);
	line = blocking(fds[0]);
}

static void give_job(uint64_t id, enum claim_for claim_for)
{
	struct job_recipient recipient = {
		.address = SPAN_LITERAL("bob@example.org"),
		.report =
		    claim_for == CLAIM_REPORT ? REPORT_FAILED : REPORT_NONE,
		.reply = SPAN_LITERAL("550 5.1.1 no"),
		.status = SPAN_LITERAL("5.1.1"),
	};
	struct job job = { .message = id,
		.size_bytes = 20,
		.origin = ORIGIN_SMTP,
		.sender = SPAN_LITERAL("alice@example.com"),
		.content = SPAN_LITERAL("Subject: x\r\n\r\nhello\r\n"),
		.recipients = &recipient,
		.nrecipients = 1 };
	struct reader r = keeper_hear(MSG_CLAIM);

	assert_int_equal(get_u64(&r), id);
	assert_int_equal(get_u16(&r), 0);
	assert_int_equal(get_u8(&r), claim_for);
	job_put_head(&out, &job);
	buf_put_raw(&out, job.content);
	say(keeper, MSG_JOB, got.id);
}

/* A message as far as into the line; the job's number. */
static uint64_t to_the_line(void)
{
	announce(MESSAGE_ID);
	resolve();
	start_line();
	hear(line, MSG_SESSION);
	give_job(MESSAGE_ID, CLAIM_DELIVER);
	hear(line, MSG_DELIVER);
	return got.id;
}

static void answer(uint64_t job, uint8_t verdict, uint16_t code)
{
	struct rcpt_outcome o = { .result = verdict,
		.code = code,
		.status = "2.0.0",
		.reply = SPAN_LITERAL("as it is") };
	struct result result = { .host = SPAN_LITERAL("mx"),
		.address = SPAN_LITERAL("192.0.2.1:25"),
		.recipients = &o,
		.nrecipients = 1 };

	result_put(&out, &result);
	say(line, MSG_RESULT, job);
}

static struct attempt hear_outcome(void)
{
	struct reader r = keeper_hear(MSG_OUTCOME);
	struct attempt attempt;

	assert_int_equal(attempt_get(&r, &attempt), 0);
	assert_int_equal(attempt.message, MESSAGE_ID);
	return attempt;
}

static void expect_line_died(void)
{
	struct attempt attempt = hear_outcome();

	assert_true(attempt.line_died);
	assert_true(span_is_equal(attempt.line, SPAN_LITERAL("default/1")));
	assert_int_equal(attempt.result.recipients[0].result, RCPT_UNCERTAIN);
	attempt_free(&attempt);
	say(keeper, MSG_RECORDED, got.id);
}

/* --- scenes --------------------------------------------------------------- */

static void test_one_message(void **state)
{
	uint64_t job = to_the_line();
	struct attempt attempt;

	(void)state;
	answer(job, RCPT_DELIVERED, 250);
	attempt = hear_outcome();
	assert_false(attempt.line_died);
	assert_int_equal(attempt.result.recipients[0].result, RCPT_DELIVERED);
	attempt_free(&attempt);
	say(keeper, MSG_RECORDED, got.id);
}

static void test_result_for_nothing(void **state)
{
	(void)state;
	answer(to_the_line() + 1, RCPT_DELIVERED, 250);
	hear_end(line);
	expect_line_died();
}

static void test_result_twice(void **state)
{
	uint64_t job = to_the_line();

	(void)state;
	answer(job, RCPT_DELIVERED, 250);
	answer(job, RCPT_FAILED, 550);
	keeper_hear(MSG_OUTCOME); /* the first counts */
	say(keeper, MSG_RECORDED, got.id);
	hear_end(line);
}

static void test_result_for_others(void **state)
{
	struct rcpt_outcome o[2] = { { .index = 0 }, { .index = 9 } };
	struct result result = { .recipients = o, .nrecipients = 2 };
	uint64_t job = to_the_line();

	(void)state;
	result_put(&out, &result);
	say(line, MSG_RESULT, job);
	hear_end(line);
	expect_line_died();
}

static void test_garbage(void **state)
{
	static const char noise[64] = "\377\377 this is no frame";

	(void)state;
	to_the_line();
	assert_int_equal(
	    write(wire_fd(line), noise, sizeof(noise)), sizeof(noise));
	hear_end(line);
	expect_line_died();
}

static void test_line_dies(void **state)
{
	(void)state;
	to_the_line();
	wire_free(line);
	line = NULL;
	expect_line_died();
}

static void test_untouched_goes_back(void **state)
{
	uint64_t job = to_the_line();
	struct session_report report = { 0 };

	(void)state;
	answer(job, RCPT_UNTOUCHED, 0);
	keeper_hear(MSG_UNCLAIM);
	hear(line, MSG_SESSION_END);
	outcome_ok(&report.outcome);
	session_report_put(&out, &report);
	say(line, MSG_SESSION_DONE, 1);
	hear(line, MSG_SESSION);
	give_job(MESSAGE_ID, CLAIM_DELIVER);
	hear(line, MSG_DELIVER);
	answer(got.id, RCPT_DELIVERED, 250);
	keeper_hear(MSG_OUTCOME);
	say(keeper, MSG_RECORDED, got.id);
}

static void test_keeper_lost(void **state)
{
	struct reader r;
	struct due_query query;

	(void)state;
	to_the_line();
	wire_free(keeper);
	hear_end(line); /* nobody could record what it does now */
	keeper = peer(ROLE_QUEUED);
	hear(keeper, MSG_WINDOW);
	r = hear(keeper, MSG_DUE);
	due_query_get(&r, &query);
	assert_true(reader_is_done(&r));
	assert_int_equal(query.after_due_ms, 0);
}

static void test_keeper_talks_nonsense(void **state)
{
	(void)state;
	say(keeper, MSG_RECORDED, 12345);
	hear_end(keeper);
	wire_free(keeper);
	keeper = peer(ROLE_QUEUED);
	hear(keeper, MSG_WINDOW);
}

static void test_resolver_lost(void **state)
{
	(void)state;
	announce(MESSAGE_ID);
	hear(resolver, MSG_RESOLVE);
	wire_free(resolver);
	resolver = peer(ROLE_RESOLVE);
	resolve();
	start_line();
	hear(line, MSG_SESSION);
	give_job(MESSAGE_ID, CLAIM_DELIVER);
	hear(line, MSG_DELIVER);
	answer(got.id, RCPT_DELIVERED, 250);
	keeper_hear(MSG_OUTCOME);
	say(keeper, MSG_RECORDED, got.id);
}

static void test_no_hosts(void **state)
{
	struct resolve_answer no = { .ttl_s = 60 };
	struct attempt attempt;
	struct reader r;

	(void)state;
	announce(MESSAGE_ID);
	hear(resolver, MSG_RESOLVE);
	outcome_temp(&no.outcome, "4.4.3", "silence");
	resolve_answer_put(&out, &no);
	say(resolver, MSG_RESOLVED, got.id);
	give_job(MESSAGE_ID, CLAIM_DELIVER);
	r = keeper_hear(MSG_OUTCOME);
	assert_int_equal(attempt_get(&r, &attempt), 0);
	assert_true(span_is_equal(attempt.cause, SPAN_LITERAL("dns")));
	assert_int_equal(attempt.result.recipients[0].result, RCPT_DEFERRED);
	assert_true(attempt.next_try_ms > runner_utc_ms());
	attempt_free(&attempt);
	say(keeper, MSG_RECORDED, got.id);
}

static void test_report(void **state)
{
	uint64_t job = to_the_line();
	struct envelope e;
	struct reader r;
	struct buf text;

	(void)state;
	answer(job, RCPT_FAILED, 550);
	keeper_hear(MSG_OUTCOME);
	say(keeper, MSG_RECORDED, got.id);
	give_job(MESSAGE_ID, CLAIM_REPORT);
	r = keeper_hear(MSG_SUBMIT);
	assert_int_equal(envelope_get(&r, &e), 0);
	assert_int_equal(e.origin, ORIGIN_REPORT);
	assert_int_equal(e.sender.n, 0);
	assert_int_equal(e.about, MESSAGE_ID);
	assert_int_equal(e.nrefs, 1);
	assert_true(span_is_equal(
	    e.recipients[0].address, SPAN_LITERAL("alice@example.com")));
	envelope_free(&e);
	buf_init(&text, 65536);
	hear(keeper, MSG_SUBMIT_DATA);
	buf_put_raw(&text, got.payload);
	r = hear(keeper, MSG_SUBMIT_END);
	assert_int_equal(get_u64(&r), text.len);
	assert_non_null(strstr(buf_text(&text), "Action: failed\r\n"));
	buf_clear(&text);
	put_u64(&out, 999);
	say(keeper, MSG_ACCEPTED, got.id);
}

static void test_stop_gives_claims_back(void **state)
{
	struct job_recipient recipient = { .address = SPAN_LITERAL(
					       "bob@example.org") };
	struct job job = { .message = MESSAGE_ID,
		.recipients = &recipient,
		.nrecipients = 1 };
	uint64_t claim;

	(void)state;
	announce(MESSAGE_ID);
	resolve();
	start_line();
	keeper_hear(MSG_CLAIM);
	claim = got.id;
	put_u32(&out, 2000);
	say(supervisor, MSG_STOP, 0);
	/* the stop is heard before the job */
	usleep(100000);
	job_put_head(&out, &job);
	say(keeper, MSG_JOB, claim);
	keeper_hear(MSG_UNCLAIM);
}

static void outbound(bool on, const char *scope)
{
	put_u8(&out, on);
	put_span(&out, span_of(scope));
	say(supervisor, MSG_OUTBOUND, 0);
}

static bool is_silent(const struct wire *wire)
{
	struct pollfd p = { .fd = wire_fd(wire), .events = POLLIN };

	return poll(&p, 1, 150) == 0;
}

/* What is at a relay for a domain that is stopped is no mail of the relay's,
 * though it waited there already. */
static void test_domain_off(void **state)
{
	(void)state;
	outbound(false, "destination:example.com");
	announce(MESSAGE_ID);
	resolve();
	assert_false(is_silent(spawner));
	outbound(false, "destination:example.org");
	assert_true(is_silent(resolver));
	start_line();
	announce(MESSAGE_ID);
	assert_true(is_silent(line));
	outbound(true, "destination:example.org");
	announce(MESSAGE_ID);
	hear(line, MSG_SESSION);
	give_job(MESSAGE_ID, CLAIM_DELIVER);
	hear(line, MSG_DELIVER);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(test_one_message),
		SCENE(test_result_for_nothing),
		SCENE(test_result_twice),
		SCENE(test_result_for_others),
		SCENE(test_garbage),
		SCENE(test_line_dies),
		SCENE(test_untouched_goes_back),
		SCENE(test_keeper_lost),
		SCENE(test_keeper_talks_nonsense),
		SCENE(test_resolver_lost),
		SCENE(test_no_hosts),
		SCENE(test_report),
		SCENE(test_stop_gives_claims_back),
		SCENE(test_domain_off),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
