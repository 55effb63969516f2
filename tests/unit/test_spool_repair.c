/* After a failed write. */
#include "tests/unit/spool_rig.c"

static uint64_t report(struct rig *r, uint64_t about)
{
	struct recipient to = { .address = SPAN_LITERAL("me@home.example") };
	struct report_ref ref = { 0, 0, REPORT_FAILED };
	struct envelope e = { .origin = ORIGIN_REPORT,
		.uid = UINT32_MAX,
		.about = about,
		.refs = &ref,
		.nrefs = 1,
		.recipients = &to,
		.nrecipients = 1 };

	return rig_accept(r, &e, SPAN_LITERAL("Subject: sorry\r\n\r\n"));
}

static void lose_from(struct rig *r, uint64_t from)
{
	uint64_t end = journal_at(r->spool->journal);
	char path[128];

	snprintf(path, sizeof(path), "%s/journal/00000001.seg", r->path);
	assert_int_equal(sim_lose(r->sim, path, from, end - from), 0);
}

static void failed_sync(struct rig *r)
{
	struct recipient to = { .address = SPAN_LITERAL("x@y.example") };
	struct envelope e = { .uid = 1, .recipients = &to, .nrecipients = 1 };
	uint64_t id;

	sim_fail_at(r->sim, 2, EIO, false);
	assert_int_equal(
	    rig_try_stage(r, &e, SPAN_LITERAL("A: b\r\n\r\n"), &id), 0);
	assert_int_equal(spool_commit(r->spool, &r->why), -1);
	sim_fail_at(r->sim, 0, 0, false);
}

/* The report's record was the end of what it is about, too. */
static void what_a_report_settled_stays_settled(void **state)
{
	struct spool_stats stats;
	struct rig_items list;
	struct rig r;
	uint64_t id, sorry, from;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	rig_attempt(&r, id, 0, (uint8_t[]){ RCPT_FAILED },
	    (uint8_t[]){ REPORT_FAILED }, 1);
	from = journal_at(r.spool->journal);
	sorry = report(&r, id);
	assert_int_equal(rig_count(&r), 1);
	lose_from(&r, from);
	failed_sync(&r);
	assert_int_equal(rig_count(&r), 1);
	rig_power_cut(&r);
	assert_int_equal(rig_list(&r, NULL, &list), 1);
	assert_int_equal(list.items[0].message, sorry);
	spool_stats(r.spool, &stats);
	assert_int_equal(stats.accepted, 2);
	assert_int_equal(stats.failed, 1);
	rig_end(&r);
}

/* A refused batch may be whole on the disk: its bodies go only when it cannot
 * come back any more. */
static struct {
	const struct disk *disk;
	struct rig *rig;
	unsigned removed;
} watched;

static int watched_unlink(void *arg, const char *path)
{
	char next[128];

	snprintf(
	    next, sizeof(next), "%s/journal/00000002.seg", watched.rig->path);
	assert_int_equal(sim_count(watched.rig->sim, next), 1);
	watched.removed++;
	return watched.disk->unlink(arg, path);
}

static void bodies_go_after_their_records(void **state)
{
	static char body[INLINE_BODY_MAX + 1];
	struct recipient to = { .address = SPAN_LITERAL("x@y.example") };
	struct envelope e = { .uid = 1, .recipients = &to, .nrecipients = 1 };
	struct disk disk;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	watched.disk = sim_disk(r.sim);
	watched.rig = &r;
	disk = *watched.disk;
	disk.unlink = watched_unlink;
	memset(body, 'b', sizeof(body));
	assert_int_equal(
	    rig_try_stage(&r, &e, (struct span){ body, sizeof(body) }, &id), 0);
	r.spool->large.disk = &disk;
	sim_fail_at(r.sim, 3, EIO, false); /* folder, write, sync */
	assert_int_equal(spool_commit(r.spool, &r.why), -1);
	sim_fail_at(r.sim, 0, 0, false);
	assert_int_equal(watched.removed, 1);
	r.spool->large.disk = watched.disk;
	rig_kill(&r);
	assert_int_equal(rig_count(&r), 0);
	rig_verify(&r);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_report_settled_stays_settled),
		cmocka_unit_test(bodies_go_after_their_records),
	};

	log_open("test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
