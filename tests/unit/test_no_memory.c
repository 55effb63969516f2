/* Parsers and the spool when an allocation fails: the n-th, for every n, alone
 * and with all behind it. Nothing crashes, nothing is called permanent, nothing
 * half-read is called whole, and the spool has exactly what it acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/messages.h"
#include "common/reply.h"
#include "inject/addrlist.h"
#include "inject/complete.h"
#include "inject/header.h"
#include "inject/recipients.h"
#include "queue/index.h"
#include "queue/spool.h"

#define ALLOC_HERE
#include "tests/alloc.c"

#define HEADER                                                             \
	"From: me\r\nTo: a@b.example, \"C D\" <c@d.example> (e)\r\nCc: x," \
	"y@\xc3\xbc.example\r\nSubject: s\r\n\r\nbody\r\n"

/* --- parsers: true is done, false is out of memory ------------------------ */

static bool parse_addresses(void)
{
	struct outcome why = { 0 };
	struct addrlist list;
	bool is_done;

	addrlist_init(&list, 100);
	is_done =
	    addrlist_parse(&list,
		SPAN_LITERAL("a@b.example, (c) D <d@e.example>, g: h, i;"),
		&why) == 0;
	assert_true(is_done ? list.count == 4 : why.verdict == VERDICT_TEMP);
	addrlist_clear(&list);
	return is_done;
}

static bool take_recipients(void)
{
	struct conf conf = { .localname = "m.example",
		.aliases = "/nonexistent",
		.postmaster = "pm@m.example",
		.limits = { .recipients = 100 } };
	struct outcome why = { 0 };
	struct recipients r;
	bool is_done;

	recipients_init(&r, &conf, SPAN_LITERAL("m.example"));
	is_done = recipients_add_list(&r,
		      SPAN_LITERAL("a@b.example, joe, c@\xc3\xbc.example"),
		      &why) == 0;
	alloc_stop();
	assert_true(is_done ? r.count == 3 : exit_status_of(&why) == 75);
	recipients_clear(&r);
	return is_done;
}

static bool complete(void)
{
	struct conf conf = { .localname = "m.example",
		.defaults = { .sender_name = "S", .reply_to = "r@m.example" } };
	struct author author = { .address = SPAN_LITERAL("me@m.example") };
	struct outcome why = { 0 };
	struct header header;
	struct buf out;
	bool is_done;

	header_init(&header);
	buf_init(&out, 1 << 20);
	is_done = header_take(&header, SPAN_LITERAL(HEADER), &why) > 0 &&
		  complete_header(&header, &conf, SPAN_LITERAL("m.example"),
		      &author, "now", "1", &out, &why) == 0;
	alloc_stop();
	if (is_done) {
		const char *text = buf_text(&out);

		assert_non_null(strstr(text, "From: S <me@m.example>\r\n"));
		assert_non_null(strstr(text, "Cc: x@m.example,"));
		assert_non_null(strstr(text, "Message-ID: <1@m.example>\r\n"));
	} else {
		assert_int_equal(why.verdict, VERDICT_TEMP);
	}
	buf_clear(&out);
	header_clear(&header);
	return is_done;
}

static bool read_reply(void)
{
	struct span input = SPAN_LITERAL("250-a.example hello\r\n"
					 "250-SIZE 10\r\n250 DSN\r\n");
	struct outcome why = { 0 };
	struct reply reply;
	bool is_done;

	reply_init(&reply);
	is_done = reply_parse(&reply, input, &why) == (ptrdiff_t)input.n;
	alloc_stop();
	assert_true(is_done || why.verdict == VERDICT_TEMP);
	assert_true(!is_done || reply.text.overflow ||
		    span_is_equal(buf_span(&reply.text),
			SPAN_LITERAL("a.example hello\nSIZE 10\nDSN")));
	is_done = is_done && !reply.text.overflow;
	reply_clear(&reply);
	return is_done;
}

static bool read_envelope(void)
{
	struct recipient list[3] = { { .address =
					   SPAN_LITERAL("a@b.example") } };
	struct envelope e = { .sender = SPAN_LITERAL("s@x.example"),
		.origin = ORIGIN_LOCAL,
		.recipients = list,
		.nrecipients = 1 };
	struct buf payload;
	struct reader r;
	bool is_done;

	buf_init(&payload, 1 << 20);
	envelope_put(&payload, &e);
	is_done = !payload.overflow;
	r = reader_of(buf_span(&payload));
	if (is_done && envelope_get(&r, &e) == 0) {
		assert_int_equal(e.nrecipients, 1);
		envelope_free(&e);
	} else {
		is_done = false;
	}
	buf_clear(&payload);
	return is_done;
}

/* DNS is not among them: ldns crashes, in a jailed process that is started
 * again and sees no message. */
static bool (*const parsers[])(void) = {
	parse_addresses,
	take_recipients,
	complete,
	read_reply,
	read_envelope,
};

