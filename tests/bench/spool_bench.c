/* How fast is the spool? One thread, the real disk, syncs on.
 *     spool_bench FOLDER [MESSAGES [BATCH [BYTES]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/deadline.h"
#include "queue/spool.h"

struct bench {
	struct spool *spool;
	unsigned messages, batch;
	size_t bytes;
	char *body;
	uint64_t *ids;
	uint64_t t0, syncs, written;
};

static void begin(struct bench *b)
{
	struct spool_stats stats;

	spool_stats(b->spool, &stats);
	b->syncs = stats.syncs;
	b->written = stats.bytes_written;
	b->t0 = now_monotonic_us();
}

static void end(const struct bench *b, const char *what)
{
	double seconds = (double)(now_monotonic_us() - b->t0) / 1e6;
	struct spool_stats stats;

	spool_stats(b->spool, &stats);
	printf("%-28s %9.0f/s  %6.2f s  %7llu syncs  %5.1f KiB a message\n",
	    what, b->messages / seconds, seconds,
	    (unsigned long long)(stats.syncs - b->syncs),
	    (double)(stats.bytes_written - b->written) / 1024 / b->messages);
}

static void check(int result, const struct outcome *why)
{
	if (result == 0)
		return;
	fprintf(stderr, "spool_bench: %s %s\n", why->status, why->detail);
	exit(1);
}

static void commit_if(struct bench *b, unsigned i)
{
	struct outcome why = { 0 };

	if ((i + 1) % b->batch == 0 || i + 1 == b->messages)
		check(spool_commit(b->spool, &why), &why);
}

static void enqueue(struct bench *b, unsigned i)
{
	char address[64];
	struct recipient r = { .address = { address, 0 } };
	struct envelope e = {
		.sender = SPAN_LITERAL("someone@sender.example"),
		.origin = ORIGIN_SMTP,
		.uid = UINT32_MAX,
		.client = SPAN_LITERAL("[127.0.0.1] bench"),
		.trace_head =
		    SPAN_LITERAL("Received: from bench by outpost id "),
		.trace_tail = SPAN_LITERAL("; Thu, 1 Jan 2026 00:00:00 +0000"),
		.recipients = &r,
		.nrecipients = 1,
	};
	struct outcome why = { 0 };
	struct incoming *in;

	r.address.n = (size_t)snprintf(
	    address, sizeof(address), "user%u@d%u.example", i, i % 1000);
	in = spool_incoming_new(b->spool, &e, &why);
	check(in ? 0 : -1, &why);
	check(spool_incoming_data(in, (struct span){ b->body, b->bytes }, &why),
	    &why);
	check(spool_stage_message(b->spool, in, &b->ids[i], &why), &why);
	commit_if(b, i);
}

static void claim(struct bench *b, unsigned i)
{
	struct outcome why = { .detail = "no claim" };

	check(spool_stage_claim(b->spool, b->ids[i], 0, CLAIM_DELIVER), &why);
	commit_if(b, i);
}

static void attempt(struct bench *b, unsigned i, uint8_t result)
{
	struct rcpt_outcome o = {
		.result = result,
		.code = 250,
		.status = "2.0.0",
		.reply = SPAN_LITERAL("250 2.0.0 Ok: queued as 4XyZ"),
	};
	uint8_t report = REPORT_NONE;
	struct attempt a = {
		.message = b->ids[i],
		.next_try_ms = now_utc_us() / 1000,
		.counts = true,
		.line = SPAN_LITERAL("default/3"),
		.cause = SPAN_LITERAL("retry"),
		.reports = &report,
		.result = { .host = SPAN_LITERAL("mx.example"),
		    .address = SPAN_LITERAL("127.0.0.1:25"),
		    .recipients = &o,
		    .nrecipients = 1 },
	};
	struct outcome why = { .detail = "no attempt" };

	check(spool_stage_attempt(b->spool, &a), &why);
	commit_if(b, i);
}

static void job(struct bench *b, unsigned i)
{
	struct outcome why;
	struct job job;
	int fd;

	check(spool_job(b->spool, b->ids[i], 0, CLAIM_DELIVER, &job, &fd, &why),
	    &why);
	job_free(&job);
}

static bool count(const struct waiting *w, void *arg)
{
	(void)w;
	++*(unsigned *)arg;
	return true;
}

static void due(struct bench *b)
{
	struct due_query q = { .until_ms = UINT64_MAX - 1, .max = UINT32_MAX };
	unsigned n = 0;
	uint64_t next;
	bool more;

	spool_due(b->spool, &q, count, &n, &next, &more);
	if (n != b->messages)
		fprintf(stderr, "spool_bench: %u of %u due\n", n, b->messages);
}

/* As the keeper sees it: some come, some are handed out, some are done. */
static void mixed(struct bench *b)
{
	for (unsigned i = 0; i < b->messages + 2 * b->batch; i++) {
		struct outcome why = { 0 };

		if (i < b->messages)
			enqueue(b, i);
		if (i >= b->batch && i - b->batch < b->messages) {
			unsigned k = i - b->batch;

			check(spool_stage_claim(
				  b->spool, b->ids[k], 0, CLAIM_DELIVER),
			    &why);
		}
		if (i >= 2 * b->batch)
			attempt(b, i - 2 * b->batch, RCPT_DELIVERED);
		if ((i + 1) % b->batch == 0)
			while (spool_maintain(b->spool))
				if (spool_has_staged(b->spool))
					break;
	}
	check(spool_commit(b->spool, &(struct outcome){ 0 }), NULL);
}

