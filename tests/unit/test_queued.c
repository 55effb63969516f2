/* The keeper, in a process of its own over a real spool, and its clients here
 * over blocking wires.
 */
#include "queue/queued.h"

#include "common/wire.h"
#include "queue/disk.h"
#include "queue/tool_source.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 4000, NOBODY = 65534 };

static const struct wire_rule any_answer[] = {
	{ MSG_ACCEPTED, 8, NULL },
	{ MSG_REFUSED, 1024, NULL },
	{ MSG_WAITING, 65536, NULL },
	{ MSG_DUE_END, 9, NULL },
	{ MSG_MORE_DUE, 0, NULL },
	{ MSG_CHANGED, 10, NULL },
	{ MSG_JOB, WIRE_FRAME_MAX, NULL },
	{ MSG_GONE, 0, NULL },
	{ MSG_RECORDED, 0, NULL },
	{ MSG_ITEM, 65536, NULL },
	{ MSG_ATTEMPT, WIRE_FRAME_MAX, NULL },
	{ MSG_ENVELOPE, WIRE_FRAME_MAX, NULL },
	{ MSG_SUBMIT_DATA, DATA_CHUNK_MAX, NULL },
	{ MSG_LIST_END, 32, NULL },
	{ MSG_CHANGE_DONE, 32, NULL },
	{ MSG_STATS_DONE, 4096, NULL },
	{ MSG_FAILED, 1024, NULL },
	{ 0 },
};

struct world {
	char folder[64], spool[80], submit[80], queue[80];
	volatile int *fails_sync; /* shared with the keeper */
	pid_t keeper;
	struct wire *runner;
	struct keeper_limits limits;
};

/* --- the keeper's process ------------------------------------------------- */

static volatile int *fails_sync;

static int sometimes_sync(void *arg, int fd)
{
	(void)arg;
	if (*fails_sync > 0) {
		--*fails_sync;
		errno = EIO;
		return -1;
	}
	return disk_real.fdatasync(disk_real.arg, fd);
}

static void after_round(void *arg)
{
	keeper_after_round(arg);
}

static void on_term(void *arg)
{
	keeper_stop(arg, 1000);
}

static void keeper_main(struct world *w, const int listeners[2], int runner)
{
	struct loop *loop = loop_new();
	struct keeper *keeper = keeper_new(loop);
	struct disk disk = disk_real;
	const struct spool_options options = {
		.path = w->spool, .segment_bytes = 4 << 20, .disk = &disk
	};
	struct outcome why;
	struct spool *spool;

	fails_sync = w->fails_sync;
	disk.fdatasync = sometimes_sync;
	spool = spool_open(&options, NULL, &why);
	if (!spool)
		_exit(3);
	keeper_set_limits(keeper, &w->limits);
	loop_after_round(loop, after_round, keeper);
	loop_signal(loop, SIGTERM, on_term, keeper);
	keeper_listen(keeper, LISTENER_SUBMIT, listeners[0]);
	keeper_listen(keeper, LISTENER_QUEUE, listeners[1]);
	keeper_peer(keeper, ROLE_RUNNER, runner);
	keeper_run(keeper, spool);
	loop_run(loop);
	keeper_free(keeper);
	loop_free(loop);
	_exit(0);
}

static struct wire *wire_of(int fd)
{
	struct wire *wire = wire_new(NULL, fd, "test", any_answer, NULL, NULL);

	assert_non_null(wire);
	return wire;
}

static void start_keeper(struct world *w)
{
	int listeners[2], pair[2], quiet;

	listeners[0] = wire_listen(w->submit, 0666);
	listeners[1] = wire_listen(w->queue, 0666);
	assert_true(listeners[0] >= 0 && listeners[1] >= 0);
	assert_int_equal(wire_pair(pair), 0);
	w->keeper = fork();
	if (w->keeper == 0) {
		close(pair[0]);
		quiet = open("/dev/null", O_WRONLY);
		if (!getenv("VERBOSE") && quiet >= 0)
			dup2(quiet, STDERR_FILENO);
		keeper_main(w, listeners, pair[1]);
	}
	assert_true(w->keeper > 0);
	close(listeners[0]);
	close(listeners[1]);
	close(pair[1]);
	w->runner = wire_of(pair[0]);
}