static void test_parsers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(parsers) / sizeof(*parsers); i++) {
		long n, starved = 0;

		if (!parsers[i]())
			fail_msg("parser %zu", i);
		for (n = 1; n < 2000; n++) {
			alloc_fail((n + 1) / 2, n % 2);
			starved += !parsers[i]();
			alloc_stop();
			if (alloc.failed == 0)
				break;
		}
		if (n == 2000 || starved == 0)
			fail_msg("parser %zu: %ld times starved", i, starved);
	}
}

/* --- the spool ------------------------------------------------------------ */

struct seen {
	uint64_t ids[1000];
	size_t n;
};

static bool see(const struct item *item, void *arg)
{
	struct seen *seen = arg;

	assert_true(seen->n < 1000);
	seen->ids[seen->n++] = item->message;
	return true;
}

/* 0 with *id, or -1: nothing is promised. */
static int accept_one(struct spool *spool, size_t bytes, uint64_t *id)
{
	static char body[INLINE_BODY_MAX + 1000];
	struct recipient to = { .address = SPAN_LITERAL("a@b.example") };
	struct envelope e = { .sender = SPAN_LITERAL("s@x.example"),
		.trace_head = SPAN_LITERAL("Received: by x id "),
		.trace_tail = SPAN_LITERAL("; now"),
		.recipients = &to,
		.nrecipients = 1 };
	struct outcome why = { 0 };
	struct incoming *in = spool_incoming_new(spool, &e, &why);
	int status = -1;

	if (in &&
	    spool_incoming_data(in, (struct span){ body, bytes }, &why) == 0)
		status = spool_stage_message(spool, in, id, &why);
	if (status < 0)
		spool_incoming_free(in);
	else
		status = spool_commit(spool, &why);
	assert_true(status == 0 || why.verdict == VERDICT_TEMP);
	return status;
}

static struct spool *reopen(struct spool *spool, const char *path)
{
	const struct spool_options options = { .path = path,
		.segment_bytes = 1 << 20 };
	struct outcome why = { 0 };

	spool_close(spool);
	spool = spool_open(&options, NULL, &why);
	if (!spool)
		print_error("%s\n", why.detail);
	assert_non_null(spool);
	return spool;
}

static void check_list(struct spool *spool, const struct seen *wanted)
{
	const struct filter all = { .state = -1, .uid = UINT32_MAX };
	struct cursor after = { 0 };
	struct seen seen = { .n = 0 };

	while (spool_list(spool, &all, &after, 1000, see, &seen))
		;
	assert_int_equal(spool_list_result(spool, NULL), 0);
	assert_int_equal(seen.n, wanted->n);
	assert_memory_equal(seen.ids, wanted->ids, seen.n * sizeof(*seen.ids));
}

static void accept_all(
    struct spool *spool, size_t bytes, bool goes_on, struct seen *wanted)
{
	for (long n = 1; n < 300; n++) {
		long failed;
		uint64_t id;
		int status;

		alloc_fail(n, goes_on);
		status = accept_one(spool, bytes, &id);
		failed = alloc.failed;
		alloc_stop();
		if (status == 0)
			wanted->ids[wanted->n++] = id;
		if (n % 10 == 0 || failed == 0)
			check_list(spool, wanted);
		if (failed == 0)
			return;
	}
	fail();
}

/* A list is whole, or says that it is not. */
static void list_all(struct spool *spool, const struct seen *wanted)
{
	const struct filter all = { .state = -1, .uid = UINT32_MAX };
	long failed = 1;

	for (long n = 1; n < 300 && failed; n++) {
		struct cursor after = { 0 };
		struct outcome why;
		struct seen seen = { .n = 0 };

		alloc_fail(n, true);
		while (spool_list(spool, &all, &after, 1000, see, &seen))
			;
		failed = alloc.failed;
		alloc_stop();
		assert_true(
		    spool_list_result(spool, &why) < 0 || seen.n == wanted->n);
	}
	assert_int_equal(failed, 0);
}

static void test_spool(void **state)
{
	static struct seen wanted;
	char path[64], command[100];
	struct spool *spool;

	(void)state;
	snprintf(path, sizeof(path), "%s/no-memory.%d",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", getpid());
	spool = reopen(NULL, path);
	for (int i = 0; i < 4; i++) {
		/* the first allocations are only made in a new one */
		spool = reopen(spool, path);
		accept_all(spool, i % 2 ? 1000 : INLINE_BODY_MAX + 1000, i / 2,
		    &wanted);
	}
	spool = reopen(spool, path);
	list_all(spool, &wanted);
	check_list(spool, &wanted);
	assert_int_equal(spool_verify(spool, NULL, NULL, NULL), 0);
	spool_close(spool);
	snprintf(command, sizeof(command), "rm -r %s", path);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parsers),
		cmocka_unit_test(test_spool),
	};

	log_open("test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