static void run(struct bench *b)
{
	begin(b);
	for (unsigned i = 0; i < b->messages; i++)
		enqueue(b, i);
	end(b, "accepted");
	begin(b);
	due(b);
	end(b, "listed as due");
	begin(b);
	for (unsigned i = 0; i < b->messages; i++)
		claim(b, i);
	end(b, "claimed");
	begin(b);
	for (unsigned i = 0; i < b->messages; i++)
		job(b, i);
	end(b, "read as jobs");
	begin(b);
	for (unsigned i = 0; i < b->messages; i++)
		attempt(b, i, RCPT_DEFERRED);
	end(b, "deferred");
	for (unsigned i = 0; i < b->messages; i++)
		claim(b, i);
	begin(b);
	for (unsigned i = 0; i < b->messages; i++)
		attempt(b, i, RCPT_DELIVERED);
	end(b, "delivered");
	begin(b);
	while (spool_maintain(b->spool))
		check(spool_commit(b->spool, &(struct outcome){ 0 }), NULL);
	end(b, "space given back");
	begin(b);
	mixed(b);
	end(b, "accept, claim, deliver");
}

int main(int argc, char **argv)
{
	struct bench b = { .messages = 20000, .batch = 32, .bytes = 4096 };
	struct spool_options options = { .path = argv[1] };
	struct outcome why;
	uint64_t t0;

	if (argc < 2)
		return 2;
	if (argc > 2)
		b.messages = (unsigned)atoi(argv[2]);
	if (argc > 3)
		b.batch = (unsigned)atoi(argv[3]);
	if (argc > 4)
		b.bytes = (size_t)atoi(argv[4]);
	b.body = malloc(b.bytes + 1);
	b.ids = calloc(b.messages + 1, sizeof(*b.ids));
	if (!b.body || !b.ids)
		return 1;
	memset(b.body, 'x', b.bytes);
	b.spool = spool_open(&options, NULL, &why);
	check(b.spool ? 0 : -1, &why);
	while (spool_maintain(b.spool))
		;
	run(&b);
	t0 = now_monotonic_us();
	spool_close(b.spool);
	printf("closed in %.3f s\n", (double)(now_monotonic_us() - t0) / 1e6);
	free(b.body);
	free(b.ids);
	return 0;
}