/* The wait status. */
static int end_keeper(struct world *w, int signo)
{
	int status = 0;

	kill(w->keeper, signo);
	waitpid(w->keeper, &status, 0);
	wire_free(w->runner);
	w->runner = NULL;
	w->keeper = 0;
	return status;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	snprintf(w->folder, sizeof(w->folder), "/tmp/test_queued.XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	assert_int_equal(chmod(w->folder, 0755), 0);
	snprintf(w->spool, sizeof(w->spool), "%s/spool", w->folder);
	snprintf(w->submit, sizeof(w->submit), "%s/submit", w->folder);
	snprintf(w->queue, sizeof(w->queue), "%s/queue.sock", w->folder);
	w->fails_sync = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(w->fails_sync != MAP_FAILED);
	*w->fails_sync = 0;
	w->limits = (struct keeper_limits){ .message_size = 1 << 20,
		.recipients = 10,
		.owner_uid = geteuid() };
	start_keeper(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char command[128];

	if (w->keeper > 0)
		end_keeper(w, SIGKILL);
	munmap((void *)w->fails_sync, sizeof(int));
	snprintf(command, sizeof(command), "rm -rf %s", w->folder);
	if (system(command) != 0)
		return -1;
	free(w);
	return 0;
}

/* --- a client ------------------------------------------------------------- */

static struct wire *client(const char *path)
{
	int fd = wire_connect(path);

	assert_true(fd >= 0);
	return wire_of(fd);
}

static struct wire *client_as(const char *path, uid_t uid)
{
	struct wire *wire;

	assert_int_equal(seteuid(uid), 0);
	wire = client(path);
	assert_int_equal(seteuid(0), 0);
	return wire;
}

static void send_buf(
    struct wire *wire, enum message_type type, uint64_t id, struct buf *b)
{
	wire_send(wire, (uint16_t)type, id, buf_span(b));
	buf_clear(b);
	/* a peer that has cut us off shows in the answer */
	wire_flush(wire, deadline_in_ms(WAIT_MS));
}

/* The next frame has to be of that type. */
static struct message expect(struct wire *wire, enum message_type type)
{
	struct message m = { 0 };
	int n = wire_receive(wire, &m, deadline_in_ms(WAIT_MS));

	if (n != 1)
		fail_msg("no frame, wanted %d: %s", type,
		    n ? strerror(errno) : "closed");
	if (m.type != type)
		fail_msg("frame %d, wanted %d", m.type, type);
	return m;
}

static void expect_closed(struct wire *wire)
{
	struct message m;

	assert_true(wire_receive(wire, &m, deadline_in_ms(WAIT_MS)) <= 0);
}

static void expect_refusal(
    struct wire *wire, enum message_type type, const char *status)
{
	struct message m = expect(wire, type);
	struct reader r = reader_of(m.payload);
	struct outcome why;

	outcome_get(&r, &why);
	assert_string_equal(why.status, status);
}

static struct envelope an_envelope(struct recipient *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] =
		    (struct recipient){ .address = span_of("b@example.org") };
	return (struct envelope){
		.sender = span_of("a@example.net"),
		.origin = ORIGIN_LOCAL,
		.uid = 4711,
		.trace_head = span_of("Received: by test id "),
		.trace_tail = span_of("; now"),
		.recipients = to,
		.nrecipients = n,
	};
}

static void begin(struct wire *wire, uint64_t id, const struct envelope *e)
{
	struct buf b;

	buf_init(&b, WIRE_FRAME_MAX);
	envelope_put(&b, e);
	send_buf(wire, MSG_SUBMIT, id, &b);
}

static void end(struct wire *wire, uint64_t id, uint64_t total)
{
	struct buf b;

	buf_init(&b, 64);
	put_u64(&b, total);
	send_buf(wire, MSG_SUBMIT_END, id, &b);
}

static const char text[] = "Subject: x\r\n\r\nHello\r\n";

static void submit_to(struct wire *wire, uint64_t id, const char *address)
{
	struct recipient to;
	struct envelope e = an_envelope(&to, 1);

	to.address = span_of(address);
	begin(wire, id, &e);
	wire_send(wire, MSG_SUBMIT_DATA, id, span_of(text));
	end(wire, id, strlen(text));
}

static uint64_t accepted(struct wire *wire)
{
	struct message m = expect(wire, MSG_ACCEPTED);
	struct reader r = reader_of(m.payload);

	return get_u64(&r);
}

/* --- the runner ----------------------------------------------------------- */

static void open_window(struct wire *runner, uint32_t n)
{
	struct buf b;

	buf_init(&b, 64);
	put_u32(&b, n);
	send_buf(runner, MSG_WINDOW, 0, &b);
}

static void claim(struct wire *runner, uint64_t id, uint64_t message)
{
	struct buf b;

	buf_init(&b, 64);
	put_u64(&b, message);
	put_u16(&b, 0);
	put_u8(&b, CLAIM_DELIVER);
	send_buf(runner, MSG_CLAIM, id, &b);
}

static void outcome(
    struct wire *runner, uint64_t id, uint64_t message, enum rcpt_result result)
{
	struct rcpt_outcome rcpt = { .result = (uint8_t)result,
		.code = result == RCPT_DELIVERED ? 250 : 451,
		.status = "4.7.1",
		.reply = span_of("so it is") };
	uint8_t report = REPORT_NONE;
	struct attempt a = { .message = message,
		.next_try_ms = (uint64_t)now_utc() * 1000 + 3600000,
		.counts = true,
		.line = span_of("default/1"),
		.cause = span_of("retry"),
		.reports = &report,
		.result = { .host = span_of("mx.example.org"),
		    .address = span_of("192.0.2.1:25"),
		    .recipients = &rcpt,
		    .nrecipients = 1 } };
	struct buf b;

	buf_init(&b, 65536);
	attempt_put(&b, &a);
	send_buf(runner, MSG_OUTCOME, id, &b);
}

static uint64_t announced(struct wire *runner)
{
	struct message m = expect(runner, MSG_WAITING);
	struct reader r = reader_of(m.payload);
	struct waiting w;

	waiting_get(&r, &w);
	assert_true(reader_is_done(&r));
	assert_int_equal(m.id, 0);
	return w.message;
}

/* --- the queue tool ------------------------------------------------------- */

struct seen {
	unsigned items;
	uint8_t state;
	uint16_t attempts, uncertain;
	uint32_t uid;
};

static struct seen list(struct wire *control, uint64_t message)
{
	struct list_query q = {
		.filter = { .id = message, .state = -1, .uid = UINT32_MAX },
		.max = 100
	};
	struct seen seen = { 0 };
	struct message m = { 0 };
	struct buf b;

	buf_init(&b, 65536);
	list_query_put(&b, &q);
	send_buf(control, MSG_LIST, 1, &b);
	while (wire_receive(control, &m, deadline_in_ms(WAIT_MS)) == 1 &&
	       m.type == MSG_ITEM) {
		struct reader r = reader_of(m.payload);
		struct item item;

		item_get(&r, &item);
		seen.items++;
		seen.state = item.state;
		seen.attempts = item.attempts;
		seen.uncertain = item.uncertain;
		seen.uid = item.uid;
	}
	assert_int_equal(m.type, MSG_LIST_END);
	return seen;
}

static void ask_change(
    struct wire *control, enum change_action action, uint64_t message)
{
	struct change c = { .action = (uint8_t)action,
		.until = UINT64_MAX,
		.filter = { .id = message, .state = -1, .uid = UINT32_MAX },
		.max = 100 };
	struct buf b;

	buf_init(&b, 65536);
	change_put(&b, &c);
	send_buf(control, MSG_CHANGE, 2, &b);
}

static uint32_t changed(struct wire *control)
{
	struct message m = expect(control, MSG_CHANGE_DONE);
	struct reader r = reader_of(m.payload);

	return get_u32(&r);
}

/* --- tests ---------------------------------------------------------------- */

static void a_message_goes_its_way(void **state)
{
	struct world *w = *state;
	struct wire *local = client(w->submit), *control = client(w->queue);
	struct message m;
	struct reader r;
	struct job job;
	uint64_t id;

	open_window(w->runner, 10);
	submit_to(local, 7, "b@example.org");
	m = expect(local, MSG_ACCEPTED);
	assert_int_equal(m.id, 7);
	r = reader_of(m.payload);
	id = get_u64(&r);
	assert_true(announced(w->runner) == id);
	assert_int_equal(list(control, id).uid, geteuid());
	claim(w->runner, 21, id);
	m = expect(w->runner, MSG_JOB);
	assert_int_equal(m.id, 21);
	r = reader_of(m.payload);
	assert_int_equal(job_get(&r, &job), 0);
	assert_int_equal(job.nrecipients, 1);
	assert_memory_equal(job.content.p, "Received: by test id ", 21);
	assert_memory_equal(
	    job.content.p + job.content.n - strlen(text), text, strlen(text));
	job_free(&job);
	assert_int_equal(list(control, id).state, STATE_ACTIVE);
	claim(w->runner, 22, id);
	expect(w->runner, MSG_GONE);
	outcome(w->runner, 23, id, RCPT_DELIVERED);
	m = expect(w->runner, MSG_RECORDED);
	assert_int_equal(m.id, 23);
	assert_int_equal(list(control, id).items, 0);
	wire_free(local);
	wire_free(control);
	assert_int_equal(end_keeper(w, SIGTERM), 0);
}

static void announces_within_the_window(void **state)
{
	struct world *w = *state;
	struct wire *local = client(w->submit);
	struct due_query q = { .until_ms = UINT64_MAX - 1, .max = 10 };
	unsigned n = 0;
	struct message m = { 0 };
	struct buf b;

	open_window(w->runner, 2);
	for (uint64_t i = 1; i <= 4; i++) {
		submit_to(local, i, "b@example.org");
		accepted(local);
	}
	announced(w->runner);
	announced(w->runner);
	expect(w->runner, MSG_MORE_DUE);
	buf_init(&b, 64);
	due_query_put(&b, &q);
	send_buf(w->runner, MSG_DUE, 5, &b);
	while (wire_receive(w->runner, &m, deadline_in_ms(WAIT_MS)) == 1 &&
	       m.type == MSG_WAITING) {
		assert_int_equal(m.id, 5);
		n++;
	}
	assert_int_equal(m.type, MSG_DUE_END);
	assert_int_equal(n, 4);
	submit_to(local, 5, "b@example.org");
	accepted(local);
	expect(w->runner, MSG_MORE_DUE);
	wire_free(local);
}

static void refuses_what_breaks_the_limits(void **state)
{
	struct world *w = *state;
	struct wire *local = client(w->submit);
	static char chunk[DATA_CHUNK_MAX];
	struct recipient to[11];
	struct envelope e = an_envelope(to, 11);

	begin(local, 1, &e);
	expect_refusal(local, MSG_REFUSED, "5.5.3");
	e.nrecipients = 0;
	begin(local, 2, &e);
	expect_refusal(local, MSG_REFUSED, "5.5.1");
	e.nrecipients = 1;
	e.sender = span_of("a@example.net> SIZE=1");
	begin(local, 3, &e);
	expect_refusal(local, MSG_REFUSED, "5.1.7");
	e.sender = span_of("");
	e.trace_tail = span_of("; x\r\nBcc: y");
	begin(local, 4, &e);
	expect_refusal(local, MSG_REFUSED, "5.6.0");
	e.trace_tail = span_of("");
	begin(local, 5, &e);
	memset(chunk, 'x', sizeof(chunk));
	for (size_t i = 0; i <= w->limits.message_size; i += sizeof(chunk))
		wire_send(local, MSG_SUBMIT_DATA, 5,
		    (struct span){ chunk, sizeof(chunk) });
	end(local, 5, 1);
	expect_refusal(local, MSG_REFUSED, "5.3.4");
	begin(local, 6, &e);
	end(local, 6, 99);
	expect_refusal(local, MSG_REFUSED, "4.3.0");
	for (uint64_t i = 10; i < 15; i++)
		begin(local, i, &e);
	expect_refusal(local, MSG_REFUSED, "4.5.3");
	submit_to(local, 20, "not an address");
	expect_refusal(local, MSG_REFUSED, "4.5.3");
	wire_send(local, MSG_SUBMIT_ABORT, 10, (struct span){ NULL, 0 });
	submit_to(local, 20, "not an address");
	expect_refusal(local, MSG_REFUSED, "5.1.3");
	submit_to(local, 21, "b@example.org");
	accepted(local);
	wire_free(local);
}

static void cuts_off_who_sends_garbage(void **state)
{
	struct world *w = *state;
	struct wire *good = client(w->submit), *bad;
	struct recipient to;
	struct envelope e = an_envelope(&to, 1);

	bad = client(w->submit);
	wire_send(bad, MSG_SUBMIT, 1, span_of("junk"));
	wire_flush(bad, deadline_in_ms(WAIT_MS));
	expect_closed(bad);
	wire_free(bad);

	bad = client(w->submit); /* begun twice */
	begin(bad, 1, &e);
	begin(bad, 1, &e);
	expect_closed(bad);
	wire_free(bad);

	bad = client(w->submit); /* the runner's privilege */
	claim(bad, 1, 1);
	expect_closed(bad);
	wire_free(bad);

	bad = client(w->queue);
	submit_to(bad, 1, "b@example.org");
	expect_closed(bad);
	wire_free(bad);

	submit_to(good, 1, "b@example.org");
	accepted(good);
	wire_free(good);
}

static void a_failed_commit_refuses_the_batch(void **state)
{
	struct world *w = *state;
	struct wire *local = client(w->submit), *control = client(w->queue);
	uint64_t id;

	submit_to(local, 1, "b@example.org");
	id = accepted(local);
	expect(w->runner, MSG_MORE_DUE); /* no window yet */
	*w->fails_sync = 1;
	submit_to(local, 2, "b@example.org");
	expect_refusal(local, MSG_REFUSED, "4.3.0");
	assert_int_equal(list(control, 0).items, 1);
	claim(w->runner, 3, id);
	expect(w->runner, MSG_JOB);
	/* an outcome is staged again until it is on disk */
	*w->fails_sync = 1;
	outcome(w->runner, 4, id, RCPT_DEFERRED);
	expect(w->runner, MSG_RECORDED);
	assert_int_equal(*w->fails_sync, 0);
	assert_int_equal(list(control, id).state, STATE_DEFERRED);
	*w->fails_sync = 1;
	ask_change(control, CHANGE_RETRY, id);
	expect(control, MSG_FAILED);
	assert_int_equal(list(control, id).state, STATE_DEFERRED);
	ask_change(control, CHANGE_RETRY, id);
	assert_int_equal(changed(control), 1);
	expect(w->runner, MSG_CHANGED);
	*w->fails_sync = 1;
	claim(w->runner, 5, id);
	expect(w->runner, MSG_GONE);
	claim(w->runner, 6, id);
	expect(w->runner, MSG_JOB);
	wire_free(local);
	wire_free(control);
}

static void a_lost_runner_leaves_uncertainty(void **state)
{
	struct world *w = *state;
	struct wire *local = client(w->submit), *control = client(w->queue);
	struct seen seen;
	uint64_t id;

	submit_to(local, 1, "b@example.org");
	id = accepted(local);
	expect(w->runner, MSG_MORE_DUE);
	claim(w->runner, 2, id);
	expect(w->runner, MSG_JOB);
	wire_free(w->runner);
	w->runner = NULL;
	do {
		usleep(1000);
		seen = list(control, id);
	} while (seen.state == STATE_ACTIVE);
	assert_int_equal(seen.state, STATE_UNCERTAIN);
	assert_int_equal(seen.uncertain, 1);
	wire_free(local);
	wire_free(control);
}

static void a_killed_keeper_loses_nothing(void **state)
{
	struct world *w = *state;
	struct wire *local = client(w->submit), *control;
	uint64_t kept, claimed;

	submit_to(local, 1, "b@example.org");
	kept = accepted(local);
	submit_to(local, 2, "c@example.org");
	claimed = accepted(local);
	expect(w->runner, MSG_MORE_DUE);
	claim(w->runner, 3, claimed);
	expect(w->runner, MSG_JOB);
	end_keeper(w, SIGKILL);
	expect_closed(local);
	wire_free(local);
	start_keeper(w);
	control = client(w->queue);
	assert_int_equal(list(control, kept).items, 1);
	assert_int_equal(list(control, claimed).state, STATE_UNCERTAIN);
	assert_int_equal(list(control, claimed).uncertain, 1);
	wire_free(control);
}

static void shows_and_changes(void **state)
{
	struct world *w = *state;
	struct wire *local = client(w->submit), *control = client(w->queue);
	struct message m;
	struct buf b;
	uint64_t id;

	submit_to(local, 1, "b@example.org");
	id = accepted(local);
	buf_init(&b, 64);
	put_u64(&b, id);
	send_buf(control, MSG_SHOW, 3, &b);
	expect(control, MSG_ENVELOPE);
	expect(control, MSG_ITEM);
	expect(control, MSG_LIST_END);
	put_u64(&b, id);
	send_buf(control, MSG_GET_BODY, 4, &b);
	m = expect(control, MSG_SUBMIT_DATA);
	assert_memory_equal(
	    m.payload.p + m.payload.n - strlen(text), text, strlen(text));
	expect(control, MSG_LIST_END);
	send_buf(control, MSG_STATS, 5, &b);
	expect(control, MSG_STATS_DONE);
	put_u64(&b, id + 1);
	send_buf(control, MSG_SHOW, 6, &b);
	expect_refusal(control, MSG_FAILED, "5.2.0");

	ask_change(control, CHANGE_HOLD, id);
	assert_int_equal(changed(control), 1);
	expect(w->runner, MSG_MORE_DUE); /* of the message itself */
	expect(w->runner, MSG_CHANGED);
	assert_int_equal(list(control, id).state, STATE_HELD);
	claim(w->runner, 8, id);
	expect(w->runner, MSG_GONE);
	ask_change(control, CHANGE_RELEASE, id);
	assert_int_equal(changed(control), 1);
	expect(w->runner, MSG_CHANGED);
	ask_change(control, CHANGE_DELETE, id);
	assert_int_equal(changed(control), 1);
	expect(w->runner, MSG_CHANGED);
	assert_int_equal(list(control, id).items, 0);
	wire_free(local);
	wire_free(control);
}

static void others_see_their_own_mail(void **state)
{
	struct world *w = *state;
	struct wire *local, *control, *root = client(w->submit);
	uint64_t own, foreign;
	struct buf b;

	if (geteuid() != 0) {
		wire_free(root);
		skip();
	}
	local = client_as(w->submit, NOBODY);
	control = client_as(w->queue, NOBODY);
	submit_to(root, 1, "b@example.org");
	foreign = accepted(root);
	submit_to(local, 1, "b@example.org");
	own = accepted(local);
	assert_int_equal(list(control, 0).items, 1);
	assert_int_equal(list(control, own).uid, NOBODY);
	assert_int_equal(list(control, foreign).items, 0);
	buf_init(&b, 64);
	put_u64(&b, foreign);
	send_buf(control, MSG_SHOW, 3, &b);
	expect_refusal(control, MSG_FAILED, "5.2.0");
	put_u64(&b, foreign);
	send_buf(control, MSG_GET_BODY, 4, &b);
	expect_refusal(control, MSG_FAILED, "5.2.0");
	send_buf(control, MSG_STATS, 5, &b);
	expect_refusal(control, MSG_FAILED, "5.7.1");
	ask_change(control, CHANGE_DELETE, own);
	expect_refusal(control, MSG_FAILED, "5.7.1");
	ask_change(control, CHANGE_RETRACT, foreign);
	assert_int_equal(changed(control), 0);
	ask_change(control, CHANGE_RETRACT, own);
	assert_int_equal(changed(control), 1);
	assert_int_equal(list(control, own).items, 0);
	wire_free(root);
	wire_free(local);
	wire_free(control);
}

/* Many clients at once: all are answered, in few commits. */
static void gathers_what_comes_together(void **state)
{
	enum { CLIENTS = 100 };
	struct world *w = *state;
	struct wire *clients[CLIENTS], *control = client(w->queue);
	struct spool_stats stats;
	struct message m;
	struct reader r;
	struct buf b;

	kill(w->keeper, SIGSTOP);
	for (size_t i = 0; i < CLIENTS; i++) {
		clients[i] = client(w->submit);
		submit_to(clients[i], 1, "b@example.org");
	}
	kill(w->keeper, SIGCONT);
	for (size_t i = 0; i < CLIENTS; i++) {
		accepted(clients[i]);
		wire_free(clients[i]);
	}
	buf_init(&b, 64);
	send_buf(control, MSG_STATS, 1, &b);
	m = expect(control, MSG_STATS_DONE);
	r = reader_of(m.payload);
	spool_stats_get(&r, &stats);
	assert_int_equal(stats.messages, CLIENTS);
	assert_true(stats.syncs < CLIENTS / 4);
	wire_free(control);
}

/* A body too large for the journal travels as a descriptor. */
static void a_large_body_is_handed_over(void **state)
{
	enum { CHUNKS = 6 };
	static char chunk[DATA_CHUNK_MAX];
	struct world *w = *state;
	struct wire *local = client(w->submit);
	struct recipient to;
	struct envelope e = an_envelope(&to, 1);
	struct message m;
	struct reader r;
	struct stat st;
	struct job job;

	memset(chunk, 'y', sizeof(chunk));
	memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
	begin(local, 1, &e);
	for (size_t i = 0; i < CHUNKS; i++)
		wire_send(local, MSG_SUBMIT_DATA, 1,
		    (struct span){ chunk, sizeof(chunk) });
	end(local, 1, CHUNKS * sizeof(chunk));
	claim(w->runner, 2, accepted(local));
	expect(w->runner, MSG_MORE_DUE);
	m = expect(w->runner, MSG_JOB);
	assert_int_equal(m.nfds, 1);
	r = reader_of(m.payload);
	assert_int_equal(job_get(&r, &job), 0);
	assert_true(job.is_large);
	assert_int_equal(fstat(m.fds[0], &st), 0);
	assert_true(job.size_bytes > CHUNKS * sizeof(chunk));
	assert_int_equal(write(m.fds[0], "x", 1), -1);
	close(m.fds[0]);
	job_free(&job);
	wire_free(local);
}

static void the_runner_may_only_retry(void **state)
{
	struct world *w = *state;
	struct wire *local = client(w->submit);

	submit_to(local, 1, "b@example.org");
	ask_change(w->runner, CHANGE_RETRY, accepted(local));
	expect(w->runner, MSG_MORE_DUE);
	assert_int_equal(changed(w->runner), 1);
	expect(w->runner, MSG_CHANGED);
	ask_change(w->runner, CHANGE_DELETE, 0);
	expect_refusal(w->runner, MSG_FAILED, "5.7.1");
	wire_free(local);
}

/* --- the tool's view --------------------------------------------------------
 */

struct tool_seen {
	unsigned items, attempts, envelopes;
	uint64_t id, bytes;
};

static bool see_item(const struct item *item, void *arg)
{
	struct tool_seen *seen = arg;

	seen->items++;
	seen->id = item->message;
	return true;
}

static void see_attempt(uint64_t at, const struct attempt *attempt, void *arg)
{
	struct tool_seen *seen = arg;

	assert_true(at > 0);
	assert_int_equal(attempt->result.nrecipients, 1);
	seen->attempts++;
}

static void see_envelope(
    uint64_t accepted_at, const struct envelope *e, void *arg)
{
	struct tool_seen *seen = arg;

	assert_true(accepted_at > 0);
	assert_true(span_is_equal(e->sender, span_of("a@example.net")));
	seen->envelopes++;
}

static void see_body(struct span data, void *arg)
{
	struct tool_seen *seen = arg;

	seen->bytes += data.n;
}

static struct tool_seen look(struct source *source, uint64_t id)
{
	const struct filter all = { .state = -1, .uid = UINT32_MAX };
	struct tool_seen seen = { 0 };
	const struct source_visitor visitor = { see_item, see_attempt,
		see_envelope, see_body, &seen };
	struct spool_stats stats;
	struct outcome why;
	uint64_t count;

	assert_int_equal(source_list(source, &all, 2, &visitor, &why), 0);
	assert_int_equal(seen.items, 2);
	seen.items = 0;
	assert_int_equal(source_list(source, &all, 0, &visitor, &why), 0);
	assert_int_equal(source_count(source, &all, &count, &why), 0);
	assert_int_equal(count, seen.items);
	seen.items = 0;
	assert_int_equal(source_show(source, id, &visitor, &why), 0);
	assert_true(seen.id == id);
	assert_int_equal(source_show(source, id + 1, &visitor, &why), -1);
	assert_int_equal(source_body(source, id, &visitor, &why), 0);
	assert_int_equal(source_stats(source, &stats, &why), 0);
	assert_int_equal(stats.recipients, count);
	return seen;
}

static void the_tool_sees_the_same_without_the_keeper(void **state)
{
	struct world *w = *state;
	struct conf conf = { .runtime = w->folder, .spool = w->spool };
	struct wire *local = client(w->submit);
	struct change change = { .action = CHANGE_HOLD,
		.until = UINT64_MAX,
		.filter = { .state = -1, .uid = UINT32_MAX } };
	struct tool_seen live, dead;
	struct source *source;
	struct outcome why;
	uint64_t id, n;

	for (uint64_t i = 1; i <= 3; i++) {
		submit_to(local, i, "b@example.org");
		id = accepted(local);
	}
	expect(w->runner, MSG_MORE_DUE);
	claim(w->runner, 4, id);
	expect(w->runner, MSG_JOB);
	outcome(w->runner, 5, id, RCPT_DEFERRED);
	expect(w->runner, MSG_RECORDED);
	source = source_open(&conf, &why);
	assert_non_null(source);
	assert_true(source_is_keeper(source));
	live = look(source, id);
	assert_int_equal(live.items, 1);
	assert_int_equal(live.attempts, 1);
	assert_int_equal(live.envelopes, 1);
	assert_int_equal(source_change(source, &change, &n, &why), 0);
	assert_int_equal(n, 3);
	source_free(source);
	wire_free(local);
	end_keeper(w, SIGTERM);
	unlink(w->queue);
	source = source_open(&conf, &why);
	assert_non_null(source);
	assert_false(source_is_keeper(source));
	dead = look(source, id);
	assert_memory_equal(&live, &dead, sizeof(live));
	assert_int_equal(source_change(source, &change, &n, &why), -1);
	source_free(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define KEEPER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		KEEPER_TEST(a_message_goes_its_way),
		KEEPER_TEST(announces_within_the_window),
		KEEPER_TEST(refuses_what_breaks_the_limits),
		KEEPER_TEST(cuts_off_who_sends_garbage),
		KEEPER_TEST(a_failed_commit_refuses_the_batch),
		KEEPER_TEST(a_lost_runner_leaves_uncertainty),
		KEEPER_TEST(a_killed_keeper_loses_nothing),
		KEEPER_TEST(shows_and_changes),
		KEEPER_TEST(others_see_their_own_mail),
		KEEPER_TEST(gathers_what_comes_together),
		KEEPER_TEST(a_large_body_is_handed_over),
		KEEPER_TEST(the_runner_may_only_retry),
		KEEPER_TEST(the_tool_sees_the_same_without_the_keeper),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
