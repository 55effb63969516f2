/* A spool over the simulated disk in a folder of its own, and short ways to
 * put mail through it. Included by the spool's tests. */
#include "queue/spool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/id.h"
#include "common/log.h"
#include "queue/journal_parts.h"
#include "queue/spool_parts.h"
#include "tests/unit/simdisk.c"

enum { RIG_SEGMENT = 1 << 18 };

struct rig {
	struct sim *sim;
	struct spool *spool;
	char path[64];
	uint64_t max_bytes;
	struct outcome why;
};

static void rig_open(struct rig *r)
{
	struct spool_options options = { .path = r->path,
		.segment_bytes = RIG_SEGMENT,
		.max_bytes = r->max_bytes,
		.disk = sim_disk(r->sim) };

	r->spool = spool_open(&options, NULL, &r->why);
	if (!r->spool)
		print_error("open: %s\n", r->why.detail);
	assert_non_null(r->spool);
}

/* Journal and large bodies are simulated: there is little to remove. */
static void rig_remove(const char *path)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/index", path);
	index_remove(name);
	rmdir(name);
	snprintf(name, sizeof(name), "%s/lock", path);
	unlink(name);
	rmdir(path);
}

static void rig_begin(struct rig *r, uint64_t seed)
{
	memset(r, 0, sizeof(*r));
	r->sim = sim_new(seed);
	snprintf(r->path, sizeof(r->path), "%s/spool-rig.%d",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", getpid());
	rig_remove(r->path);
	rig_open(r);
}

static void rig_end(struct rig *r)
{
	spool_close(r->spool);
	sim_free(r->sim);
	rig_remove(r->path);
}

static void rig_index_path(const struct rig *r, char path[128])
{
	snprintf(path, 128, "%s/index", r->path);
}

/* As after kill -9. */
static void rig_kill(struct rig *r)
{
	spool_abandon(r->spool);
	sim_kill(r->sim);
	rig_open(r);
}

/* As after a power cut: LMDB's file is not simulated, so it goes. */
__attribute__((unused)) static void rig_power_cut(struct rig *r)
{
	char path[128];

	spool_abandon(r->spool);
	sim_power_cut(r->sim);
	rig_index_path(r, path);
	index_remove(path);
	rig_open(r);
}

static void rig_problem(const char *where, const char *what, void *arg)
{
	(void)arg;
	print_error("verify: %s: %s\n", where, what);
}

static void rig_verify(struct rig *r)
{
	assert_int_equal(spool_verify(r->spool, rig_problem, NULL, NULL), 0);
}

static int rig_try_stage(
    struct rig *r, const struct envelope *e, struct span body, uint64_t *id)
{
	struct incoming *in = spool_incoming_new(r->spool, e, &r->why);
	int result;

	assert_non_null(in);
	result = spool_incoming_data(in, body, &r->why);
	if (result == 0)
		result = spool_stage_message(r->spool, in, id, &r->why);
	if (result < 0)
		spool_incoming_free(in);
	return result;
}

static void rig_commit(struct rig *r)
{
	if (spool_commit(r->spool, &r->why) == 0)
		return;
	print_error("commit: %s\n", r->why.detail);
	fail();
}

static uint64_t rig_accept(
    struct rig *r, const struct envelope *e, struct span body)
{
	uint64_t id;

	assert_int_equal(rig_try_stage(r, e, body, &id), 0);
	rig_commit(r);
	return id;
}

/* From me@home.example to one recipient. */
static uint64_t rig_send(struct rig *r, const char *to)
{
	struct recipient recipient = { .address = span_of(to) };
	struct envelope e = { .sender = SPAN_LITERAL("me@home.example"),
		.origin = ORIGIN_LOCAL,
		.uid = 1000,
		.recipients = &recipient,
		.nrecipients = 1 };

	return rig_accept(r, &e, SPAN_LITERAL("Subject: x\r\n\r\nbody\r\n"));
}

static int rig_claim(
    struct rig *r, uint64_t id, uint16_t delivery, enum claim_for claim_for)
{
	int result = spool_stage_claim(r->spool, id, delivery, claim_for);

	rig_commit(r);
	return result;
}

/* Claim, then one result for each of n recipients. */
static void rig_attempt(struct rig *r, uint64_t id, uint16_t delivery,
    const uint8_t *results, const uint8_t *reports, size_t n)
{
	static const uint8_t none[RCPTS_PER_DELIVERY];
	struct rcpt_outcome outcomes[RCPTS_PER_DELIVERY];
	struct attempt a = { .message = id,
		.delivery = delivery,
		.counts = true,
		.next_try_ms = r->sim->clock_us / 1000 + 300000,
		.line = SPAN_LITERAL("default/1"),
		.cause = SPAN_LITERAL("retry"),
		.reports = reports ? reports : none };

	for (size_t i = 0; i < n; i++)
		outcomes[i] = (struct rcpt_outcome){ .index = (uint16_t)i,
			.result = results[i],
			.code = 450,
			.status = "4.2.0",
			.reply = SPAN_LITERAL("450 4.2.0 later") };
	a.result.host = SPAN_LITERAL("mx.example");
	a.result.recipients = outcomes;
	a.result.nrecipients = n;
	assert_int_equal(rig_claim(r, id, delivery, CLAIM_DELIVER), 0);
	assert_int_equal(spool_stage_attempt(r->spool, &a), 0);
	rig_commit(r);
}

__attribute__((unused)) static void rig_deliver(struct rig *r, uint64_t id)
{
	rig_attempt(r, id, 0, (uint8_t[]){ RCPT_DELIVERED }, NULL, 1);
}

struct rig_items {
	struct item items[200];
	size_t n;
};

static bool rig_item(const struct item *item, void *arg)
{
	struct rig_items *list = arg;

	assert_true(list->n < 200);
	list->items[list->n++] = *item;
	return true;
}

/* Texts in the items are not to be used. */
static size_t rig_list(
    struct rig *r, const struct filter *filter, struct rig_items *list)
{
	struct filter all = { .state = -1, .uid = UINT32_MAX };
	struct cursor after = { 0 };

	list->n = 0;
	while (spool_list(
	    r->spool, filter ? filter : &all, &after, 1000, rig_item, list))
		;
	return list->n;
}

static size_t rig_count(struct rig *r)
{
	struct rig_items list;

	return rig_list(r, NULL, &list);
}

__attribute__((unused)) static uint32_t rig_change(
    struct rig *r, uint8_t action, uint64_t until, struct filter filter)
{
	struct change c = {
		.action = action, .until = until, .filter = filter, .max = 100
	};
	struct cursor after = { 0 };
	uint32_t n = 0;
	bool more;

	do {
		n += spool_stage_change(
		    r->spool, &c, UINT32_MAX, &after, &more, NULL, NULL);
		rig_commit(r);
	} while (more);
	return n;
}

__attribute__((unused)) static struct filter rig_by_id(uint64_t id)
{
	return (struct filter){ .id = id, .state = -1, .uid = UINT32_MAX };
}
